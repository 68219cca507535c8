"""Batches with the names of their clips, from a dataset and an order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from glowtron.config import TrainingConfig
from glowtron.data.manifest import Clip
from glowtron.data.sampler import BatchOrder, Key


class Batch(NamedTuple):
    """What a step learns from."""

    ids: list[str]
    """Names of the clips, in order."""
    content: Any
    """The dataset's batch of them, tensors all."""


class Share(NamedTuple):
    """Which part of every batch this process takes: items `rank`, `rank + of`, ..."""

    rank: int = 0
    of: int = 1


def training_batches(
    dataset: Dataset[Any],
    clips: Sequence[Clip],
    collate: Callable[[Any], Any],
    training: TrainingConfig,
    first_step: int,
    share: Share,
    lengths: Sequence[int] | None = None,
) -> Iterator[Batch]:
    """Batches without end, `training.accumulate` a step; with `lengths`, clips of like length come together."""
    order = BatchOrder(
        n_items=len(clips),
        batch_size=training.batch_size,
        seed=training.seed,
        lengths=lengths,
        world_size=share.of,
        rank=share.rank,
        parts=training.accumulate,
        first_step=first_step,
    )
    return batches(dataset, clips, order, collate, training.workers)


def batches(
    dataset: Dataset[Any],
    clips: Sequence[Clip],
    order: Iterable[list[Key]],
    collate: Callable[[Any], Any],
    workers: int = 0,
) -> Iterator[Batch]:
    """The dataset's items in the given order, read ahead of time by `workers` processes (0: by a thread)."""
    read = _read(dataset, clips, order, collate, workers)
    return read if workers else _ahead(read)


def _read(
    dataset: Dataset[Any],
    clips: Sequence[Clip],
    order: Iterable[list[Key]],
    collate: Callable[[Any], Any],
    workers: int,
) -> Iterator[Batch]:
    loader = DataLoader(
        dataset,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=workers,
        # Pinned memory goes to a GPU while it computes.
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_signals_to_parent,
        persistent_workers=False,
        generator=torch.Generator(),  # Else it would draw a number from everyone's.
    )
    # The order is a pure function, so walking it beside the loader names what the loader reads.
    for keys, content in zip(order, loader, strict=True):
        yield Batch([clips[key.item].id for key in keys], content)


def _ahead(read: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each read while the one before is learnt from."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, read, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, read, None)
            yield batch


def _leave_signals_to_parent(_: int) -> None:
    # Ctrl-C reaches every process of a terminal; the parent finishes its step, and needs its data until then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
