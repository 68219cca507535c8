"""How long a run has taken over all its starts, how fast it is, and how much of its time goes into waiting for data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Clock:
    """Adds to what a run has spent so far."""

    def __init__(self, spent: Mapping[str, float]) -> None:
        """`spent`: as `self.spent` was when the run was left."""
        self.spent = {"worked_s": 0.0, "waited_s": 0.0, "left_out_s": 0.0, "steps": 0.0, "amount": 0.0, **spent}
        """Seconds in steps, of these waiting for data, in validation and checkpoints; steps; samples or frames."""
        self._read = dict(self.spent)
        self._mark_s = time.perf_counter()

    def settle(self) -> None:
        """Count the time until now."""
        now_s = time.perf_counter()
        self.spent["worked_s"] += now_s - self._mark_s
        self._mark_s = now_s

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what fetches a batch."""
        start_s = time.perf_counter()
        yield
        self.spent["waited_s"] += time.perf_counter() - start_s

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Around what is no part of a step: validation and checkpoints."""
        self.settle()
        yield
        now_s = time.perf_counter()
        self.spent["left_out_s"] += now_s - self._mark_s
        self._mark_s = now_s

    def count(self, amount: float) -> None:
        """A step with so many samples or frames in it, over all processes, is done."""
        self.spent["steps"] += 1
        self.spent["amount"] += amount

    @property
    def hours(self) -> float:
        """All time of the run, as last settled."""
        return (self.spent["worked_s"] + self.spent["left_out_s"]) / 3600

    def read(self, unit: str) -> dict[str, float]:
        """Steps and `unit`s a second since the last reading, and the share of the time waited for data."""
        self.settle()
        told = rates({name: value - self._read[name] for name, value in self.spent.items()}, unit)
        self._read = dict(self.spent)
        return told


def rates(spent: Mapping[str, float], unit: str) -> dict[str, float]:
    """What was done in a second of steps, and the share of it waited for data."""
    worked_s = max(spent["worked_s"], 1e-9)
    return {
        "steps_per_s": spent["steps"] / worked_s,
        f"{unit}_per_s": spent["amount"] / worked_s,
        "waiting_share": spent["waited_s"] / worked_s,
    }
