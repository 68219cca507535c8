"""Loudness and true peak of mono sound after ITU-R BS.1770-4 (2015).

Integrated loudness (annex 1), in LUFS: the sound is weighted as the head and the ear weight it (a high shelf and a
high-pass), its power taken in blocks of 0.4 s that overlap by three quarters, and the mean taken of the blocks that are
over -70 LUFS and over 10 LU under the mean of those: silence and pauses do not count. A sine of 997 Hz at full scale
measures -3.01. True peak (annex 2): the highest value between the samples too, seen at four times the rate.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio

_BLOCK_S = 0.4
_STEP_S = 0.1
_OFFSET_DB = -0.691
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_OVERSAMPLING = 4

# The standard gives coefficients at 48 kHz only; these are the analogue filters they are the bilinear transforms of.
_SHELF_HZ, _SHELF_Q, _SHELF_DB, _SHELF_SLOPE = (
    1681.974450955533,
    0.7071752369554196,
    3.999843853973347,
    0.4996667741545416,
)
_PASS_HZ, _PASS_Q = 38.13547087602444, 0.5003270373238773


def loudness(audio: Audio) -> float:
    """Integrated loudness in LUFS; minus infinity where nothing is over the absolute gate.

    A recording shorter than a block is one block.
    """
    weighted = _weighted(audio)
    block, step = round(_BLOCK_S * audio.sample_rate), round(_STEP_S * audio.sample_rate)
    sums = np.concatenate([[0.0], np.cumsum(np.square(weighted))])
    starts = np.arange(0, max(1, len(weighted) - block + 1), step)
    ends = np.minimum(starts + block, len(weighted))
    power = (sums[ends] - sums[starts]) / (ends - starts)
    heard = power[power > _power(_ABSOLUTE_GATE)]
    if len(heard) == 0:
        return -math.inf
    heard = heard[heard > _power(_level(float(heard.mean())) + _RELATIVE_GATE)]
    return _level(float(heard.mean()))


def true_peak(audio: Audio) -> float:
    """The highest magnitude that the sound reaches at or between its samples; 1 is full scale."""
    between = audio.resample(_OVERSAMPLING * audio.sample_rate).samples
    return max(float(np.abs(samples).max()) for samples in (audio.samples, between) if len(samples))


def weighting(sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (2, 3) of numerators and denominators of the shelf and the high-pass, at a rate in Hz."""
    k = math.tan(math.pi * _SHELF_HZ / sample_rate)
    high = 10 ** (_SHELF_DB / 20)
    middle = high**_SHELF_SLOPE
    norm = 1 + k / _SHELF_Q + k * k
    shelf = [(high + middle * k / _SHELF_Q + k * k), 2 * (k * k - high), (high - middle * k / _SHELF_Q + k * k)]
    shelf_poles = [1.0, 2 * (k * k - 1) / norm, (1 - k / _SHELF_Q + k * k) / norm]
    k = math.tan(math.pi * _PASS_HZ / sample_rate)
    pass_norm = 1 + k / _PASS_Q + k * k
    pass_poles = [1.0, 2 * (k * k - 1) / pass_norm, (1 - k / _PASS_Q + k * k) / pass_norm]
    return np.array([[b / norm for b in shelf], [1.0, -2.0, 1.0]]), np.array([shelf_poles, pass_poles])


def _weighted(audio: Audio) -> NDArray[np.float64]:
    """The sound (L,) through both filters, by its spectrum."""
    n = len(audio.samples)
    # Half a second of silence after it, into which the filters' answers die away instead of coming round.
    size = n + audio.sample_rate // 2
    size += size % 2
    zeros, poles = weighting(audio.sample_rate)
    delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    powers = np.stack([np.ones_like(delay), delay, delay * delay])
    response = np.prod(zeros @ powers, axis=0) / np.prod(poles @ powers, axis=0)
    spectrum = np.fft.rfft(audio.samples.astype(np.float64), size)
    weighted: NDArray[np.float64] = np.fft.irfft(spectrum * response, size)[:n]
    return weighted


def _level(power: float) -> float:
    return _OFFSET_DB + 10 * math.log10(power)


def _power(level: float) -> float:
    return float(10 ** ((level - _OFFSET_DB) / 10))
