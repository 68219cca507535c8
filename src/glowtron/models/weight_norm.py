"""Weight norm (Salimans & Kingma 2016)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glowtron.models.convolution import taps_from_matrix


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
