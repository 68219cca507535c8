"""Batches with the names of their clips, from a dataset and an order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Dataset

from glowtron.data.manifest import Clip
from glowtron.data.sampler import Key


class Batch(NamedTuple):
    """What a step learns from."""

    ids: list[str]
    """Names of the clips, in order."""
    content: Any
    """The dataset's batch of them, tensors all."""


def batches(
    dataset: Dataset[Any],
    clips: Sequence[Clip],
    order: Iterable[list[Key]],
    collate: Callable[[Any], Any],
    workers: int = 0,
) -> Iterator[Batch]:
    """The dataset's items in the given order, read by `workers` processes ahead of time (0: read when asked for)."""
    loader = DataLoader(
        dataset,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_parent,
        persistent_workers=False,
    )
    # The order is a pure function, so walking it beside the loader names what the loader reads.
    for keys, content in zip(order, loader, strict=True):
        yield Batch([clips[key.item].id for key in keys], content)


def _leave_signals_to_parent(_: int) -> None:
    # Ctrl-C reaches every process of a terminal; the parent finishes its step, and needs its data until then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
