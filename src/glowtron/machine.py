"""The machine: cores to use, and what a measurement belongs to: devices, versions, peak memory and power."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CPU_INFO = Path("/proc/cpuinfo")
POWERCAP = Path("/sys/class/powercap")
"""Energy counters of processor packages on Linux."""
_GPU_EVERY_S = 10.0
"""Asking for the power of GPUs starts a program, so it is not done at every line of metrics."""


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_limit() -> int:
    """Threads that this process may use: as OMP_NUM_THREADS says, else one for each of its cores."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(said) if said.isdecimal() and int(said) else usable_cores()


def describe(device: torch.device) -> dict[str, Any]:
    """Names and versions of the device and the software."""
    import torch

    is_cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device)
        if is_cuda
        else f"{processor_name()}, {torch.get_num_threads()} threads",
        "glowtron": version("glowtron"),
        "host": platform.node(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if is_cuda else None,
    }


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory of this process so far: tensors on the GPU, or resident memory if the device is no GPU."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e9
    return _peak_resident_bytes() / 1e9


def _peak_resident_bytes() -> int:
    try:
        import resource
    except ImportError:
        return _peak_working_set_bytes()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_working_set_bytes() -> int:
    """Of this process on Windows, by PROCESS_MEMORY_COUNTERS. Never run there yet."""
    import ctypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", ctypes.c_uint32),
            ("PageFaultCount", ctypes.c_uint32),
            ("PeakWorkingSetSize", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        )

    counters = Counters(ctypes.sizeof(Counters))
    windll = ctypes.windll  # type: ignore[attr-defined]
    windll.kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(windll.kernel32.GetCurrentProcess())
    windll.psapi.GetProcessMemoryInfo(process, ctypes.byref(counters), counters.cb)
    return int(counters.PeakWorkingSetSize)


class Power:
    """Mean power of this machine's processors and GPUs, where it can be read; `missing` says why not, where not."""

    def __init__(self, device: torch.device, powercap: Path = POWERCAP) -> None:
        self.missing: dict[str, str] = {}
        self._counters = _packages(powercap)
        if not self._counters:
            self.missing["cpu_w"] = f"no energy counter that may be read in {powercap}"
        self._gpu = device.type == "cuda" and _gpu_power_w() is not None
        if not self._gpu:
            none = "no GPU takes part" if device.type != "cuda" else "nvidia-smi tells no power"
            self.missing["gpu_w"] = none
        self._start_s = self._last_s = time.monotonic()
        self._joules = 0.0
        self._energy = [_microjoules(path) for path in self._counters]
        self._gpu_last_s = -_GPU_EVERY_S
        self._gpu_seen: list[float] = []

    def read(self) -> dict[str, float]:
        """Watts since it was last read (`cpu_w`) or just now (`gpu_w`, when it is time to look)."""
        now_s, watts_of = time.monotonic(), {}
        if self._counters:
            energy = [_microjoules(path) for path in self._counters]
            joules = sum(
                _gone(before, after, path)
                for before, after, path in zip(self._energy, energy, self._counters, strict=True)
            )
            watts_of["cpu_w"] = joules / max(now_s - self._last_s, 1e-9)
            self._joules, self._energy, self._last_s = self._joules + joules, energy, now_s
        if self._gpu and now_s - self._gpu_last_s >= _GPU_EVERY_S:
            self._gpu_last_s = now_s
            watts = _gpu_power_w()
            if watts is not None:
                self._gpu_seen.append(watts)
                watts_of["gpu_w"] = watts
        return watts_of

    def mean(self) -> dict[str, float | str]:
        """Watts since the start, or why they are not known."""
        self.read()
        means: dict[str, float | str] = dict(self.missing)
        if self._counters:
            means["cpu_w"] = self._joules / max(self._last_s - self._start_s, 1e-9)
        if self._gpu_seen:
            means["gpu_w"] = sum(self._gpu_seen) / len(self._gpu_seen)
        return means


def _packages(powercap: Path) -> list[Path]:
    """Counters of whole packages; those below them, such as intel-rapl:0:0, are parts of these."""
    found = []
    for path in sorted(powercap.glob("intel-rapl:*")):
        if re.fullmatch(r"intel-rapl:\d+", path.name) and os.access(path / "energy_uj", os.R_OK):
            found.append(path)
    return found


def _microjoules(package: Path) -> int:
    return int((package / "energy_uj").read_text())


def _gone(before: int, after: int, package: Path) -> float:
    """Joules between two readings of a counter that begins again at its highest value."""
    if after < before:
        after += int((package / "max_energy_range_uj").read_text())
    return (after - before) / 1e6


def _gpu_power_w() -> float | None:
    """Watts of all GPUs that this process may use; None where nobody tells."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    which = ["-i", visible] if visible else []
    command = ["nvidia-smi", *which, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        return sum(_numbers(output.splitlines()))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _numbers(lines: Sequence[str]) -> list[float]:
    return [float(line) for line in lines if line.strip()]


def processor_name() -> str:
    """Name of the processor by the system."""
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with BF16",
    "avx512_vnni": "AVX-512 with VNNI",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX2 with VNNI",
    "avx2": "AVX2",
    "asimddp": "NEON with dot products",
    "asimd": "NEON",
}
"""Names of a processor's instructions for products, by the system's word for them, the best first."""


def instructions() -> str:
    """The best instructions for products that this processor has, for people: figures are compared within these."""
    flags = processor_flags()
    return next((name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine())


def processor_flags() -> frozenset[str]:
    """Names of the processor's abilities; none where the system does not tell."""
    lines = (line for line in _cpu_lines() if line.startswith(("flags", "Features")))
    return frozenset(word for line in lines for word in line.partition(":")[2].split())


def _cpu_lines() -> list[str]:
    try:
        return CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
