"""The training loop, on Hugging Face accelerate: `train` sets up, `fit` steps, `validate` measures.

Configuration and data alone decide a run. The order of the data, the learning rate and the seed of all noise are
functions of the step, so a run that is cut anywhere and resumed ends with the same bits as an uninterrupted one. Under
`torchrun` every process takes its shard of each batch.
"""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object, send_to_device
from torch import Tensor

from glowtron.config import TrainingConfig
from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.checkpoints import Progress
from glowtron.train.distributed import (
    Interruption,
    Shard,
    broadcast_tensors,
    make_accelerator,
    peers_alive,
    reduce_any,
    reduce_sum,
    shutdown,
)
from glowtron.train.log import Clock, Log, ValidationSamples
from glowtron.train.observer import Observer, Validation
from glowtron.train.precision import SMALLEST_SCALE, autocast, check_precision, matmul_precision
from glowtron.train.report import Diverged, report_end, report_start
from glowtron.train.run_dir import lock_run_dir
from glowtron.train.schedule import last_step, learning_rate, step_seed
from glowtron.train.state import RunContext, StoppingCriteria, TrainState, restore_state, save_checkpoint
from glowtron.train.task import Task


class Outcome(NamedTuple):
    """The end of a call of `train`."""

    step: int
    finished: bool
    """False if a signal came; the same command then goes on from here."""
    ended_by: str
    """`max_steps`, `max_epochs`, `target_val_loss`, `max_hours`, or the signal's name."""


def train(
    task: Task,
    run: Path,
    *,
    stopping: StoppingCriteria | None = None,
    device: str = "auto",
    quiet: bool = False,
    observer: Observer | None = None,
) -> Outcome:
    """Train `task` in the folder `run`, from its newest checkpoint if it has one, until a stopping criterion is met.

    The result is also written to `result.json`.

    Args:
        task: The model, its data and its losses.
        run: The run folder.
        stopping: Reasons to end before the schedule does.
        device: `auto` takes an accelerator if there is one, `cpu` never does.
        quiet: Print errors and warnings only.
        observer: What else is to happen during the run.

    Raises:
        InputError: The folder holds another run or is in use, the device lacks the precision, the disk is full,
            another process is lost, or the loss is no longer finite.
    """
    with open_run(task, run, device) as (accelerator, data):
        config, is_main = task.config.training, accelerator.is_main_process
        state = restore_state(task, run, accelerator)
        last = last_step(config, task.n_items)
        with (
            # The caller's random numbers stay as they were.
            torch.random.fork_rng([accelerator.device] if accelerator.device.type == "cuda" else []),
            matmul_precision(config.precision),
            Interruption() as interruption,
            Log(run, state.progress.step, last, accelerator.device, enabled=is_main, quiet=quiet) as log,
        ):
            clock = Clock(state.progress.spent)
            state.progress.spent = clock.spent  # The same dictionary, so that checkpoints have it.
            shard = Shard(accelerator.process_index, accelerator.num_processes)
            stopping = stopping or StoppingCriteria()
            watching = observer or Observer()
            context = RunContext(task, run, accelerator, shard, last, stopping, log, clock, interruption, watching)
            report_start(context, state.progress, data)
            try:
                ended_by = fit(context, state)
            except Diverged as error:
                report_end(context, state.progress, "not finite", str(error))
                raise
            report_end(context, state.progress, ended_by)
        outcome = Outcome(state.progress.step, ended_by != interruption.name, ended_by)
        del state, context  # The wrapped model has to be gone before its process group is.
    return outcome


def fit(context: RunContext, state: TrainState) -> str:
    """Step until a stopping criterion is met; log, validate and save on the way. Returns the reason for the end."""
    task, progress, log, clock = context.task, state.progress, context.log, context.clock
    config = task.config.training
    ended_by = stopping_reason(context, progress)
    batches = iter(()) if ended_by else iter(task.batches(progress.step, context.shard))
    state.model.train()
    context.observer.began(context, state)
    while not ended_by:
        with clock.waiting():
            micro_batches = [
                send_to_device(next(batches), context.accelerator.device, non_blocking=True)
                for _ in range(config.gradient_accumulation_steps)
            ]
        metrics = optimizer_step(context, state, micro_batches)
        progress.step += 1
        progress.validation_loss = None
        progress.accumulate(metrics)
        log.step(progress.step)
        if progress.step % config.log_every == 0:
            epoch = {"epoch": progress.step * config.batch_size / task.n_items}
            log.metrics(progress.step, "train", progress.means() | epoch | clock.read(task.unit) | log.machine())
        clock.settle()
        interrupted, late = reduce_any(context.accelerator, [bool(context.interruption.name), is_late(context)])
        with clock.left_out():
            context.observer.stepped(context, state, metrics)
            improved = False
            due = progress.step % config.validate_every == 0 or context.observer.wants_validation(progress.step)
            if progress.step == context.last_step or late or due:
                improved = validate(context, state)
            ended_by = stopping_reason(context, progress, late=late)
            if ended_by or improved or interrupted or progress.step % config.checkpoint_every == 0:
                save_checkpoint(context, state)
        if interrupted and not ended_by:
            # If the signal came to another process, this one is told by what torchrun sends.
            context.interruption.name = context.interruption.name or "SIGTERM"
            return context.interruption.name
    return ended_by


def optimizer_step(context: RunContext, state: TrainState, micro_batches: Sequence[Any]) -> dict[str, float]:
    """Forward, backward and one step of the optimizer on a batch in parts (gradient accumulation).

    A part weighs as much as it has samples or frames, so that neither the number of processes nor that of parts
    changes what is minimised. Returns the losses by name (means over all processes), learning rate and gradient norm.
    """
    task, accelerator, shard = context.task, context.accelerator, context.shard
    config, step = task.config.training, state.progress.step
    lr = learning_rate(step, config.optimizer, context.last_step, task.n_items / config.batch_size)
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    units = [task.n_units(part) for part in micro_batches]
    (all_units,) = reduce_sum(accelerator, [sum(units)])
    sums: dict[str, Tensor] = {}
    for place, (part, n_units) in enumerate(zip(micro_batches, units, strict=True)):
        generator = seeded(accelerator.device, config.seed, "train", step, shard.rank + place * shard.world_size)
        is_last = place == len(micro_batches) - 1
        with nullcontext() if is_last else accelerator.no_sync(state.model):
            with autocast(config.precision, accelerator.device):
                losses = task.losses(state.model, part, generator)
            # DistributedDataParallel averages gradients, so a sum has to be multiplied by the number of processes.
            loss = losses["loss"] * (n_units / all_units * shard.world_size)
            (loss if state.scaler is None else state.scaler.scale(loss)).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach().float() * (n_units / all_units)
    # One tensor, so that the program waits for the device, and for the other processes, once.
    means = dict(zip(sums, reduce_sum(accelerator, torch.stack(list(sums.values())).tolist()), strict=True))
    update = update_weights(state, config.optimizer.clip_norm, micro_batches, means)
    context.clock.count(all_units)
    return means | {"lr": lr} | update


def update_weights(
    state: TrainState, clip_norm: float, micro_batches: Sequence[Any], losses: Mapping[str, float]
) -> dict[str, float]:
    """Clip the gradient, step the optimizer and update the EMA. Returns the gradient's norm and the loss scale.

    Under a scaled loss, an infinite gradient skips the step and lowers the scale. Raises Diverged, before any weight
    changes, if a loss or the gradient is not finite.
    """
    scaler = state.scaler
    if scaler is not None:
        scaler.unscale_(state.optimizer)
    metrics = {"grad_norm": torch.nn.utils.clip_grad_norm_(state.parameters, clip_norm or math.inf).item()}
    if scaler is not None:
        skipped = not math.isfinite(metrics["grad_norm"])
        metrics = {} if skipped and scaler.get_scale() > SMALLEST_SCALE else metrics
        metrics |= {"skipped_share": float(skipped), "loss_scale": scaler.get_scale()}
    broken = [name for name, value in {**losses, **metrics}.items() if not math.isfinite(value)]
    if broken:
        ids = gather_object([name for part in micro_batches for name in part.ids])
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
    if state.ema is not None:
        state.ema.update(state.progress.step)
    return metrics


def validate(context: RunContext, state: TrainState) -> bool:
    """Log the mean losses over the validation batches, sounds and pictures. Returns whether this is the best loss.

    Process r of n takes batches r, r + n, ...; the means are over all processes, so that each batch counts once.
    """
    task, accelerator, shard, log = context.task, context.accelerator, context.shard, context.log
    config, device = task.config.training, context.accelerator.device
    start_s = time.perf_counter()
    synchronize_buffers(context, state)
    sums: dict[str, float] = {}
    all_units = 0.0
    task.model.eval()
    with torch.no_grad(), state.ema.applied() if state.ema else nullcontext():
        for place, batch in enumerate(task.validation_batches()):
            if place % shard.world_size != shard.rank:
                continue
            batch = send_to_device(batch, device)
            with autocast(config.precision, device):
                losses = task.losses(task.model, batch, seeded(device, config.seed, "validation", place))
            n_units = task.n_units(batch)
            all_units += n_units
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.item() * n_units
        seeded(device, config.seed, "samples")
        samples = task.samples(task.model) if accelerator.is_main_process else ValidationSamples({}, {}, {})
    task.model.train()
    shards = gather_object([(sums, all_units)])
    metrics = weighted_means(shards)
    validation = Validation(metrics, time.perf_counter() - start_s, sum(n_units for _, n_units in shards))
    log.metrics(state.progress.step, "validation", {**metrics, **samples.metrics})
    log.samples(state.progress.step, samples)
    context.observer.validated(context, state, validation)
    return state.progress.note_validation(metrics.get("loss", math.nan))


# The functions below serve the three above.


@contextmanager
def open_run(task: Task, run: Path, device: str) -> Iterator[tuple[Accelerator, Mapping[str, Any]]]:
    """Check the run against device and folder, lock the folder, and give the accelerator and what `data.json` says.

    A new run gets its first weights here if it begins with others'. Raises InputError as `train` does.
    """
    accelerator = make_accelerator(device)
    try:
        check_precision(task.config.training.precision, accelerator.device)
        check_batch_size(task.config.training, accelerator.num_processes)
        data = dict(task.data())
        if task.init_from is not None and not checkpoints.steps(run):
            data["from"] = task.init_from.apply(task.pretrained_part, task.config)
        lock = lock_run_dir(run, task.config, data) if accelerator.is_main_process else nullcontext()
        with lock, peers_alive(accelerator, run):
            accelerator.wait_for_everyone()
            yield accelerator, data
        shutdown(accelerator)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{run}: no space is left ({error}); the checkpoints are whole; make room and give the same command again"
        ) from error
    finally:
        # accelerate keeps its settings for the whole process; another call may want others.
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())


def check_batch_size(training: TrainingConfig, n_processes: int) -> None:
    """Raise InputError if the processes cannot take equal shares of a batch, in equal parts."""
    if training.batch_size % (n_processes * training.gradient_accumulation_steps):
        parts = (
            f", in {training.gradient_accumulation_steps} parts each"
            if training.gradient_accumulation_steps > 1
            else ""
        )
        raise InputError(
            f"training.batch_size {training.batch_size} cannot be shared by {n_processes} processes{parts}"
        )


def stopping_reason(context: RunContext, progress: Progress, late: bool | None = None) -> str:
    """`target_val_loss`, `max_steps`, `max_epochs` or `max_hours` if that has ended the run; empty while it goes on."""
    target = context.stopping.target_val_loss
    if target is not None and progress.best_loss is not None and progress.best_loss <= target:
        return "target_val_loss"
    if progress.step >= context.last_step:
        return "max_steps" if context.last_step == context.task.config.training.max_steps else "max_epochs"
    if late is None:
        (late,) = reduce_any(context.accelerator, [is_late(context)])
    return "max_hours" if late else ""


def is_late(context: RunContext) -> bool:
    """True if the run has spent its hours, by the clock of the first process."""
    hours = context.stopping.max_hours
    return context.accelerator.is_main_process and hours is not None and context.clock.hours >= hours


def seeded(device: torch.device, seed: int, *place: int | str) -> torch.Generator:
    """A generator for the noise of one step. Dropout takes no generator, so torch's own is seeded as well."""
    number = step_seed(seed, *place)
    torch.manual_seed(number)
    return torch.Generator(device).manual_seed(number)


def synchronize_buffers(context: RunContext, state: TrainState) -> None:
    """Give all processes the first one's buffers: batch statistics differ between them until the next step."""
    for name, buffer in context.task.model.named_buffers():
        averaged = [state.ema.tensors[name]] if state.ema is not None and name in state.ema.tensors else []
        broadcast_tensors(context.accelerator, [buffer, *averaged])


def weighted_means(shards: Iterable[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Means of weighted sums and their weights from several processes; empty if there is no validation data."""
    sums: dict[str, float] = {}
    all_units = 0.0
    for values, n_units in shards:
        all_units += n_units
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: value / all_units for name, value in sums.items()}
