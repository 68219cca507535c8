"""Dilated convolutions over rows: as a product for each tap, or with fewer products for pairs of rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Taps:
    """A centred convolution whose taps are `step` rows apart: one product for each, added up where they are needed."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        """weights: (in, out) for each tap, the earliest first."""
        self.weights = list(weights)

    def add(self, seen: Tensor, first: int, step: int, total: Tensor, scratch: Tensor) -> None:
        """Add to `total` (R, out) what the rows of `seen` (., in) from `first` on see.

        scratch: as many rows as `total` has, of `scratch_width` values; what is in it afterwards means nothing.
        """
        for tap, weight in enumerate(self.weights, start=-(len(self.weights) // 2)):
            total.addmm_(seen[first + tap * step :][: len(total)], weight)

    @property
    def scratch_width(self) -> int:
        """Values a row that `add` wants for itself."""
        return 0


class PairedTaps(Taps):
    """Three taps with a third of the products saved: Winograd's F(2, 3) (Lavin & Gray 2016, sec. 4.1).

    Two outputs `step` rows apart see four rows, d0 to d3. Six products of those with the taps g0 to g2 become four:

        (d0 - d2) g0,  (d1 + d2) (g0 + g1 + g2) / 2,  (d2 - d1) (g0 - g1 + g2) / 2,  (d1 - d3) g2

    The first three add up to one output, the second less the others to the other. What that costs is passes over rows,
    which are cheap beside a product in float32, and a bit of its precision.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        """See `Taps`; there are three weights."""
        super().__init__(weights)
        earlier, own, later = self.weights
        self.sum = (earlier + own + later) / 2
        self.alternating = (earlier - own + later) / 2

    @property
    def scratch_width(self) -> int:
        """See `Taps`."""
        n_in, n_out = self.sum.shape
        return -(-n_in // 2) + n_out

    def add(self, seen: Tensor, first: int, step: int, total: Tensor, scratch: Tensor) -> None:
        """See `Taps`."""
        n_in, n_out = self.sum.shape
        n_pairs = len(total) // (2 * step)
        half = n_pairs * step
        if half:
            x, ahead, behind = scratch.flatten()[: half * (n_in + 2 * n_out)].split(
                [half * n_in, half * n_out, half * n_out]
            )
            x, ahead, behind = x.view(half, n_in), ahead.view(half, n_out), behind.view(half, n_out)
            slab = (n_pairs, step, n_in)
            # Slabs of `step` rows: pair p is made of the slabs 2p to 2p + 3.
            slabs = seen[first - step : first + 2 * half + step].view(2 * n_pairs + 2, step, n_in)
            (d0, d2), (d1, d3) = ((slabs[i:-2:2], slabs[i + 2 :: 2]) for i in (0, 1))
            torch.add(d1, d2, out=x.view(slab))
            torch.mm(x, self.sum, out=ahead)
            torch.sub(d2, d1, out=x.view(slab))
            torch.mm(x, self.alternating, out=behind)
            ahead += behind
            torch.add(ahead, behind, alpha=-2, out=behind)
            torch.sub(d0, d2, out=x.view(slab))
            ahead.addmm_(x, self.weights[0])
            torch.sub(d3, d1, out=x.view(slab))
            behind.addmm_(x, self.weights[2])
            pairs = total[: 2 * half].view(n_pairs, 2, step, n_out)
            pairs[:, 0].add_(ahead.view(n_pairs, step, n_out))
            pairs[:, 1].add_(behind.view(n_pairs, step, n_out))
        if 2 * half < len(total):
            super().add(seen, first + 2 * half, step, total[2 * half :], scratch)
