"""How many threads a model's matrix products are worth."""

from __future__ import annotations

import os

import torch
from torch import nn

SMALL = 30_000_000
"""Parameters: products of smaller models take microseconds, and threads that meet after each wait more than they help.
On two cores of which another program uses one, the voice that ships takes ten times as long with two as with one."""


def suit_threads(*models: nn.Module | None) -> None:
    """Let torch use one thread in this process if all `models` are small; the user's OMP_NUM_THREADS stands."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    if all(sum(weight.numel() for weight in model.parameters()) < SMALL for model in models if model is not None):
        torch.set_num_threads(1)
