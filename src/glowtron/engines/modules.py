"""Fast modules in place of the textbook's: convolutions as matrix products, which are quicker on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glowtron.models.convolution import Convolution

M = TypeVar("M", bound=nn.Module)

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


def replace_modules(model: M, faster: Mapping[type[nn.Module], type[nn.Module]]) -> M:
    """The model with an instance of `faster[T]` for itself and every module of type T; it must not be used any more.

    Each class in `faster` is a subclass of its key, with the same parameters and submodules. Parameters and buffers
    stay the same tensors under the same names, so checkpoints of either form fit the other.
    """
    for name, child in list(model.named_children()):
        setattr(model, name, replace_modules(child, faster))
    subclass = faster.get(type(model))
    if subclass is None:
        return model
    assert issubclass(subclass, type(model))
    fast = subclass.__new__(subclass)
    fast.__dict__.update(model.__dict__)
    return fast
