"""Shared by all the commands: clips from lists, a task that does the work theirs does, and a run of the one loop."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from glowtron.config import AcousticRun, RunConfig, TrainingConfig, VocoderRun
from glowtron.data.manifest import Clip, read_list
from glowtron.data.sampler import FixedOrder, Key
from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.acoustic_task import AcousticTask
from glowtron.train.checkpoints import Progress
from glowtron.train.distributed import init_distributed
from glowtron.train.log import ValidationSamples
from glowtron.train.loop import Outcome, train
from glowtron.train.observer import Observer
from glowtron.train.report import read_result
from glowtron.train.run_dir import lock_run_dir
from glowtron.train.state import RunContext, StoppingCriteria, TrainState
from glowtron.train.task import ClipTask, Corpora
from glowtron.train.vocoder_task import VocoderTask
from glowtron.vendor.hyperparameters import SPEAKER
from glowtron.vendor.published_checkpoints import PublishedCheckpoint

RUN = "glowtron"
"""The folder of the run, within that of the command's output. It begins anew with each start, as their outputs do."""
MACHINE = "[Glowtron]"
"""The beginning of the last line on standard error: what the run measured, as JSON, for `glowtron vendor row`."""
SELDOM = 10**9
"""Steps between what a run is not to do by itself."""


class Clips(NamedTuple):
    """The clips of a command's lists."""

    training: list[Clip]
    validation: list[Clip]

    @property
    def all(self) -> list[Clip]:
        return [*self.training, *self.validation]

    @property
    def held_out(self) -> tuple[str, ...]:
        return tuple(clip.label for clip in self.validation)


def read_clips(training: Path, validation: Path | None, root: Path | None, *, needs_text: bool) -> Clips:
    """Clips of the training list and of the validation list, which may share some, as theirs may.

    Raises InputError for a list that cannot be read, a recording that is missing, and a text that is needed and not
    there.
    """
    lists = [read_list(path, SPEAKER, root) for path in (training, validation) if path is not None]
    for clip in (clip for clips in lists for clip in clips):
        if needs_text and not clip.text.strip():
            raise InputError(f"{training}: clip '{clip.id}' has no text; a line is path|text")
    known = {clip.id for clip in lists[0]}
    held_out = lists[1] if len(lists) > 1 else []
    return Clips(
        lists[0],
        [clip._replace(id=f"validation-{clip.id}") if clip.id in known else clip for clip in held_out],
    )


def steps_per_epoch(clips: Clips, batch_size: int) -> int:
    """Whole batches in an epoch; the rest of it is dropped, as theirs is. Raises InputError if there is none."""
    steps = len(clips.training) // batch_size
    if not steps:
        raise InputError(
            f"{len(clips.training)} clips are fewer than a batch of {batch_size} over all processes; take a smaller "
            "batch, or a longer list"
        )
    return steps


def precision(*, amp: bool) -> str:
    """Theirs is half precision on CUDA; a CPU has bfloat16 in its place."""
    if not amp:
        return "fp32"
    if torch.cuda.is_available():
        return "fp16"
    sys.stderr.write("glowtron: warning: half precision needs CUDA; bfloat16 is used on this CPU\n")
    return "bf16"


class AcousticBenchmark(AcousticTask):
    """Tacotron 2 as the published programs train it: clips in any order, validated in the order of their list."""

    def __init__(self, *task: Any, validation_batch: int) -> None:
        self.validation_batch = validation_batch
        super().__init__(*task)

    def lengths(self) -> None:  # type: ignore[override]  # Batches of clips of any length, padded as theirs are.
        return None

    def validation_order(self) -> Iterable[list[Key]]:
        return FixedOrder(len(self.validation_clips), self.validation_batch)

    def samples(self, model: nn.Module) -> ValidationSamples:
        """None: theirs make no sound."""
        return ValidationSamples({}, {}, {})


class VocoderBenchmark(VocoderTask):
    """WaveGlow as the published programs train it."""

    def samples(self, model: nn.Module) -> ValidationSamples:
        """None: theirs make no sound."""
        return ValidationSamples({}, {}, {})


def make_task(config: RunConfig, clips: Clips, cache: Path, validation_batch: int = 1) -> ClipTask:
    """The task of a run, its clips decoded into `cache`."""
    config = replace(config, training=replace(config.training, held_out=clips.held_out, validation_clips=0))
    if isinstance(config, AcousticRun):
        decoded = Corpora([], cache).decode(clips.all, config.acoustic.mel)
        return AcousticBenchmark(config, clips.all, decoded, validation_batch=validation_batch)
    assert isinstance(config, VocoderRun)
    return VocoderBenchmark(config, clips.all, Corpora([], cache).decode(clips.all, config.vocoder.mel))


def schedule(training: TrainingConfig, epochs: int, steps: int) -> TrainingConfig:
    """The settings of a run of so many epochs of `steps`, which validates when it is told to."""
    return replace(
        training,
        max_steps=epochs * steps,
        validate_every=SELDOM,
        checkpoint_every=SELDOM,
        keep_checkpoints=1,
    )


class Lap(NamedTuple):
    """A step, or what came between two looks at the clock."""

    seconds: float
    waited_s: float
    """Of these, for data."""
    n_units: float
    """Samples or frames, over all processes."""


class SuiteObserver(Observer):
    """An observer that knows epochs, times and its place among the processes."""

    def __init__(self, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.is_main = rank() == 0
        self._seen: dict[str, float] = {}

    def began(self, context: RunContext, state: TrainState) -> None:
        self._seen = dict(context.clock.spent)

    def lap(self, context: RunContext) -> Lap:
        """Figures since the last call."""
        now = dict(context.clock.spent)
        seconds, waited_s, n_units = (now[name] - self._seen[name] for name in ("worked_s", "waited_s", "amount"))
        self._seen = now
        return Lap(seconds, waited_s, n_units)

    def say(self, line: str) -> None:
        """Print a line, in the first process alone."""
        if self.is_main:
            print(line, flush=True)

    def is_epoch_end(self, step: int) -> bool:
        """True after the last step of an epoch."""
        return step % self.steps_per_epoch == 0


def rank() -> int:
    """The number of this process."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """The number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(rank: int, n_processes: int, url: str) -> None:
    """Say which of how many processes this is, and where they meet: `tcp://HOST:PORT`."""
    if world_size() > 1 or n_processes == 1:  # What torchrun says counts more.
        return
    host, colon, port = url.removeprefix("tcp://").rpartition(":")
    if not url.startswith("tcp://") or not colon or not port.isdecimal():
        raise InputError(f"dist_url {url}: give tcp://HOST:PORT, such as tcp://localhost:54321")
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(n_processes),
        "LOCAL_WORLD_SIZE": str(n_processes),
        "MASTER_ADDR": "127.0.0.1" if host == "localhost" else host,
        "MASTER_PORT": port,
    }


def run(
    task: ClipTask,
    folder: Path,
    observer: Observer,
    *,
    target_val_loss: float | None = None,
    start: PublishedCheckpoint | None = None,
) -> Outcome:
    """Train from the beginning, or from `start`, in a run folder that begins anew; print what the run measured.

    Raises InputError as `train` does, and if `folder` holds something else than a run.
    """
    if world_size() == 1:  # Suites number a single process, too; a group of it would need a place to meet.
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
            os.environ.pop(name, None)
    # Of several processes without an accelerator, accelerate makes a group only if told that they are on a CPU.
    device = "cpu" if world_size() > 1 and not torch.accelerator.is_available() else "auto"
    init_distributed(device)
    if rank() == 0:
        _clear(folder)
        if start is not None:
            with lock_run_dir(folder, task.config, task.data()):
                progress = Progress(step=start.step)
                checkpoints.save(folder, progress, start.model, start.optimizer, None)
    stopping = StoppingCriteria(target_val_loss)
    outcome = train(task, folder, stopping=stopping, device=device, quiet=True, observer=observer)
    if rank() == 0:
        print(MACHINE, json.dumps(_measured(task.config, folder)), file=sys.stderr, flush=True)
    return outcome


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    if any(folder.iterdir()) and not (folder / "config.json").exists():
        raise InputError(f"{folder}: holds something else than a run; move it away, it would be replaced")
    shutil.rmtree(folder)


def _measured(config: RunConfig, folder: Path) -> Mapping[str, Any]:
    result, training = read_result(folder), config.training
    assert isinstance(config, AcousticRun | VocoderRun)
    mel = config.acoustic.mel if isinstance(config, AcousticRun) else config.vocoder.mel
    return {
        **{name: result[name] for name in ("ended_by", "finished", "step", "hours", "training_hours", "unit")},
        **{name: result[name] for name in ("validation_loss", "best_validation_loss", "target_val_loss")},
        f"{result['unit']}_per_s": result[f"{result['unit']}_per_s"],
        "clips_per_s": result["steps_per_s"] * training.batch_size,
        "steps_per_s": result["steps_per_s"],
        "model": config.type,
        "batch_per_process": training.batch_size / result["processes"],
        "precision": training.precision,
        "hop_length": mel.hop_length,
        **{name: result[name] for name in ("processes", "machine", "memory_gb", "power", "starts")},
    }


def program(main: Callable[[], int]) -> int:
    """Run a command: a fault of the user ends it with one line on standard error and status 2."""
    name = Path(sys.argv[0]).name
    try:
        return main()
    except InputError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(f"{name}: {message}", file=sys.stderr)
    return 2
