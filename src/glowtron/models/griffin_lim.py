"""Griffin-Lim: sound from a mel without a network.

The mel's magnitudes are spread over frequencies by non-negative least squares, and a phase is sought that fits them
(Griffin & Lim 1984), accelerated as by Perraudin, Balazs & Søndergaard 2013.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.config import GriffinLimConfig, MelConfig
from glowtron.errors import InputError
from glowtron.mel import FLOOR, mel_filters

INVERSION_ROUNDS = 40
"""Updates of the non-negative inversion. PESQ of 10 LJ clips, 60 iterations: none 2.34, 5 3.41, 20 3.59, 40 3.66, 100
3.66; a pseudo-inverse clamped at 0 gets 3.29."""


class GriffinLim:
    """A vocoder with nothing to learn."""

    def __init__(self, config: GriffinLimConfig) -> None:
        mel = config.mel
        if 2 * mel.hop_length > mel.win_length:
            raise InputError(
                f"griffin-lim needs windows that overlap by half or more; mel.hop_length {mel.hop_length} is over "
                f"half of mel.win_length {mel.win_length}"
            )
        self.config = config
        self.mel = mel

    @torch.no_grad()
    def generate(self, mel: Tensor, sigma: float | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mel (B, M, T) -> audio (B, T * hop_length), float32.

        The phase begins at random, drawn from `generator` on the mel's device. `sigma` is what vocoders that draw noise
        take; it has no meaning here and changes nothing. Raises InputError on a mel of another shape or with NaN.
        """
        _check(mel, self.mel)
        wanted = mel.shape[2] * self.mel.hop_length
        # Reflection at the edges takes more samples than half a transform; a shorter mel goes on in silence.
        missing = self.mel.n_fft // 2 // self.mel.hop_length + 1 - mel.shape[2]
        mel = F.pad(mel, (0, max(0, missing)), value=math.log(FLOOR))
        magnitude = linear_magnitudes(mel, self.mel)  # (B, F, T)
        turns = torch.rand(magnitude.shape, generator=generator, device=mel.device)
        spectrum = torch.polar(magnitude, 2 * math.pi * turns)
        n_samples = mel.shape[2] * self.mel.hop_length
        previous = torch.zeros_like(spectrum)
        for _ in range(self.config.n_iterations):
            consistent = self._forward(self._inverse(spectrum, n_samples))[..., : mel.shape[2]]
            ahead = consistent + self.config.momentum * (consistent - previous)
            spectrum = ahead * (magnitude / ahead.abs().clamp(min=1e-16))
            previous = consistent
        return self._inverse(spectrum, n_samples)[:, :wanted]

    def _forward(self, wave: Tensor) -> Tensor:
        mel = self.mel
        return torch.stft(
            wave, mel.n_fft, mel.hop_length, mel.win_length, self._window(wave), return_complex=True, pad_mode="reflect"
        )

    def _inverse(self, spectrum: Tensor, n_samples: int) -> Tensor:
        mel = self.mel
        return torch.istft(
            spectrum, mel.n_fft, mel.hop_length, mel.win_length, self._window(spectrum.real), length=n_samples
        )

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.mel.win_length, dtype=like.dtype, device=like.device)


def linear_magnitudes(mel: Tensor, config: MelConfig, rounds: int = INVERSION_ROUNDS) -> Tensor:
    """Non-negative magnitudes (B, n_fft // 2 + 1, T) whose mel is nearest to a log-mel (B, M, T) in squares.

    Multiplicative updates (Lee & Seung 1999), which never leave the non-negative numbers; frequencies outside all bands
    stay 0.
    """
    filters = mel_filters(config).to(mel.device, torch.float32)  # (M, F)
    target = mel.float().exp()
    target = torch.where(target < 1.001 * FLOOR, 0.0, target)  # The floor is what the mel calls silence.
    wanted = filters.T @ target
    # Every frequency starts at the level of the bands over it.
    magnitude = wanted / filters.sum(0).square().clamp(min=1e-12)[:, None]
    for _ in range(rounds):
        magnitude = magnitude * wanted / (filters.T @ (filters @ magnitude)).clamp(min=1e-12)
    return magnitude


def _check(mel: Tensor, config: MelConfig) -> None:
    if mel.dim() != 3 or mel.shape[1] != config.n_mels or mel.shape[2] == 0:
        raise InputError(f"griffin-lim needs a mel of shape (B, {config.n_mels}, T), got {tuple(mel.shape)}")
    if not bool(torch.isfinite(mel.float().exp()).all()):
        raise InputError("griffin-lim: the mel holds NaN or values too large for a log-mel")
