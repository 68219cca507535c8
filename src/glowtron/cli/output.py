"""Helpers for command output: files, progress bars, summaries."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from glowtron.errors import InputError

if TYPE_CHECKING:
    from tqdm import tqdm


STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of standard output. Opened by the last ones, a file that it leads to would lose what it holds."""


def check_not_terminal() -> None:
    """Raise InputError if sound on standard output would go to a terminal."""
    if sys.stdout.isatty():
        raise InputError("standard output is a terminal; pipe the sound somewhere, or give -o a file")


def check_folder(path: Path) -> None:
    """Raise InputError if this folder is not there and cannot be made, or is there and cannot be written into."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise InputError(f"{path}: cannot be made: {place} is a file; choose another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: permission denied in {place}")


def is_file(stream: TextIO) -> bool:
    """True if this stream is redirected to a file on disk, as by `> FILE` in a shell."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # It is nothing of the system's, as in a test.
        return False


def summary(name: str | Path, length_s: float, taken_s: float) -> str:
    """One line on the written sound and its time; the real-time factor is compute time / audio time."""
    return f"{name}: {length_s:.2f} s of audio in {taken_s:.2f} s (real-time factor {taken_s / length_s:.3f})"


def progress_bar(total: int, unit: str, *, hidden: bool, delay_s: float = 0.0) -> tqdm[None]:
    """A bar on standard error that goes when it is done; where that is no terminal, only now and then a line.

    delay_s: seconds before it is first shown.
    """
    from tqdm import tqdm

    every_s = 0.1 if sys.stderr.isatty() else 10
    return tqdm(total=total, unit=unit, disable=hidden, leave=False, mininterval=every_s, delay=delay_s)
