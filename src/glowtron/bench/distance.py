"""Distances between fast computations and the same in float32."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from glowtron.config import MelConfig
from glowtron.mel import log_mel


def snr_db(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float | str:
    """Power of `exact` over that of the difference; a word where they are equal, since infinity is no JSON."""
    noise = float(np.square(found.astype(np.float64) - exact).sum())
    signal = float(np.square(exact.astype(np.float64)).sum())
    if noise == 0:
        return "no difference"
    return 10 * math.log10(max(signal, 1e-300) / noise)


def relative(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Norm of the difference over that of `exact`."""
    return float(np.linalg.norm(found.astype(np.float64) - exact) / max(float(np.linalg.norm(exact)), 1e-300))


def wave_error(found: NDArray[np.float32], exact: NDArray[np.float32], mel: MelConfig) -> dict[str, float | str]:
    """Of sound (B, L): signal to noise in dB, and the mean absolute difference of the log-mels."""
    found_mel, exact_mel = (log_mel(torch.from_numpy(wave), mel) for wave in (found, exact))
    return {"snr_db": snr_db(found, exact), "log_mel_l1": float((found_mel - exact_mel).abs().mean())}


def mel_error(found: NDArray[np.float32], exact: NDArray[np.float32]) -> dict[str, float | str]:
    """Of log-mels (B, M, T): signal to noise in dB, the signal without its mean, and the mean absolute difference."""
    n_frames = min(found.shape[2], exact.shape[2])
    found, exact = found[:, :, :n_frames], exact[:, :, :n_frames]
    mean = exact.mean()
    return {"snr_db": snr_db(found - mean, exact - mean), "log_mel_l1": float(np.abs(found - exact).mean())}
