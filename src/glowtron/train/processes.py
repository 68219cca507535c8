"""What the processes of a run tell each other, and what is said when one of them is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

# Imported while there are no processes yet: its functions would keep the group as a default, and never let it end.
import torch.distributed.nn.functional
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast
from torch import Tensor, nn

from glowtron.errors import InputError
from glowtron.train.average import Average

_LOST = ("connection closed", "connection reset", "connection refused", "broken pipe", "timed out", "socket")
"""What the transports say when the other side is gone."""
SHARING: dict[str, Any] = {"gradient_as_bucket_view": True}
"""How torch shares gradients: where they are summed is where they stay, so that nothing is copied or kept twice."""


def meet(device: str) -> None:
    """Let the processes of a run know each other, if it has several, so that each notices when another one fails.

    `device`: as in `train`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        PartialState(cpu=device == "cpu")


def disband(accelerator: Accelerator) -> None:
    """End what the processes have in common, and its threads, once nothing else holds the model they shared.

    A thread that still lets go of a tensor while the program ends would abort the program.
    """
    accelerator.free_memory()
    accelerator.end_training()


def total(accelerator: Accelerator, values: Sequence[float]) -> list[float]:
    """Sums over all processes, the same in each."""
    if accelerator.num_processes == 1:
        return list(values)
    kind = torch.float32 if accelerator.device.type == "mps" else torch.float64
    sums: Tensor = accelerator.reduce(torch.tensor(values, dtype=kind, device=accelerator.device), reduction="sum")
    return sums.tolist()


def any_of(accelerator: Accelerator, claims: Sequence[bool]) -> list[bool]:
    """Whether each claim holds in any process, so that all do the same after the same step."""
    return [count > 0 for count in total(accelerator, [float(claim) for claim in claims])]


def share_buffers(accelerator: Accelerator, model: nn.Module, average: Average | None) -> None:
    """Give all processes the buffers of the first: batch statistics are each one's own until the next step."""
    if accelerator.num_processes == 1:
        return
    for name, buffer in model.named_buffers():
        with torch.no_grad():
            buffer.copy_(broadcast(buffer))
            if average is not None and name in average.tensors:
                average.tensors[name].copy_(broadcast(average.tensors[name]))


@contextmanager
def all_alive(accelerator: Accelerator, run: Path) -> Iterator[None]:
    """Raise InputError when another process of the run has gone."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or any(words in str(error).lower() for words in _LOST)
        if accelerator.num_processes == 1 or not lost:
            raise
        raise InputError(
            f"{run}: process {accelerator.process_index} of {accelerator.num_processes} has lost another one, which "
            "may have said why; the checkpoints are whole; give the same command again to go on"
        ) from error
