"""The order of data: a pure function of (seed, epoch, position).

So a resumed run reads what the uninterrupted one would have read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from glowtron.errors import InputError


class Key(NamedTuple):
    """An item of a dataset, and the epoch, on which its random segment depends."""

    epoch: int
    item: int


WINDOW = 8
"""Batches whose items are sorted by length together. More saves little padding and makes batches more alike."""


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """Batches of training, without end; a batch sampler for torch's DataLoader that begins at `first_step`.

    The epochs' permutations follow each other without a seam, so that every batch is full and each item comes once an
    epoch. With `lengths`, items of `WINDOW` batches are sorted by length before they are cut into batches, which are
    then shuffled: little padding, and nearly as random an order.
    """

    n_items: int
    batch_size: int
    """Items a step, over all processes."""
    seed: int
    lengths: Sequence[int] | None = None
    """Of each item, in any unit."""
    world_size: int = 1
    """Processes that train together; each gets an equal share of every batch."""
    rank: int = 0
    """The number of this one."""
    parts: int = 1
    """Equal parts that a process takes its share in, one after the other."""
    first_step: int = 0
    """First step, counting from 0: a resumed run gives the number of steps done."""

    def __post_init__(self) -> None:
        if self.n_items < 1:
            raise InputError("there are no clips to train on")
        if self.batch_size < 1 or self.batch_size % (self.world_size * self.parts):
            parts = f" in {self.parts} parts each" if self.parts > 1 else ""
            raise InputError(
                f"batch_size {self.batch_size} cannot be shared equally by {self.world_size} processes{parts}"
            )
        assert 0 <= self.rank < self.world_size
        assert self.lengths is None or len(self.lengths) == self.n_items

    def batch(self, step: int, part: int = 0) -> list[Key]:
        """A part of this process's share of the batch of a step, both counting from 0."""
        keys = self._plain(step) if self.lengths is None else self._bucketed(step, self.lengths)
        # So that two parts of one process are what two processes in one part each would take.
        return keys[self.rank + part * self.world_size :: self.world_size * self.parts]

    def __iter__(self) -> Iterator[list[Key]]:
        step = self.first_step
        while True:
            yield from (self.batch(step, part) for part in range(self.parts))
            step += 1

    def _plain(self, step: int) -> list[Key]:
        start = step * self.batch_size
        return [self._key(position) for position in range(start, start + self.batch_size)]

    def _bucketed(self, step: int, lengths: Sequence[int]) -> list[Key]:
        window, place = divmod(step, WINDOW)
        keys = [key for s in range(window * WINDOW, (window + 1) * WINDOW) for key in self._plain(s)]
        keys.sort(key=lambda key: lengths[key.item])  # Stable, so equal lengths keep their random order.
        start = _permutation(WINDOW, self.seed, "batches", window)[place] * self.batch_size
        return keys[start : start + self.batch_size]

    def _key(self, position: int) -> Key:
        epoch, offset = divmod(position, self.n_items)
        return Key(epoch, _permutation(self.n_items, self.seed, "items", epoch)[offset])


class FixedOrder:
    """Every item once in the given order, in batches of at most `batch_size`, the last one shorter: for validation."""

    def __init__(self, n_items: int, batch_size: int) -> None:
        self.n_items, self.batch_size = n_items, batch_size

    def __len__(self) -> int:
        return -(-self.n_items // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        for start in range(0, self.n_items, self.batch_size):
            yield [Key(0, item) for item in range(start, min(start + self.batch_size, self.n_items))]


def generator_of(seed: int, purpose: str, *place: int) -> np.random.Generator:
    """Random numbers for one purpose at one place in a run, independent of those of all others."""
    # Hashed, since numpy's own mixing takes (1, 2) and (1, 2, 0) for one seed.
    digest = hashlib.sha256(repr((seed, purpose, *place)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


@lru_cache(maxsize=4)
def _permutation(n: int, seed: int, purpose: str, place: int) -> tuple[int, ...]:
    return tuple(generator_of(seed, purpose, place).permutation(n).tolist())
