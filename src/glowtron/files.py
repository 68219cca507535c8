"""Files that appear whole or not at all, locks between processes, and hashes.

A file is written under a temporary name in its own folder, flushed to the disk and renamed, so a killed process or a
full disk never leaves half a file under the real name.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from glowtron.errors import InputError, reason

MEND = "make room or choose another folder"
BLOCK = 1 << 20
"""Bytes read at a time."""


def partial_of(path: Path) -> Path:
    """The temporary name of a file that one process at a time writes."""
    return path.with_name(f".{path.name}.partial")


@contextmanager
def write_atomic(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a temporary path to write; when the block ends well, it becomes `path`, and it is gone otherwise.

    Makes the folders that `path` needs. A link stays a link: what it points to is replaced.

    Args:
        path: The file to make or replace.
        shared: Whether other processes, also of other machines, may write the same file at the same time. If not, the
            temporary name is always the same, and the next writer overwrites what a killed one left.

    Raises:
        OSError: The file or its folder cannot be written. `write_bytes` makes an error for the user of it.
    """
    target = path.resolve()
    partial = (
        target.with_name(f".{target.name}.{platform.node()}-{os.getpid()}.partial") if shared else partial_of(target)
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        flush(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, *, shared: bool = False, mend: str = MEND) -> None:
    """Write a file as `write_atomic` does; one that holds just these bytes already is not touched.

    Raises InputError if it cannot be written; `mend` is its end, in words for the user.
    """
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            partial_of(path).unlink(missing_ok=True)
            return
        with write_atomic(path, shared=shared) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise unwritable(path, error, mend) from error


def write_text(path: Path, text: str, *, shared: bool = False, mend: str = MEND) -> None:
    """Write a file in UTF-8 as `write_bytes` does."""
    write_bytes(path, text.encode(), shared=shared, mend=mend)


def write_json(path: Path, value: Any, *, mend: str = MEND) -> None:
    """Write a JSON value as `write_text` does. Raises ValueError for NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n", mend=mend)


def read_json(path: Path, what: str = "a JSON file") -> Any:
    """The value in a JSON file. Raises InputError that says `what` the file was to be, if it cannot be read as such."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as {what}: {reason(error)}") from error


def flush(path: Path) -> None:
    """Have a file on the disk before its name counts, also should the machine stop."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unwritable(path: Path, error: OSError, mend: str = MEND) -> InputError:
    """The error for a place that cannot be written."""
    return InputError(f"{path}: cannot be written: {reason(error)}; {mend}")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Locked(Exception):
    """Another process holds the lock."""


@contextmanager
def lock(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder's lock inside the block; it ends with the process, however that ends.

    Network drives without locks are not an error: nobody can look out for others there.

    Args:
        folder: An existing folder. Where the system cannot lock folders (Windows), a file `.lock` in it is locked.
        wait: Whether to wait for another process that holds the lock.

    Raises:
        Locked: Another process holds the lock, and `wait` is false.
        OSError: The folder cannot be opened.
    """
    handle, acquire = _open(folder)
    try:
        try:
            acquire(wait)
        except BlockingIOError as error:
            raise Locked(str(folder)) from error
        except OSError:
            pass  # No locks here.
        yield
    finally:
        os.close(handle)  # This unlocks, too.


@contextmanager
def hold(folder: Path, busy: str, mend: str = MEND) -> Iterator[None]:
    """Make a folder and hold its lock inside the block.

    Raises InputError if it cannot be made (ends with `mend`), and if another process holds it (says `busy`).
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(folder))
        except Locked as error:
            raise InputError(f"{folder}: {busy}") from error
        except OSError as error:
            raise unwritable(folder, error, mend) from error
        yield


def _open(folder: Path) -> tuple[int, Callable[[bool], None]]:
    """A handle, and a function that locks it: with True it waits, with False it raises BlockingIOError."""
    try:
        import fcntl
    except ImportError:
        return _open_on_windows(folder)
    handle = os.open(folder, os.O_RDONLY)
    return handle, lambda wait: fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _open_on_windows(folder: Path) -> tuple[int, Callable[[bool], None]]:
    import msvcrt

    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)

    def acquire(wait: bool) -> None:
        while True:
            try:
                # LK_LOCK tries ten times, once a second, and then raises the same error as LK_NBLCK.
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            except OSError as error:
                if not wait:
                    raise BlockingIOError(str(folder)) from error
            else:
                return

    return handle, acquire
