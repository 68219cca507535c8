"""Convolutions as matrix products, which are quicker on a CPU, above all in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.models.convolution import Convolution

MATRIX_WORTHWHILE = 8
"""Input channels under which gathering shifted views costs more than the matrix product saves."""


class MatrixConvolution(Convolution):
    """The shifted views times the matrix of weights."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, in_channels). Returns (B, T, out_channels)."""
        if x.shape[-1] < MATRIX_WORTHWHILE:
            return super().forward(x)
        if torch.is_autocast_enabled(x.device.type):
            # Narrowed before it is copied; autocast itself would narrow the copies.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return F.linear(shifted_views(x, self.kernel_size), self.weight, self.bias)


def shifted_views(x: Tensor, kernel_size: int, dilation: int = 1) -> Tensor:
    """The inputs of each output of a centred convolution, side by side.

    x: (B, T, C), zero outside. Returns (B, T, kernel_size * C), the earliest step first.
    """
    if kernel_size == 1:
        return x
    reach = dilation * (kernel_size - 1)
    padded = F.pad(x, (0, 0, reach // 2, reach - reach // 2))
    return torch.cat([padded[:, i * dilation : i * dilation + x.shape[1]] for i in range(kernel_size)], dim=-1)
