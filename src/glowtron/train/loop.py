"""The training loop, on Hugging Face accelerate: set up, fit, validate.

A run is decided by its configuration and data alone: the order of data, the learning rate and the seed of all noise
are functions of the step, so a run cut anywhere and resumed ends with the same bits as one that was not. One machine
or many: under `torchrun` every process takes its share of each batch.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object, send_to_device
from torch import Tensor, nn

from glowtron.config import OptimizerConfig, RunConfig
from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.average import Average
from glowtron.train.checkpoints import Progress
from glowtron.train.clock import Clock
from glowtron.train.interruption import Interruption
from glowtron.train.log import Log, Samples
from glowtron.train.run_folder import held
from glowtron.train.schedule import learning_rate, step_seed


class Share(NamedTuple):
    """Which part of every batch this process takes: items `rank`, `rank + of`, ..."""

    rank: int = 0
    of: int = 1


class Task(Protocol):
    """What the loop has to know of a model and its data. A batch has `ids`, the names of its clips, in order."""

    model: nn.Module
    unit: str
    """What `amount` counts, in the plural."""

    @property
    def config(self) -> RunConfig:
        """Of the run."""

    def data(self) -> Mapping[str, Any]:
        """What the run learns from and is judged by, as JSON values: two runs on the same data give the same."""

    def batches(self, first_step: int, share: Share) -> Iterable[Any]:
        """Batches of training without end, from that of the step after `first_step` steps on."""

    def held_out(self) -> Iterable[Any]:
        """Batches of validation, the same ones every time."""

    def losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars by name, each a mean over the batch; `loss` is minimised."""

    def amount(self, batch: Any) -> int:
        """Samples or frames in a batch without padding: its weight in a mean over batches, and the throughput."""

    def samples(self, model: nn.Module) -> Samples:
        """Sounds and pictures of held-out material."""


class Outcome(NamedTuple):
    """How a call of `train` ended."""

    step: int
    finished: bool
    """False: a signal came; the same command goes on from here."""


def train(
    task: Task, run: Path, *, origin: Mapping[str, Any] | None = None, device: str = "auto", quiet: bool = False
) -> Outcome:
    """Train `task` in the run folder `run`, from its newest checkpoint if it has one, up to `training.max_steps`.

    origin: where the weights that `task` begins with are from, for the record. device: `auto` takes an accelerator
    where there is one, `cpu` never does. Raises InputError when the folder holds another run or is in use, the disk is
    full, or the loss is no longer finite.
    """
    training = task.config.training
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if training.precision == "bf16" else "no",
    )
    try:
        if training.batch_size % accelerator.num_processes:
            raise InputError(
                f"training.batch_size {training.batch_size} cannot be shared by {accelerator.num_processes} processes"
            )
        is_main = accelerator.is_main_process
        data = {**task.data(), **({"from": origin} if origin is not None else {})}
        with held(run, task.config, data) if is_main else nullcontext():
            accelerator.wait_for_everyone()
            state = set_up(task, run, accelerator)
            devices = [accelerator.device] if accelerator.device.type == "cuda" else []
            with (
                torch.random.fork_rng(devices),  # The caller's random numbers go on as if nothing had happened.
                Interruption() as interruption,
                Log(run, state.progress.step, training.max_steps, enabled=is_main, quiet=quiet) as log,
            ):
                introduce(log, data)
                return fit(task, run, accelerator, state, log, interruption)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{run}: no space is left ({error}); the checkpoints are whole; make room and give the same command again"
        ) from error
    finally:
        # accelerate keeps its settings for the whole process; another call may want others.
        AcceleratorState._reset_state(reset_partial_state=accelerator.num_processes == 1)


def introduce(log: Log, data: Mapping[str, Any]) -> None:
    """Tell what a run does not say by itself."""
    if left_out := data.get("left_out"):
        log.say(f"{len(left_out)} clips are left out; data.json says which and why")
    if origin := data.get("from"):
        fresh = f"; new: {', '.join(origin['fresh'])}" if origin["fresh"] else ""
        log.say(f"begins with {origin['loaded']} tensors of {origin['source']}{fresh}")
        if origin["differences"]:
            log.say(f"settings that were others there: {'; '.join(origin['differences'])}")


class State(NamedTuple):
    """All that a step changes."""

    model: nn.Module
    """As accelerate wraps it; `task.model` holds the same weights."""
    optimizer: torch.optim.Optimizer
    names: list[str]
    """Of the parameters, in the optimizer's order."""
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
    average = Average(task.model, training.ema_decay) if training.ema_decay else None
    progress = Progress()
    if checkpoint is not None:
        progress = checkpoints.read_progress(checkpoint)
        checkpoints.restore_optimizer(optimizer, names, checkpoints.read_tensors(checkpoint, "optimizer"))
        if average is not None:
            average.load(checkpoints.read_tensors(checkpoint, "average"))
    return State(model, optimizer, names, average, progress)


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


def fit(task: Task, run: Path, accelerator: Accelerator, state: State, log: Log, interruption: Interruption) -> Outcome:
    """Step until `max_steps` or a signal, validating, logging and writing checkpoints on the way."""
    training = task.config.training
    progress = state.progress
    share = Share(accelerator.process_index, accelerator.num_processes)
    clock = Clock()
    batches = iter(task.batches(progress.step, share)) if progress.step < training.max_steps else iter(())
    if progress.step:
        log.say(f"resumed after step {progress.step}")
    state.model.train()
    while progress.step < training.max_steps:
        with clock.waiting():
            batch = send_to_device(next(batches), accelerator.device)
        values = take_step(task, accelerator, state, batch, share)
        clock.count(task.amount(batch) * share.of)
        progress.step += 1
        progress.validation_loss = None
        log.step(progress.step)
        for name, value in values.items():
            progress.unlogged[name] = progress.unlogged.get(name, 0.0) + value
        progress.unlogged_steps += 1
        if progress.step % training.log_every == 0:
            told = {name: total / progress.unlogged_steps for name, total in progress.unlogged.items()}
            log.metrics(progress.step, "train", {**told, **clock.read(task.unit)})
            progress.unlogged, progress.unlogged_steps = {}, 0
        last = progress.step == training.max_steps
        with clock.left_out():
            improved = False
            if last or progress.step % training.validate_every == 0:
                improved = validate(task, accelerator, state, log)
            stop = interruption.seen(accelerator)
            if last or improved or stop or progress.step % training.checkpoint_every == 0:
                save(task, run, accelerator, state)
        if stop and not last:
            log.say(
                f"{interruption.name}: stopped after step {progress.step}, checkpoint written; "
                f"give the same command to go on (--run {run})"
            )
            return Outcome(progress.step, finished=False)
    return Outcome(progress.step, finished=True)


def take_step(task: Task, accelerator: Accelerator, state: State, batch: Any, share: Share) -> dict[str, float]:
    """One step of the optimizer. Returns the losses by name, the gradient's norm and the learning rate."""
    training = task.config.training
    step = state.progress.step
    lr = learning_rate(step, training.optimizer, training.max_steps)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    generator = seeded(accelerator.device, training.seed, "train", step, share.rank)
    with accelerator.autocast():
        losses = task.losses(state.model, batch, generator)
    accelerator.backward(losses["loss"])
    parameters = [weight for group in state.optimizer.param_groups for weight in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, training.optimizer.clip_norm or math.inf)
    values = means(accelerator, losses) | {"grad_norm": norm.item(), "lr": lr}
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if broken:
        ids = gather_object(list(batch.ids))
        raise InputError(
            f"step {step + 1}: {', '.join(broken)} not finite on the clips {', '.join(ids)}; look at these clips, or "
            "lower training.optimizer.lr; the checkpoints are as before this step"
        )
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    if state.average is not None:
        state.average.update(step)
    return values


def means(accelerator: Accelerator, losses: Mapping[str, Tensor]) -> dict[str, float]:
    """Losses over all processes, whose shares of a batch are of one size."""
    stacked = torch.stack([loss.detach().float() for loss in losses.values()])
    # One tensor, so that the processes meet, and the device is waited for, once.
    return dict(zip(losses, accelerator.reduce(stacked, reduction="mean").tolist(), strict=True))


def seeded(device: torch.device, seed: int, *place: int | str) -> torch.Generator:
    """A generator for the noise of one step; dropout, which takes none, is seeded with it."""
    number = step_seed(seed, *place)
    torch.manual_seed(number)
    return torch.Generator(device).manual_seed(number)


def validate(task: Task, accelerator: Accelerator, state: State, log: Log) -> bool:
    """Log the mean losses over the held-out batches, sounds and pictures. Returns whether it is the best so far.

    Every process validates everything: the set is small, and so none has to wait for numbers of another.
    """
    progress, seed = state.progress, task.config.training.seed
    totals: dict[str, float] = {}
    amount = 0
    task.model.eval()
    with torch.no_grad(), state.average.applied() if state.average else nullcontext():
        for place, batch in enumerate(task.held_out()):
            batch = send_to_device(batch, accelerator.device)
            with accelerator.autocast():
                losses = task.losses(task.model, batch, seeded(accelerator.device, seed, "validation", place))
            weight = task.amount(batch)
            amount += weight
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0.0) + loss.item() * weight
        seeded(accelerator.device, seed, "samples")
        samples = task.samples(task.model) if accelerator.is_main_process else Samples({}, {}, {})
    task.model.train()
    told = {name: total / amount for name, total in totals.items()}  # Empty where nothing is held out.
    log.metrics(progress.step, "validation", {**told, **samples.metrics})
    log.samples(progress.step, samples)
    result = told.get("loss", math.nan)
    progress.validation_loss = result if math.isfinite(result) else None
    improved = math.isfinite(result) and (progress.best_loss is None or result < progress.best_loss)
    if improved:
        progress.best_loss = result
    return improved


def save(task: Task, run: Path, accelerator: Accelerator, state: State) -> None:
    """Write a checkpoint (the first process does) and remove those no longer needed."""
    if accelerator.is_main_process:
        moments = checkpoints.optimizer_tensors(state.optimizer, state.names)
        average = state.average.tensors if state.average else None
        checkpoints.save(run, state.progress, task.model.state_dict(), moments, average)
        checkpoints.prune(run, task.config.training.keep_checkpoints)
    accelerator.wait_for_everyone()
