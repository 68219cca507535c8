"""`glowtron bench train --processes N`: so many processes that train together, against one of all their threads."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import mean
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import torch

from glowtron.bench.child import Child
from glowtron.bench.measurement import NOT_MEASURED, Settings
from glowtron.bench.result import spread
from glowtron.bench.training import Training, described, rates_of
from glowtron.bench.training_step import TrainingWork, find_work
from glowtron.config import VocoderRun
from glowtron.errors import InputError
from glowtron.machine import peak_memory_gb
from glowtron.train.distributed import DDP_OPTIONS, Shard

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class SharedTraining(Training):
    """Steps on one process's share of the batch; gradients are averaged over gloo, as in training."""

    def __init__(self, work: TrainingWork, precision: str, shard: Shard, meeting: Path) -> None:
        """meeting: a file that is not there yet, the same for all processes."""
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=shard.rank, world_size=shard.world_size
        )
        super().__init__(work, "fast", precision, shard)
        self.called = torch.nn.parallel.DistributedDataParallel(self.model, **DDP_OPTIONS)


class Processes(Generic[S]):
    """Several `Child`ren that are asked all at once. Use it in a `with` statement."""

    def __init__(self, makes: Sequence[Callable[[], S]], threads: int) -> None:
        """makes: what each is to hold; threads: of each."""
        self._open = ExitStack()
        self._askers = self._open.enter_context(ThreadPoolExecutor(len(makes)))
        # They wait for each other, so they have to begin together.
        self._children = list(self._askers.map(lambda make: Child(make, threads), makes))
        for child in self._children:
            self._open.enter_context(child)

    def ask(self, function: Callable[Concatenate[S, P], R], *arguments: P.args, **named: P.kwargs) -> list[R]:
        """Returns the answer of each process; see `Child.ask`."""
        return list(self._askers.map(lambda child: child.ask(function, *arguments, **named), self._children))

    def __enter__(self) -> Processes[S]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)


def bench_processes(work: TrainingWork, processes: int, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown model or precision, or what cannot be shared."""
    config = find_work(work)
    threads = settings.threads or torch.get_num_threads()
    if work.batch % processes or threads % processes:
        raise InputError(f"`batch` {work.batch} and `threads` {threads} cannot both be shared by {processes} processes")
    if settings.clock != "wall":
        raise InputError("`processes` are compared by the time that passes; leave `clock` out")
    with tempfile.TemporaryDirectory() as folder:
        makes = [
            partial(SharedTraining, work, settings.precision, Shard(rank, processes), Path(folder) / "meeting")
            for rank in range(processes)
        ]
        single = partial(Training, work, "fast", settings.precision)
        with Processes(makes, threads // processes) as several, Child(single, threads) as one:
            pairs = [(max(several.ask(_timed)), one.ask(_timed)) for _ in range(settings.warm_up + settings.runs)]
            facts = one.ask(_facts)
            losses = [float(loss) for loss in several.ask(Training.run)], float(one.ask(Training.run))
            memories = sum(several.ask(_memory)), one.ask(_memory)
    seconds = [spread(list(each)) for each in zip(*pairs[settings.warm_up :], strict=True)]
    own, theirs = (
        {**rates_of(config, work)(times["median"]), "seconds": times, "peak_memory_gb": peak}
        for times, peak in zip(seconds, memories, strict=True)
    )
    why = NOT_MEASURED + "processes are compared with one process"
    return {
        **described(config, work),
        **facts,
        "processes": processes,
        "threads": threads // processes,
        **own,
        "scaling": seconds[1]["median"] / seconds[0]["median"],
        "one_process": {"threads": threads, **theirs},
        "ratio_to_plain": why,
        "plain": why,
        "error": {
            "loss_differs_by": abs(mean(losses[0]) / losses[1] - 1)
            if isinstance(config, VocoderRun)
            else NOT_MEASURED + "noise and batch statistics are each process's own"
        },
    }


def _facts(subject: Training) -> dict[str, Any]:
    return dict(subject.facts)


def _timed(subject: Training) -> float:
    start = time.perf_counter()
    subject.run()
    return time.perf_counter() - start


def _memory(_: Training) -> float:
    return peak_memory_gb(torch.device("cpu"))
