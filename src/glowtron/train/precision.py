"""Mixed precision: autocast, loss scaling, and TF32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from glowtron.engines.hardware import choose_precision
from glowtron.errors import InputError

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
SMALLEST_SCALE = 2.0**-10
"""If gradients are infinite even at this scale of the loss, the scale is not the reason."""


def check_precision(precision: str, device: torch.device) -> None:
    """Raise InputError if the device does not have this precision."""
    if precision in ("fp16", "tf32") and device.type != "cuda":
        raise InputError(
            f"training.precision {precision} needs a CUDA device, this is {device.type}; give "
            "`training.precision=bf16` or fp32"
        )


def effective_precision(precision: str, device: torch.device) -> str:
    """Precision for `auto` on a device: bf16 on CUDA; on a CPU bf16 or fp32, by measured speed."""
    if precision != "auto":
        return precision
    return choose_precision("auto").name if device.type == "cpu" else "bf16"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Autocast to `bf16` or `fp16`; for the other precisions it does nothing."""
    precision = effective_precision(precision, device)
    return torch.autocast(device.type, _TYPES.get(precision), enabled=precision in _TYPES)


def make_scaler(precision: str, device: torch.device) -> torch.amp.GradScaler | None:
    """Loss scaling for `fp16`, so that small gradients do not vanish; None for the other precisions."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Inside, float32 matrix products on CUDA use TF32 for `tf32`, and full precision for `fp32`.

    For the other precisions nothing changes. Afterwards the caller's setting is restored.
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
