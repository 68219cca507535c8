"""How fast a run is, and how much of its time goes into waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Measures the steps since it was last read."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._since_s = time.perf_counter()
        self._waited_s = self._left_out_s = 0.0
        self._steps = self._amount = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what fetches a batch."""
        start_s = time.perf_counter()
        yield
        self._waited_s += time.perf_counter() - start_s

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Around what is no part of a step: validation and checkpoints."""
        start_s = time.perf_counter()
        yield
        self._left_out_s += time.perf_counter() - start_s

    def count(self, amount: int) -> None:
        """A step with so many samples or frames in it is done."""
        self._steps += 1
        self._amount += amount

    def read(self, unit: str) -> dict[str, float]:
        """Steps and `unit`s a second, and the share of the time waited for data; starts anew."""
        worked_s = max(time.perf_counter() - self._since_s - self._left_out_s, 1e-9)
        values = {
            "steps_per_s": self._steps / worked_s,
            f"{unit}_per_s": self._amount / worked_s,
            "waiting_share": self._waited_s / worked_s,
        }
        self._clear()
        return values
