"""Decoder steps in torch's operations: many texts at once, or a machine without a compiler."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glowtron.engines.cpu_decoder import DecoderRun, DecoderWeights, Place, Room
from glowtron.engines.products import Matrix, pack
from glowtron.models.tacotron2 import Memory


class PackedWeights:
    """As torch's operations want them."""

    def __init__(self, weights: DecoderWeights) -> None:
        self.prenet = [rows.weight.t().contiguous() for rows in (weights.first, weights.second)]
        self.attention_rnn, self.decoder_rnn = pack(weights.attention_rnn), pack(weights.decoder_rnn)
        self.query, self.projection = weights.query.weight.t(), weights.projection.weight.t().contiguous()


class TorchRun(DecoderRun):
    """Steps of torch's operations."""

    def __init__(
        self,
        weights: DecoderWeights,
        packed: PackedWeights,
        memory: Memory,
        places: Sequence[Place] | None,
        stop_threshold: float,
    ) -> None:
        super().__init__(weights, memory, places, stop_threshold)
        self.packed = packed
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

    def take(self, limits: tuple[Tensor, Tensor], room: Room, active: Sequence[bool]) -> tuple[int, list[int]]:
        """See `DecoderRun`."""
        stop_logits, frames = room.outputs[..., -1].numpy(), room.outputs[..., -1 - self.weights.n_mels : -1]
        n_taken, ended = 0, []
        for first, second, outputs, alignment in zip(*limits, *room, strict=True):
            self._step((first, second), outputs, alignment)
            self.frame = frames[n_taken]
            ending = self._ending(stop_logits[n_taken].tolist())
            ended = [row for row in ending if active[row]]
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

    def _ending(self, stop_logits: Sequence[float]) -> list[int]:
        """Rows whose text ends with the step just taken."""
        if self.places is None:
            return [row for row, logit in enumerate(stop_logits) if logit > self.stop_threshold]
        return [row for row, place in enumerate(self.places) if place.finishes(stop_logits[row])]


class Cell:
    """One LSTM of a run: its matrix, its gates and its state."""

    def __init__(self, matrix: Matrix, x: Tensor, hidden: Tensor, state: Tensor) -> None:
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
