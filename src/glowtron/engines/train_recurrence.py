"""LSTMs over sequences whose inputs are known, with a hand-written gradient.

Teacher forcing knows all inputs beforehand. Their part of the gates is one product over all steps; only the recurrent
part is computed step by step. The gradient of the weights is one product over all steps, too, where autograd would add
up one for each step: with matrices of millions of weights that is most of the time (docs/adr/0012).

Products and tensors saved for backward have the inputs' dtype; gates and cell states are float32 or wider.

In float32 a step is taken by our own C, forwards and back, where that is measured to be faster than torch's operations.

Letters: S steps, B batch, H hidden channels, K channels that a step multiplies.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from glowtron.engines.cpu_wn_native import Level, NativeRecurrence, find_levels
from glowtron.engines.measured import measure

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


class Steps(Protocol):
    """The steps of an LSTM forwards, from a state of zeros."""

    seen: Tensor
    """(S + 1, B, K) what each step multiplies; its first H channels are written, what else it sees others write."""
    gates: Tensor
    """(S, B, 4H) after sigmoid and tanh."""
    states: Tensor
    """(S + 1, B, H), the cells', the first zero."""

    def step(self, t: int) -> Tensor:
        """Take step t; returns its output (B, H) in the states' dtype, valid until the next step."""


class StepsBack(Protocol):
    """The same steps from the last to the first."""

    grad_now: Tensor
    """(B, K) the gradient of all that the step gave which is next to go back through; others may add to it."""
    grad_inputs: Tensor
    """(S, B, 4H) of what entered the gates."""

    def step_back(self, t: int) -> None:
        """From `grad_now` to `grad_inputs` of step t and to `grad_now` of the step before."""


def steps_of(inputs: Tensor, weight: Tensor, keep: Tensor | None) -> Steps:
    """inputs: (S, B, 4H); weight: (4H, K) of what a step sees, its own output first; keep: (S, B, H)."""
    level = find_level(inputs)
    return TorchSteps(inputs, weight, keep) if level is None else NativeSteps(level, inputs, weight, keep)


def steps_back_of(weight: Tensor, keep: Tensor | None, gates: Tensor, states: Tensor, grad_seen: Tensor) -> StepsBack:
    """gates, states: as `Steps` left them; grad_seen: (S, B, K) what others say of the gradient of `seen[1:]`."""
    level = find_level(gates)
    if level is None:
        return TorchStepsBack(weight, keep, gates, states, grad_seen)
    return NativeStepsBack(level, weight, keep, gates, states, grad_seen)


def find_level(like: Tensor) -> Level | None:
    """The instructions in which our own C takes steps of such a tensor; None: torch's operations do, or are faster."""
    level = find_levels().best("fp32") if like.device.type == "cpu" and like.dtype == torch.float32 else None
    if level is None:
        return None
    torch_way, own = f"steps of {MEASURED_SIZE} by torch", f"by {level.name}"
    best = measure("steps of an LSTM", {torch_way: _timed(None), own: _timed(level)}).best
    return level if best == own else None


MEASURED_SIZE, MEASURED_ROWS = 512, 16


def _timed(level: Level | None) -> Callable[[], Callable[[int], object]]:
    """Makes a function that takes as many steps as make that many rows."""

    def make() -> Callable[[int], object]:
        inputs = torch.zeros(1, MEASURED_ROWS, 4 * MEASURED_SIZE)
        weight = torch.full((4 * MEASURED_SIZE, MEASURED_SIZE), 0.01)
        steps = TorchSteps(inputs, weight, None) if level is None else NativeSteps(level, inputs, weight, None)
        return lambda n_rows: [steps.step(0) for _ in range(n_rows // MEASURED_ROWS)]

    return make


class TorchSteps:
    """`Steps` in torch's operations, in any dtype."""

    def __init__(self, inputs: Tensor, weight: Tensor, keep: Tensor | None) -> None:
        n_steps, batch, size = inputs.shape
        wide = torch.promote_types(inputs.dtype, torch.float32)
        self._inputs, self._keep, self._multiply = inputs, keep, rows_times(weight)
        self.seen = inputs.new_zeros(n_steps + 1, batch, weight.shape[1])
        self.gates = torch.empty_like(inputs)
        self.states = inputs.new_zeros(n_steps + 1, batch, size // 4, dtype=wide)
        # Work buffers stay in the cache and have the states' dtype; tensors saved for backward may be narrower.
        self._now, self._hidden = Gates(self.states[0]), torch.empty_like(self.states[0])

    def step(self, t: int) -> Tensor:
        """See `Steps`."""
        gates, hidden = self._now, self._hidden
        gates.all.copy_(self._multiply(self.seen[t])).add_(self._inputs[t])
        for part in gates.sigmoids:
            part.sigmoid_()
        gates.cell.tanh_()
        state = torch.mul(self.states[t], gates.forget, out=self.states[t + 1])
        state.addcmul_(gates.input, gates.cell)
        torch.tanh(state, out=hidden).mul_(gates.output)
        if self._keep is not None:
            hidden.mul_(self._keep[t])
        self.gates[t] = gates.all
        self.seen[t + 1, :, : hidden.shape[1]] = hidden
        return hidden


class TorchStepsBack:
    """`StepsBack` in torch's operations, in any dtype."""

    def __init__(self, weight: Tensor, keep: Tensor | None, gates: Tensor, states: Tensor, grad_seen: Tensor) -> None:
        self._keep, self._gates, self._states, self._grad_seen = keep, gates, states, grad_seen
        self._multiply = rows_times(weight.t())
        self.grad_now = grad_seen[-1].to(states.dtype, copy=True)
        self.grad_inputs = torch.empty_like(gates)
        self._grad_state = torch.zeros_like(states[0])
        self._now, self._grad, self._bent = Gates(states[0]), Gates(states[0]), torch.empty_like(states[0])

    def step_back(self, t: int) -> None:
        """See `StepsBack`."""
        gates, grad, grad_state = self._now, self._grad, self._grad_state
        grad_hidden = self.grad_now[:, : grad_state.shape[1]]
        gates.all.copy_(self._gates[t])
        if self._keep is not None:
            grad_hidden.mul_(self._keep[t])
        bent = torch.tanh(self._states[t + 1], out=self._bent)
        torch.mul(grad_hidden, bent, out=grad.output)
        grad_hidden.mul_(gates.output)
        grad_state.add_(tanh_backward(grad_hidden, bent, grad_input=grad_hidden))
        torch.mul(grad_state, gates.cell, out=grad.input)
        torch.mul(grad_state, self._states[t], out=grad.forget)
        torch.mul(grad_state, gates.input, out=grad.cell)
        grad_state.mul_(gates.forget)
        for part, value in zip(grad.sigmoids, gates.sigmoids, strict=True):
            sigmoid_backward(part, value, grad_input=part)
        tanh_backward(grad.cell, gates.cell, grad_input=grad.cell)
        self.grad_inputs[t].copy_(grad.all)
        if t:
            self.grad_now.copy_(self._grad_seen[t - 1]).add_(self._multiply(self.grad_inputs[t]))


class NativeSteps:
    """`Steps` in our own C (`wn_level.c`), in float32."""

    def __init__(self, level: Level, inputs: Tensor, weight: Tensor, keep: Tensor | None) -> None:
        n_steps, batch, size = len(inputs), inputs.shape[1], inputs.shape[2] // 4
        self.seen = inputs.new_zeros(n_steps + 1, batch, weight.shape[1])
        self.gates, self.states = inputs.new_empty(inputs.shape), inputs.new_zeros(n_steps + 1, batch, size)
        # The gates of some channels lie beside each other, so that they are finished while they are in the cache.
        padded = F.pad(weight.unflatten(0, (4, size)), (0, 0, 0, -size % level.lanes))
        by_channels = padded.unflatten(1, (-1, level.lanes)).unflatten(0, (2, 2)).permute(2, 0, 4, 1, 3)
        kept = {"weight": by_channels, "inputs": inputs, "keep": keep}
        self._run = _Run(level, self.gates, self.states, kept | {"seen": self.seen})

    def step(self, t: int) -> Tensor:
        """See `Steps`."""
        self._run.level.native.step(self._run.address, t)
        return self.seen[t + 1, :, : self.states.shape[2]]


class NativeStepsBack:
    """`StepsBack` in our own C, in float32."""

    def __init__(
        self, level: Level, weight: Tensor, keep: Tensor | None, gates: Tensor, states: Tensor, grad_seen: Tensor
    ) -> None:
        grad_seen = grad_seen.contiguous()
        self.grad_now, self.grad_inputs = grad_seen[-1].clone(), torch.empty_like(gates)
        panels = F.pad(weight, (0, -weight.shape[1] % (2 * level.lanes))).unflatten(1, (-1, 2 * level.lanes))
        kept = {"weight": panels.transpose(0, 1), "keep": keep, "grad_seen": grad_seen, "grad_now": self.grad_now}
        more = {"grad_inputs": self.grad_inputs, "grad_state": torch.zeros_like(states[0])}
        self._run = _Run(level, gates, states, kept | more)

    def step_back(self, t: int) -> None:
        """See `StepsBack`."""
        self._run.level.native.step_back(self._run.address, t)


class _Run:
    """A `NativeRecurrence`, and what keeps its memory."""

    def __init__(self, level: Level, gates: Tensor, states: Tensor, tensors: Mapping[str, Tensor | None]) -> None:
        self.level = level
        self.kept = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
        self.kept |= {"gates": gates, "states": states}
        """By name; the C code has their addresses only."""
        # What is written must not be a copy.
        assert all(self.kept[name] is tensors[name] for name in ("seen", "grad_now", "grad_inputs") if name in tensors)
        seen = self.kept["seen" if "seen" in tensors else "grad_seen"]
        pointers = {name: tensor.data_ptr() for name, tensor in self.kept.items()}
        self._native = NativeRecurrence(*states.shape[1:], seen.shape[2], torch.get_num_threads(), **pointers)
        self.address = ctypes.addressof(self._native)


class _Recurrence(torch.autograd.Function):
    """`recur` with its gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, keep: Tensor | None) -> Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            steps = steps_of(inputs, weight, keep)
            for t in range(len(inputs)):
                steps.step(t)
        ctx.save_for_backward(weight, keep, steps.seen, steps.gates, steps.states)
        return steps.seen[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_hiddens: Tensor) -> tuple[Tensor | None, ...]:
        weight, keep, hiddens, gates, states = ctx.saved_tensors
        with torch.autocast(weight.device.type, enabled=False):
            steps = steps_back_of(weight, keep, gates, states, grad_hiddens)
            for t in reversed(range(len(gates))):
                steps.step_back(t)
            return steps.grad_inputs, over_steps(steps.grad_inputs, hiddens[:-1]), None


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
