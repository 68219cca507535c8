"""The non-causal WaveNet inside each coupling (Prenger et al. 2018, sec. 2.1), time-major.

Over (B, G, C) every 1x1 convolution is one matrix product, and a dilated convolution is one matrix product over
shifted views laid side by side.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glowtron.config import WaveNetConfig


class NormedLinear(nn.Module):
    """A linear layer under weight norm (Salimans & Kingma 2016): weight = g * v / |v|, a norm for each output.

    `fold` replaces g and v by the weight they make, which is how voices are stored. States of either form load into
    layers of either form, and the layer keeps its own.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        plain = nn.Linear(n_in, n_out)
        self.bias = nn.Parameter(plain.bias.detach())
        self.weight_v = nn.Parameter(plain.weight.detach())
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=1, keepdim=True))
        self.register_parameter("weight", None)

    def effective_weight(self) -> Tensor:
        """(n_out, n_in), the matrix that `forward` multiplies by."""
        if self.weight is not None:
            return self.weight
        return _normed(self.weight_g, self.weight_v)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective_weight(), self.bias)

    @torch.no_grad()
    def fold(self) -> None:
        """Keep the weight only, for inference and storage."""
        if self.weight is None:
            self.weight = nn.Parameter(self.effective_weight())
            self.weight_g = self.weight_v = None  # type: ignore[assignment]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        state = dict(state_dict)
        folded, normed = prefix + "weight", (prefix + "weight_g", prefix + "weight_v")
        if self.weight is None and folded in state:
            weight = state.pop(folded)
            state.update(zip(normed, (weight.norm(dim=1, keepdim=True), weight), strict=True))
        elif self.weight is not None and all(name in state for name in normed):
            state[folded] = _normed(*(state.pop(name) for name in normed))
        super()._load_from_state_dict(state, prefix, *rest)


def fold_weight_norm(module: nn.Module) -> None:
    """Fold the weight norm of every layer inside `module`, for inference and storage. Folding twice changes nothing."""
    for layer in module.modules():
        if isinstance(layer, NormedLinear):
            layer.fold()


def _normed(g: Tensor, v: Tensor) -> Tensor:
    return v * (g / v.norm(dim=1, keepdim=True))


def shifted(x: Tensor, kernel_size: int, dilation: int) -> Tensor:
    """(B, G, C) -> (B, G, kernel_size * C): what lies under a dilated convolution at each step, zero beyond the ends."""
    n_steps, reach = x.shape[1], dilation * (kernel_size - 1) // 2
    padded = F.pad(x, (0, 0, reach, reach))
    return torch.cat([padded[:, i * dilation : i * dilation + n_steps] for i in range(kernel_size)], dim=-1)


class WaveNet(nn.Module):
    """Gated dilated convolutions over x, conditioned step by step; its last layer starts at zero."""

    def __init__(self, n_in: int, n_out: int, n_conditioning: int, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        width, n_layers = config.n_channels, config.n_layers
        self.start = NormedLinear(n_in, width)
        self.condition = NormedLinear(n_conditioning, 2 * width * n_layers)
        self.dilated = nn.ModuleList(NormedLinear(config.kernel_size * width, 2 * width) for _ in range(n_layers))
        # The last layer has nothing to hand on, only its skip output.
        self.res_skip = nn.ModuleList(
            NormedLinear(width, 2 * width if i < n_layers - 1 else width) for i in range(n_layers)
        )
        self.end = nn.Linear(width, n_out)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """(B, G, n_in), (B, G, n_conditioning) -> (B, G, n_out)."""
        config = self.config
        hidden = self.start(x)
        skip: Tensor | None = None
        conditions = self.condition(conditioning).chunk(config.n_layers, dim=-1)
        for i, (dilated, res_skip) in enumerate(zip(self.dilated, self.res_skip, strict=True)):
            seen = shifted(hidden, config.kernel_size, 2 ** (i % config.dilation_cycle))
            filtered, gate = (dilated(seen) + conditions[i]).chunk(2, dim=-1)
            out = res_skip(filtered.tanh() * gate.sigmoid())
            if i < config.n_layers - 1:
                residual, out = out.chunk(2, dim=-1)
                hidden = hidden + residual
            skip = out if skip is None else skip + out
        assert skip is not None
        output: Tensor = self.end(skip)
        return output
