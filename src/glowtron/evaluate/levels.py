"""Recordings made comparable: one rate and one level for every measure that listens like a person.

A quiet recording is recognised and rated differently from a loud one though the speech is the same, so the recogniser,
the MOS estimate, PESQ and STOI all hear their audio at 16 kHz and at one level of speech.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio

RATE = 16_000
"""Hz; what the recogniser, DNSMOS and wide-band PESQ were made for."""
LEVEL_DB = -26.0
"""Level of speech in dB relative to full scale: the usual one of listening tests (ITU-T P.56 measured, P.800)."""
FRAME = 512
"""Samples in a frame at `RATE`: 32 ms."""

Samples = NDArray[np.float32]


def at_16_khz(audio: Audio) -> Samples:
    """Samples (L,) at 16 kHz, otherwise as they were."""
    return audio.resample(RATE).samples


def levelled(audio: Audio) -> Samples:
    """Samples (L,) at 16 kHz whose speech has the level `LEVEL_DB`, less where a peak would leave [-1, 1].

    Silence, which has no level of speech, is returned as it is.
    """
    samples = at_16_khz(audio)
    level = speech_level(samples)
    if level == 0.0:
        return samples
    peak = float(np.abs(samples).max())
    return samples * np.float32(min(10 ** (LEVEL_DB / 20) / level, 1.0 / peak))


def frame_power(samples: Samples, frame: int = FRAME) -> NDArray[np.float64]:
    """Mean square of each whole `frame` of samples, (L // frame,); one frame over all where there is less."""
    if len(samples) < frame:
        return np.array([np.mean(np.square(samples, dtype=np.float64)) if len(samples) else 0.0])
    whole = samples[: len(samples) // frame * frame].astype(np.float64)
    power: NDArray[np.float64] = np.square(whole.reshape(-1, frame)).mean(axis=1)
    return power


def is_speech(power: NDArray[np.float64], below_db: float) -> NDArray[np.bool_]:
    """Which frames are speech: less than `below_db` under the loud ones (the 95th percentile); none in silence."""
    loud = float(np.percentile(power, 95)) or float(power.max())
    # Rounding noise of a digitally silent file is no speech: -100 dB and less counts as nothing.
    return np.greater(power, max(loud * 10 ** (-below_db / 10), 1e-10))


def speech_level(samples: Samples) -> float:
    """Root mean square over the frames that are speech (within 30 dB of the loud ones), 0 where none is."""
    power = frame_power(samples)
    speech = is_speech(power, below_db=30.0)
    return float(np.sqrt(power[speech].mean())) if speech.any() else 0.0
