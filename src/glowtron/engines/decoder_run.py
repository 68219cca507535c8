"""A batch of texts being spoken by Tacotron 2's decoder. Letters as in `decoder_weights.py`; S steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from glowtron.engines.decoder_weights import DecoderWeights
from glowtron.engines.monotonic import Place
from glowtron.models.decode import Steps
from glowtron.models.tacotron2 import Memory

MORE_THAN_ANY = 1e38
"""No activation of the prenet is as large."""


class Room(NamedTuple):
    """Room for some steps of B texts."""

    outputs: Tensor
    """(S, B, r * M + 1) frames and stop logit."""
    alignment: Tensor
    """(S, B, N)"""


class DecoderRun(ABC):
    """The state of a batch of texts in the decoder, and the buffers of its steps."""

    begin: Callable[[Memory, Sequence[Place] | None], DecoderRun]
    """Makes a run of other texts; set by the `Decoder` that made this one."""

    def __init__(
        self, weights: DecoderWeights, memory: Memory, places: Sequence[Place] | None, stop_threshold: float
    ) -> None:
        """stop_threshold: as a logit, for attention that is soft."""
        self.weights, self.memory, self.places, self.stop_threshold = weights, memory, places, stop_threshold
        batch, n_symbols, _ = memory.values.shape
        new = memory.values.new_zeros
        self.row = new(batch, sum(weights.sizes))
        self.squeezed, self.attention_h, self.context, self.decoder_h = self.row.split(weights.sizes, dim=1)
        _, a, _, d = weights.sizes
        self.attention_c, self.decoder_c = new(batch, a), new(batch, d)
        self.frame = new(batch, weights.n_mels)
        # Last and cumulative attention weights, with zeros on either side.
        reach = weights.location_kernel // 2
        self.padded = new(batch, n_symbols + 2 * reach, 2)
        self.history = self.padded[:, reach : reach + n_symbols]
        self.hidden = new(batch, weights.sizes[0])
        self.energies = new(batch, n_symbols)

    def room(self, n_steps: int) -> Room:
        """Space for what that many steps give."""
        batch, n_symbols, _ = self.memory.values.shape
        n_outputs = len(self.weights.projection.weight)
        return Room(self.row.new_empty(n_steps, batch, n_outputs), self.row.new_zeros(n_steps, batch, n_symbols))

    def advance(self, keep: Tensor, active: Sequence[bool]) -> Steps:
        """See `models.decode.DecoderRun`."""
        first, second = keep * MORE_THAN_ANY
        room = self.room(len(first))
        n_taken, ended = self.take((first, second), room, active)
        outputs, alignment = room
        frames = outputs[:n_taken, :, :-1].unflatten(2, (-1, self.weights.n_mels)).transpose(0, 1)
        return Steps(frames, alignment[:n_taken].transpose(0, 1), dict.fromkeys(ended, n_taken))

    def select(self, rows: list[int]) -> DecoderRun:
        """See `models.decode.DecoderRun`."""
        n_symbols = int(self.memory.mask[rows].sum(dim=1).max())
        memory = Memory(*(tensor[rows, :n_symbols] for tensor in self.memory))
        run = self.begin(memory, None if self.places is None else [self.places[row] for row in rows])
        run.row.copy_(self.row[rows])
        run.attention_c.copy_(self.attention_c[rows])
        run.decoder_c.copy_(self.decoder_c[rows])
        run.history.copy_(self.history[rows, :n_symbols])
        run.frame = self.frame[rows]
        return run

    @abstractmethod
    def take(self, limits: tuple[Tensor, Tensor], room: Room, active: Sequence[bool]) -> tuple[int, list[int]]:
        """Take as many steps as there is room for, or until an active row ends.

        limits: (S, B, P) for each layer of the prenet, 0 where its dropout drops and more than any number where it
        keeps. Returns how many steps were taken, and which active rows ended with the last of them.
        """
