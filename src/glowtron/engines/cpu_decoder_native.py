"""Decoder steps in our own C (`decoder_step.c`): as many in one call as there is room for."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from glowtron.engines.cpu_decoder import DecoderRun, DecoderWeights, Place, Room
from glowtron.engines.hardware import load_library
from glowtron.engines.products import Rows
from glowtron.models.monotonic import REACH
from glowtron.models.tacotron2 import Memory

LIBRARY = Path(__file__).with_name("decoder_step.so")
KINDS = ("fp32", "bf16", "int8")
"""As `decoder_step.c` numbers them."""


class NativeMatrix(ctypes.Structure):
    """`Rows` as the library sees them."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "bias", "scale", "sum")),
        *((name, ctypes.c_int32) for name in ("n_in", "n_out", "kind")),
    )

    @classmethod
    def of(cls, rows: Rows) -> NativeMatrix:
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
        *((name, NativeMatrix) for name in ("first", "second", "attention_rnn", "query", "decoder_rnn", "projection")),
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
    """Address of a tensor's values, one after the other without gaps."""
    assert tensor.is_contiguous()
    return tensor.data_ptr()


@cache
def find_kernel(path: Path = LIBRARY, level: int | None = None) -> Found:
    """Load the library once; level: see `Kernel`."""
    library, why_not = load_library(path, lambda found: bool(found.glowtron_size_of_step() == ctypes.sizeof(Step)))
    return Found(None, why_not) if library is None else Found(Kernel(library, level))


def matrices_of(weights: DecoderWeights) -> dict[str, NativeMatrix]:
    """As the kernel wants them; they are kept as long as what is returned."""
    names = ("first", "second", "attention_rnn", "query", "decoder_rnn", "projection")
    return {name: NativeMatrix.of(getattr(weights, name)) for name in names}


class KernelRun(DecoderRun):
    """Steps taken by the compiled kernel."""

    def __init__(
        self,
        weights: DecoderWeights,
        kernel: Kernel,
        matrices: dict[str, NativeMatrix],
        memory: Memory,
        places: Sequence[Place] | None,
        stop_threshold: float,
    ) -> None:
        super().__init__(weights, memory, places, stop_threshold)
        self.kernel = kernel
        batch, n_symbols, _ = memory.values.shape
        p, a, c, d = weights.sizes
        width, longest_input = weights.location.shape[1], max(p + a + c, a + c + d)
        new, new_bytes = self.row.new_empty, partial(torch.zeros, dtype=torch.uint8)
        self.speaking, self.ended = new_bytes(batch), new_bytes(batch)
        tensors = {
            "location": weights.location,
            "energy": weights.energy,
            "keys": memory.keys.contiguous(),
            "values": memory.values.contiguous(),
            "mask": memory.mask.to(torch.uint8),
            "speaking": self.speaking,
            "ended": self.ended,
            "row": self.row,
            "history": self.padded,
            "attention_c": self.attention_c,
            "decoder_c": self.decoder_c,
            "hidden": self.hidden,
            "gates": new(batch, 4 * max(a, d)),
            "compared": new(batch, width),
            "energies": self.energies,
            "largest": new(batch),
            "low": new_bytes(batch, longest_input),
            "high": new_bytes(batch, longest_input),
            "halves": new(batch, longest_input, dtype=torch.bfloat16),
        }
        self.states = None
        if places is not None:
            self.states = (PlaceState * batch)(*(place_state(place) for place in places))
            longest = torch.zeros(batch, n_symbols, dtype=torch.float64)
            for row, place in zip(longest, places, strict=True):
                row[: len(place.longest)] = torch.tensor(place.longest)
            tensors["longest"] = longest
        self.kept = (tensors, matrices)
        """Arrays that the step points to."""
        self.step = Step(
            n_texts=batch,
            n_symbols=n_symbols,
            prenet=p,
            attention=a,
            context=c,
            decoder=d,
            n_mels=weights.n_mels,
            taps=2 * weights.location_kernel,
            width=width,
            reach=REACH,
            n_threads=torch.get_num_threads(),
            level=kernel.level,
            places=ctypes.addressof(self.states) if self.states else None,
            **matrices,
            **{name: address(tensor) for name, tensor in tensors.items()},
        )

    def take(self, limits: tuple[Tensor, Tensor], room: Room, active: Sequence[bool]) -> tuple[int, list[int]]:
        """See `DecoderRun`."""
        self.speaking.copy_(torch.tensor(active))
        self.step.stop_threshold = self.stop_threshold
        n_taken = self.kernel.take(self.step, self.frame, limits, *room)
        self.frame = room.outputs[n_taken - 1, :, -1 - self.weights.n_mels : -1]
        if self.places is not None and self.states is not None:
            for place, state in zip(self.places, self.states, strict=True):
                place.symbol, place.dwelt, place.survival = state.symbol, state.dwelt, state.survival
        return n_taken, (self.ended & self.speaking).nonzero().flatten().tolist()


def place_state(place: Place) -> PlaceState:
    """For the library."""
    return PlaceState(place.survival, place.symbol, place.dwelt, len(place.longest))
