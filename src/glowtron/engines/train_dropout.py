"""Dropout whose random numbers cost a quarter: of each that is drawn, four are made.

torch draws one after the other on a CPU, which for the full-size Tacotron 2 is a twelfth of a training step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LANES = 4
"""Numbers of 16 bits in one of 64."""


def draw_mask(shape: Sequence[int], share: float, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Zeros with the probability `share` (to 1 in 65,536), else 1 / (1 - share), in the device and dtype of `like`."""
    n_values = math.prod(shape)
    drawn = torch.empty(-(-n_values // LANES), dtype=torch.int64, device=like.device)
    numbers = drawn.random_(-(2**63), None, generator=generator).view(torch.int16)[:n_values]
    kept = numbers >= round(share * 2**16) - 2**15
    return kept.to(like.dtype).mul_(1 / (1 - share)).view(*shape)


class FastDropout(nn.Dropout):
    """`nn.Dropout` for tensors of many values."""

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape."""
        return x * draw_mask(x.shape, self.p, x) if self.training and self.p else x
