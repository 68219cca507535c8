"""Convolution over time-major tensors as one matrix product."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MATRIX_WORTHWHILE = 8
"""Input channels under which gathering shifted views costs more than the matrix product saves."""


def shifted_views(x: Tensor, kernel_size: int, dilation: int = 1) -> Tensor:
    """What each output of a centred convolution sees, side by side.

    x: (B, T, C), zero outside. Returns (B, T, kernel_size * C), the earliest step first.
    """
    if kernel_size == 1:
        return x
    reach = dilation * (kernel_size - 1)
    padded = F.pad(x, (0, 0, reach // 2, reach - reach // 2))
    return torch.cat([padded[:, i * dilation : i * dilation + x.shape[1]] for i in range(kernel_size)], dim=-1)


class Convolution(nn.Module):
    """A centred convolution over (B, T, C): the shifted views times one matrix.

    `weight` is (out_channels, kernel_size * in_channels), the earliest step first.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = True, gain: float = 1.0):
        super().__init__()
        self.kernel_size = kernel_size
        self.weight = nn.Parameter(torch.empty(out_channels, kernel_size * in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        # Xavier's bound for a convolution counts the taps on both sides.
        bound = gain * math.sqrt(6 / (kernel_size * (in_channels + out_channels)))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, in_channels). Returns (B, T, out_channels)."""
        if x.shape[-1] < MATRIX_WORTHWHILE:
            taps = self.weight.unflatten(1, (self.kernel_size, x.shape[-1])).transpose(1, 2)
            return F.conv1d(x.transpose(1, 2), taps, self.bias, padding="same").transpose(1, 2)
        if torch.is_autocast_enabled(x.device.type):
            # Narrowed before it is copied; autocast itself would narrow the copies.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return F.linear(shifted_views(x, self.kernel_size), self.weight, self.bias)


def matrix_from_taps(weight: Tensor) -> Tensor:
    """A `Conv1d` weight (out, in, kernel) as the matrix (out, kernel * in) of a `Convolution`."""
    return weight.transpose(1, 2).flatten(1)
