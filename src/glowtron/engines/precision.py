"""In which precision a processor multiplies large matrices fastest."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from glowtron.errors import InputError, nearest

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
