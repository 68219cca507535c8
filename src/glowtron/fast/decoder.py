"""Tacotron 2's decoder, packed: the step of `models.tacotron2` in as few and as small operations as we know.

What a step costs is reading the two LSTMs' matrices and calling some forty operations on small tensors. So both
matrices of an LSTM are one and packed; its inputs already lie side by side in one row; the location filters and the
layer behind them are one matrix, which also adds the query; and everything is written where it will be read. For few
texts many steps are one operation of our own (`fast.kernel`), where that could be compiled.

    row of a text:   [ squeezed | attention hidden | context | decoder hidden ]
    attention LSTM:  [--------------------------------------]
    decoder LSTM:               [---------------------------------------------]
    projections:                                   [--------------------------]

Letters: B texts, N symbols, M mel bands, r frames a step, P prenet, A attention LSTM, C encoder, D decoder LSTM, E the
width in which attention compares.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from glowtron.fast.kernel import Kernel, Matrix, PlaceState, Step, address
from glowtron.fast.monotonic import Place
from glowtron.fast.products import Kind, Rows, pack, round_rows
from glowtron.fast.products import Matrix as Packed
from glowtron.models.monotonic import REACH
from glowtron.models.recurrence import Recurrence
from glowtron.models.tacotron2 import Memory, Tacotron2

FEW_TEXTS: dict[Kind, int] = {"fp32": 8, "bf16": 16, "int8": 4}
"""Up to so many the kernel is faster than torch, whose products like many rows."""


class DecoderWeights:
    """A model's decoder, laid out; never changed, so that any number of runs may share it."""

    def __init__(self, model: Tacotron2, kind: Kind, kernel: Kernel | None) -> None:
        """kind: how the LSTMs' weights are held; all others are float32. kernel: None leaves all to torch."""
        config = model.config
        p, c = config.prenet_channels, config.encoder_channels
        self.kernel = kernel
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

    def start(self, memory: Memory, places: Sequence[Place] | None) -> DecoderRun:
        """A run of some texts from their beginning; places: of each, where the attention is to be monotonic."""
        if self.kernel is not None and len(memory.values) <= FEW_TEXTS[self.attention_rnn.kind]:
            return KernelRun(self, self.kernel, memory, places)
        return TorchRun(self, memory, places)

    @cached_property
    def matrices(self) -> dict[str, Matrix]:
        """The same for the kernel."""
        names = ("first", "second", "attention_rnn", "query", "decoder_rnn", "projection")
        return {name: Matrix.of(getattr(self, name)) for name in names}

    @cached_property
    def packed(self) -> PackedWeights:
        """The same for torch, which only batches of many need where there is a kernel."""
        return PackedWeights(self)


class PackedWeights:
    """As torch's operations want them."""

    def __init__(self, weights: DecoderWeights) -> None:
        self.prenet = [rows.weight.t().contiguous() for rows in (weights.first, weights.second)]
        self.attention_rnn, self.decoder_rnn = pack(weights.attention_rnn), pack(weights.decoder_rnn)
        self.query, self.projection = weights.query.weight.t(), weights.projection.weight.t().contiguous()


def exact_rows(weight: Tensor, bias: Tensor | None = None) -> Rows:
    """Weights (N, K) as they are."""
    return round_rows(weight, weight.new_zeros(len(weight)) if bias is None else bias, "fp32")


def gate_rows(cell: Recurrence, weight: Tensor, kind: Kind) -> Rows:
    """An LSTM's matrix (4 H, K) and biases with the three sigmoid gates side by side: input, forget, output, cell."""
    order = torch.arange(4 * cell.hidden_size).unflatten(0, (4, -1))[[0, 1, 3, 2]].flatten()
    return round_rows(weight[order], (cell.bias_ih + cell.bias_hh)[order], kind)


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

    def keep(self, rows: list[int]) -> DecoderRun:
        """The run of these texts only."""
        n_symbols = int(self.memory.mask[rows].sum(dim=1).max())
        memory = Memory(*(tensor[rows, :n_symbols] for tensor in self.memory))
        run = self.weights.start(memory, None if self.places is None else [self.places[row] for row in rows])
        run.row.copy_(self.row[rows])
        run.attention_c.copy_(self.attention_c[rows])
        run.decoder_c.copy_(self.decoder_c[rows])
        run.history.copy_(self.history[rows, :n_symbols])
        run.frame = self.frame[rows]
        return run


class TorchRun(DecoderRun):
    """Steps of torch's operations."""

    def __init__(self, weights: DecoderWeights, memory: Memory, places: Sequence[Place] | None) -> None:
        super().__init__(weights, memory, places)
        self.packed = weights.packed
        batch, n_symbols, _ = memory.values.shape
        p, a, c, _ = weights.sizes
        self.attention_rnn = Cell(
            self.packed.attention_rnn, self.row[:, : p + a + c], self.attention_h, self.attention_c
        )
        self.decoder_rnn = Cell(self.packed.decoder_rnn, self.row[:, p:], self.decoder_h, self.decoder_c)
        self.decoded = self.row[:, p + a :]
        self.zeros = torch.zeros_like(self.hidden)
        # The windows that filters see of the history.
        taps = 2 * weights.location_kernel
        self.windows = self.padded.as_strided((batch, n_symbols, taps), (self.padded.stride(0), 2, 1))
        # One more column, of ones, times one more row, the query: it is added to every symbol.
        self.seen = self.row.new_ones(batch, n_symbols, taps + 1)
        self.seen_windows = self.seen[..., :taps]
        self.compare = self.row.new_empty(batch, taps + 1, weights.location.shape[1])
        self.compare[:, :taps] = weights.location
        self.query = self.compare[:, taps]
        self.features = torch.empty_like(memory.keys)
        self.flat_features = self.features.flatten(0, 1)
        self.outside = self.row.new_zeros(batch * n_symbols).masked_fill(~memory.mask.flatten(), float("-inf"))
        self.flat_energies = self.energies.view(-1)
        self.context_as_matrix = self.context[:, None]
        self.last, self.cumulative = self.history.unbind(2)
        if places is not None:
            self.proposed = torch.empty_like(self.energies)
            # The same memory, for moving single numbers.
            self.proposals, self.readings = self.proposed.numpy(), memory.values.numpy()
            self.lasts, self.cumulatives, self.contexts = (
                x.numpy() for x in (self.last, self.cumulative, self.context)
            )

    def take(
        self, limits: tuple[Tensor, Tensor], room: Steps, speaking: Sequence[bool], stop_threshold: float
    ) -> tuple[int, list[int]]:
        """See `DecoderRun`."""
        stop_logits, frames = room.outputs[..., -1].numpy(), room.outputs[..., -1 - self.weights.n_mels : -1]
        n_taken, ended = 0, []
        for first, second, outputs, alignment in zip(*limits, *room, strict=True):
            self._step((first, second), outputs, alignment)
            self.frame = frames[n_taken]
            ending = self._ending(stop_logits[n_taken].tolist(), stop_threshold)
            ended = [row for row in ending if speaking[row]]
            n_taken += 1
            if ended:
                break
        return n_taken, ended

    def _step(self, limits: tuple[Tensor, Tensor], outputs: Tensor, alignment: Tensor) -> None:
        """limits: (B, P) each. Written: outputs (B, r * M + 1) and alignment (B, N), zeros before."""
        x = self.frame
        for matrix, limit, out in zip(self.packed.prenet, limits, (self.hidden, self.squeezed), strict=True):
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
        torch.addmm(self.weights.projection.bias, self.decoded, self.packed.projection, out=outputs)

    def _propose(self, out: Tensor) -> None:
        """Attention weights (B, N) of this step."""
        torch.mm(self.attention_h, self.packed.query, out=self.query)
        self.seen_windows.copy_(self.windows)
        torch.baddbmm(self.memory.keys, self.seen, self.compare, out=self.features).tanh_()
        torch.addmv(self.outside, self.flat_features, self.weights.energy, out=self.flat_energies)
        torch.softmax(self.energies, 1, out=out)

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

    def _ending(self, stop_logits: Sequence[float], stop_threshold: float) -> list[int]:
        """Rows whose text ends with the step just taken."""
        if self.places is None:
            return [row for row, logit in enumerate(stop_logits) if logit > stop_threshold]
        return [row for row, place in enumerate(self.places) if place.finishes(stop_logits[row])]


class Cell:
    """One LSTM of a run: its matrix, its gates and its state."""

    def __init__(self, matrix: Packed, x: Tensor, hidden: Tensor, state: Tensor) -> None:
        """x: (B, K) and hidden: (B, H), places in the texts' rows; state: (B, H) of the cell."""
        batch, size = hidden.shape
        self.product, self.x, self.hidden, self.state = matrix.reserve(batch), x, hidden, state
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


class KernelRun(DecoderRun):
    """Steps of our own."""

    def __init__(self, weights: DecoderWeights, kernel: Kernel, memory: Memory, places: Sequence[Place] | None) -> None:
        super().__init__(weights, memory, places)
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
        self.kept = tensors
        """What the step points to, beside the weights."""
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
            **weights.matrices,
            **{name: address(tensor) for name, tensor in tensors.items()},
        )

    def take(
        self, limits: tuple[Tensor, Tensor], room: Steps, speaking: Sequence[bool], stop_threshold: float
    ) -> tuple[int, list[int]]:
        """See `DecoderRun`."""
        self.speaking.copy_(torch.tensor(speaking))
        self.step.stop_threshold = stop_threshold
        n_taken = self.kernel.take(self.step, self.frame, limits, *room)
        self.frame = room.outputs[n_taken - 1, :, -1 - self.weights.n_mels : -1]
        if self.places is not None and self.states is not None:
            for place, state in zip(self.places, self.states, strict=True):
                place.symbol, place.dwelt, place.survival = state.symbol, state.dwelt, state.survival
        return n_taken, (self.ended & self.speaking).nonzero().flatten().tolist()


def place_state(place: Place) -> PlaceState:
    """For the library."""
    return PlaceState(place.survival, place.symbol, place.dwelt, len(place.longest))
