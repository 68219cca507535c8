"""Fastest precision of a CUDA card, and float32 without TF32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from glowtron.engines.hardware import Precision
from glowtron.errors import InputError, nearest

PRECISIONS = ("auto", "fp16", "bf16", "fp32")

_LARGEST = 2048.0
"""A weight from which float16 is not trusted: what such weights make may leave its range of 65,504. Those of the voice
that ships stay under 3."""


class Card(NamedTuple):
    """Facts of a card that decide the speed of products."""

    name: str
    capability: tuple[int, int]
    """Compute capability: matrix units for float16 came with 7.0, for bfloat16 with 8.0."""


def find_card(device: torch.device) -> Card:
    """The card that a CUDA device is."""
    return Card(torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device))


def choose_on_card(wanted: str, card: Card, model: nn.Module) -> Precision:
    """Precision for `wanted` (`auto`, `fp16`, `bf16`, `fp32`) of a model on a card.

    `auto` is fp16 where the card multiplies it fast: as fast as bf16, and its rounding is an eighth. It is bf16 where
    the model's weights ask for more range, and fp32 on cards that have neither, as is what was asked for in vain.
    Raises InputError for a name that is none of these.
    """
    if wanted not in PRECISIONS:
        raise InputError(f"unknown precision '{wanted}' on CUDA{nearest(wanted, PRECISIONS)}")
    if wanted == "fp32":
        return Precision("fp32", "fp32 as asked")
    has_fp16, has_bf16 = card.capability >= (7, 0), card.capability >= (8, 0)
    largest = max(float(weight.detach().abs().max()) for weight in model.parameters() if weight.numel())
    if wanted == "bf16" or (wanted == "auto" and has_bf16 and largest > _LARGEST):
        why = " as asked" if wanted == "bf16" else f": weights up to {largest:.0f} leave the range of fp16"
        return Precision("bf16", f"bf16{why}") if has_bf16 else _fallen_back(card, "bf16")
    if largest > _LARGEST and wanted == "auto":
        return Precision("fp32", f"fp32: weights up to {largest:.0f} leave the range of fp16, and there is no bf16")
    if not has_fp16:
        return _fallen_back(card, "fp16")
    return Precision("fp16", "fp16 as asked" if wanted == "fp16" else f"fp16: {card.name} multiplies it fast")


def _fallen_back(card: Card, lacking: str) -> Precision:
    major, minor = card.capability
    return Precision("fp32", f"fp32: {card.name} (compute capability {major}.{minor}) has no fast {lacking}")


@contextmanager
def exact_float32() -> Iterator[None]:
    """Products of float32 are not rounded to TF32 in here, as torch does unasked in convolutions and LSTMs.

    For what is not compiled: the compiler reads these switches by names that torch does not let one mix.
    """
    cuda, cudnn = torch.backends.cuda, torch.backends.cudnn
    exact: str | bool
    if hasattr(cudnn, "conv"):  # torch 2.9 and later
        parts, switch, exact = [cuda.matmul, cudnn.conv, cudnn.rnn], "fp32_precision", "ieee"
    else:
        parts, switch, exact = [cuda.matmul, cudnn], "allow_tf32", False
    before = [getattr(part, switch) for part in parts]
    try:
        for part in parts:
            setattr(part, switch, exact)
        yield
    finally:
        for part, value in zip(parts, before, strict=True):
            setattr(part, switch, value)
