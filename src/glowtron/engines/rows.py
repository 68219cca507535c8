"""How many rows to multiply at once, so that few sizes ever occur.

torch's products in bfloat16 are oneDNN's, which writes a program for every number of rows that it meets: half a
megabyte each, and it keeps a thousand. No two sentences are of one length, and a voice that spoke on for some minutes
held 800 MB more than at its beginning.

Rows that are made up have to be finite: with some sizes oneDNN reads beyond a row's end, and multiplies that by zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FEW = 32
"""Rows are made up to a multiple of this, which is what a processor's tiles hold anyway."""


def made_up(n_rows: int, dtype: torch.dtype) -> int:
    """`n_rows` or some more, a sixteenth where they are many: sixteen sizes from one power of two to the next."""
    if dtype == torch.float32:
        return n_rows
    step = max(FEW, 1 << max(n_rows.bit_length() - 5, 0))
    return -(-n_rows // step) * step


def make_up(rows: Tensor) -> Tensor:
    """Rows (..., R, C) with as many zeros behind them as their type needs."""
    n_more = made_up(rows.shape[-2], rows.dtype) - rows.shape[-2]
    return F.pad(rows, (0, 0, 0, n_more)) if n_more else rows
