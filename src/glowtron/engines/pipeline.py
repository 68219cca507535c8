"""Stages that each look a little way ahead and back, run over a sequence that arrives in pieces.

The whole is the case of one piece: what comes out is the same, because every stage waits until it has seen as far ahead
as it looks, and remembers as far back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Window:
    """The steps of a growing sequence (G, ...) that are still needed."""

    def __init__(self) -> None:
        self.start = 0
        self._steps: Tensor | None = None

    @property
    def stop(self) -> int:
        """Number of steps that have come."""
        return self.start + (0 if self._steps is None else len(self._steps))

    def append(self, steps: Tensor) -> None:
        """Add what came next."""
        self._steps = steps if self._steps is None or not len(self._steps) else torch.cat((self._steps, steps))

    def between(self, start: int, stop: int) -> Tensor:
        """Steps from `start` to `stop`, counted from the first that ever came."""
        assert self._steps is not None and self.start <= start <= stop <= self.stop, (self.start, start, stop)
        return self._steps[start - self.start : stop - self.start]

    def forget(self, before: int) -> None:
        """Drop the steps before one."""
        if self._steps is not None and before > self.start:
            self._steps = self._steps[before - self.start :].clone()
            self.start = before


class Stage:
    """One stage's memory of one sequence."""

    def __init__(self, compute: Callable[[Tensor, int, int], Tensor], reach: int) -> None:
        """compute: the stage's input and where it starts and stops -> its output, true but for `reach` steps from ends
        that are not the sequence's own.
        """
        self.compute, self.reach = compute, reach
        self.done = 0
        self._seen = Window()

    @property
    def needed(self) -> int:
        """The first step that the next output looks at."""
        return max(self.done - self.reach, 0)

    def push(self, steps: Tensor | None, last: bool) -> Tensor | None:
        """Returns the output that `steps` complete, the last ones or not; None: nothing new."""
        if steps is not None:
            self._seen.append(steps)
        start, done, have = self.needed, self.done, self._seen.stop
        self.done = have if last else max(have - self.reach, done)
        if self.done == done:
            return None
        out = self.compute(self._seen.between(start, have), start, have)[done - start : self.done - start]
        self._seen.forget(self.needed)
        return out


def run_stages(stages: Sequence[Stage], steps: Tensor | None, last: bool) -> Tensor | None:
    """Push `steps` through all stages."""
    for stage in stages:
        steps = stage.push(steps, last)
    return steps
