"""Where models run."""

from __future__ import annotations

import torch

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
