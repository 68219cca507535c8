"""The noise that torch draws on a CPU, without torch: the same seed is the same sound in every runtime.

torch's generator is the Mersenne twister (Matsumoto & Nishimura 1998), which NumPy has too; what is made of its numbers
is written in ATen's DistributionTemplates.h and CPUGeneratorImpl.cpp. Held to torch by a test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TWIN = 16
"""Normal numbers are made in blocks of this many, by Box and Muller's rule: each of the first half with its twin."""


class Noise:
    """A generator with the numbers of `torch.Generator().manual_seed(seed)`."""

    def __init__(self, seed: int) -> None:
        self._twister = np.random.MT19937()
        # The generator takes the lower half of a seed.
        self._twister._legacy_seeding(seed & 0xFFFFFFFF)
        self._left: float | None = None
        """A normal number that was drawn with its twin and is given next."""

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Standard normal numbers, those of `torch.randn(shape)`."""
        n = int(np.prod(shape))
        if n < _TWIN:
            return np.array([self._one() for _ in range(n)], np.float32).reshape(shape)
        numbers = self.uniform(n)
        whole = n - n % _TWIN
        drawn = np.empty(n, np.float32)
        drawn[:whole] = _box_muller(numbers[:whole])
        if whole < n:  # The last block is drawn anew, over some of the one before.
            drawn[n - _TWIN :] = _box_muller(self.uniform(_TWIN))
        return drawn.reshape(shape)

    def uniform(self, *shape: int) -> NDArray[np.float32]:
        """Numbers from 0 on, under 1, those of `torch.rand(shape)`."""
        n = int(np.prod(shape))
        bits = self._raw(n) & 0xFFFFFF
        return (bits.astype(np.float32) * np.float32(2.0**-24)).reshape(shape)

    def bernoulli(self, probability: float, *shape: int) -> NDArray[np.float32]:
        """1 with a probability and else 0, those of `torch.empty(shape).bernoulli_(probability)`."""
        return (self._doubles(int(np.prod(shape))) < probability).astype(np.float32).reshape(shape)

    def _doubles(self, n: int) -> NDArray[np.float64]:
        """Numbers from 0 on, under 1, of 53 bits, each made of two of the twister's."""
        high, low = self._raw(2 * n).reshape(n, 2).T
        return (((high << np.uint64(32)) | low) & np.uint64((1 << 53) - 1)).astype(np.float64) * 2.0**-53

    def _raw(self, n: int) -> NDArray[np.uint64]:
        drawn: NDArray[np.uint64] = self._twister.random_raw(n)
        return drawn

    def _one(self) -> float:
        if self._left is not None:
            one, self._left = self._left, None
            return one
        first, second = self._doubles(2)
        radius, angle = np.sqrt(-2.0 * np.log1p(-second)), 2.0 * np.pi * first
        self._left = float(radius * np.sin(angle))
        return float(radius * np.cos(angle))


def _box_muller(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    blocks = numbers.reshape(-1, 2, _TWIN // 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - blocks[:, 0]))
    angle = np.float32(2 * np.pi) * blocks[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()
