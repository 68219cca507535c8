"""What enters a gated layer: a dilated convolution over rows, and its conditioning."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

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
