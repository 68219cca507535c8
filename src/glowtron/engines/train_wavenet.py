"""The WN of WaveGlow's couplings for training.

Every 1x1 convolution is one matrix product, and a dilated convolution is one for each tap. The products are cheap in
bfloat16, so the operations around them decide the speed: the gated layers have a hand-written gradient, which saves
little memory and passes over it seldom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from glowtron.models.convolution import WeightNormConv
from glowtron.models.waveglow import WN


class TrainingWN(WN):
    """`models.waveglow.WN`, time first, with a hand-written gradient."""

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """(B, G, n_in), (B, G, n_conditioning) -> (B, G, n_out)."""
        width = self.n_channels
        # Time first, (G, B, ...): a step back is then B rows back, for every item of the batch alike, and a dilated
        # convolution adds up products of plain ranges of rows. Nothing is padded, laid side by side or copied.
        hidden = F.linear(x.transpose(0, 1), weight_of(self.start), self.start.bias)
        conditioning = conditioning.transpose(0, 1)
        dilated, res_skip = _layers(self.dilated), _layers(self.res_skip)
        outs: list[Tensor] = [weight_of(layer) for layer in res_skip]
        out_biases: list[Tensor] = [layer.bias for layer in res_skip]
        # The skip outputs only meet in a sum. Where the end is narrower than they are, it comes first: nothing
        # non-linear lies between the two.
        end_first = self.end.out_features < width
        if end_first:
            with torch.autocast(x.device.type, enabled=False):
                outs = [torch.cat((out[:-width], self.end.weight @ out[-width:])) for out in outs]
                out_biases = [torch.cat((out[:-width], self.end.weight @ out[-width:])) for out in out_biases]
        weights = [
            weight_of(self.condition),
            # The dilated layers' and the conditioning's biases enter at the same place.
            self.condition.bias + torch.cat([layer.bias for layer in dilated]),
            *(weight_of(layer) for layer in dilated),
            *outs,
            *out_biases,
        ]
        skip = gated_layers(hidden, conditioning, self.kernel_size, self.dilations, weights)
        output: Tensor = skip + self.end.bias if end_first else self.end(skip)
        return output.transpose(0, 1)


def weight_of(layer: WeightNormConv) -> Tensor:
    """The layer's weight matrix, weight norm applied in one fused kernel each way."""
    if layer.weight is not None:
        return layer.weight
    # Unlike v * (g / v.norm(...)): weights outnumber activations in small batches.
    weight: Tensor = torch._weight_norm(layer.weight_v, layer.weight_g, 0)
    return weight


def _layers(modules: nn.ModuleList) -> list[WeightNormConv]:
    return cast("list[WeightNormConv]", list(modules))


def gated_layers(
    hidden: Tensor, conditioning: Tensor, kernel_size: int, dilations: tuple[int, ...], weights: list[Tensor]
) -> Tensor:
    """All gated layers of a WN: (G, B, C), (G, B, K) -> the sum of their skip outputs (G, B, S), float32 or more.

    `weights`: conditioning (n_layers * 2C, K) and all gates' bias (n_layers * 2C,); for each layer the dilated
    convolution (2C, kernel_size * C); for each layer its outputs, residual then skip (C + S, C), the last without
    residual (S, C); for each layer the outputs' bias.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    # Cast here, where autograd sees it: gradients come back in each tensor's own type.
    inputs = [tensor.to(dtype) for tensor in (hidden.flatten(0, 1), conditioning.flatten(0, 1), *weights)]
    shifts = tuple(hidden.shape[1] * dilation for dilation in dilations)
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled():
            skip: Tensor = _GatedLayers.apply(kernel_size, shifts, *inputs)  # type: ignore[no-untyped-call]
        else:
            skip = _run_layers(kernel_size, shifts, None, *inputs)
    unflattened: Tensor = skip.unflatten(0, hidden.shape[:2])
    return unflattened


class _Weights(NamedTuple):
    """The weights of `gated_layers` by kind."""

    condition: Tensor
    gate_bias: Tensor
    dilated: Sequence[Tensor]
    outs: Sequence[Tensor]
    out_biases: Sequence[Tensor]

    @staticmethod
    def of(weights: Sequence[Tensor], n_layers: int) -> _Weights:
        condition, gate_bias, *rest = weights
        kinds = (rest[start : start + n_layers] for start in range(0, 3 * n_layers, n_layers))
        return _Weights(condition, gate_bias, *kinds)


def _run_layers(
    kernel_size: int,
    shifts: tuple[int, ...],
    kept: list[Tensor] | None,
    hidden: Tensor,
    conditioning: Tensor,
    *weights: Tensor,
) -> Tensor:
    """As `gated_layers`, over rows (R, ...), the dilations given as rows.

    What the gradient needs goes into `kept`, where there is one: for each layer its input, what enters the gate and
    what leaves it.
    """
    n_layers, width = len(shifts), hidden.shape[1]
    by_kind = _Weights.of(weights, n_layers)
    conditions, gate_biases = by_kind.condition.chunk(n_layers), by_kind.gate_bias.chunk(n_layers)
    wide = torch.promote_types(hidden.dtype, torch.float32)
    skip = hidden.new_zeros(len(hidden), len(by_kind.outs[-1]), dtype=wide)
    for i, shift in enumerate(shifts):
        total = F.linear(conditioning, conditions[i], gate_biases[i])
        pairs = _Pairs.of(hidden, kernel_size, shift)
        if pairs is not None:
            pairs.convolve(hidden, by_kind.dilated[i], total)
        for tap, seeing, seen in _taps(kernel_size, shift, len(hidden), pairs.n_rows if pairs else 0):
            total[seeing].addmm_(hidden[seen], by_kind.dilated[i][:, tap * width : (tap + 1) * width].t())
        # On CPU, tanh of float32 is several times as fast as of bfloat16.
        total[:, :width] = total[:, :width].to(wide).tanh_()
        gated = F.glu(total)  # the first half times the sigmoid of the second
        if kept is not None:
            kept += [hidden, total, gated]
        out = F.linear(gated, by_kind.outs[i], by_kind.out_biases[i])
        if i < n_layers - 1:
            hidden, out = hidden + out[:, :width], out[:, width:]
        skip += out
    return skip


def _taps(kernel_size: int, shift: int, n_rows: int, done: int = 0) -> Iterator[tuple[int, slice, slice]]:
    """For each tap of a centred convolution that meets a row: its index, the rows that see, the rows they see.

    done: how many rows have seen already.
    """
    for tap in range(kernel_size):
        offset = (tap - kernel_size // 2) * shift
        first, last = max(-offset, done), n_rows - max(offset, 0)
        if first < last:
            yield tap, slice(first, last), slice(first + offset, last + offset)


class _Pairs:
    """Three taps over pairs of rows, with a third of the products saved: Winograd's F(2, 3), forwards and back.

    As `cpu_wn.PairedDilated`, which says what is multiplied: rows `shift` apart share four products instead of six. The
    gradient is that of these four, which saves a third as well.
    """

    FEWEST = 512
    """Pairs from which the products saved are more than the sums that it takes."""

    def __init__(self, shift: int, n_slabs: int) -> None:
        self.shift, self.n_slabs = shift, n_slabs
        self.n_rows = 2 * n_slabs * shift
        """Number of rows, from the first, that are in pairs."""

    @classmethod
    def of(cls, hidden: Tensor, kernel_size: int, shift: int) -> _Pairs | None:
        """The pairs of rows (R, C); None: there are too few, or products cost too little."""
        n_slabs = len(hidden) // (2 * shift)
        if kernel_size != 3 or n_slabs * shift < cls.FEWEST or hidden.dtype not in (torch.float32, torch.float64):
            return None
        return cls(shift, n_slabs)

    def convolve(self, hidden: Tensor, taps: Tensor, total: Tensor) -> None:
        """Add to `total` (R, N) what the pairs see of `hidden` (R, C); taps: (N, 3 C), the earliest first."""
        products = [x @ tap.t() for x, tap in zip(self._inputs(hidden), self._weights(taps), strict=True)]
        both = products[1] + products[2]
        pairs = self._pairs(total)
        pairs[:, 0] += self._slabs(products[0].add_(both))
        pairs[:, 1] += self._slabs(products[1].sub_(products[2]).sub_(products[3]))

    def convolve_back(
        self, grad_total: Tensor, hidden: Tensor, taps: Tensor, grad_hidden: Tensor, grad_taps: Tensor
    ) -> None:
        """Add the gradients of `hidden` and `taps`."""
        first, second = (part.reshape(-1, part.shape[-1]) for part in self._pairs(grad_total).unbind(1))
        grads = (first, first + second, first - second, -second)
        outer, plus, minus, last = (grad.t() @ x for grad, x in zip(grads, self._inputs(hidden), strict=True))
        width = hidden.shape[1]
        sides, middle = (plus + minus) / 2, (plus - minus) / 2
        for tap, part in enumerate((outer + sides, middle, last + sides)):
            grad_taps[:, tap * width : (tap + 1) * width] += part
        x0, x1, x2, x3 = (self._slabs(grad @ tap) for grad, tap in zip(grads, self._weights(taps), strict=True))
        around = grad_hidden.new_zeros(2 * self.n_slabs + 2, self.shift, width)
        around[0:-2:2] += x0
        around[1:-1:2] += x1 - x2 + x3
        around[2::2] += x1 + x2 - x0
        around[3::2] -= x3
        n_rows = min(self.n_rows + self.shift, len(grad_hidden))
        grad_hidden[:n_rows] += around.flatten(0, 1)[self.shift : self.shift + n_rows]

    def _inputs(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four transformed inputs, (pairs, C) each."""
        n_seen = min(self.n_rows + self.shift, len(hidden))
        padded = F.pad(hidden[:n_seen], (0, 0, self.shift, self.n_rows + self.shift - n_seen))
        slabs = padded.view(2 * self.n_slabs + 2, self.shift, -1)
        d0, d1, d2, d3 = slabs[0:-2:2], slabs[1:-1:2], slabs[2::2], slabs[3::2]
        x0, x1, x2, x3 = (part.flatten(0, 1) for part in (d0 - d2, d1 + d2, d2 - d1, d1 - d3))
        return x0, x1, x2, x3

    def _weights(self, taps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four transformed taps, (N, C) each."""
        earlier, own, later = taps.chunk(3, dim=1)
        sides = (earlier + later) / 2
        return earlier, sides + own / 2, sides - own / 2, later

    def _pairs(self, rows: Tensor) -> Tensor:
        """(R, N) -> (slabs, 2, shift, N), a view."""
        pairs: Tensor = rows[: self.n_rows].unflatten(0, (self.n_slabs, 2, self.shift))
        return pairs

    def _slabs(self, rows: Tensor) -> Tensor:
        """(pairs, N) -> (slabs, shift, N), a view."""
        slabs: Tensor = rows.unflatten(0, (self.n_slabs, self.shift))
        return slabs


class _GatedLayers(torch.autograd.Function):
    """`_run_layers` with its gradient written out."""

    @staticmethod
    def forward(
        ctx: Any, kernel_size: int, shifts: tuple[int, ...], hidden: Tensor, conditioning: Tensor, *weights: Tensor
    ) -> Tensor:
        kept: list[Tensor] = []
        skip = _run_layers(kernel_size, shifts, kept, hidden, conditioning, *weights)
        ctx.kernel_size, ctx.shifts = kernel_size, shifts
        ctx.save_for_backward(conditioning, *weights, *kept)
        return skip

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_skip: Tensor) -> tuple[Tensor | None, ...]:
        shifts, kernel_size, n_layers = ctx.shifts, ctx.kernel_size, len(ctx.shifts)
        conditioning, *rest = ctx.saved_tensors
        kept, weights = rest[-3 * n_layers :], _Weights.of(rest[: -3 * n_layers], n_layers)
        conditions = weights.condition.chunk(n_layers)
        n_rows, width = kept[0].shape
        # Of the outputs of a layer, residual then skip: the first changes from layer to layer, the second does not.
        grad_out = torch.cat((torch.zeros_like(kept[0]), grad_skip.to(conditioning.dtype)), dim=1)
        grad_hidden = grad_out[:, :width]
        grad_conditioning = torch.zeros_like(conditioning) if ctx.needs_input_grad[3] else None
        grad_condition = torch.empty_like(weights.condition)
        gate_biases: list[Tensor] = []
        dilated: list[Tensor] = []
        outs: list[Tensor] = []
        out_biases: list[Tensor] = []
        for i in reversed(range(n_layers)):
            hidden, gate, gated = kept[3 * i : 3 * i + 3]
            grad = grad_out if i < n_layers - 1 else grad_out[:, width:]
            outs.append(grad.t() @ gated)
            out_biases.append(grad.sum(0))
            total = torch.ops.aten.glu_backward(grad @ weights.outs[i], gate, 1)
            # Now the gradient of what enters tanh and sigmoid.
            torch.ops.aten.tanh_backward.grad_input(total[:, :width], gate[:, :width], grad_input=total[:, :width])
            dilated.append(torch.zeros_like(weights.dilated[i]))
            pairs = _Pairs.of(hidden, kernel_size, shifts[i])
            if pairs is not None:
                pairs.convolve_back(total, hidden, weights.dilated[i], grad_hidden, dilated[-1])
            for tap, seeing, seen in _taps(kernel_size, shifts[i], n_rows, pairs.n_rows if pairs else 0):
                inputs = slice(tap * width, (tap + 1) * width)
                grad_hidden[seen].addmm_(total[seeing], weights.dilated[i][:, inputs])
                dilated[-1][:, inputs].addmm_(total[seeing].t(), hidden[seen])
            if grad_conditioning is not None:
                grad_conditioning.addmm_(total, conditions[i])
            torch.mm(total.t(), conditioning, out=grad_condition[2 * i * width : 2 * (i + 1) * width])
            gate_biases.append(total.sum(0))
        return (
            None,
            None,
            grad_hidden,
            grad_conditioning,
            grad_condition,
            torch.cat(gate_biases[::-1]),
            *dilated[::-1],
            *outs[::-1],
            *out_biases[::-1],
        )
