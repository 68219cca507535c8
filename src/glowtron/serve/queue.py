"""Work that is done in turns by a few threads, a piece of sound a turn: earliest deadline first.

A request's deadline is when its listener has heard all that was made for it; of one that has heard nothing, when it
came. So a reply is not behind a chapter, and who asks is heard before others are given more than they can have heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Condition, Event, Thread
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P")

AHEAD = 64
"""Pieces that a request may have waiting for its client; then its turn passes until some were taken."""


class QueueFullError(Exception):
    """There is no room for another request."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"all places are taken; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Made(NamedTuple, Generic[P]):
    """Result of a request's work."""

    piece: P | None
    """None: the work ended."""
    error: BaseException | None = None
    """Why it ended, if not by itself."""


class Task(Generic[P]):
    """A request's work."""

    def __init__(self, pieces: Iterator[tuple[P, float]], deliver: Callable[[Made[P]], None], stop: Event) -> None:
        """pieces: Made by the threads, one at a time, each with the seconds of sound in it. deliver: Called with each.
        stop: Set by `cancel`; what makes pieces may look at it.
        """
        self.pieces, self.deliver, self.stop = pieces, deliver, stop
        self.n_waiting = 0
        """Pieces that were delivered and not taken."""
        self.began_s = time.monotonic()
        self.deadline_s = self.began_s
        """When its listener has heard all that was made; before any sound, when it came."""

    def add_sound(self, now_s: float, duration_s: float) -> None:
        """Count sound made. A listener who waited for it hears it from now on."""
        self.deadline_s = max(self.deadline_s, now_s) + duration_s


class TurnQueue(Generic[P]):
    """Threads that take turns at tasks, the one with the earliest deadline first."""

    def __init__(self, n_threads: int, max_tasks: int, prepare: Callable[[], None] = lambda: None) -> None:
        """prepare: called once in each thread. The threads end by `close`."""
        self._max_tasks = max_tasks
        self._changed = Condition()
        self._ready: list[Task[P]] = []
        self._parked: set[Task[P]] = set()
        self._in_turn: set[Task[P]] = set()
        self._closed = False
        self._task_s = 1.0  # How long a task takes, by those that ended lately.
        self._threads = [
            Thread(target=self._work, args=(prepare,), name=f"speaker {i}", daemon=True) for i in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def n_tasks(self) -> int:
        """Tasks in work and waiting."""
        return len(self._ready) + len(self._parked) + len(self._in_turn)

    @property
    def n_in_turn(self) -> int:
        """Tasks that a thread is at."""
        return len(self._in_turn)

    def submit(self, task: Task[P]) -> None:
        """Have a task done. Raises QueueFullError where there are as many as may be."""
        with self._changed:
            if self.n_tasks >= self._max_tasks:
                rounds = self.n_tasks / len(self._threads)
                raise QueueFullError(max(1, min(60, round(self._task_s * rounds / 2))))
            self._ready.append(task)
            self._changed.notify()

    def taken(self, task: Task[P]) -> None:
        """Tell that a piece of a task was taken by its client."""
        with self._changed:
            task.n_waiting -= 1
            if task in self._parked and task.n_waiting <= AHEAD // 2:
                self._parked.remove(task)
                self._ready.append(task)
                self._changed.notify()

    def cancel(self, task: Task[P]) -> None:
        """Have no more of a task done; a piece that is being made is the last one. Ended tasks are left as they are."""
        task.stop.set()
        with self._changed:
            if task in self._ready:
                self._ready.remove(task)
            elif task in self._parked:
                self._parked.remove(task)
            else:
                return  # A thread is at it, and ends it, or nobody is.
        _close(task)

    def close(self) -> None:
        """Cancel all tasks and end the threads."""
        with self._changed:
            self._closed = True
            waiting = [*self._ready, *self._parked]
            self._ready.clear()
            self._parked.clear()
            for task in (*waiting, *self._in_turn):
                task.stop.set()
            self._changed.notify_all()
        for task in waiting:
            _close(task)
        for thread in self._threads:
            thread.join()

    def _work(self, prepare: Callable[[], None]) -> None:
        prepare()
        while True:
            with self._changed:
                while not self._ready and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                task = min(self._ready, key=lambda task: task.deadline_s)
                self._ready.remove(task)
                self._in_turn.add(task)
            goes_on = self._turn(task)
            with self._changed:
                self._in_turn.remove(task)
                if goes_on and not self._closed and not task.stop.is_set():
                    if task.n_waiting >= AHEAD:
                        self._parked.add(task)
                    else:
                        self._ready.append(task)
                        self._changed.notify()
                    continue
                self._task_s = 0.8 * self._task_s + 0.2 * (time.monotonic() - task.began_s)
            _close(task)

    def _turn(self, task: Task[P]) -> bool:
        """Make the next sound of a task, and what comes before it without any; returns whether more may follow."""
        try:
            for piece, duration_s in task.pieces:
                if task.stop.is_set():
                    return False
                with self._changed:
                    task.n_waiting += 1
                    task.add_sound(time.monotonic(), duration_s)
                task.deliver(Made(piece))
                if duration_s or task.n_waiting >= AHEAD:
                    return True
        except BaseException as error:  # Whatever it is, the client is told, and the thread lives on.
            task.deliver(Made(None, error))
            return False
        task.deliver(Made(None))
        return False


def _close(task: Task[P]) -> None:
    """Let a generator of pieces run what it has in `finally`."""
    close = getattr(task.pieces, "close", None)
    if close is not None:
        close()
