"""The machine: devices, the precision in which its processor multiplies fastest, and how many threads to use."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from glowtron.engines.measured import measure
from glowtron.errors import InputError, nearest


def find_device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:1` means here. Raises InputError if there is none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InputError(f"unknown device '{name}'{nearest(name, ('auto', 'cpu', 'cuda'))}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"no device '{name}' here: {torch.cuda.device_count()} CUDA devices are seen; use auto or cpu")
    return device


PRECISIONS = ("auto", "bf16", "fp32")


class Capabilities(NamedTuple):
    """Features of a processor that decide the speed of products."""

    bf16: str | None
    """Why bfloat16 matrices are multiplied faster than float32, in words; None: they are not."""


class Precision(NamedTuple):
    """A precision, and why it was picked."""

    name: str
    """`bf16` or `fp32`, and on CUDA `fp16`."""
    why: str
    """One line for people."""

    @property
    def dtype(self) -> torch.dtype:
        """Storage type of matrices that are multiplied."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.name, torch.float32)


def find_capabilities(n_in: int = 256, n_out: int = 512) -> Capabilities:
    """Finds what this processor computes faster through this torch, by timing products with an (n_in, n_out)."""

    def product(dtype: torch.dtype) -> Callable[[int], object]:
        matrix = torch.ones(n_in, n_out, dtype=dtype)
        return lambda n_rows: torch.mm(torch.ones(n_rows, n_in, dtype=dtype), matrix)

    ways = {"fp32": partial(product, torch.float32), "bf16": partial(product, torch.bfloat16)}
    measured = measure(f"products of {n_in} x {n_out}", ways)
    return Capabilities(bf16=str(measured) if measured.best == "bf16" else None)


def choose_precision(wanted: str, capabilities: Capabilities | None = None) -> Precision:
    """Precision for `wanted` (`auto`, `bf16`, `fp32`) on a processor; None: this machine's.

    `bf16` is had wherever it is asked for, quick or not. Raises InputError for a name that is none of these.
    """
    if wanted not in PRECISIONS:
        raise InputError(f"unknown precision '{wanted}'{nearest(wanted, PRECISIONS)}")
    if wanted != "auto":
        return Precision(wanted, f"{wanted} as asked")
    found = (find_capabilities() if capabilities is None else capabilities).bf16
    if found:
        return Precision("bf16", f"bf16: {found}")
    return Precision("fp32", "fp32: products in bf16 were measured here, and are not faster")


SMALL = 30_000_000
"""Parameters: products of smaller models take microseconds, and threads that meet after each wait more than they help.
On two cores of which another program uses one, the voice that ships takes ten times as long with two as with one."""


def release_memory() -> None:
    """Give what was freed back to the system; glibc keeps it for later, and what a start takes is not needed again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def suit_threads(is_small: bool) -> None:
    """Let torch use one thread in this process where all models are small; the user's OMP_NUM_THREADS stands."""
    if is_small and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def load_library(path: Path, fits: Callable[[ctypes.CDLL], bool]) -> tuple[ctypes.CDLL | None, str]:
    """Compiled code of this package, or None and the reason why there is none.

    fits: Tells whether the library's structures are of the sizes that this version gives them.
    """
    if not path.exists():
        return None, f"no {path.name}: the package was installed without a C compiler"
    try:
        library = ctypes.CDLL(str(path))
        if not fits(library):
            return None, f"{path.name} is of another version; install again"
    except (OSError, AttributeError) as error:
        return None, f"{path.name} cannot be loaded: {error}"
    return library, ""
