"""Measurement: warm-up, runs in turns with the baseline, memory, and the parts of the time.

Whatever else the machine does meets all that are measured alike, since they take turns; each has a process of its own.
"""

from __future__ import annotations

import cProfile
import inspect
import pstats
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch
from numpy.typing import NDArray

from glowtron.bench.child import Child
from glowtron.errors import InputError
from glowtron.machine import peak_memory_gb


def processor_time() -> float:
    """Seconds on the processor, summed over threads, of this process and of those it started that have ended."""
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + others.ru_utime + others.ru_stime


CLOCKS = {"wall": time.perf_counter, "cpu": processor_time}
"""`cpu` is for machines that are busy with other things."""
Parts: TypeAlias = dict[str, tuple[Callable[..., Any], ...]]
"""By name, the functions that a part of the work is done in; none is called within another."""

NOT_MEASURED = "not measured: "
PLAIN = {"precision": "fp32", "why": "the textbook of glowtron.models"}
"""Figures of the plain implementation in a result."""


class Settings(NamedTuple):
    """Settings of all measurements."""

    runs: int = 7
    """Timed ones."""
    warm_up: int = 2
    """Runs before them."""
    threads: int = 0
    """Of matrix products; 0: as torch chooses."""
    seed: int = 0
    """Of weights and noise."""
    clock: str = "wall"
    plain: bool = True
    """True if the plain implementation is measured, too."""
    precision: str = "auto"


class Subject(Protocol):
    """The subject of a measurement."""

    facts: dict[str, Any]
    """Further facts for the result, such as the precision and its reason."""
    parts: Parts
    """Whose share of the time is told."""

    def run(self) -> NDArray[Any]:
        """Do it once; returns what it gave, the same each time."""

    def marks(self) -> Mapping[str, float]:
        """More that was seen in the last run, such as the seconds to its first sound."""
        return {}


class Measured(NamedTuple):
    """Results of a measurement."""

    facts: dict[str, Any]
    seconds: list[float]
    """Of each timed run."""
    marks: list[dict[str, float]]
    """Of each timed run."""
    output: NDArray[Any]
    """Values that a run returned."""
    loaded_gb: float
    """Highest memory of the process until the first run: interpreter, torch, the weights and their packing."""
    peak_gb: float
    """Highest memory of the process until after the last run."""
    parts: dict[str, float]
    """Shares of a run's time, measured in one more run under Python's profiler."""
    threads: int

    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def measure(
    ours: Callable[[], Subject], plain: Callable[[], Subject] | None, settings: Settings
) -> tuple[Measured, Measured | str]:
    """Run both in turns, each made in a process of its own. Where there is nothing plain to compare with, returns why.

    Raises InputError where ours cannot be made.
    """
    why = NOT_MEASURED + "not asked for"
    with ExitStack() as stack:
        children: dict[str, Child[Subject]] = {"ours": stack.enter_context(Child(ours, settings.threads))}
        if settings.plain and plain is not None:
            try:
                children["plain"] = stack.enter_context(Child(plain, settings.threads))
            except InputError as error:
                why = NOT_MEASURED + str(error)
        found = _take_turns(children, settings)
    return found["ours"], found.get("plain", why)


def _take_turns(children: Mapping[str, Child[Subject]], settings: Settings) -> dict[str, Measured]:
    found = {}
    loaded = {name: child.ask(_memory) for name, child in children.items()}
    timed: dict[str, list[tuple[float, dict[str, float]]]] = {name: [] for name in children}
    for _ in range(settings.warm_up + settings.runs):
        for name, child in children.items():
            timed[name].append(child.ask(_time, settings.clock))
    for name, child in children.items():
        runs = timed[name][settings.warm_up :]
        found[name] = Measured(
            facts=child.ask(_facts),
            seconds=[seconds for seconds, _ in runs],
            marks=[marks for _, marks in runs],
            loaded_gb=loaded[name],
            peak_gb=child.ask(_memory),
            output=child.ask(_output),
            parts=child.ask(_shares),
            threads=child.ask(_threads),
        )
    return found


def _time(subject: Subject, clock: str) -> tuple[float, dict[str, float]]:
    start = CLOCKS[clock]()
    subject.run()
    return CLOCKS[clock]() - start, dict(subject.marks())


def _memory(_: Subject) -> float:
    return peak_memory_gb(torch.device("cpu"))


def _facts(subject: Subject) -> dict[str, Any]:
    return dict(subject.facts)


def _output(subject: Subject) -> NDArray[Any]:
    return subject.run()


def _threads(_: Subject) -> int:
    return torch.get_num_threads()


def _shares(subject: Subject) -> dict[str, float]:
    """Share of a run's time within each of its parts, and in none of them."""
    parts = subject.parts
    if not parts:
        return {}
    profile = cProfile.Profile()
    profile.runcall(subject.run)
    stats = pstats.Stats(profile)
    total: float = stats.total_tt  # type: ignore[attr-defined]
    seconds = {name: sum(_cumulative(stats, function) for function in parts[name]) for name in parts}
    # The profiler's sums differ by a thousandth where autograd calls Python.
    seconds["other"] = max(0.0, total - sum(seconds.values()))
    return {name: part / sum(seconds.values()) for name, part in seconds.items()}


def _cumulative(stats: pstats.Stats, function: Callable[..., Any]) -> float:
    """Seconds within a function and all that it calls; 0 where it was not called."""
    code = inspect.unwrap(function).__code__
    entry = stats.stats.get((code.co_filename, code.co_firstlineno, code.co_name))  # type: ignore[attr-defined]
    return float(entry[3]) if entry else 0.0
