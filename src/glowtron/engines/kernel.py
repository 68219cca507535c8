"""Our own operations for a decoder step, compiled from `decoder_step.c` when the package is installed.

Where there was no compiler, or the library does not fit, `find_kernel` gives None and says why; torch does it then.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from glowtron.engines.products import Rows

LIBRARY = Path(__file__).with_name("decoder_step.so")
KINDS = ("fp32", "bf16", "int8")
"""As `decoder_step.c` numbers them."""


class Matrix(ctypes.Structure):
    """`Rows` as the library sees them."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "bias", "scale", "sum")),
        *((name, ctypes.c_int32) for name in ("n_in", "n_out", "kind")),
    )

    @classmethod
    def of(cls, rows: Rows) -> Matrix:
        """A matrix, which is kept as long as what is returned."""
        sums = rows.weight.sum(dim=1, dtype=torch.int32) if rows.kind == "int8" else rows.scale
        n_out, n_in = rows.weight.shape
        matrix = cls(*map(address, (rows.weight, rows.bias, rows.scale, sums)), n_in, n_out, KINDS.index(rows.kind))
        matrix.kept = (rows, sums)
        return matrix


class PlaceState(ctypes.Structure):
    """A `Place` as the library moves it."""

    _fields_ = (
        ("survival", ctypes.c_double),
        *((name, ctypes.c_int32) for name in ("symbol", "dwelt", "n_symbols")),
    )


class Step(ctypes.Structure):
    """All of a run that a step works with; the fields are told in `decoder_step.c`."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("n_texts", "n_symbols", "prenet", "attention", "context", "decoder")),
        *((name, ctypes.c_int32) for name in ("n_mels", "taps", "width", "reach", "n_threads", "level")),
        ("stop_threshold", ctypes.c_float),
        *((name, Matrix) for name in ("first", "second", "attention_rnn", "query", "decoder_rnn", "projection")),
        *((name, ctypes.c_void_p) for name in ("location", "energy", "keys", "values", "mask", "places", "longest")),
        *((name, ctypes.c_void_p) for name in ("speaking", "ended", "row", "history", "attention_c", "decoder_c")),
        *((name, ctypes.c_void_p) for name in ("hidden", "gates", "compared", "energies", "largest")),
        *((name, ctypes.c_void_p) for name in ("low", "high", "halves", "meeting")),
    )


class Kernel:
    """The library's function."""

    def __init__(self, library: ctypes.CDLL, level: int | None = None) -> None:
        """level: of instructions, 0 those that every processor has; None: the best that this one has."""
        self.n_levels: int = library.glowtron_n_levels()
        self.level = self.n_levels - 1 if level is None else level
        assert 0 <= self.level < self.n_levels
        pointer, number = ctypes.c_void_p, ctypes.c_int32
        self._take = library.glowtron_take
        self._take.argtypes = (pointer, number, pointer, number, *(pointer,) * 4)
        self._take.restype = number

    def take(
        self, step: Step, frames: Tensor, limits: tuple[Tensor, Tensor], outputs: Tensor, alignment: Tensor
    ) -> int:
        """Take steps until a text ends; returns how many.

        frames: (B, M), whose rows may be apart; limits: (S, B, P) each, outputs (S, B, n_outputs), alignment (S, B, N).
        """
        n_taken: int = self._take(
            ctypes.addressof(step),
            len(outputs),
            frames.data_ptr(),
            frames.stride(0),
            *map(address, (*limits, outputs, alignment)),
        )
        return n_taken


class Found(NamedTuple):
    """The kernel, or why there is none."""

    kernel: Kernel | None
    why_not: str = ""

    @property
    def n_levels(self) -> int:
        """Sets of instructions to choose from."""
        return 0 if self.kernel is None else self.kernel.n_levels


def address(tensor: Tensor) -> int:
    """Where a tensor's values begin, one after the other without gaps."""
    assert tensor.is_contiguous()
    return tensor.data_ptr()


@cache
def find_kernel(path: Path = LIBRARY, level: int | None = None) -> Found:
    """Load the library once; level: see `Kernel`."""
    if not path.exists():
        return Found(None, "the package was installed without a C compiler")
    try:
        library = ctypes.CDLL(str(path))
        fits = library.glowtron_size_of_step() == ctypes.sizeof(Step)
    except (OSError, AttributeError) as error:
        return Found(None, f"{path.name} cannot be loaded: {error}")
    return Found(Kernel(library, level)) if fits else Found(None, f"{path.name} is of another version; install again")
