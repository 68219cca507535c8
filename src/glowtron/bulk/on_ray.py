"""The shards of a bulk job by all machines of a Ray cluster.

Ray Data has a task for each stretch done where a core is free. A task whose process is killed, or whose machine is
lost, is done again by another: the shard ends as the same bytes.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from glowtron.bulk.job import PLAN, Job, ShardReport, find_made, shard_maker
from glowtron.bulk.rows import Stretch
from glowtron.errors import InputError

MAX_BLOCKS = 10_000
"""Blocks of the dataset, each of which Ray keeps account of; a block has several stretches where there are more."""


def make_one(batch: dict[str, Any], job: Job) -> dict[str, list[Any]]:
    """Make the shard of a batch's only row, a stretch: the work of one task, on one core.

    Raises InputError where its machine lacks the files or the voice.
    """
    stretch = Stretch(*(int(batch[name][0]) for name in Stretch._fields))
    # A task that was killed may have been past the shard, and not past its report.
    report = find_made(job, stretch) or _maker(job)(stretch)
    return {name: [value] for name, value in report._asdict().items()}


@lru_cache(maxsize=1)  # Processes of Ray do task after task, and loading the voice takes longer than a small shard.
def _maker(job: Job) -> Callable[[Stretch], ShardReport]:
    for path in (job.texts, job.output / PLAN):
        if not path.exists():
            place = f"{path}: is not on {platform.node()}"
            raise InputError(f"{place}; all machines must have the texts and the output at the same place")
    return shard_maker(job, n_workers=2)


def make_on_ray(job: Job, stretches: list[Stretch], workers: int, address: str) -> Iterator[ShardReport]:
    """Make shards on a cluster; yields a report of each, in the order in which they are done.

    Args:
        job: What is made.
        stretches: Of the shards to make.
        workers: Tasks at once, of one core each; 0: as many as there are cores, also of machines that join later.
        address: As of `ray.init`: `auto`, `HOST:6379`, or `local` for a cluster of this machine alone.

    Raises:
        InputError: Ray is not installed, there is no cluster, or its machines lack the files or the voice.
    """
    if not stretches:
        return
    # Read when Ray is imported: it reports to its makers unless it is told not to, its bars are not ours, and it gives
    # a tip unless the last is set.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise InputError("a cluster takes pip install 'glowtron[ray]' on all its machines") from error
    job = job._replace(settings=replace(job.settings, voice=_anywhere(job.settings.voice)))
    with _connected(ray, address), _errors_only("ray.data"):
        rows = [stretch._asdict() for stretch in stretches]
        dataset = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
        # Tasks and not actors: an actor of a lost machine waits for a core of its own, which the others never give up.
        made = dataset.map_batches(
            make_one, fn_kwargs={"job": job}, batch_size=1, num_cpus=1, concurrency=workers or None, max_retries=-1
        )
        try:
            for row in made.iter_rows():
                yield ShardReport(**{name: row[name] for name in ShardReport._fields})
        except ray.exceptions.RayTaskError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, InputError):
                cause = getattr(cause, "cause", None) or cause.__cause__
            if cause is None:
                raise
            raise InputError(str(cause).splitlines()[-1]) from error


def _anywhere(voice: str) -> str:
    """A voice's name as it is, a folder's by where it is from the root: actors work in folders of their own."""
    return str(Path(voice).resolve()) if Path(voice).is_dir() else voice


@contextmanager
def _errors_only(logger: str) -> Iterator[None]:
    """Leave out for the block what a logger tells that is no error, also from its files."""
    found = logging.getLogger(logger)
    level = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(level)


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """A connection for the block; one that this program has is used, and kept. Raises InputError if there is none."""
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"no Ray cluster at '{address}': {said[:200]}; start one with `ray start --head`") from error
    try:
        yield
    finally:
        ray.shutdown()
