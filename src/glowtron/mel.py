"""The log-mel spectrogram: the only definition in the project.

Follows what the published Tacotron 2 and WaveGlow weights were trained on: magnitudes (not powers) of a reflect-padded
STFT under a periodic Hann window, Slaney's mel scale with filters of equal area, natural log of values clamped at 1e-5.
Frame t is centred at sample t * hop_length.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.mel_filters import FLOOR
from glowtron.mel_filters import mel_filters as mel_filters_array

__all__ = ["FLOOR", "log_mel", "magnitudes", "mel_filters"]


def log_mel(wave: Tensor, config: MelConfig) -> Tensor:
    """Log-mel spectrogram of sound.

    Differentiable.

    Args:
        wave: (B, L) in [-1, 1] at `config.sample_rate`, any floating type, L at least 1.
        config: Rates, window, bands.

    Returns:
        (B, M, T) in natural log, float32 (float64 for float64), T = L // hop_length + 1.

    Raises:
        InputError: The wave has another shape or type, is empty, or holds NaN or infinite samples.
    """
    spectrum = magnitudes(wave, config)
    with torch.autocast(wave.device.type, enabled=False):  # The product must stay in float32 inside a bf16 run.
        mel = mel_filters(config).to(spectrum) @ spectrum
    return mel.clamp(min=config.floor).log()


def magnitudes(wave: Tensor, config: MelConfig) -> Tensor:
    """Magnitudes of the STFT behind `log_mel`: (B, L) -> (B, n_fft // 2 + 1, T). Raises as `log_mel`."""
    _check(wave)
    if wave.dtype != torch.float64:
        wave = wave.float()
    if config.framing == "lws":
        return _lws_magnitudes(wave, config)
    n_frames = wave.shape[1] // config.hop_length + 1
    before, after = config.n_fft // 2, (config.n_fft + 1) // 2
    # Reflection takes samples beyond the edge itself; a sound shorter than that goes on in silence.
    wave = F.pad(wave, (0, max(0, after + 1 - wave.shape[1])))
    wave = F.pad(wave.unsqueeze(1), (before, after), mode="reflect").squeeze(1)
    spectrum = torch.stft(
        wave,
        config.n_fft,
        config.hop_length,
        config.win_length,
        torch.hann_window(config.win_length, dtype=wave.dtype, device=wave.device),
        center=False,
        return_complex=True,
    )
    return spectrum[:, :, :n_frames].abs()


def _lws_magnitudes(wave: Tensor, config: MelConfig) -> Tensor:
    """As lws 1.2 with perfect reconstruction: frame t begins n_fft - hop_length before sample t * hop_length, in zeros.

    Its window is a sine, scaled so that its squares, a hop apart, add up to 1. T = ceil(L / hop_length) + n_fft /
    hop_length - 1.
    """
    before = config.n_fft - config.hop_length
    n_frames = -(-wave.shape[1] // config.hop_length) + before // config.hop_length
    after = (n_frames - 1) * config.hop_length + config.n_fft - before - wave.shape[1]
    place = (torch.arange(config.n_fft, dtype=torch.float64, device=wave.device) + 0.5) / config.n_fft
    window = torch.sin(torch.pi * place) * (2 * config.hop_length / config.n_fft) ** 0.5
    spectrum = torch.stft(
        F.pad(wave, (before, after)),
        config.n_fft,
        config.hop_length,
        window=window.to(wave.dtype),
        center=False,
        return_complex=True,
    )
    return spectrum.abs()


@lru_cache(maxsize=8)
def mel_filters(config: MelConfig) -> Tensor:
    """The filters of `glowtron.mel_filters` as a tensor: (M, n_fft // 2 + 1), float64. Do not change it in place."""
    return torch.from_numpy(mel_filters_array(config))


def _check(wave: Tensor) -> None:
    if wave.dim() != 2:
        raise InputError(f"wave must have shape (B, L), got {tuple(wave.shape)}; wave[None] adds the batch dimension")
    if not wave.is_floating_point():
        raise InputError(f"wave must be floating point in [-1, 1], got {wave.dtype}; divide 16-bit samples by 32768")
    if wave.shape[1] == 0:
        raise InputError("wave is empty: a mel needs at least one sample")
    if not bool(torch.isfinite(wave).all()):
        raise InputError("wave holds NaN or infinite samples")
