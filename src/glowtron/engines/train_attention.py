"""The attention LSTM and its attention over all steps of teacher forcing, with a hand-written gradient.

Only these run step by step: the attention depends on the context that it read before. The prenet comes before, the
decoder LSTM and the projections come after, over all steps at once. `train_recurrence.py` says why the gradient is
written by hand; what else was tried is in docs/adr/0012.

The LSTM's products are of the inputs' dtype, the attention is float32 or wider throughout.

Letters: S steps, B batch, N symbols, A attention LSTM, C encoder, E the width in which attention compares, K the
location filters' kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from glowtron.engines.train_recurrence import over_steps, steps_back_of, steps_of, tanh_backward


class AttentionParams(NamedTuple):
    """Weights, keys and values of the attention: the same in all steps."""

    query: Tensor
    """(E, A) makes a query of the LSTM's output."""
    location: Tensor
    """(E, 2K) of previous and cumulative weights around a symbol, both beside each other, the earliest symbol first."""
    energy: Tensor
    """(E,)"""
    keys: Tensor
    """(B, N, E)"""
    values: Tensor
    """(B, N, C)"""


def scan(
    inputs: Tensor,
    weight: Tensor,
    attention: AttentionParams,
    mask: Tensor,
    keep: Tensor | None,
    query_keep: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """All steps from a state of zeros.

    inputs: (S, B, 4A), what all but its own output and the context contribute to the LSTM's gates; weight: (4A, A + C)
    of these two; mask: (B, N) real symbols; keep, query_keep: (S, B, A) dropout masks already divided by their mean, of
    what leaves the LSTM and, besides, of what asks. Returns the LSTM's outputs beside the contexts (S, B, A + C) in the
    inputs' dtype, and the attention's weights (S, B, N).
    """
    wide = torch.promote_types(inputs.dtype, torch.float32)
    # Cast here, where autograd sees it: gradients come back in each tensor's own type.
    wide_attention = (tensor.to(wide) for tensor in attention)
    outputs: Tensor
    outputs, weights = _AttentionRnn.apply(inputs, weight.to(inputs.dtype), *wide_attention, mask, keep, query_keep)  # type: ignore[no-untyped-call]
    return outputs, weights


class _Comparison:
    """Features of each symbol from the query, the text's keys and the previous attention weights."""

    def __init__(self, location: Tensor, keys: Tensor, history: Tensor) -> None:
        """history: (S + 1, B, N + K - 1, 2), last and cumulative weights before each step, zeros on either side."""
        batch, n_symbols, width = keys.shape
        self.location, self.keys = location, keys
        self.taps = location.shape[1]
        rows = history.shape[2]
        # What each symbol's filters see lies in one piece.
        self._seen = history.as_strided((len(history), batch, n_symbols, self.taps), (2 * batch * rows, 2 * rows, 2, 1))
        self.windows = history.new_empty(batch * n_symbols, self.taps)
        self.features = history.new_empty(batch * n_symbols, width)

    def make(self, t: int, query: Tensor) -> None:
        """`windows` (B * N, 2K) and `features` (B * N, E) of step t, whose query is (B, E)."""
        self.windows.view(self._seen[t].shape).copy_(self._seen[t])
        torch.add(self.keys, query[:, None], out=self.features.view_as(self.keys))
        self.features.addmm_(self.windows, self.location.t()).tanh_()


class _AttentionRnn(torch.autograd.Function):
    """`scan` with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        query: Tensor,
        location: Tensor,
        energy: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        keep: Tensor | None,
        query_keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        n_steps, (batch, n_symbols, channels), size = len(inputs), values.shape, query.shape[1]
        reach = location.shape[1] // 4
        history = values.new_zeros(n_steps + 1, batch, n_symbols + 2 * reach, 2)
        last, cumulative = history[:, :, reach : reach + n_symbols].unbind(3)
        queries, weights = (values.new_empty(n_steps, batch, n) for n in (len(query), n_symbols))
        context = values.new_empty(batch, channels)
        comparison = _Comparison(location, keys, history)
        outside = values.new_zeros(mask.numel()).masked_fill(~mask.flatten(), float("-inf"))
        with torch.autocast(inputs.device.type, enabled=False):
            lstm = steps_of(inputs, weight, keep)
            outputs = lstm.seen
            for t in range(n_steps):
                hidden = lstm.step(t)
                torch.mm(hidden if query_keep is None else hidden * query_keep[t], query.t(), out=queries[t])
                comparison.make(t, queries[t])
                energies = torch.addmv(outside, comparison.features, energy)
                torch.softmax(energies.view(batch, n_symbols), 1, out=weights[t])
                last[t + 1] = weights[t]
                torch.add(cumulative[t], weights[t], out=cumulative[t + 1])
                torch.bmm(weights[t, :, None], values, out=context[:, None])
                outputs[t + 1, :, size:] = context
        kept = (outputs, history, queries, weights, lstm.gates, lstm.states)
        ctx.save_for_backward(weight, query, location, energy, keys, values, keep, query_keep, *kept)
        return outputs[1:], weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor, grad_weights: Tensor) -> tuple[Tensor | None, ...]:
        weight, query, location, energy, keys, values, keep, query_keep, *kept = ctx.saved_tensors
        outputs, history, queries, weights, gates, states = kept
        n_steps, batch, size = len(weights), weights.shape[1], query.shape[1]
        comparison = _Comparison(location, keys, history)
        history_gradient = _HistoryGradient(location, keys)
        grad_queries, grad_contexts = torch.empty_like(queries), values.new_empty(n_steps, batch, values.shape[2])
        grad_location, grad_energy = torch.zeros_like(location), torch.zeros_like(energy)
        grad_keys, grad_features = torch.zeros_like(keys), torch.empty_like(keys)
        from_next = torch.zeros_like(weights[0])
        from_later = torch.zeros_like(weights[0])
        with torch.autocast(weight.device.type, enabled=False):
            lstm = steps_back_of(weight, keep, gates, states, grad_outputs)
            grad_hidden, grad_context = lstm.grad_now[:, :size], lstm.grad_now[:, size:]
            for t in reversed(range(n_steps)):
                grad_contexts[t] = grad_context
                grad = torch.bmm(grad_context[:, None], values.transpose(1, 2)).squeeze(1)
                grad.add_(grad_weights[t]).add_(from_next).add_(from_later)
                grad = torch._softmax_backward_data(grad, weights[t], 1, grad.dtype)
                comparison.make(t, queries[t])
                features = comparison.features
                grad_energy.addmv_(features.t(), grad.flatten())
                torch.mul(grad[:, :, None], energy, out=grad_features)
                tanh_backward(grad_features, features.view_as(keys), grad_input=grad_features)
                grad_keys += grad_features
                torch.sum(grad_features, 1, out=grad_queries[t])
                grad_asked = grad_queries[t] @ query
                grad_hidden += grad_asked if query_keep is None else grad_asked * query_keep[t]
                grad_location.addmm_(grad_features.flatten(0, 1).t(), comparison.windows)
                from_next, grad_cumulative = history_gradient(grad_features)
                from_later += grad_cumulative
                lstm.step_back(t)
            asked = outputs[1:, :, :size].to(values.dtype)
            asked = asked if query_keep is None else asked * query_keep
            return (
                lstm.grad_inputs,
                over_steps(lstm.grad_inputs, outputs[:-1]),
                over_steps(grad_queries, asked),
                grad_location,
                grad_energy,
                grad_keys,
                torch.bmm(weights.permute(1, 2, 0), grad_contexts.transpose(0, 1)),
                *(None,) * 3,
            )


class _HistoryGradient:
    """From the gradient of a step's features to that of the weights its filters saw."""

    def __init__(self, location: Tensor, keys: Tensor) -> None:
        batch, n_symbols, _ = keys.shape
        taps = location.shape[1]
        kernel, rows = taps // 2, n_symbols + taps // 2 - 1
        # Taps in the other direction: then what belongs to one symbol lies on a diagonal that goes forward.
        flipped = location.unflatten(1, (kernel, 2)).flip(1).flatten(1).t()
        self._location = flipped.expand(batch, *flipped.shape)
        padded = keys.new_zeros(batch, taps, rows)
        self._products = padded[:, :, kernel // 2 : kernel // 2 + n_symbols]
        self._diagonals = padded.as_strided((kernel, 2, batch, n_symbols), (2 * rows + 1, rows, taps * rows, 1))

    def __call__(self, grad_features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, E) -> of the last weights and of the cumulative ones (B, N)."""
        torch.bmm(self._location, grad_features.transpose(1, 2), out=self._products)
        last, cumulative = self._diagonals.sum(0).unbind(0)
        return last, cumulative
