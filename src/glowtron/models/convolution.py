"""Convolutions: over time-major tensors, and under weight norm."""

from __future__ import annotations

import math
from typing import Any

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


class WeightNormConv(nn.Module):
    """A centred convolution over (B, C, G) under weight norm (Salimans & Kingma 2016): weight = g * v / |v|.

    `weight_v` is a matrix (n_out, kernel_size * n_in), the earliest step first, with a norm g for each output. `fold`
    replaces g and v by the weight that they make, which is how voices are stored. States of either form load into
    layers of either form, and the layer keeps its own.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter

    def __init__(self, n_in: int, n_out: int, kernel_size: int = 1, dilation: int = 1, *, bias: bool = True) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        plain = nn.Linear(kernel_size * n_in, n_out, bias=bias)
        if bias:
            self.bias = nn.Parameter(plain.bias.detach())
        else:
            self.register_parameter("bias", None)
        self.weight_v = nn.Parameter(plain.weight.detach())
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=1, keepdim=True))
        self.register_parameter("weight", None)

    def effective_weight(self) -> Tensor:
        """(n_out, kernel_size * n_in), the matrix that `forward` convolves with."""
        return self.weight if self.weight is not None else normalised(self.weight_g, self.weight_v)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, n_in, G). Returns (B, n_out, G)."""
        taps = taps_from_matrix(self.effective_weight(), self.kernel_size)
        padding = self.dilation * (self.kernel_size - 1) // 2
        return F.conv1d(x, taps, self.bias, dilation=self.dilation, padding=padding)

    @torch.no_grad()
    def fold(self) -> None:
        """Keep the weight only, for inference and storage. Folding twice changes nothing."""
        if self.weight is None:
            self.weight = nn.Parameter(self.effective_weight())
            self.weight_g = self.weight_v = None  # type: ignore[assignment]

    def fold_unfilled(self) -> None:
        """As `fold`, of a weight that is yet to be read: it is left undefined, and takes no time or memory."""
        if self.weight is None:
            self.weight = nn.Parameter(torch.empty_like(self.weight_v))
            self.weight_g = self.weight_v = None  # type: ignore[assignment]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        state = dict(state_dict)
        folded, g, v = (prefix + name for name in ("weight", "weight_g", "weight_v"))
        if self.weight is None and folded in state:
            state[v] = state.pop(folded)
            state[g] = state[v].norm(dim=1, keepdim=True)
        elif self.weight is not None and g in state and v in state:
            state[folded] = normalised(state.pop(g), state.pop(v))
        super()._load_from_state_dict(state, prefix, *rest)


def normalised(g: Tensor, v: Tensor) -> Tensor:
    """Weight norm: rows of v (n_out, K), each scaled to the norm that g (n_out, 1) gives it."""
    return v * (g / v.norm(dim=1, keepdim=True))
