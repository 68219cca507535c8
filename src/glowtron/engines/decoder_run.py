"""A batch of texts being spoken by Tacotron 2's decoder. Letters as in `decoder_weights.py`; S steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from glowtron.engines.decoder_weights import DecoderWeights
from glowtron.engines.monotonic import Place
from glowtron.models.tacotron2 import Memory


class Steps(NamedTuple):
    """Room for some steps of B texts."""

    outputs: Tensor
    """(S, B, r * M + 1) frames and stop logit."""
    alignment: Tensor
    """(S, B, N)"""


class DecoderRun(ABC):
    """All that the decoder remembers of a batch of texts, and all the space that its steps need."""

    def __init__(self, weights: DecoderWeights, memory: Memory, places: Sequence[Place] | None) -> None:
        self.weights, self.memory, self.places = weights, memory, places
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

    def room(self, n_steps: int) -> Steps:
        """Space for what that many steps give."""
        batch, n_symbols, _ = self.memory.values.shape
        n_outputs = len(self.weights.projection.weight)
        return Steps(self.row.new_empty(n_steps, batch, n_outputs), self.row.new_zeros(n_steps, batch, n_symbols))

    @abstractmethod
    def take(
        self, limits: tuple[Tensor, Tensor], room: Steps, speaking: Sequence[bool], stop_threshold: float
    ) -> tuple[int, list[int]]:
        """Take as many steps as there is room for, or until one of the texts that are `speaking` ends.

        limits: (S, B, P) for each layer of the prenet, 0 where its dropout drops and more than any number where it
        keeps. stop_threshold: as a logit, for attention that is soft. Returns how many steps were taken, and which
        of the speaking texts ended with the last of them.
        """
