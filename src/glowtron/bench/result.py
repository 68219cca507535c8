"""The figures of a measurement: as JSON values, as a file, as a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import torch

from glowtron.bench.measurement import NOT_MEASURED, Measured, Settings
from glowtron.files import write_json
from glowtron.machine import Power, describe, instructions

Rates = Callable[[float], dict[str, float]]
"""Figures of speed by name, such as `rtf`, from a run's seconds."""


def figures(measured: Measured, rates: Rates) -> dict[str, Any]:
    """Speed, spread and memory of one of those that were measured, and what it says of itself."""
    return {
        **measured.facts,
        "threads": measured.threads,
        **rates(measured.median()),
        "seconds": spread(measured.seconds),
        "peak_memory_gb": measured.peak_gb,
        "loaded_memory_gb": measured.loaded_gb,
        **({"parts": measured.parts} if measured.parts else {}),
    }


def sound_rates(length_s: float, sample_rate: int) -> Rates:
    """Real-time factor (compute time / audio time) and thousand samples a second, of so much sound."""
    return lambda seconds: {"rtf": seconds / length_s, "khz": length_s * sample_rate / seconds / 1000}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Of one figure, seconds of some kind, in all runs."""
    return {"median": median(values), "fastest": min(values), "slowest": max(values), "each": list(values)}


def compared(ours: Measured, plain: Measured | str, rates: Rates) -> dict[str, Any]:
    """Comparison with the plain implementation, or the reason why there is none."""
    if isinstance(plain, str):
        return {"ratio_to_plain": plain, "plain": plain}
    return {"ratio_to_plain": plain.median() / ours.median(), "plain": figures(plain, rates)}


class Surroundings:
    """The machine and its load during a measurement."""

    def __init__(self) -> None:
        self._load = os.getloadavg()
        self._power = Power(torch.device("cpu"))

    def tell(self, settings: Settings) -> dict[str, Any]:
        """Under what the figures were taken."""
        power = {
            name: value if isinstance(value, float) else NOT_MEASURED + value
            for name, value in self._power.mean().items()
        }
        machine = describe(torch.device("cpu"))
        del machine["host"], machine["cuda"]
        machine["device"] = machine["device"].rpartition(", ")[0]
        shown = settings._asdict()
        return {
            "settings": {name: shown[name] for name in ("runs", "warm_up", "seed", "clock")},
            "date": date.today().isoformat(),
            "machine": {
                **machine,
                "instructions": instructions(),
                "cores": os.cpu_count(),
                "load_before": [round(load, 2) for load in self._load],
            },
            "power": power,
        }


def write(result: Mapping[str, Any], path: Path) -> None:
    """Write the file, whole or not at all. Raises InputError where it cannot be."""
    write_json(path, result, mend="choose another file")


def as_table(result: Mapping[str, Any]) -> str:
    """The figures as Markdown: ours beside those of the plain implementation, where there are any."""
    plain = result["plain"] if isinstance(result.get("plain"), Mapping) else {}
    rows = [f"| {result['what']}: {result['model']} | glowtron | plain |", "|---|---|---|"]
    for name, value in _flat({name: value for name, value in result.items() if name not in ("what", "model", "plain")}):
        rows.append(f"| {name} | {_shown(value)} | {_shown(dict(_flat(plain)).get(name, ''))} |")
    return "\n".join(rows) + "\n"


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Names as people read them; what stands within another is named after it."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name.replace('_', ' ')}: ")
        elif name != "each":
            found.append((before + name.replace("_", " "), value))
    return found


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
