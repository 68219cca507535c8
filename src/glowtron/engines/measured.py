"""The fastest of several ways to compute the same, found by trying them: no processor's name tells.

What was measured is kept in the user's cache folder, in a file for each machine and version of this package and of
torch, so that the next process takes the same way without measuring; one of another number of threads, too, as the
workers of a process are to say what it says itself. A file that is damaged is
measured anew; where none can be written, each process measures for itself, and goes by that to its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch

from glowtron.errors import InputError
from glowtron.files import read_json, write_text
from glowtron.machine import processor_flags, processor_name

ROUNDS = 3
"""In which all ways are tried in turns; the fastest of each counts, as other programs only ever slow one down."""
FEW, MANY = 32, 1024
"""Rows to find out with which ways are hopeless, and rows for each thread to compare the others with."""
HOPELESS = 10.0
"""Times the fastest, over FEW rows: bfloat16 by emulation takes a hundred times as long, and that is not waited for."""
WORTHWHILE = 1.1
"""Least speed-up of a less exact way; what is about as fast must not change from machine to machine."""

Ways: TypeAlias = "Mapping[str, Callable[[], Callable[[int], object]]]"
"""By name, the most exact first: each makes ready a function of a number of rows."""

_LOCK = threading.Lock()
_MEASURED: dict[tuple[str, Path | None], Measured] = {}
"""Choices of this process: decided once, whatever becomes of the file."""


class Measured(NamedTuple):
    """Times of the ways."""

    milliseconds: dict[str, float]
    """By way, in the order in which they were named; hopeless ones are left out."""
    kept: Path | None
    """The file that keeps it; None: it could not be written."""

    @property
    def best(self) -> str:
        """The first named, or one behind it that is WORTHWHILE times as fast as the best before it."""
        best, *others = self.milliseconds
        for way in others:
            if self.milliseconds[way] * WORTHWHILE < self.milliseconds[best]:
                best = way
        return best

    def __str__(self) -> str:
        by_time = sorted(self.milliseconds.items(), key=lambda item: item[1])
        figures = ", ".join(f"{way} {ms:.3g}" for way, ms in by_time)
        return f"measured here, ms: {figures}"


def measure(what: str, ways: Ways, folder: Path | None = None) -> Measured:
    """Times each way of `what`; from this process' memory or the cache where they are known.

    what: a name of the very sizes. folder: where it is kept, if not in the user's cache folder.
    """
    what = f"{what}: {', '.join(ways)}"
    with _LOCK:
        if (what, folder) not in _MEASURED:
            path = (cache_folder() if folder is None else folder) / f"speed-{_machine()[1]}.json"
            kept = _read(path, what, ways)
            if kept:
                _MEASURED[what, folder] = Measured(kept, path)
            else:
                found = _try(ways, torch.get_num_threads())
                _MEASURED[what, folder] = Measured(found, _keep(path, what, found))
        return _MEASURED[what, folder]


def remember(what: str, compute: Callable[[], float], folder: Path | None = None) -> float:
    """Result of `compute` for `what` on this machine, from the same file after the first time."""
    path = (cache_folder() if folder is None else folder) / f"speed-{_machine()[1]}.json"
    with _LOCK:
        content = _content(path)
        found = content["numbers"].get(what)
        if not isinstance(found, float):
            found = content["numbers"][what] = float(compute())
            _write(path, content)
    return found


def cache_folder() -> Path:
    """This program's folder among the user's caches."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "glowtron"


def _try(ways: Ways, n_threads: int) -> dict[str, float]:
    ready: dict[str, Callable[[int], object]] = {}
    quickest = float("inf")
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        for name, make in ways.items():
            run = make()
            run(FEW)  # What is made at the first call is not what is compared.
            took = _time(run, FEW)
            if took < HOPELESS * quickest or not ready:
                ready[name] = run
            quickest = min(quickest, took)
        best = dict.fromkeys(ready, float("inf"))
        for _ in range(ROUNDS):
            for name, run in ready.items():
                best[name] = min(best[name], _time(run, MANY * n_threads))
    return best


def _time(run: Callable[[int], object], n_rows: int) -> float:
    start = time.perf_counter()
    run(n_rows)
    return round(1e3 * (time.perf_counter() - start), 4)


def _machine() -> tuple[dict[str, str], str]:
    """The machine that a measurement is valid for, and a short name of it."""
    machine = {
        "processor": processor_name(),
        "flags": " ".join(sorted(processor_flags())),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "glowtron": version("glowtron"),
        "torch": torch.__version__,
    }
    return machine, hashlib.sha256(repr(sorted(machine.items())).encode()).hexdigest()[:16]


def _content(path: Path) -> dict[str, dict[str, Any]]:
    """A file of this machine; empty where it is missing or damaged."""
    machine, parts = _machine()[0], ("milliseconds", "numbers")
    try:
        content = read_json(path)
    except (InputError, OSError):
        content = None
    if not isinstance(content, dict) or content.get("machine") != machine:
        content = {}
    return {"machine": machine} | {part: content[part] if isinstance(content.get(part), dict) else {} for part in parts}


def _read(path: Path, what: str, ways: Mapping[str, Any]) -> dict[str, float]:
    """Reads the times of `what` from a file, in the order of the ways; empty if there are no valid ones."""
    kept = _content(path)["milliseconds"].get(what)
    if not isinstance(kept, dict) or not set(kept) <= set(ways):
        return {}
    if not all(isinstance(ms, float) and 0 < ms < 1e9 for ms in kept.values()):
        return {}
    return {way: kept[way] for way in ways if way in kept}


def _keep(path: Path, what: str, found: dict[str, float]) -> Path | None:
    """Add to the file; two processes that do so at once cost one of them its figures, which are then measured again."""
    content = _content(path)
    content["milliseconds"][what] = found
    return path if _write(path, content) else None


def _write(path: Path, content: dict[str, Any]) -> bool:
    try:
        write_text(path, json.dumps(content, indent=1) + "\n", shared=True)
    except (InputError, OSError):
        return False
    return True
