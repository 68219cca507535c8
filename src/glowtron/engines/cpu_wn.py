"""The WN of WaveGlow's couplings (`models.waveglow.WN`), packed and run in blocks of rows that stay in the cache.

A processor multiplies so fast in bfloat16 that every other pass over memory counts. So nothing is padded, laid side by
side or allocated between products, and:

- tanh(a) * sigmoid(b) = (tanh(a) + tanh(a) * tanh(b / 2)) / 2, and tanh is torch's quickest curve: the halves go into
  the weights on either side, and a gate is one tanh and one `addcmul`.
- Biases ride along in the products, as the weights of a channel that is always 1.
- Where the end is narrower than the skip outputs, it is multiplied into them beforehand: only sums lie between.

What adds up over the layers, the residual stream and the skip outputs, does so in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from glowtron.engines.products import made_up, make_up
from glowtron.models.convolution import WeightNormConv
from glowtron.models.waveglow import WN

FEW_VALUES = 400_000
"""Up to so many, laying inputs side by side costs less than calling for one product after the other."""


class Dilated:
    """A centred convolution whose taps are some rows apart, and a product with the conditioning of each row."""

    def __init__(self, condition: Tensor, taps: Sequence[Tensor]) -> None:
        """condition: (K, out); taps: (in, out) each, the earliest first."""
        self.matrix = torch.cat((condition, *taps))
        sizes = [len(condition), *(len(tap) for tap in taps)]
        self.condition, *self.taps = self.matrix.split(sizes)

    def scratch_size(self, n_rows: int) -> int:
        """Values that `write` wants for itself when there are up to `n_rows` rows."""
        return min(n_rows * len(self.matrix), FEW_VALUES)

    def write(self, conditioning: Tensor, seen: Tensor, first: int, step: int, total: Tensor, scratch: Tensor) -> None:
        """Write into `total` (R, out) what the rows of `seen` (., in) from `first` on see, `step` rows apart.

        conditioning: (R, K). scratch: at least `scratch_size` values, which mean nothing afterwards.
        """
        n_rows = len(total)
        if self._is_small(n_rows):
            inputs = scratch[: n_rows * len(self.matrix)].view(n_rows, -1)
            torch.cat((conditioning, *(rows for _, rows in self._seen(seen, first, step, n_rows))), dim=1, out=inputs)
            torch.mm(inputs, self.matrix, out=total)
        else:
            torch.mm(conditioning, self.condition, out=total)
            self.convolve(seen, first, step, total, scratch)

    def convolve(self, seen: Tensor, first: int, step: int, total: Tensor, scratch: Tensor) -> None:
        """Add to `total` the convolution alone."""
        for tap, rows in self._seen(seen, first, step, len(total)):
            total.addmm_(rows, tap)

    def _seen(self, seen: Tensor, first: int, step: int, n_rows: int) -> list[tuple[Tensor, Tensor]]:
        """Each tap and the rows it sees."""
        taps = enumerate(self.taps, start=-(len(self.taps) // 2))
        return [(tap, seen[first + shift * step :][:n_rows]) for shift, tap in taps]

    def _is_small(self, n_rows: int) -> bool:
        return n_rows * len(self.matrix) <= FEW_VALUES


class PairedDilated(Dilated):
    """Three taps with a third of the products saved: Winograd's F(2, 3) (Lavin & Gray 2016, sec. 4.1).

    Two outputs `step` rows apart see four rows, d0 to d3. Six products of those with the taps g0 to g2 become four:

        (d0 - d2) g0,  (d1 + d2) (g0 + g1 + g2) / 2,  (d2 - d1) (g0 - g1 + g2) / 2,  (d1 - d3) g2

    The first three add up to one output, the second less the others to the other. What that costs is passes over rows,
    which are cheap beside a product in float32, and a bit of its precision.
    """

    def __init__(self, condition: Tensor, taps: Sequence[Tensor]) -> None:
        """See `Dilated`; there are three taps."""
        super().__init__(condition, taps)
        earlier, own, later = taps
        self.sum = (earlier + own + later) / 2
        self.alternating = (earlier - own + later) / 2

    def scratch_size(self, n_rows: int) -> int:
        """See `Dilated`."""
        n_in, n_out = self.sum.shape
        return max(super().scratch_size(n_rows), (n_rows // 2) * (n_in + 2 * n_out))

    def convolve(self, seen: Tensor, first: int, step: int, total: Tensor, scratch: Tensor) -> None:
        """See `Dilated`."""
        n_in, n_out = self.sum.shape
        n_pairs = len(total) // (2 * step)
        half = n_pairs * step
        if half:
            sizes = [half * n_in, half * n_out, half * n_out]
            x, ahead, behind = (part.view(half, -1) for part in scratch[: sum(sizes)].split(sizes))
            x_in_slabs = x.view(n_pairs, step, n_in)
            # Slabs of `step` rows: pair p is made of the slabs 2p to 2p + 3.
            slabs = seen[first - step : first + 2 * half + step].view(2 * n_pairs + 2, step, n_in)
            (d0, d2), (d1, d3) = ((slabs[i:-2:2], slabs[i + 2 :: 2]) for i in (0, 1))
            torch.add(d1, d2, out=x_in_slabs)
            torch.mm(x, self.sum, out=ahead)
            torch.sub(d2, d1, out=x_in_slabs)
            torch.mm(x, self.alternating, out=behind)
            ahead += behind
            torch.add(ahead, behind, alpha=-2, out=behind)
            torch.sub(d0, d2, out=x_in_slabs)
            ahead.addmm_(x, self.taps[0])
            torch.sub(d3, d1, out=x_in_slabs)
            behind.addmm_(x, self.taps[2])
            pairs = total[: 2 * half].view(n_pairs, 2, step, n_out)
            pairs[:, 0].add_(ahead.view(n_pairs, step, n_out))
            pairs[:, 1].add_(behind.view(n_pairs, step, n_out))
        if 2 * half < len(total):
            super().convolve(seen, first + 2 * half, step, total[2 * half :], scratch)


CONSTANT = 8
"""Channels, the first of them 1, that carry a bias: products like a multiple of eight."""
BLOCK_ROWS = 8192
"""Rows for each thread that are multiplied at once: many, as weights are laid out anew for each product."""
GATE_ROWS = 1024
"""Rows for each thread that pass the gates at once: few enough to stay in its cache."""


class _Layer(NamedTuple):
    """The products of a gated layer."""

    enter: Dilated
    """(C,) and its conditioning (K + CONSTANT,) -> (2C,)"""
    out: Tensor
    """(C + CONSTANT, C + S) residual and skip; the last layer's has skip only, (C + CONSTANT, S)."""


class Workspace:
    """Memory for the gated layers over at most `n_rows` rows; one call at a time may use it."""

    def __init__(self, layers: list[_Layer], width: int, n_rows: int, margin: int) -> None:
        dtype, n_threads = layers[0].out.dtype, torch.get_num_threads()
        self.n_rows, self.margin = n_rows, margin
        self.hidden = torch.empty(0 if dtype == torch.float32 else n_rows, width)
        # The layer that is being computed reads one of them and writes the other, both as the products want them.
        self.seen = [torch.zeros(made_up(n_rows, dtype) + 2 * margin, width, dtype=dtype) for _ in range(2)]
        self.block = min(made_up(n_rows, dtype), BLOCK_ROWS * n_threads)
        self.total = torch.empty(self.block, 2 * width, dtype=dtype)
        self.scratch = torch.empty(max(layer.enter.scratch_size(self.block) for layer in layers), dtype=dtype)
        self.gate_block = min(self.block, GATE_ROWS * n_threads)
        self.curves = torch.empty(self.gate_block, 2 * width)
        self.gated = torch.ones(self.gate_block, width + CONSTANT, dtype=dtype)
        self.gate = torch.empty(self.gate_block, width) if dtype != torch.float32 else self.gated[:, :width]
        self.residual = torch.empty(self.gate_block, width)
        self.out = torch.empty(2 * self.gate_block * width, dtype=dtype)

    def begin(self, n_rows: int) -> None:
        """Put zeros around the first `n_rows` rows: what lies outside a sound."""
        for seen in self.seen:
            seen[self.margin + n_rows :][: self.margin].zero_()


class FastWaveNet:
    """The same function as a `WaveNet`; never changed, so that any number of calls may share it."""

    @torch.no_grad()
    def __init__(self, net: WN, dtype: torch.dtype) -> None:
        width, n_layers, taps = net.n_channels, len(net.dilations), net.kernel_size
        self.width, self.dtype, self.dilations, self.n_taps = width, dtype, net.dilations, taps
        self.reach = sum(net.dilations) * (taps // 2)
        """Steps on either side that an output depends on."""
        self.start, self.start_bias = net.start.effective_weight().t().contiguous(), net.start.bias.detach().clone()
        self.end: Tensor | None = net.end.weight.t().contiguous()  # (width, n_out)
        self.skip_bias: Tensor = net.end.bias.detach().clone()
        # Pairs save products, but cost passes, which only products in float32 outweigh.
        dilated_layer = PairedDilated if dtype == torch.float32 and taps == 3 else Dilated
        end_first = net.end.out_features < width

        halves = torch.cat((torch.ones(width), torch.full((width,), 0.5))).to(self.start)[:, None]
        conditions = net.condition.effective_weight().chunk(n_layers)
        condition_biases = net.condition.bias.chunk(n_layers)
        self.layers: list[_Layer] = []
        for i in range(n_layers):
            dilated, res_skip = net.dilated[i], net.res_skip[i]
            assert isinstance(dilated, WeightNormConv) and isinstance(res_skip, WeightNormConv)
            weight, out, bias = dilated.effective_weight(), res_skip.effective_weight(), res_skip.bias[:, None]
            out = torch.cat((out / 2, bias), dim=1)
            if end_first:
                out = torch.cat((out[:-width], net.end.weight @ out[-width:]))
            condition = torch.cat((conditions[i], (condition_biases[i] + dilated.bias)[:, None]), dim=1)
            enter = dilated_layer(
                self._pack(condition * halves, CONSTANT - 1),
                [self._pack(tap * halves) for tap in weight.chunk(taps, dim=1)],
            )
            self.layers.append(_Layer(enter, self._pack(out, CONSTANT - 1)))
        if end_first:
            self.end = None
        self.n_skip = net.end.out_features if end_first else width

    def _pack(self, weight: Tensor, n_zeros: int = 0) -> Tensor:
        """(out, in) -> (in + n_zeros, out)."""
        return torch.nn.functional.pad(weight.t(), (0, 0, 0, n_zeros)).to(self.dtype).contiguous()

    def pack_conditioning(self, x: Tensor) -> Tensor:
        """Conditioning (G, B, K) as a call wants it, the same for every coupling: (G, B, K + CONSTANT)."""
        packed = torch.ones(*x.shape[:2], x.shape[2] + CONSTANT, dtype=self.dtype)
        packed[..., : x.shape[2]] = x
        return packed

    def reserve(self, n_rows: int, n_batch: int) -> Workspace:
        """Memory for calls with up to `n_rows` rows, of steps of `n_batch` items."""
        margin = max(self.dilations) * (self.n_taps // 2) * n_batch
        return Workspace(self.layers, self.width, n_rows, margin)

    def __call__(self, x: Tensor, conditioning: Tensor, space: Workspace) -> Tensor:
        """(G, B, n_in) float32 and packed conditioning -> (G, B, n_out) float32."""
        n_batch, x, conditioning = x.shape[1], x.flatten(0, 1), conditioning.flatten(0, 1)
        n_rows = len(x)
        space.begin(n_rows)
        seen = space.seen[0][space.margin : space.margin + n_rows]
        hidden = seen if self.dtype == torch.float32 else space.hidden[:n_rows]
        seen.copy_(torch.addmm(self.start_bias, x, self.start, out=hidden))
        skip = x.new_zeros(n_rows, self.n_skip)
        starts = range(0, n_rows, space.block)
        blocks = [(first, make_up(conditioning[first : first + space.block])) for first in starts]
        for layer, dilation in zip(self.layers, self.dilations, strict=True):
            for first, rows in blocks:
                total = space.total[: len(rows)]
                seen, start = space.seen[0], space.margin + first
                layer.enter.write(rows, seen, start, dilation * n_batch, total, space.scratch)
                for start in range(0, len(total), space.gate_block):
                    self.gate(layer, total[start : start + space.gate_block], skip, space, first + start)
            space.seen.reverse()
        output: Tensor = (skip if self.end is None else skip @ self.end) + self.skip_bias
        return output.view(-1, n_batch, output.shape[1])

    def gate(self, layer: _Layer, total: Tensor, skip: Tensor, space: Workspace, first: int) -> None:
        """From what enters the gates (R, 2C) of the rows from `first` on to what the layer adds.

        Rows of `total` beyond the last of `skip` were made up.
        """
        n_rows, width, n_out = len(total), self.width, layer.out.shape[1]
        curves, gate, gated = space.curves[:n_rows], space.gate[:n_rows], space.gated[:n_rows]
        if self.dtype == torch.float32:
            curves = total.tanh_()
        else:
            curves.copy_(total).tanh_()
        torch.addcmul(curves[:, :width], curves[:, :width], curves[:, width:], out=gate)
        if self.dtype != torch.float32:
            gated[:, :width].copy_(gate)
        out = torch.mm(gated, layer.out, out=space.out[: n_rows * n_out].view(n_rows, n_out))
        skip = skip[first : first + n_rows]
        n_rows = len(skip)
        out = out[:n_rows]
        skip += out[:, -self.n_skip :]
        if n_out > self.n_skip:
            now, then = (seen[space.margin + first :][:n_rows] for seen in space.seen)
            if self.dtype == torch.float32:
                torch.add(now, out[:, :width], out=then)
            else:
                # What is not float32 is widened first: torch would allocate for a sum of two types.
                then.copy_(space.hidden[first : first + n_rows].add_(space.residual[:n_rows].copy_(out[:, :width])))
