"""In which precision a run computes: autocast, loss scaling, and what the GPU may round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from glowtron.errors import InputError

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
SMALLEST_SCALE = 2.0**-10
"""A loss scaled down this far is not what makes gradients infinite."""


def check(precision: str, device: torch.device) -> None:
    """Raise InputError for a precision that this device does not have."""
    if precision in ("fp16", "tf32") and device.type != "cuda":
        raise InputError(
            f"training.precision {precision} needs a CUDA device, this is {device.type}; give "
            "--set training.precision=bf16 or fp32"
        )


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A context in which products are computed in `bf16` or `fp16`; for other precisions it does nothing."""
    return torch.autocast(device.type, _TYPES.get(precision), enabled=precision in _TYPES)


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler | None:
    """What scales the loss so that gradients do not vanish in half precision; None for the other precisions."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


@contextmanager
def rounding(precision: str) -> Iterator[None]:
    """Inside, float32 products on CUDA keep 10 bits of the mantissa for `tf32` and all of them for `fp32`.

    The other precisions leave it as the caller has it, and so does every one of them afterwards.
    """
    if precision not in ("tf32", "fp32"):
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
