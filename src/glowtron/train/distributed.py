"""The processes of a run: their shards, what they sum, signals that end them, and the loss of one of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch

# Imported while there is no process group yet: its functions keep the group as a default, and would never let it end.
import torch.distributed.nn.functional
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor

from glowtron.errors import InputError

_PEER_LOST = ("connection closed", "connection reset", "connection refused", "broken pipe", "timed out", "socket")
"""Parts of the transports' error messages when the other side is gone."""
DDP_OPTIONS: dict[str, Any] = {"gradient_as_bucket_view": True}
"""Options of DistributedDataParallel: gradients stay where they are summed, so that none is copied or kept twice."""


class Shard(NamedTuple):
    """The part of every batch that one process takes: items `rank`, `rank + world_size`, ..."""

    rank: int = 0
    world_size: int = 1


def init_distributed(device: str) -> None:
    """Join the processes of a run, if it has several, so that each notices when another one fails.

    Args:
        device: As in `train`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        PartialState(cpu=device == "cpu")


def make_accelerator(device: str) -> Accelerator:
    """An Accelerator that only distributes: the loop itself enters autocast and scales losses."""
    options = DistributedDataParallelKwargs(**DDP_OPTIONS)
    return Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[options])


def shutdown(accelerator: Accelerator) -> None:
    """End the process group and its threads. Nothing may hold the wrapped model any more.

    A thread that still frees a tensor while Python exits would abort the program.
    """
    accelerator.free_memory()
    accelerator.end_training()


def reduce_sum(accelerator: Accelerator, values: Sequence[float]) -> list[float]:
    """Sums over all processes, the same in each."""
    if accelerator.num_processes == 1:
        return list(values)
    dtype = torch.float32 if accelerator.device.type == "mps" else torch.float64
    sums: Tensor = accelerator.reduce(torch.tensor(values, dtype=dtype, device=accelerator.device), reduction="sum")
    return sums.tolist()


def reduce_any(accelerator: Accelerator, flags: Sequence[bool]) -> list[bool]:
    """For each flag, if it is set in any process, so that all do the same after the same step."""
    return [count > 0 for count in reduce_sum(accelerator, [float(flag) for flag in flags])]


def broadcast_tensors(accelerator: Accelerator, tensors: Sequence[Tensor]) -> None:
    """Copy the first process's values of `tensors` into those of all others, in place."""
    if accelerator.num_processes == 1:
        return
    for tensor in tensors:
        with torch.no_grad():
            tensor.copy_(broadcast(tensor))


@contextmanager
def peers_alive(accelerator: Accelerator, run: Path) -> Iterator[None]:
    """Raise InputError if another process of the run is gone."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or any(text in str(error).lower() for text in _PEER_LOST)
        if accelerator.num_processes == 1 or not lost:
            raise
        raise InputError(
            f"{run}: process {accelerator.process_index} of {accelerator.num_processes} has lost another one, which "
            "may have said why; the checkpoints are whole; give the same command again to go on"
        ) from error


class Interruption:
    """Remembers SIGINT and SIGTERM while it is entered, so that the loop can finish its step.

    A second signal acts as usual, for a step that hangs.
    """

    def __init__(self) -> None:
        self.name = ""
        """Name of the signal that came; empty if none did."""
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        # Only the main thread may set handlers. A loop in another thread leaves signals to its owner.
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
