"""The decoder's steps in our own operation (`decoder_step.c`): as many in one call as there is room for."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from glowtron.engines.decoder_run import DecoderRun, Room
from glowtron.engines.decoder_weights import DecoderWeights
from glowtron.engines.kernel import Kernel, Matrix, PlaceState, Step, address
from glowtron.engines.monotonic import Place
from glowtron.models.monotonic import REACH
from glowtron.models.tacotron2 import Memory


def matrices_of(weights: DecoderWeights) -> dict[str, Matrix]:
    """As the kernel wants them; they are kept as long as what is returned."""
    names = ("first", "second", "attention_rnn", "query", "decoder_rnn", "projection")
    return {name: Matrix.of(getattr(weights, name)) for name in names}


class KernelRun(DecoderRun):
    """Steps taken by the compiled kernel."""

    def __init__(
        self,
        weights: DecoderWeights,
        kernel: Kernel,
        matrices: dict[str, Matrix],
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
        """What the step points to."""
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
