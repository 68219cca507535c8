"""LSTMs over sequences whose inputs are known, with a hand-written gradient.

Teacher forcing knows all inputs beforehand. Their part of the gates is one product over all steps; only the recurrent
part is computed step by step. The gradient of the weights is one product over all steps, too, where autograd would add
up one for each step: with matrices of millions of weights that is most of the time (docs/adr/0012).

Products and tensors saved for backward have the inputs' dtype; gates and cell states are float32 or wider.

Letters: S steps, B batch, H hidden channels.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


def has_bf16() -> bool:
    """True if oneDNN multiplies bfloat16 on this processor."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def sequence(cell: nn.LSTMCell, x: Tensor) -> Tensor:
    """An LSTM over a sequence whose inputs are all known, from a state of zeros. x: (B, S, C). Returns (B, S, H)."""
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    # oneDNN's LSTM has no bfloat16 on processors without instructions for it, and raises an error there.
    in_float = x.device.type == "cpu" and not has_bf16()
    with torch.autocast("cpu", enabled=False) if in_float else nullcontext():
        x = x.float() if in_float and x.dtype == torch.bfloat16 else x
        zeros = x.new_zeros(1, x.shape[0], cell.hidden_size)
        return torch.lstm(x, (zeros, zeros), weights, True, 1, 0.0, cell.training, False, True)[0]


def unroll(cell: nn.LSTMCell, x: Tensor, keep: Tensor | None) -> Tensor:
    """As `sequence`, with dropout on each step's output, which the next step sees; torch's own LSTM does not have that.

    x: (S, B, C); keep: (S, B, H), masks already divided by their mean. Returns (S, B, H).
    """
    return recur(F.linear(x, cell.weight_ih, cell.bias_ih + cell.bias_hh), cell.weight_hh, keep)


def recur(inputs: Tensor, weight: Tensor, keep: Tensor | None) -> Tensor:
    """An LSTM from a state of zeros, given the part of its gates that comes from its inputs.

    inputs: (S, B, 4H), inputs' and biases' part of the gates, in torch's order: input, forget, cell, output; weight:
    (4H, H) of what it remembers; keep: as in `unroll`. Returns (S, B, H) in the inputs' dtype.
    """
    hidden: Tensor = _Recurrence.apply(inputs, weight.to(inputs.dtype), keep)  # type: ignore[no-untyped-call]
    return hidden


class Gates:
    """The gates of one step, side by side (B, 4H), and each (B, H)."""

    def __init__(self, like: Tensor) -> None:
        """like: (B, H)."""
        self.all = like.new_empty(like.shape[0], 4 * like.shape[1])
        self.input, self.forget, self.cell, self.output = self.all.chunk(4, dim=1)
        self.sigmoids = (self.all[:, : 2 * like.shape[1]], self.output)


class Unrolled:
    """The steps of an LSTM, forwards and back."""

    def __init__(self, gates: Tensor, states: Tensor) -> None:
        """gates: (S, B, 4H), each step's after sigmoid and tanh; states: (S + 1, B, H), the cells', the first zero."""
        self.gates, self.states = gates, states
        self.grad_state = torch.zeros_like(states[0])
        # Work buffers stay in the cache and have the states' dtype; tensors saved for backward may be narrower.
        self._now, self._grad, self._bent = Gates(states[0]), Gates(states[0]), torch.empty_like(states[0])

    @staticmethod
    def like(inputs: Tensor) -> Unrolled:
        """Room for as many steps as `inputs` (S, B, 4H) has."""
        n_steps, batch, size = inputs.shape
        wide = torch.promote_types(inputs.dtype, torch.float32)
        return Unrolled(torch.empty_like(inputs), inputs.new_zeros(n_steps + 1, batch, size // 4, dtype=wide))

    def step(self, t: int, inputs: Tensor, remembered: Tensor, keep: Tensor | None, hidden: Tensor) -> None:
        """Take step t: two parts of what enters the gates (B, 4H) in; `hidden` (B, H) is written."""
        gates = self._now
        gates.all.copy_(remembered).add_(inputs)
        for part in gates.sigmoids:
            part.sigmoid_()
        gates.cell.tanh_()
        state = torch.mul(self.states[t], gates.forget, out=self.states[t + 1])
        state.addcmul_(gates.input, gates.cell)
        torch.tanh(state, out=hidden).mul_(gates.output)
        if keep is not None:
            hidden.mul_(keep)
        self.gates[t] = gates.all

    def step_back(self, t: int, grad_hidden: Tensor, keep: Tensor | None, grad_inputs: Tensor) -> None:
        """From the gradient of step t's hidden (B, H), overwritten, that of what entered its gates (B, 4H)."""
        gates, grad, grad_state = self._now, self._grad, self.grad_state
        gates.all.copy_(self.gates[t])
        if keep is not None:
            grad_hidden.mul_(keep)
        bent = torch.tanh(self.states[t + 1], out=self._bent)
        torch.mul(grad_hidden, bent, out=grad.output)
        grad_hidden.mul_(gates.output)
        grad_state.add_(tanh_backward(grad_hidden, bent, grad_input=grad_hidden))
        torch.mul(grad_state, gates.cell, out=grad.input)
        torch.mul(grad_state, self.states[t], out=grad.forget)
        torch.mul(grad_state, gates.input, out=grad.cell)
        grad_state.mul_(gates.forget)
        for part, value in zip(grad.sigmoids, gates.sigmoids, strict=True):
            sigmoid_backward(part, value, grad_input=part)
        tanh_backward(grad.cell, gates.cell, grad_input=grad.cell)
        grad_inputs.copy_(grad.all)


class _Recurrence(torch.autograd.Function):
    """`recur` with its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, keep: Tensor | None) -> Tensor:
        n_steps, batch, size = len(inputs), inputs.shape[1], weight.shape[1]
        lstm = Unrolled.like(inputs)
        hiddens = inputs.new_zeros(n_steps + 1, batch, size)
        hidden = lstm.states.new_empty(batch, size)
        with torch.autocast(inputs.device.type, enabled=False):
            multiply = rows_times(weight)
            for t in range(n_steps):
                lstm.step(t, inputs[t], multiply(hiddens[t]), None if keep is None else keep[t], hidden)
                hiddens[t + 1] = hidden
        ctx.save_for_backward(weight, keep, hiddens, lstm.gates, lstm.states)
        return hiddens[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hiddens: Tensor) -> tuple[Tensor | None, ...]:
        weight, keep, hiddens, gates, states = ctx.saved_tensors
        lstm = Unrolled(gates, states)
        grad_inputs = hiddens.new_empty(gates.shape)
        grad_hidden = torch.empty_like(states[0])
        with torch.autocast(weight.device.type, enabled=False):
            multiply = rows_times(weight.t())
            carried = torch.zeros_like(hiddens[0])
            for t in reversed(range(len(gates))):
                grad_hidden.copy_(grad_hiddens[t]).add_(carried)
                lstm.step_back(t, grad_hidden, None if keep is None else keep[t], grad_inputs[t])
                carried = multiply(grad_inputs[t])
            return grad_inputs, over_steps(grad_inputs, hiddens[:-1]), None


def over_steps(grads: Tensor, inputs: Tensor) -> Tensor:
    """(S, B, N), (S, B, K) -> (N, K), the gradient of a weight that multiplied the inputs in all steps."""
    # Of both, turning the narrower one costs less; oneDNN is half as fast where it has to turn one itself.
    return (inputs.flatten(0, 1).t().contiguous() @ grads.flatten(0, 1)).t()


def rows_times(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Returns a function that multiplies rows (B, K) by the transpose of `weight` (N, K), for repeated use.

    For the few rows of a step, reading the matrix is what costs; so on CPU it is laid out once as oneDNN reads it.
    """
    dtypes = [torch.float32, torch.bfloat16] if has_bf16() else [torch.float32]
    if weight.device.type != "cpu" or weight.dtype not in dtypes or not torch.backends.mkldnn.is_available():
        return lambda x: F.linear(x, weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, None, "none", [], "")
