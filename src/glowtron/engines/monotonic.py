"""Monotonic attention for few texts at a time: the rule of `models.monotonic`, in numbers instead of tensors.

There it is thirty operations on tensors of a few numbers, a quarter of a compact voice's decoder step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glowtron.models.monotonic import REACH


@dataclass
class Place:
    """Where one text is being read."""

    longest: list[float]
    """Steps after which each of its symbols is left whatever the network says."""
    symbol: int = 0
    dwelt: int = 0
    """Steps spent at the symbol."""
    survival: float = 1.0
    """Probability of still being there."""

    def move_on(self, proposed: NDArray[np.float32]) -> bool:
        """Take a step; proposed: (N,) what the attention proposes. Whether the symbol was left for another."""
        self.dwelt += 1
        if self.dwelt == 1 and self.symbol == 0:  # The first step is taken at the first symbol.
            return False
        window = proposed[self.symbol : min(self.symbol + REACH, len(self.longest) - 1) + 1]
        here, *ahead = window.tolist()
        self.survival *= here / max(here + sum(ahead), 1e-9)
        if not ahead or (self.survival >= 0.5 and self.dwelt - 1 < self.longest[self.symbol]):
            return False
        self.symbol += 1 + int((window[1:] + np.float32(1e-9)).argmax())
        self.dwelt, self.survival = 1, 1.0
        return True

    def finishes(self, stop_logit: float) -> bool:
        """Whether speech ends with the step just taken; stop_logit: of the network's probability of stopping now."""
        if self.symbol < len(self.longest) - 1:
            return False
        self.survival *= 0.5 - 0.5 * math.tanh(stop_logit / 2)  # 1 - sigmoid, without overflow.
        return self.survival < 0.5 or self.dwelt >= self.longest[-1]
