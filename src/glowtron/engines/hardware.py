"""The machine: devices, the precision in which its processor multiplies fastest, and how many threads to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

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
CPU_INFO = Path("/proc/cpuinfo")


class Capabilities(NamedTuple):
    """What a processor has that decides how fast products are."""

    bf16: str | None
    """The instructions that multiply bfloat16 matrices faster than float32; None: there are none."""


class Precision(NamedTuple):
    """A precision, and why it was picked."""

    name: str
    """`bf16` or `fp32`, and on CUDA `fp16`."""
    why: str
    """One line for people."""

    @property
    def dtype(self) -> torch.dtype:
        """What matrices that are multiplied are stored as."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.name, torch.float32)


def find_capabilities() -> Capabilities:
    """What this machine's processor has, as far as this torch can use it."""
    # Without AMX, bfloat16 reached half of float32's rate by AVX512-BF16 and a fifth by emulation, where it could be
    # measured (ADR 0008).
    has_amx = torch.backends.mkldnn.is_available() and "amx_bf16" in processor_flags()
    return Capabilities(bf16="AMX" if has_amx else None)


def processor_flags() -> frozenset[str]:
    """Names of the processor's abilities; none where the system does not tell."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(word for line in lines if line.startswith("flags") for word in line.partition(":")[2].split())


def choose_precision(wanted: str, capabilities: Capabilities | None = None) -> Precision:
    """What `wanted` (`auto`, `bf16`, `fp32`) means on a processor; None: this machine's.

    `bf16` is had wherever it is asked for, quick or not. Raises InputError for a name that is none of these.
    """
    if wanted not in PRECISIONS:
        raise InputError(f"unknown precision '{wanted}'{nearest(wanted, PRECISIONS)}")
    found = (find_capabilities() if capabilities is None else capabilities).bf16
    if wanted == "fp32":
        return Precision("fp32", "fp32 as asked")
    if found:
        return Precision("bf16", f"bf16: this processor multiplies it with {found}")
    if wanted == "bf16":
        return Precision("bf16", "bf16 as asked, though this processor has no AMX and may be faster in fp32")
    return Precision("fp32", "fp32: this processor has no AMX, without which bf16 may be slower")


SMALL = 30_000_000
"""Parameters: products of smaller models take microseconds, and threads that meet after each wait more than they help.
On two cores of which another program uses one, the voice that ships takes ten times as long with two as with one."""


def suit_threads(*models: nn.Module | None) -> None:
    """Let torch use one thread in this process if all `models` are small; the user's OMP_NUM_THREADS stands."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    if all(sum(weight.numel() for weight in model.parameters()) < SMALL for model in models if model is not None):
        torch.set_num_threads(1)
