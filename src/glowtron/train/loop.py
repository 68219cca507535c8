"""The training loop, on Hugging Face accelerate: set up, fit, validate.

A run is decided by its configuration and data alone: the order of data, the learning rate and the seed of all noise
are functions of the step, so a run cut anywhere and resumed ends with the same bits as one that was not. One machine
or many: under `torchrun` every process takes its share of each batch.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, gather_object, send_to_device
from torch import Tensor

from glowtron.config import OptimizerConfig
from glowtron.errors import InputError
from glowtron.train.batches import Share
from glowtron.train.checkpoints import Progress
from glowtron.train.clock import Clock
from glowtron.train.interruption import Interruption
from glowtron.train.log import Log, Samples
from glowtron.train.machine import Power, peak_memory_gb
from glowtron.train.precision import SMALLEST_SCALE, autocast, check, rounding
from glowtron.train.processes import SHARING, all_alive, any_of, disband, share_buffers, total
from glowtron.train.result import Diverged, introduce, note_start, write_result
from glowtron.train.run_folder import held
from glowtron.train.schedule import last_step, learning_rate, step_seed
from glowtron.train.state import Setting, State, Stops, Task, save, set_up


class Outcome(NamedTuple):
    """How a call of `train` ended."""

    step: int
    finished: bool
    """False: a signal came; the same command goes on from here."""
    ended_by: str
    """`max_steps`, `max_epochs`, `target_val_loss`, `max_hours`, or the signal's name."""


def train(
    task: Task,
    run: Path,
    *,
    stops: Stops | None = None,
    origin: Mapping[str, Any] | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Outcome:
    """Train `task` in the folder `run`, from its newest checkpoint if it has one, until its schedule or `stops` end.

    origin: where the weights that `task` begins with are from, for the record. device: `auto` takes an accelerator
    where there is one, `cpu` never does. How it ended stands in `result.json`, too. Raises InputError when the folder
    holds another run or is in use, the device lacks the precision, the disk is full, another process is lost, or the
    loss is no longer finite.
    """
    training = task.config.training
    sharing = DistributedDataParallelKwargs(**SHARING)
    # Precision is ours to see to.
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no", kwargs_handlers=[sharing])
    is_main = accelerator.is_main_process
    share = Share(accelerator.process_index, accelerator.num_processes)
    try:
        check(training.precision, accelerator.device)
        if training.batch_size % (share.of * training.accumulate):
            parts = f", in {training.accumulate} parts each" if training.accumulate > 1 else ""
            raise InputError(
                f"training.batch_size {training.batch_size} cannot be shared by {share.of} processes{parts}"
            )
        data = {**task.data(), **({"from": origin} if origin is not None else {})}
        with held(run, task.config, data) if is_main else nullcontext(), all_alive(accelerator, run):
            accelerator.wait_for_everyone()
            outcome = _set_up_and_go(task, run, accelerator, share, stops or Stops(), data, quiet=quiet)
        disband(accelerator)
        return outcome
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{run}: no space is left ({error}); the checkpoints are whole; make room and give the same command again"
        ) from error
    finally:
        # accelerate keeps its settings for the whole process; another call may want others.
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())


def _set_up_and_go(
    task: Task,
    run: Path,
    accelerator: Accelerator,
    share: Share,
    stops: Stops,
    data: Mapping[str, Any],
    *,
    quiet: bool,
) -> Outcome:
    """All that needs the state, which is gone with it."""
    state = set_up(task, run, accelerator)
    last = last_step(task.config.training, task.n_items)
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),  # The caller's random numbers go on as if nothing had happened.
        rounding(task.config.training.precision),
        Interruption() as interruption,
        Log(run, state.progress.step, last, enabled=accelerator.is_main_process, quiet=quiet) as log,
    ):
        return go(Setting(task, run, accelerator, share, last, stops, log), state, interruption, data)


def go(setting: Setting, state: State, interruption: Interruption, data: Mapping[str, Any]) -> Outcome:
    """Fit, with a word before it and the result after it."""
    accelerator, log, progress = setting.accelerator, setting.log, state.progress
    power = Power(accelerator.device)
    if accelerator.is_main_process:
        introduce(log, setting.task.config, data, progress.step)
        note_start(setting.run, progress.step, accelerator)
    clock = Clock(progress.spent)
    progress.spent = clock.spent

    def conclude(ended_by: str, error: str = "") -> None:
        memory = [peak_memory_gb(accelerator.device)]
        memory = memory if error else gather_object(memory)
        clock.settle()
        if accelerator.is_main_process:
            write_result(setting, progress, ended_by, error, memory, power.mean())

    try:
        ended_by = fit(setting, state, clock, interruption, power)
    except Diverged as error:
        conclude("not finite", str(error))
        raise
    conclude(ended_by)
    if ended_by == interruption.name:
        log.say(
            f"{ended_by}: stopped after step {progress.step}, checkpoint written; "
            f"give the same command to go on (--run {setting.run})"
        )
    return Outcome(progress.step, ended_by != interruption.name, ended_by)


def fit(setting: Setting, state: State, clock: Clock, interruption: Interruption, power: Power) -> str:
    """Step until something ends the run, validating, logging and saving on the way; returns what it was."""
    task, accelerator, log, progress = setting.task, setting.accelerator, setting.log, state.progress
    training = task.config.training
    ended = ended_by(setting, progress, clock)
    batches = iter(()) if ended else iter(task.batches(progress.step, setting.share))
    state.model.train()
    while not ended:
        with clock.waiting():
            parts = [
                send_to_device(next(batches), accelerator.device, non_blocking=True) for _ in range(training.accumulate)
            ]
        values, amount = take_step(setting, state, parts)
        clock.count(amount)
        progress.step += 1
        progress.validation_loss = None
        log.step(progress.step)
        keep(progress, values)
        if progress.step % training.log_every == 0:
            told = means_of_unlogged(progress) | {"epoch": progress.step * training.batch_size / task.n_items}
            told |= clock.read(task.unit) | {"memory_gb": peak_memory_gb(accelerator.device)} | power.read()
            log.metrics(progress.step, "train", told)
        clock.settle()
        interrupted, late = any_of(accelerator, [bool(interruption.name), is_late(setting, clock)])
        with clock.left_out():
            done = progress.step == setting.last or late
            improved = False
            if done or progress.step % training.validate_every == 0:
                improved = validate(setting, state)
            ended = ended_by(setting, progress, clock, late=late)
            if ended or improved or interrupted or progress.step % training.checkpoint_every == 0:
                save(setting, state)
        if interrupted and not ended:
            # The signal may have come to another process; then it is told by what torchrun sends.
            interruption.name = interruption.name or "SIGTERM"
            return interruption.name
    return ended


def is_late(setting: Setting, clock: Clock) -> bool:
    """Whether the first process, whose clock counts, has spent its hours."""
    hours = setting.stops.hours
    return setting.accelerator.is_main_process and hours is not None and clock.hours >= hours


def ended_by(setting: Setting, progress: Progress, clock: Clock, late: bool | None = None) -> str:
    """What has ended the run: `target_val_loss`, `max_steps`, `max_epochs` or `max_hours`; empty while it goes on."""
    training, target = setting.task.config.training, setting.stops.val_loss
    if target is not None and progress.best_loss is not None and progress.best_loss <= target:
        return "target_val_loss"
    if progress.step >= setting.last:
        return "max_steps" if setting.last == training.max_steps else "max_epochs"
    if late is None:
        late = any_of(setting.accelerator, [is_late(setting, clock)])[0]
    return "max_hours" if late else ""


def keep(progress: Progress, values: Mapping[str, float]) -> None:
    """Add a step's values to those not yet logged."""
    for name, value in values.items():
        progress.unlogged[name] = progress.unlogged.get(name, 0.0) + value
    progress.unlogged_steps += 1


def means_of_unlogged(progress: Progress) -> dict[str, float]:
    """Means over the steps since the last line of metrics, which are forgotten."""
    counts = {"grad_norm": progress.unlogged_steps - progress.unlogged.get("skipped_share", 0)}
    told = {
        name: value / n
        for name, value in progress.unlogged.items()
        if (n := counts.get(name, progress.unlogged_steps)) > 0
    }
    progress.unlogged, progress.unlogged_steps = {}, 0
    return told


def take_step(setting: Setting, state: State, parts: Sequence[Any]) -> tuple[dict[str, float], float]:
    """One step of the optimizer on a batch in parts.

    Returns the losses by name, the gradient's norm and the learning rate, and how much was learnt from: means and sums
    over all processes. What a part counts for is its amount of samples or frames, so that neither the number of
    processes nor that of parts changes what is minimised.
    """
    task, accelerator, share = setting.task, setting.accelerator, setting.share
    training, step = task.config.training, state.progress.step
    lr = learning_rate(step, training.optimizer, setting.last, task.n_items / training.batch_size)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    amounts = [task.amount(part) for part in parts]
    (amount,) = total(accelerator, [sum(amounts)])
    sums: dict[str, Tensor] = {}
    for place, (part, own) in enumerate(zip(parts, amounts, strict=True)):
        generator = seeded(accelerator.device, training.seed, "train", step, share.rank + place * share.of)
        alone = nullcontext() if place == len(parts) - 1 else accelerator.no_sync(state.model)
        with alone:
            with autocast(training.precision, accelerator.device):
                losses = task.losses(state.model, part, generator)
            # Gradients of the processes are averaged, so what is to be a sum is multiplied by their number.
            loss = losses["loss"] * (own / amount * share.of)
            (loss if state.scaler is None else state.scaler.scale(loss)).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach().float() * (own / amount)
    # One tensor, so that the device is waited for, and the processes meet, once.
    means = dict(zip(sums, total(accelerator, torch.stack(list(sums.values())).tolist()), strict=True))
    return means | {"lr": lr} | move(state, training.optimizer, parts, means), amount


def move(state: State, config: OptimizerConfig, parts: Sequence[Any], losses: Mapping[str, float]) -> dict[str, float]:
    """Move the weights by the gradient they have. Returns its norm, and what came of scaling the loss if it is scaled.

    Raises Diverged, before anything is moved, if a loss or the gradient is not finite; under a scaled loss an infinite
    gradient only skips the step and lowers the scale.
    """
    scaler = state.scaler
    if scaler is not None:
        scaler.unscale_(state.optimizer)
    parameters = [weight for group in state.optimizer.param_groups for weight in group["params"]]
    told = {"grad_norm": torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm or math.inf).item()}
    if scaler is not None:
        skipped = not math.isfinite(told["grad_norm"])
        told = {} if skipped and scaler.get_scale() > SMALLEST_SCALE else told
        told |= {"skipped_share": float(skipped), "loss_scale": scaler.get_scale()}
    broken = [name for name, value in {**losses, **told}.items() if not math.isfinite(value)]
    if broken:
        ids = gather_object([name for part in parts for name in part.ids])
        raise Diverged(
            f"step {state.progress.step + 1}: {', '.join(broken)} not finite on the clips {', '.join(ids)}; look at "
            "these clips, or lower training.optimizer.lr; the checkpoints are as before this step"
        )
    if scaler is None:
        state.optimizer.step()
    else:
        scaler.step(state.optimizer)
        scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if state.average is not None:
        state.average.update(state.progress.step)
    return told


def seeded(device: torch.device, seed: int, *place: int | str) -> torch.Generator:
    """A generator for the noise of one step; dropout, which takes none, is seeded with it."""
    number = step_seed(seed, *place)
    torch.manual_seed(number)
    return torch.Generator(device).manual_seed(number)


def validate(setting: Setting, state: State) -> bool:
    """Log the mean losses over the held-out batches, sounds and pictures. Returns whether it is the best so far.

    Each process takes every so many-th batch; sums are made of all, so that each batch counts once.
    """
    task, accelerator, share, log = setting.task, setting.accelerator, setting.share, setting.log
    progress, training = state.progress, task.config.training
    sums: dict[str, float] = {}
    amount = 0.0
    share_buffers(accelerator, task.model, state.average)
    task.model.eval()
    with torch.no_grad(), state.average.applied() if state.average else nullcontext():
        for place, batch in enumerate(task.held_out()):
            if place % share.of != share.rank:
                continue
            batch = send_to_device(batch, accelerator.device)
            with autocast(training.precision, accelerator.device):
                losses = task.losses(task.model, batch, seeded(accelerator.device, training.seed, "validation", place))
            weight = task.amount(batch)
            amount += weight
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.item() * weight
        seeded(accelerator.device, training.seed, "samples")
        samples = task.samples(task.model) if accelerator.is_main_process else Samples({}, {}, {})
    task.model.train()
    told = _means(gather_object([(sums, amount)]))
    log.metrics(progress.step, "validation", {**told, **samples.metrics})
    log.samples(progress.step, samples)
    result = told.get("loss", math.nan)
    progress.validation_loss = result if math.isfinite(result) else None
    improved = math.isfinite(result) and (progress.best_loss is None or result < progress.best_loss)
    if improved:
        progress.best_loss = result
    return improved


def _means(shares: Iterable[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Means of sums and their weights in several parts; empty where nothing is held out."""
    sums: dict[str, float] = {}
    amount = 0.0
    for theirs, weight in shares:
        amount += weight
        for name, value in theirs.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: value / amount for name, value in sums.items()}
