"""The state of a run: what stays the same over its steps, and what each step changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from glowtron.config import OptimizerConfig
from glowtron.train import checkpoints
from glowtron.train.checkpoints import Progress
from glowtron.train.distributed import Interruption, Shard
from glowtron.train.log import Clock, Log
from glowtron.train.observer import Observer
from glowtron.train.precision import make_scaler
from glowtron.train.task import Task


class StoppingCriteria(NamedTuple):
    """Reasons to end a run before its schedule does. The learning rate does not depend on them."""

    target_val_loss: float | None = None
    """Validation loss that is low enough (early stopping)."""
    max_hours: float | None = None
    """Time to spend, over all starts of the run."""


class RunContext(NamedTuple):
    """Everything that stays the same over the steps of a run."""

    task: Task
    run: Path
    accelerator: Accelerator
    shard: Shard
    last_step: int
    """Steps of the whole schedule."""
    stopping: StoppingCriteria
    log: Log
    clock: Clock
    interruption: Interruption
    observer: Observer


class TrainState(NamedTuple):
    """Everything that a step changes."""

    model: nn.Module
    """The task's model, wrapped for several processes; `task.model` holds the same weights."""
    optimizer: torch.optim.Optimizer
    parameter_names: list[str]
    """Names of the trained parameters, in the optimizer's order."""
    scaler: torch.amp.GradScaler | None
    ema: EMA | None
    progress: Progress

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters that are trained."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


def restore_state(task: Task, run: Path, accelerator: Accelerator) -> TrainState:
    """Model, optimizer and EMA on their device, from the newest checkpoint in `run` if there is one."""
    training = task.config.training
    saved = checkpoints.steps(run)
    checkpoint = checkpoints.folder(run, saved[-1]) if saved else None
    if checkpoint is not None:
        task.model.load_state_dict(checkpoints.read_tensors(checkpoint, "model"))
    task.model.to(accelerator.device)
    # One process needs no wrapper.
    model = accelerator.prepare_model(task.model) if accelerator.num_processes > 1 else task.model
    trained = {name: parameter for name, parameter in task.model.named_parameters() if parameter.requires_grad}
    optimizer = make_optimizer(list(trained.values()), training.optimizer)
    scaler = make_scaler(training.precision, accelerator.device)
    ema = EMA(task.model, training.ema_decay) if training.ema_decay else None
    progress = Progress()
    if checkpoint is not None:
        progress = checkpoints.read_progress(checkpoint)
        checkpoints.restore_optimizer(optimizer, list(trained), checkpoints.read_tensors(checkpoint, "optimizer"))
        if ema is not None:
            ema.load(checkpoints.read_tensors(checkpoint, "average"))
        if scaler is not None:
            scaler.load_state_dict(progress.loss_scale)
    return TrainState(model, optimizer, list(trained), scaler, ema, progress)


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


def save_checkpoint(context: RunContext, state: TrainState) -> None:
    """Write a checkpoint (the first process does) and remove those no longer needed."""
    task, accelerator = context.task, context.accelerator
    if accelerator.is_main_process:
        if state.scaler is not None:
            state.progress.loss_scale = state.scaler.state_dict()
        moments = checkpoints.optimizer_tensors(state.optimizer, state.parameter_names)
        average = state.ema.tensors if state.ema else None
        checkpoints.save(context.run, state.progress, task.model.state_dict(), moments, average)
        checkpoints.prune(context.run, task.config.training.keep_checkpoints)
    accelerator.wait_for_everyone()


class EMA:
    """Exponential moving average of a model's floating-point weights and buffers, in float32.

    It is validated, sampled and exported instead of the last weights. Buffers are averaged too, since batch norm's
    statistics belong to the weights they were taken under.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.tensors = {name: tensor.clone() for name, tensor in _floats(model).items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the model's weights after `step` steps."""
        # A young average forgets faster. Else the random first weights would count for 1 / (1 - decay) steps.
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), list(_floats(self.model).values()), 1 - decay)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from the average in a checkpoint."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model computes with the average; afterwards it has its own weights again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, tensor in _floats(self.model).items():
            own = tensor.clone()
            tensor.copy_(self.tensors[name])
            self.tensors[name].copy_(own)


def _floats(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
