"""Files that appear whole or not at all, and folders that one process at a time writes into.

What a killed process leaves behind has a fixed name beside its target, so that the next one, which makes the same file,
writes over it: nothing of an interrupted run stays.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glowtron.errors import InputError, reason


def partial_of(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_name(f".{path.name}.partial")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file and the folders it needs; one that holds just this already is not touched.

    Raises InputError if it cannot be written.
    """
    partial = partial_of(path)
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            partial.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> InputError:
    """The error for a place that cannot be written."""
    return InputError(f"{path}: cannot be written: {reason(error)}; make room or choose another folder")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes that hold it out of it inside the block.

    Raises InputError if it cannot be made or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InputError(
            f"{folder}: another process is at work there; wait for it, or choose another folder"
        ) from error
    except OSError:
        pass  # Some network drives have no locks; there nobody can look out for others.
    try:
        yield
    finally:
        os.close(handle)  # Which unlocks, as does the end of the process, however it comes.
