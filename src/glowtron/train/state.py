"""What a run is made of: the task, what stays the same over its steps, what a step changes, and how that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from glowtron.config import OptimizerConfig, RunConfig
from glowtron.train import checkpoints
from glowtron.train.average import Average
from glowtron.train.batches import Share
from glowtron.train.checkpoints import Progress
from glowtron.train.log import Log, Samples
from glowtron.train.precision import make_scaler


class Task(Protocol):
    """What the loop has to know of a model and its data. A batch has `ids`, the names of its clips, in order."""

    model: nn.Module
    unit: str
    """What `amount` counts, in the plural."""

    @property
    def config(self) -> RunConfig:
        """Of the run."""

    @property
    def n_items(self) -> int:
        """Clips in an epoch."""

    def data(self) -> Mapping[str, Any]:
        """What the run learns from and is judged by, as JSON values: two runs on the same data give the same."""

    def batches(self, first_step: int, share: Share) -> Iterable[Any]:
        """Batches without end, from the step after `first_step` steps on; `training.accumulate` of them make a step."""

    def held_out(self) -> Iterable[Any]:
        """Batches of validation, the same ones every time."""

    def losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars by name, each a mean over the batch; `loss` is minimised."""

    def amount(self, batch: Any) -> int:
        """Samples or frames in a batch without padding: its weight in a mean over batches, and the throughput."""

    def samples(self, model: nn.Module) -> Samples:
        """Sounds and pictures of held-out material."""


class Stops(NamedTuple):
    """What may end a run before its schedule does; the schedule itself does not know of it."""

    val_loss: float | None = None
    """Validation loss that is good enough."""
    hours: float | None = None
    """Time to spend, over all starts."""


class Setting(NamedTuple):
    """What stays the same over a run's steps."""

    task: Task
    run: Path
    accelerator: Accelerator
    share: Share
    last: int
    """Steps of the whole schedule."""
    stops: Stops
    log: Log


class State(NamedTuple):
    """All that a step changes."""

    model: nn.Module
    """As accelerate wraps it; `task.model` holds the same weights."""
    optimizer: torch.optim.Optimizer
    names: list[str]
    """Of the parameters, in the optimizer's order."""
    scaler: torch.amp.GradScaler | None
    average: Average | None
    progress: Progress


def set_up(task: Task, run: Path, accelerator: Accelerator) -> State:
    """Model, optimizer and average on their device, as the newest checkpoint left them."""
    training = task.config.training
    saved = checkpoints.steps(run)
    checkpoint = checkpoints.folder(run, saved[-1]) if saved else None
    if checkpoint is not None:
        task.model.load_state_dict(checkpoints.read_tensors(checkpoint, "model"))
    task.model.to(accelerator.device)
    # One process needs no wrapper, and autocast is entered where losses are computed.
    model = accelerator.prepare_model(task.model) if accelerator.num_processes > 1 else task.model
    named = [(name, weight) for name, weight in task.model.named_parameters() if weight.requires_grad]
    optimizer = make_optimizer([weight for _, weight in named], training.optimizer)
    names = [name for name, _ in named]
    scaler = make_scaler(training.precision, accelerator.device)
    average = Average(task.model, training.ema_decay) if training.ema_decay else None
    progress = Progress()
    if checkpoint is not None:
        progress = checkpoints.read_progress(checkpoint)
        checkpoints.restore_optimizer(optimizer, names, checkpoints.read_tensors(checkpoint, "optimizer"))
        if average is not None:
            average.load(checkpoints.read_tensors(checkpoint, "average"))
        if scaler is not None:
            scaler.load_state_dict(progress.loss_scale)
    return State(model, optimizer, names, scaler, average, progress)


def make_optimizer(parameters: list[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019), fused: one pass over memory a step."""
    kind = torch.optim.AdamW if config.type == "adamw" else torch.optim.Adam
    return kind(
        parameters,
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=True,
    )


def save(setting: Setting, state: State) -> None:
    """Write a checkpoint (the first process does) and remove those no longer needed."""
    task, accelerator = setting.task, setting.accelerator
    if accelerator.is_main_process:
        if state.scaler is not None:
            state.progress.loss_scale = state.scaler.state_dict()
        moments = checkpoints.optimizer_tensors(state.optimizer, state.names)
        average = state.average.tensors if state.average else None
        checkpoints.save(setting.run, state.progress, task.model.state_dict(), moments, average)
        checkpoints.prune(setting.run, task.config.training.keep_checkpoints)
    accelerator.wait_for_everyone()
