"""The device that is measured, where it is not the processor."""

from __future__ import annotations

from typing import Any

import torch

from glowtron.bench.measurement import Settings
from glowtron.engines.hardware import find_device
from glowtron.errors import InputError
from glowtron.machine import describe, peak_memory_gb


def check_device(name: str, settings: Settings) -> None:
    """Raises InputError for a device that is not there, or a clock that does not count what it does."""
    if find_device(name).type != "cpu" and settings.clock == "cpu":
        raise InputError("`clock` cpu does not count what a GPU does; leave it out")


def card_facts(device: torch.device) -> dict[str, Any]:
    """Facts of a CUDA device for a result: its name and the peak memory of tensors. Empty for a CPU."""
    if device.type == "cpu":
        return {}
    return {"card": describe(device)["device"], "card_memory_gb": peak_memory_gb(device)}
