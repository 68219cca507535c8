"""Tacotron 2's decoder, packed: the step of `models.tacotron2` in as few and as small operations as we know.

What a step costs is reading the two LSTMs' matrices and calling some forty operations on small tensors. So both
matrices of an LSTM are one and packed; its inputs already lie side by side in one row; the location filters and the
layer behind them are one matrix, which also adds the query; and everything is written where it will be read.

    row of a text:   [ squeezed | attention hidden | context | decoder hidden ]
    attention LSTM:  [--------------------------------------]
    decoder LSTM:               [---------------------------------------------]
    projections:                                   [--------------------------]

Letters: B texts, N symbols, M mel bands, r frames a step, P prenet, A attention LSTM, C encoder, D decoder LSTM, E the
width in which attention compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from glowtron.fast.monotonic import Place
from glowtron.fast.products import Matrix
from glowtron.models.recurrence import Recurrence
from glowtron.models.tacotron2 import Memory, Tacotron2

Pack = Callable[[Tensor, Tensor], Matrix]
"""Packs a weight (N, K) and a bias (N,)."""


class DecoderWeights:
    """A model's decoder, packed; never changed, so that any number of runs may share it."""

    def __init__(self, model: Tacotron2, pack: Pack) -> None:
        config = model.config
        p, c = config.prenet_channels, config.encoder_channels
        self.sizes = (p, config.attention_rnn_channels, c, config.decoder_rnn_channels)
        self.kernel = config.location_kernel
        self.n_mels = model.n_mels
        # Dropout makes what it keeps larger, each layer's in the matrix after it; so here it only has to cut off.
        larger = 1 / (1 - config.prenet_dropout)
        first, second = (cast(nn.Linear, layer).weight for layer in model.prenet.layers)
        self.prenet = [first.t().contiguous(), (second * larger).t().contiguous()]
        # The model's attention LSTM sees [squeezed, context] and its own hidden; rows here hold the hidden between.
        ih, hh = model.attention_rnn.weight_ih, model.attention_rnn.weight_hh
        sees = torch.cat((ih[:, :p] * larger, hh, ih[:, p:]), dim=1)
        self.attention_rnn = pack_gates(model.attention_rnn, sees, pack)
        ih, hh = model.decoder_rnn.weight_ih, model.decoder_rnn.weight_hh
        self.decoder_rnn = pack_gates(model.decoder_rnn, torch.cat((ih, hh), dim=1), pack)
        self.query = model.attention.query.weight.t().contiguous()
        dense, filters = model.attention.location_dense.weight, model.attention.location.weight
        self.location = (dense.double() @ filters.double()).t().float().contiguous()  # (2 * kernel, E)
        self.energy = model.attention.energy.weight[0].clone()
        projections = torch.cat((model.projection.weight, model.stop.weight))  # Sees [decoder hidden, context].
        self.projection = projections.roll(c, dims=1).t().contiguous()
        self.projection_bias = torch.cat((model.projection.bias, model.stop.bias))


def pack_gates(cell: Recurrence, weight: Tensor, pack: Pack) -> Matrix:
    """An LSTM's matrix (4 H, K) and biases with the three sigmoid gates side by side: input, forget, output, cell."""
    order = torch.arange(4 * cell.hidden_size).unflatten(0, (4, -1))[[0, 1, 3, 2]].flatten()
    return pack(weight[order], (cell.bias_ih + cell.bias_hh)[order])


class Cell:
    """One LSTM of a run: its matrix, its gates and its cell state (B, H)."""

    def __init__(self, matrix: Matrix, x: Tensor, hidden: Tensor) -> None:
        """x: (B, K) and hidden: (B, H), places in the texts' rows."""
        batch, size = hidden.shape
        self.product, self.x, self.hidden = matrix.reserve(batch), x, hidden
        self.state = x.new_zeros(batch, size)
        self.gates = x.new_empty(batch, 4 * size)
        self.sigmoids, self.candidate = self.gates[:, : 3 * size], self.gates[:, 3 * size :]
        self.input, self.forget, self.output = self.sigmoids.chunk(3, dim=1)

    def step(self) -> None:
        """Read x, change state and hidden."""
        self.product.write(self.x, self.gates)
        self.sigmoids.sigmoid_()
        self.candidate.tanh_()
        self.state.mul_(self.forget).addcmul_(self.input, self.candidate)
        torch.tanh(self.state, out=self.hidden).mul_(self.output)


class Steps(NamedTuple):
    """Room for some steps of B texts."""

    outputs: Tensor
    """(S, B, r * M + 1) frames and stop logit."""
    alignment: Tensor
    """(S, B, N)"""


class DecoderRun:
    """All that the decoder remembers of a batch of texts, and all the space that its steps need."""

    def __init__(self, weights: DecoderWeights, memory: Memory, places: Sequence[Place] | None) -> None:
        """places: of each text, where the attention is to be monotonic."""
        self.weights, self.memory, self.places = weights, memory, places
        batch, n_symbols, _ = memory.values.shape
        p, a, c, d = weights.sizes
        new = memory.values.new_zeros
        self.row = new(batch, p + a + c + d)
        self.squeezed, self.attention_h, self.context, self.decoder_h = self.row.split(weights.sizes, dim=1)
        self.attention_rnn = Cell(weights.attention_rnn, self.row[:, : p + a + c], self.attention_h)
        self.decoder_rnn = Cell(weights.decoder_rnn, self.row[:, p:], self.decoder_h)
        self.decoded = self.row[:, p + a :]
        self.hidden, self.zeros = new(batch, p), new(batch, p)
        self.frame = new(batch, weights.n_mels)
        # Last and cumulative attention weights, with zeros on either side, and the windows that filters see of them.
        taps, reach = 2 * weights.kernel, weights.kernel // 2
        padded = new(batch, n_symbols + 2 * reach, 2)
        self.history = padded[:, reach : reach + n_symbols]
        self.last, self.cumulative = self.history.unbind(2)
        self.windows = padded.as_strided((batch, n_symbols, taps), (padded.stride(0), 2, 1))
        # One more column, of ones, times one more row, the query: it is added to every symbol.
        self.seen = new(batch, n_symbols, taps + 1) + 1
        self.seen_windows = self.seen[..., :taps]
        self.compare = new(batch, taps + 1, weights.location.shape[1])
        self.compare[:, :taps] = weights.location
        self.query = self.compare[:, taps]
        self.features = torch.empty_like(memory.keys)
        self.flat_features = self.features.flatten(0, 1)
        self.outside = new(batch * n_symbols).masked_fill(~memory.mask.flatten(), float("-inf"))
        self.energies = new(batch * n_symbols)
        self.energies_of_texts = self.energies.view(batch, n_symbols)
        self.context_as_matrix = self.context[:, None]
        if places is not None:
            self.proposed = new(batch, n_symbols)
            # The same memory, for moving single numbers.
            self.proposals, self.readings = self.proposed.numpy(), memory.values.numpy()
            self.lasts, self.cumulatives, self.contexts = (
                x.numpy() for x in (self.last, self.cumulative, self.context)
            )

    def room(self, n_steps: int) -> Steps:
        """Space for what that many steps give."""
        batch, n_symbols, _ = self.memory.values.shape
        n_outputs = self.weights.projection.shape[1]
        return Steps(self.row.new_empty(n_steps, batch, n_outputs), self.row.new_zeros(n_steps, batch, n_symbols))

    def step(self, limits: tuple[Tensor, Tensor], outputs: Tensor, last: Tensor, alignment: Tensor) -> None:
        """Take one step.

        limits: (B, P) for each layer of the prenet, 0 where its dropout drops and more than any number where it keeps.
        Written: outputs (B, r * M + 1), the frames and the stop logit, of which `last` is the last frame (B, M); and
        alignment (B, N), zeros before.
        """
        weights = self.weights
        x = self.frame
        for matrix, limit, out in zip(weights.prenet, limits, (self.hidden, self.squeezed), strict=True):
            # Relu and dropout at once.
            x = torch.clamp(torch.mm(x, matrix, out=out), self.zeros, limit, out=out)
        self.attention_rnn.step()
        if self.places is None:
            self._propose(alignment)
            self.last.copy_(alignment)
            self.cumulative.add_(alignment)
            torch.bmm(alignment[:, None], self.memory.values, out=self.context_as_matrix)
        else:
            self._propose(self.proposed)
            self._move_on(self.places, alignment)
        self.decoder_rnn.step()
        torch.addmm(weights.projection_bias, self.decoded, weights.projection, out=outputs)
        self.frame = last

    def _propose(self, out: Tensor) -> None:
        """Attention weights (B, N) of this step."""
        torch.mm(self.attention_h, self.weights.query, out=self.query)
        self.seen_windows.copy_(self.windows)
        torch.baddbmm(self.memory.keys, self.seen, self.compare, out=self.features).tanh_()
        torch.addmv(self.outside, self.flat_features, self.weights.energy, out=self.energies)
        torch.softmax(self.energies_of_texts, 1, out=out)

    def _move_on(self, places: Sequence[Place], alignment: Tensor) -> None:
        """Read one symbol of each text."""
        chosen = alignment.numpy()
        for row, place in enumerate(places):
            before = place.symbol
            if place.move_on(self.proposals[row]) or place.dwelt == 1:
                self.lasts[row, before] = 0
                self.lasts[row, place.symbol] = 1
                self.contexts[row] = self.readings[row, place.symbol]
            self.cumulatives[row, place.symbol] += 1
            chosen[row, place.symbol] = 1

    def ending(self, stop_logits: Sequence[float], stop_threshold: float) -> list[int]:
        """Rows whose text ends with the step just taken; stop_threshold: as a logit, for attention that is soft."""
        if self.places is None:
            return [row for row, logit in enumerate(stop_logits) if logit > stop_threshold]
        return [row for row, place in enumerate(self.places) if place.finishes(stop_logits[row])]

    def keep(self, rows: list[int]) -> DecoderRun:
        """The run of these texts only."""
        n_symbols = int(self.memory.mask[rows].sum(dim=1).max())
        memory = Memory(*(tensor[rows, :n_symbols] for tensor in self.memory))
        run = DecoderRun(self.weights, memory, None if self.places is None else [self.places[row] for row in rows])
        run.row.copy_(self.row[rows])
        run.attention_rnn.state.copy_(self.attention_rnn.state[rows])
        run.decoder_rnn.state.copy_(self.decoder_rnn.state[rows])
        run.history.copy_(self.history[rows, :n_symbols])
        run.frame = self.frame[rows]
        return run
