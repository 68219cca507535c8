"""The MDCT, an orthonormal lapped transform between samples and frequencies.

The sine-windowed MDCT of hop N and window 2N (Princen & Bradley 1987), written as a rotation of the samples
mirrored across each block boundary, followed by an orthonormal DCT-IV of each block of N. Nothing lies beyond the
first and the last block, so there is no rotation at the outer edges: L = G * N samples become exactly G * N
coefficients and back, and the log-determinant is 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Mdct(nn.Module):
    """MDCT of blocks of `hop_length` samples; channel k of block g is a frequency near (k + 1/2) / (2 * hop_length).

    Block g holds the samples from g * hop_length on and is centred at (g + 1/2) * hop_length. Always computed in
    float32: an invertible map must not round.
    """

    basis: Tensor
    """(N, N) DCT-IV, symmetric and its own inverse."""
    window: Tensor
    """(2, N / 2) the window's weights of a sample n after a boundary and of its mirror image before it."""

    def __init__(self, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length
        n = torch.arange(hop_length, dtype=torch.float64) + 0.5
        basis = math.sqrt(2 / hop_length) * torch.cos(torch.outer(n, n) * (math.pi / hop_length))
        angle = (hop_length / 2 + n[: hop_length // 2]) * (math.pi / (2 * hop_length))
        # Not in the state: they follow from hop_length alone.
        self.register_buffer("basis", basis.float(), persistent=False)
        self.register_buffer("window", torch.stack((angle.sin(), angle.cos())).float(), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Samples (B, G * N) -> coefficients (B, G, N), float32."""
        with torch.autocast(wave.device.type, enabled=False):
            blocks = wave.float().unflatten(-1, (-1, self.hop_length))
            return self._rotate(blocks, 1.0) @ self.basis

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Coefficients (B, G, N) -> samples (B, G * N), float32."""
        with torch.autocast(coefficients.device.type, enabled=False):
            return self._rotate(coefficients.float() @ self.basis, -1.0).flatten(1)

    def _rotate(self, blocks: Tensor, direction: float) -> Tensor:
        """Rotate each pair of samples mirrored across an inner boundary, by the window's angle times `direction`."""
        half = self.hop_length // 2
        near, far = self.window[0], self.window[1] * direction
        after = blocks[:, 1:, :half]
        before = blocks[:, :-1, half:].flip(-1)
        first = torch.cat((blocks[:, :1, :half], near * after + far * before), dim=1)
        second = torch.cat(((near * before - far * after).flip(-1), blocks[:, -1:, half:]), dim=1)
        return torch.cat((first, second), dim=-1)
