"""Convolution over time-major tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution(nn.Module):
    """A centred convolution over (B, T, C).

    `weight` is (out_channels, kernel_size * in_channels), the earliest step first: as a matrix, which engines multiply
    by what each step sees.
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
        taps = taps_from_matrix(self.weight, self.kernel_size)
        return F.conv1d(x.transpose(1, 2), taps, self.bias, padding="same").transpose(1, 2)


def taps_from_matrix(weight: Tensor, kernel_size: int) -> Tensor:
    """The matrix (out, kernel * in) of a `Convolution` as a `Conv1d` weight (out, in, kernel)."""
    # A copy: from the strides of a view torch would conclude that all tensors should be laid out channels last.
    return weight.unflatten(1, (kernel_size, -1)).transpose(1, 2).clone(memory_format=torch.contiguous_format)


def matrix_from_taps(weight: Tensor) -> Tensor:
    """A `Conv1d` weight (out, in, kernel) as the matrix (out, kernel * in) of a `Convolution`."""
    return weight.transpose(1, 2).flatten(1)
