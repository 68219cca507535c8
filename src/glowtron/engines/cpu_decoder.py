"""Tacotron 2's decoder on a CPU: weights laid out for speed, stepwise monotonic attention, the base of its runs.

A step costs what it takes to read the matrices of the two LSTMs and to call some forty operations on small tensors: so
the weights are held in few bytes, and buffers are made once for a run. `cpu_decoder_native` takes the steps in C,
`cpu_decoder_torch` in torch's operations; docs/adr/0009 has the measurements.

Letters: B texts, N symbols, S steps, P prenet, A attention LSTM, C encoder, D decoder LSTM, E attention width, M bands,
r frames a step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glowtron.engines.products import Kind, Rows, round_rows
from glowtron.models.decode import Steps
from glowtron.models.monotonic import REACH
from glowtron.models.tacotron2 import Memory, Tacotron2


@dataclass
class Place:
    """State of stepwise monotonic attention for one text."""

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
        """True if speech ends with the step just taken; stop_logit: of the network's probability of stopping now."""
        if self.symbol < len(self.longest) - 1:
            return False
        self.survival *= 0.5 - 0.5 * math.tanh(stop_logit / 2)  # 1 - sigmoid, without overflow.
        return self.survival < 0.5 or self.dwelt >= self.longest[-1]


class DecoderWeights:
    """A model's decoder, laid out; never changed, so that any number of runs may share it."""

    def __init__(self, model: Tacotron2, kind: Kind) -> None:
        """kind: how the LSTMs' weights are held; all others are float32."""
        config = model.config
        p, c = config.prenet_channels, config.encoder_channels
        self.sizes = (p, config.attention_rnn_channels, c, config.decoder_rnn_channels)
        self.location_kernel = config.location_kernel
        self.n_mels = model.n_mels
        # Dropout makes what it keeps larger, each layer's in the matrix after it; so here it only has to cut off.
        larger = 1 / (1 - config.prenet_dropout)
        first, second = (cast(nn.Linear, layer).weight for layer in model.prenet.layers)
        self.first, self.second = exact_rows(first), exact_rows(second * larger)
        # The model's attention LSTM sees [squeezed, context] and its own hidden; rows here hold the hidden between.
        ih, hh = model.attention_rnn.weight_ih, model.attention_rnn.weight_hh
        sees = torch.cat((ih[:, :p] * larger, hh, ih[:, p:]), dim=1)
        self.attention_rnn = gate_rows(model.attention_rnn, sees, kind)
        ih, hh = model.decoder_rnn.weight_ih, model.decoder_rnn.weight_hh
        self.decoder_rnn = gate_rows(model.decoder_rnn, torch.cat((ih, hh), dim=1), kind)
        self.query = exact_rows(model.attention.query.weight)
        dense, filters = model.attention.location_dense.weight, model.attention.location.weight
        self.location = (dense.double() @ filters.double()).t().float().contiguous()  # (2 * location_kernel, E)
        self.energy = model.attention.energy.weight[0].clone()
        projections = torch.cat((model.projection.weight, model.stop.weight))  # Sees [decoder hidden, context].
        biases = torch.cat((model.projection.bias, model.stop.bias))
        self.projection = exact_rows(projections.roll(c, dims=1), biases)


def exact_rows(weight: Tensor, bias: Tensor | None = None) -> Rows:
    """Weights (N, K) as they are."""
    return round_rows(weight, weight.new_zeros(len(weight)) if bias is None else bias, "fp32")


def gate_rows(cell: nn.LSTMCell, weight: Tensor, kind: Kind) -> Rows:
    """An LSTM's matrix (4 H, K) and biases with the three sigmoid gates side by side: input, forget, output, cell."""
    order = torch.arange(4 * cell.hidden_size).unflatten(0, (4, -1))[[0, 1, 3, 2]].flatten()
    return round_rows(weight[order], (cell.bias_ih + cell.bias_hh)[order], kind)


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
