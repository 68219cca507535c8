"""The mel scale and its filters, in NumPy: what every runtime makes its mels with.

Slaney's scale (Auditory Toolbox, 1998) is linear up to 1000 Hz and logarithmic above.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glowtron.config import MelConfig

FLOOR = 1e-5
"""Mel magnitudes below this count as silence; the lowest log-mel is log(1e-5) = -11.51."""


@lru_cache(maxsize=8)
def mel_filters(config: MelConfig) -> NDArray[np.float64]:
    """Triangular filters of equal area, (M, n_fft // 2 + 1).

    Memoised: do not change it in place. A band too narrow to hold a frequency bin is all zero.
    """
    steps = np.linspace(_hz_to_mel(config.f_min), _hz_to_mel(config.f_max), config.n_mels + 2)
    edges = np.array([_mel_to_hz(float(step)) for step in steps])  # Hz
    bins = np.arange(config.n_fft // 2 + 1) * config.sample_rate / config.n_fft  # Hz
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    filters: NDArray[np.float64] = np.minimum(rising, falling).clip(min=0) * 2 / (upper - lower)
    return filters


# 15 mels of 66.7 Hz up to the knee, then 27 mels to a factor of 6.4.
_LINEAR_HZ = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ
_LOG_STEP = math.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return hz / _LINEAR_HZ if hz < _KNEE_HZ else _KNEE_MEL + math.log(hz / _KNEE_HZ) / _LOG_STEP


def _mel_to_hz(mel: float) -> float:
    return mel * _LINEAR_HZ if mel < _KNEE_MEL else _KNEE_HZ * math.exp((mel - _KNEE_MEL) * _LOG_STEP)
