"""Spectra in NumPy, as torch makes them: the log-mel of a sound, and the denoiser.

Letters: L samples, F frames, M mel bands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.mel_filters import FLOOR, mel_filters
from glowtron.onnx.correction import hann_window

Floats = NDArray[np.float32]

DENOISER = MelConfig(n_fft=1024, hop_length=256, win_length=1024)
"""The transform of the denoiser, as published, whatever the voice's."""
PROBE_FRAMES = 88


def stft(samples: Floats, config: MelConfig) -> NDArray[np.complex64]:
    """(L,) -> (F, n_fft // 2 + 1), F = L // hop + 1; frame t is centred at sample t * hop, the edges are reflected."""
    half = config.n_fft // 2
    padded = np.pad(samples, (half, config.n_fft - half), mode="reflect")
    n_frames = len(samples) // config.hop_length + 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, config.n_fft)[:: config.hop_length][:n_frames]
    return np.fft.rfft(frames * hann_window(config)).astype(np.complex64)


def istft(spectrum: NDArray[np.complex64], config: MelConfig, n_samples: int) -> Floats:
    """The sound (L,) of a transform whose frames overlap."""
    window, hop, half = hann_window(config), config.hop_length, config.n_fft // 2
    frames = np.fft.irfft(spectrum, config.n_fft).astype(np.float32) * window
    sums: Floats = np.zeros((len(frames) - 1) * hop + config.n_fft, np.float32)
    squares = sums.copy()
    for i, frame in enumerate(frames):
        sums[i * hop : i * hop + config.n_fft] += frame
        squares[i * hop : i * hop + config.n_fft] += np.square(window)
    kept = slice(half, half + n_samples)
    return (sums[kept] / np.maximum(squares[kept], np.float32(1e-11))).astype(np.float32)


def log_mel(samples: Floats, config: MelConfig) -> Floats:
    """`glowtron.log_mel` of one sound: (L,) -> (M, T)."""
    if len(samples) == 0:
        raise InputError("wave is empty: a mel needs at least one sample")
    if not np.isfinite(samples).all():
        raise InputError("wave holds NaN or infinite samples")
    n_frames = len(samples) // config.hop_length + 1
    after = (config.n_fft + 1) // 2
    # Reflection takes samples beyond the edge itself; a sound shorter than that goes on in silence.
    samples = np.pad(samples, (0, max(0, after + 1 - len(samples))))
    magnitudes = np.abs(stft(samples, config)[:n_frames]).T
    mel: Floats = np.log(np.maximum(mel_filters(config).astype(np.float32) @ magnitudes, np.float32(FLOOR)))
    return mel


class Denoiser:
    """`glowtron.models.denoiser.Denoiser`: takes the hum that a vocoder makes of nothing out of its sound."""

    def __init__(self, generate: Callable[[Floats], Floats], n_mels: int) -> None:
        """generate: gives the vocoder's answer (L,) to a mel (M, T) without noise."""
        answer = generate(np.zeros((n_mels, PROBE_FRAMES), np.float32))
        self._bias = np.abs(stft(answer, DENOISER))[:1]

    def __call__(self, samples: Floats, strength: float) -> Floats:
        """(L,) -> (L,): `strength` times the bias is subtracted from the magnitudes, which stop at 0."""
        padded = np.pad(samples, (0, max(0, DENOISER.n_fft // 2 + 1 - len(samples))))
        spectrum = stft(padded, DENOISER)
        magnitude = np.abs(spectrum)
        kept = np.maximum(magnitude - strength * self._bias, 0) / np.maximum(magnitude, 1e-12)
        return istft(spectrum * kept.astype(np.float32), DENOISER, len(padded))[: len(samples)]
