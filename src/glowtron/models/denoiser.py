"""The denoiser that came with WaveGlow: takes the hum that a vocoder makes of nothing out of its sound."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from glowtron.errors import InputError

N_FFT = 1024
HOP_LENGTH = 256
PROBE_FRAMES = 88


class Generates(Protocol):
    """A vocoder, as far as the denoiser knows it."""

    def generate(
        self, mel: Tensor, sigma: float, generator: torch.Generator | None = None, *, speaker: Tensor | None = None
    ) -> Tensor:
        """(B, M, T) -> (B, L)."""


class Denoiser:
    """Spectral subtraction of a vocoder's bias: what it says to an all-zero mel without any noise.

    As published: the bias is the magnitude of the *first* frame of the vocoder's answer to 88 frames of zeros at sigma
    0. It is that vocoder's own and knows nothing of the text.

    A log-mel of 0 is not silence but louder than most speech. The published network answers it with a steady tone, its
    artefact. A vocoder trained on other data, or that reads its loudness off the mel as the lapped kind does, may
    answer with sound that is no artefact; `bias_level` tells how loud. Whether subtracting it helps has to be measured
    for each vocoder, so denoising is off unless asked for.
    """

    def __init__(
        self,
        vocoder: Generates,
        n_mels: int,
        device: torch.device | str = "cpu",
        speaker: Tensor | None = None,
    ) -> None:
        """Ask `vocoder` (its mels have `n_mels` bands, and live on `device`) for its bias, as `speaker` (1,)."""
        with torch.no_grad():
            nothing = torch.zeros(1, n_mels, PROBE_FRAMES, device=device)
            wave = vocoder.generate(nothing, 0.0, None, speaker=speaker)
        self.bias = _forward(wave.float()).abs()[:, :, :1]
        """(1, N_FFT // 2 + 1, 1) magnitudes."""

    @property
    def bias_level(self) -> float:
        """Root mean square of a sound whose every frame is the bias; speech has about 0.05 to 0.1."""
        # Parseval for a real frame, divided by the energy of the window it was taken under.
        power = self.bias.square()
        total = 2 * power.sum() - power[:, 0].sum() - power[:, -1].sum()
        return float((total / N_FFT / torch.hann_window(N_FFT).square().sum()).sqrt())

    @torch.no_grad()
    def __call__(self, wave: Tensor, strength: float = 0.1) -> Tensor:
        """(B, L) -> (B, L): `strength` times the bias is subtracted from the magnitudes, which stop at 0.

        The phase stays. Strength 0 gives the sound itself.
        """
        if not strength >= 0:
            raise InputError(f"denoiser strength must be 0 or over, got {strength}")
        if strength == 0:
            return wave
        n_samples = wave.shape[1]
        # Reflection at the edges takes more samples than half a window; a shorter sound goes on in silence.
        wave = torch.nn.functional.pad(wave, (0, max(0, N_FFT // 2 + 1 - n_samples)))
        spectrum = _forward(wave)
        magnitude = spectrum.abs()
        kept = (magnitude - strength * self.bias.to(magnitude)).clamp(min=0) / magnitude.clamp(min=1e-12)
        cleaned = torch.istft(spectrum * kept, N_FFT, HOP_LENGTH, window=_window(wave), length=wave.shape[1])
        return cleaned[:, :n_samples]


def _forward(wave: Tensor) -> Tensor:
    return torch.stft(wave, N_FFT, HOP_LENGTH, window=_window(wave), return_complex=True, pad_mode="reflect")


def _window(wave: Tensor) -> Tensor:
    return torch.hann_window(N_FFT, dtype=wave.dtype, device=wave.device)
