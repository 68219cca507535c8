"""The non-causal WaveNet inside each coupling (Prenger et al. 2018, sec. 2.1), time-major.

Every 1x1 convolution is one matrix product, and a dilated convolution is one for each tap. The products are cheap in
bfloat16, so what surrounds them decides the speed: the gated layers carry their own gradient, which keeps little memory
and passes over it seldom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from glowtron.config import WaveNetConfig


class NormedLinear(nn.Module):
    """A linear layer under weight norm (Salimans & Kingma 2016): weight = g * v / |v|, a norm for each output.

    `fold` replaces g and v by the weight they make, which is how voices are stored. States of either form load into
    layers of either form, and the layer keeps its own.
    """

    weight: nn.Parameter | None

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        plain = nn.Linear(n_in, n_out)
        self.bias = nn.Parameter(plain.bias.detach())
        self.weight_v = nn.Parameter(plain.weight.detach())
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=1, keepdim=True))
        self.register_parameter("weight", None)

    def effective_weight(self) -> Tensor:
        """(n_out, n_in), the matrix that `forward` multiplies by."""
        return self.weight if self.weight is not None else _normed(self.weight_g, self.weight_v)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.effective_weight(), self.bias)

    @torch.no_grad()
    def fold(self) -> None:
        """Keep the weight only, for inference and storage. Folding twice changes nothing."""
        if self.weight is None:
            self.weight = nn.Parameter(self.effective_weight())
            self.weight_g = self.weight_v = None  # type: ignore[assignment]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        state = dict(state_dict)
        folded, g, v = (prefix + name for name in ("weight", "weight_g", "weight_v"))
        if self.weight is None and folded in state:
            state[v] = state.pop(folded)
            state[g] = state[v].norm(dim=1, keepdim=True)
        elif self.weight is not None and g in state and v in state:
            state[folded] = _normed(state.pop(g), state.pop(v))
        super()._load_from_state_dict(state, prefix, *rest)


def _normed(g: Tensor, v: Tensor) -> Tensor:
    # One fused kernel each way, unlike v * (g / v.norm(...)): weights outnumber activations in small batches.
    weight: Tensor = torch._weight_norm(v, g, 0)
    return weight


class WaveNet(nn.Module):
    """Gated dilated convolutions over x, conditioned step by step; its last layer starts at zero."""

    def __init__(self, n_in: int, n_out: int, n_conditioning: int, config: WaveNetConfig) -> None:
        super().__init__()
        self.kernel_size, self.n_channels = config.kernel_size, config.n_channels
        self.dilations = tuple(2 ** (i % config.dilation_cycle) for i in range(config.n_layers))
        width, n_layers = config.n_channels, config.n_layers
        self.start = NormedLinear(n_in, width)
        self.condition = NormedLinear(n_conditioning, 2 * width * n_layers)
        self.dilated = nn.ModuleList(NormedLinear(config.kernel_size * width, 2 * width) for _ in range(n_layers))
        # Rows are residual, then skip; the last layer has nothing to hand on, only its skip output.
        self.res_skip = nn.ModuleList(
            NormedLinear(width, 2 * width if i < n_layers - 1 else width) for i in range(n_layers)
        )
        self.end = nn.Linear(width, n_out)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """(B, G, n_in), (B, G, n_conditioning) -> (B, G, n_out)."""
        width = self.n_channels
        # Time first, (G, B, ...): a step back is then B rows back, for every item of the batch alike, and a dilated
        # convolution adds up products of plain ranges of rows. Nothing is padded, laid side by side or copied.
        hidden, conditioning = self.start(x.transpose(0, 1)), conditioning.transpose(0, 1)
        dilated, res_skip = _layers(self.dilated), _layers(self.res_skip)
        mixes = [layer.effective_weight().split(width) for layer in res_skip]
        biases = [layer.bias.split(width) for layer in res_skip]
        # The dilated layers' and the conditioning's biases enter at the same place.
        gate_bias = self.condition.bias + torch.cat([layer.bias for layer in dilated])
        weights = [
            self.condition.effective_weight(),
            gate_bias,
            *(layer.effective_weight() for layer in dilated),
            *(weight[0] for weight in mixes[:-1]),
            *(bias[0] for bias in biases[:-1]),
        ]
        gated = gated_layers(hidden, conditioning, self.kernel_size, self.dilations, weights)
        # The skip outputs of all layers and their sum are one product.
        skip = torch.cat([weight[-1] for weight in mixes], dim=1)
        skip_bias = torch.stack([bias[-1] for bias in biases]).sum(0)
        if self.end.out_features < width:
            # Nothing bends between skip and end, so the narrower of the two products comes first.
            with torch.autocast(x.device.type, enabled=False):
                matrix, bias = self.end.weight @ skip, self.end.weight @ skip_bias + self.end.bias
            return F.linear(gated, matrix, bias).transpose(0, 1)
        output: Tensor = self.end(F.linear(gated, skip, skip_bias))
        return output.transpose(0, 1)


def _layers(modules: nn.ModuleList) -> list[NormedLinear]:
    return cast("list[NormedLinear]", list(modules))


def gated_layers(
    hidden: Tensor, conditioning: Tensor, kernel_size: int, dilations: tuple[int, ...], weights: list[Tensor]
) -> Tensor:
    """All gated layers of a WaveNet: (G, B, C), (G, B, K) -> activations of every layer (G, B, n_layers * C).

    `weights`: conditioning (n_layers * 2C, K) and all gates' bias (n_layers * 2C,), then for each layer the dilated
    convolution (2C, kernel_size * C), then for each but the last the residual (C, C), then its bias (C,).
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    # Cast here, where autograd sees it: gradients come back in each tensor's own type.
    inputs = [tensor.to(dtype) for tensor in (hidden.flatten(0, 1), conditioning.flatten(0, 1), *weights)]
    shifts = tuple(hidden.shape[1] * dilation for dilation in dilations)
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled():
            gated: Tensor = _GatedLayers.apply(kernel_size, shifts, *inputs)  # type: ignore[no-untyped-call]
        else:
            gated = _run_layers(kernel_size, shifts, None, *inputs)
    return gated.unflatten(0, hidden.shape[:2])


def _run_layers(
    kernel_size: int,
    shifts: tuple[int, ...],
    kept: list[Tensor] | None,
    hidden: Tensor,
    conditioning: Tensor,
    *weights: Tensor,
) -> Tensor:
    """As `gated_layers`, over rows (R, ...), the dilations given as rows.

    What the gradient needs goes into `kept`, where there is one: for each layer its input, tanh and sigmoid.
    """
    n_layers, width = len(shifts), hidden.shape[1]
    conditions, gate_biases = (tensor.chunk(n_layers) for tensor in weights[:2])
    dilated, residuals, residual_biases = _split(weights[2:], n_layers)
    gated = hidden.new_empty(len(hidden), n_layers * width)
    for i, shift in enumerate(shifts):
        total = F.linear(conditioning, conditions[i], gate_biases[i])
        for tap, seeing, seen in _taps(kernel_size, shift, len(hidden)):
            total[seeing].addmm_(hidden[seen], dilated[i][:, tap * width : (tap + 1) * width].t())
        # On CPU, tanh of float32 is several times as fast as of bfloat16.
        filtered = total[:, :width].to(torch.promote_types(total.dtype, torch.float32)).tanh().to(total.dtype)
        opened = total[:, width:].sigmoid()
        activated = torch.mul(filtered, opened, out=gated[:, i * width : (i + 1) * width])
        if kept is not None:
            kept += [hidden, filtered, opened]
        if i < n_layers - 1:
            hidden = F.linear(activated, residuals[i], residual_biases[i]).add_(hidden)
    return gated


def _taps(kernel_size: int, shift: int, n_rows: int) -> Iterator[tuple[int, slice, slice]]:
    """For each tap of a centred convolution that meets a row: its index, the rows that see, the rows they see."""
    for tap in sorted(range(kernel_size), key=lambda tap: abs(tap - kernel_size // 2)):
        offset = (tap - kernel_size // 2) * shift
        if abs(offset) < n_rows:
            first, last = max(-offset, 0), n_rows - max(offset, 0)
            yield tap, slice(first, last), slice(first + offset, last + offset)


def _split(weights: Sequence[Tensor], n_layers: int) -> tuple[Sequence[Tensor], ...]:
    """Dilated convolutions, residuals and residual biases."""
    return weights[:n_layers], weights[n_layers : 2 * n_layers - 1], weights[2 * n_layers - 1 :]


class _GatedLayers(torch.autograd.Function):
    """`_run_layers` with its gradient written out."""

    @staticmethod
    def forward(
        ctx: Any, kernel_size: int, shifts: tuple[int, ...], hidden: Tensor, conditioning: Tensor, *weights: Tensor
    ) -> Tensor:
        kept: list[Tensor] = []
        gated = _run_layers(kernel_size, shifts, kept, hidden, conditioning, *weights)
        ctx.kernel_size, ctx.shifts = kernel_size, shifts
        ctx.save_for_backward(gated, conditioning, *weights, *kept)
        return gated

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_gated: Tensor) -> tuple[Tensor | None, ...]:
        shifts, kernel_size, n_layers = ctx.shifts, ctx.kernel_size, len(ctx.shifts)
        gated, conditioning, condition, _, *rest = ctx.saved_tensors
        conditions = condition.chunk(n_layers)
        dilated, residuals, _ = _split(rest[: -3 * n_layers], n_layers)
        kept = rest[-3 * n_layers :]
        n_rows, width = kept[0].shape
        conditioning_t = conditioning.t().contiguous()
        grad_hidden = torch.zeros_like(kept[0])
        grad_conditioning = torch.zeros_like(conditioning) if ctx.needs_input_grad[3] else None
        grads: list[list[Tensor]] = []
        for i in reversed(range(n_layers)):
            hidden, filtered, opened = kept[3 * i : 3 * i + 3]
            activated, grad = (tensor[:, i * width : (i + 1) * width] for tensor in (gated, grad_gated))
            grad_residual: list[Tensor] = []
            if i < n_layers - 1:
                grad = torch.addmm(grad, grad_hidden, residuals[i])
                grad_residual = [grad_hidden.t() @ activated, grad_hidden.sum(0)]
            total = grad.new_empty(n_rows, 2 * width)  # the gradient of what enters tanh and sigmoid
            torch.ops.aten.tanh_backward.grad_input(grad * opened, filtered, grad_input=total[:, :width])
            torch.ops.aten.sigmoid_backward.grad_input(grad * filtered, opened, grad_input=total[:, width:])
            grad_dilated = torch.zeros_like(dilated[i])
            for tap, seeing, seen in _taps(kernel_size, shifts[i], n_rows):
                inputs = slice(tap * width, (tap + 1) * width)
                grad_hidden[seen].addmm_(total[seeing], dilated[i][:, inputs])
                torch.mm(total[seeing].t(), hidden[seen], out=grad_dilated[:, inputs])
            if grad_conditioning is not None:
                grad_conditioning.addmm_(total, conditions[i])
            # With many conditioning channels this is faster than multiplying by `total` transposed.
            grad_condition = (conditioning_t @ total).t()
            grads.append([grad_condition, total.sum(0), grad_dilated, *grad_residual])
        grad_conditions, grad_biases, grad_taps = zip(*(layer[:3] for layer in reversed(grads)), strict=True)
        residual_grads = [layer[3:] for layer in reversed(grads)][:-1]
        return (
            None,
            None,
            grad_hidden,
            grad_conditioning,
            torch.cat(grad_conditions),
            torch.cat(grad_biases),
            *grad_taps,
            *(matrix for matrix, _ in residual_grads),
            *(bias for _, bias in residual_grads),
        )
