"""The pitch of a recording, frame by frame.

The tracker is YIN's normalised difference (de Cheveigne and Kawahara 2002) with the path through its candidates chosen
over the whole recording by dynamic programming, as in Talkin's RAPT (1995): good to a few cents on clear voices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.config import MelConfig

RATE = 16_000
"""Hz, of the sound that is looked at."""
HOP = 160
"""Samples between frames at 16 kHz: 10 ms."""
_WINDOW = 640
"""Samples compared with themselves shifted: 40 ms."""
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 500.0
_CANDIDATES = 5
_UNVOICED = 0.35
"""Cost of calling a frame unvoiced; a clear voice has a normalised difference under 0.1, noise near 1."""
_LOW_BIAS = 0.02
"""Cost of an octave down, so that of two equal periods the shorter wins."""
_MOVE, _SWITCH = 1.0, 0.2
"""Costs of an octave's move between frames and of starting or ending a voice."""
_SILENT_DB = 45.0
"""Frames this far under the loudest are unvoiced."""

Track = NDArray[np.float64]


def track_pitch(audio: Audio) -> Track:
    """Fundamental frequency in Hz every 10 ms, (L // HOP + 1,) with L samples at 16 kHz; 0 where unvoiced."""
    samples = audio.resample(RATE).samples.astype(np.float64)
    cost, hertz = _candidates(samples)
    return _best_path(cost, hertz)


def pitch_contour(audio: Audio, n_frames: int, config: MelConfig) -> NDArray[np.float32]:
    """Pitch in each mel frame, (2, n_frames): log F0, and 1 where the frame is voiced, else 0.

    Log F0 is interpolated through unvoiced frames, and constant before the first and after the last voiced one; 0
    throughout where nothing is voiced.
    """
    track = track_pitch(audio)
    place = np.arange(n_frames) * (config.hop_length / config.sample_rate) * (RATE / HOP)
    nearest = np.clip(np.rint(place).astype(np.intp), 0, len(track) - 1)
    (voiced,) = np.nonzero(track)
    log_f0 = np.interp(place, voiced, np.log(track[voiced])) if len(voiced) else np.zeros(n_frames)
    return np.stack((log_f0, track[nearest] > 0)).astype(np.float32)


def _candidates(samples: NDArray[np.float64]) -> tuple[Track, Track]:
    """Cost and frequency (T, 1 + _CANDIDATES) of each way to hear each frame; the first is unvoiced (0 Hz)."""
    shortest, longest = int(RATE / _HIGHEST_HZ), int(np.ceil(RATE / _LOWEST_HZ))
    frames = _frames(samples, _WINDOW + longest + 1)
    difference = _normalised_difference(frames, longest + 1)  # (T, lags)
    lags = np.arange(shortest, longest)
    here, before, after = (difference[:, lags + shift] for shift in (0, -1, 1))
    is_valley = (here < before) & (here <= after)
    # A parabola through the valley and its neighbours finds the period between samples.
    curvature = np.maximum(before - 2 * here + after, 1e-12)
    shift = np.clip((before - after) / (2 * curvature), -0.5, 0.5)
    hertz = RATE / (lags + shift)
    cost = here - (before - after) ** 2 / (8 * curvature) + _LOW_BIAS * np.log2(_HIGHEST_HZ / hertz)
    cost = np.where(is_valley, cost, np.inf)
    power = np.square(frames[:, :_WINDOW]).mean(axis=1)
    cost[power <= max(power.max() * 10 ** (-_SILENT_DB / 10), 1e-10)] = np.inf
    best = np.argsort(cost, axis=1)[:, :_CANDIDATES]
    unvoiced = np.full((len(frames), 1), _UNVOICED)
    return (
        np.hstack([unvoiced, np.take_along_axis(cost, best, axis=1)]),
        np.hstack([np.zeros_like(unvoiced), np.take_along_axis(hertz, best, axis=1)]),
    )


def _frames(samples: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """(T, length), frame t centred at sample t * HOP, with silence beyond the ends."""
    padded = np.pad(samples, (length // 2, length - length // 2 + HOP))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::HOP][: len(samples) // HOP + 1]


def _normalised_difference(frames: NDArray[np.float64], n_lags: int) -> NDArray[np.float64]:
    """YIN's cumulative mean normalised difference at lags 0 to n_lags, (T, n_lags + 1)."""
    n_fft = 1 << (frames.shape[1] + _WINDOW - 1).bit_length()
    head = np.fft.rfft(frames[:, :_WINDOW], n_fft)
    products = np.fft.irfft(np.conj(head) * np.fft.rfft(frames, n_fft), n_fft)[:, : n_lags + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    windows = energy[:, _WINDOW : _WINDOW + n_lags + 1] - energy[:, : n_lags + 1]
    difference = np.maximum(windows[:, :1] + windows - 2 * products, 0.0)
    mean = np.cumsum(difference[:, 1:], axis=1) / np.arange(1, n_lags + 1)
    ones = np.ones((len(frames), 1))
    return np.hstack([ones, difference[:, 1:] / np.maximum(mean, 1e-12)])


def _best_path(cost: Track, hertz: Track) -> Track:
    """Frequencies (T,) of the cheapest path through the candidates (Viterbi)."""
    octaves = np.log2(np.where(hertz > 0, hertz, 1.0))
    voiced = hertz > 0
    total, back = cost[0], np.zeros(cost.shape, dtype=np.intp)
    for t in range(1, len(cost)):
        both = voiced[t - 1][:, None] & voiced[t][None]
        switch = voiced[t - 1][:, None] != voiced[t][None]
        move = np.where(both, _MOVE * np.abs(octaves[t - 1][:, None] - octaves[t][None]), _SWITCH * switch)
        through = total[:, None] + move
        back[t] = through.argmin(axis=0)
        total = through.min(axis=0) + cost[t]
    path = np.empty(len(cost), dtype=np.intp)
    path[-1] = total.argmin()
    for t in range(len(cost) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return hertz[np.arange(len(cost)), path]
