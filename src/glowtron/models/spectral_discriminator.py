"""A discriminator of sound that looks at its complex spectrum, and the spectral loss beside it.

A flow that was trained by likelihood alone sounds rough: it spreads its probability over all that the data allow and
more. Where its inverse pass is trained on the sound that it makes (Flow-GAN, Grover et al. 2018; WG-WaveNet, Hsu & Lee
2020), spectral losses alone make it dull, and small discriminators make it clear (docs/adr/0020). Needed in training
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from glowtron.config import SpectralDiscriminatorConfig

SLOPE = 0.1
"""Of leaky relus."""
WINDOWS = ((256, 64), (512, 128), (1024, 256), (2048, 512))
"""Samples under a Fourier transform, and between two, of the spectral loss."""
SMALLEST = 1e-5
"""Magnitudes under this count as this, so that the logarithm of silence is finite."""
COMPRESSION = 0.3
"""Magnitudes to this power go with each phase, so that quiet frequencies are seen too."""


class SpectralVerdict(NamedTuple):
    """Outputs of the discriminators for sounds."""

    score: Tensor
    """(n,) all scores of all windows in one row."""
    features: tuple[Tensor, ...]
    """(B, C, F', T') after each hidden layer of each window."""


class SpectralDiscriminator(nn.Module):
    """A small stack of convolutions for each window, over frequency and time."""

    def __init__(self, config: SpectralDiscriminatorConfig) -> None:
        super().__init__()
        self.windows = config.windows
        self.stacks = nn.ModuleList(Stack(config.channels) for _ in config.windows)

    def forward(self, wave: Tensor) -> SpectralVerdict:
        """wave: (B, L)."""
        scores, features = [], []
        for (n_fft, hop), stack in zip(self.windows, self.stacks, strict=True):
            score, hidden = stack(picture(spectrum(wave, n_fft, hop)))
            scores.append(score.flatten())
            features += hidden
        return SpectralVerdict(torch.cat(scores), tuple(features))


class Stack(nn.Module):
    """Four convolutions that halve the frequencies, and one to a score a patch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(n_in, channels, (5, 3), (2, 1), (2, 1))) for n_in in (3, *(3 * [channels]))
        )
        self.out = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """x: (B, 3, F, T). Returns scores (B, 1, F', T') and each layer's output."""
        hidden = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            hidden.append(x)
        return self.out(x), hidden


def spectrum(wave: Tensor, n_fft: int, hop: int) -> Tensor:
    """Complex spectrum (B, F, T) of sound (B, L) under a Hann window, in float32 whatever autocast says."""
    window = torch.hann_window(n_fft, device=wave.device)
    return torch.stft(wave.float(), n_fft, hop, n_fft, window, return_complex=True)


def picture(z: Tensor) -> Tensor:
    """(B, F, T) complex -> (B, 3, F, T): log-magnitude, and real and imaginary part of the compressed spectrum."""
    magnitude = (z.real.square() + z.imag.square()).clamp_min(1e-9).sqrt()
    scale = magnitude.pow(COMPRESSION - 1)
    return torch.stack((magnitude.log() / 3, z.real * scale, z.imag * scale), dim=1)


def multi_resolution_stft_loss(fake: Tensor, real: Tensor, windows: Sequence[tuple[int, int]] = WINDOWS) -> Tensor:
    """Spectral convergence and mean absolute error of log-magnitudes, the mean over windows (Yamamoto et al. 2020).

    fake, real: (B, L).
    """
    losses = []
    for n_fft, hop in windows:
        ours = spectrum(fake, n_fft, hop).abs().clamp_min(SMALLEST)
        theirs = spectrum(real, n_fft, hop).abs().clamp_min(SMALLEST)
        losses.append((ours.log() - theirs.log()).abs().mean() + (ours - theirs).norm() / theirs.norm())
    return torch.stack(losses).mean()
