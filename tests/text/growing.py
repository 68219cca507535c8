"""How work grows with its input."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(work: Callable[[int], object], n: int = 4_000) -> float:
    """The processor time of `work(n)` over that of `work(n / 4)`: 4 where it is linear, 16 where it is quadratic.

    A busy machine disturbs single readings: what looks like more than linear is measured again, twice at most. Times
    under 2 ms count as that: what takes more for a thousand characters, or 30 ms for four thousand, is seen.
    """
    found = []
    for _ in range(3):
        found.append(_taken(work, n) / max(0.002, _taken(work, n // 4)))
        if found[-1] < 7:
            break
    return min(found)


def _taken(work: Callable[[int], object], n: int) -> float:
    started = time.process_time()
    work(n)
    return time.process_time() - started
