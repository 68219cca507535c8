"""Checkpoints of a run: `step-0120000/` folders of safetensors and JSON.

A checkpoint is written under a temporary name and renamed, so a killed run never leaves half of one. It holds
everything that decides the steps after it. Nothing in it can run code when it is read.

    model.safetensors      weights and buffers
    average.safetensors    their exponential moving average (EMA), if there is one
    optimizer.safetensors  moments of every parameter, `<parameter>/<moment>`
    state.json             step, validation losses, sums of the metrics not yet logged
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from glowtron.errors import InputError, reason
from glowtron.files import flush

_NAME = re.compile(r"step-(\d{7,})")


@dataclass(kw_only=True)
class Progress:
    """The state of a run without its tensors."""

    step: int = 0
    """Steps done."""
    validation_loss: float | None = None
    """Validation loss of these very weights; None where they were not validated."""
    best_loss: float | None = None
    """Lowest validation loss of the run so far."""
    unlogged: dict[str, float] = field(default_factory=dict)
    """Sums of metrics over the steps since the last line of metrics."""
    unlogged_steps: int = 0
    """Steps in these sums."""
    spent: dict[str, float] = field(default_factory=dict)
    """Time and data so far (`Clock.spent`)."""
    loss_scale: dict[str, float] = field(default_factory=dict)
    """State of the GradScaler, in half precision."""

    def accumulate(self, metrics: Mapping[str, float]) -> None:
        """Add the metrics of a step to the sums of those not yet logged."""
        for name, value in metrics.items():
            self.unlogged[name] = self.unlogged.get(name, 0.0) + value
        self.unlogged_steps += 1

    def means(self) -> dict[str, float]:
        """Means over the steps since the last line of metrics. Starts new sums."""
        # A skipped step has no gradient norm.
        counts = {"grad_norm": self.unlogged_steps - self.unlogged.get("skipped_share", 0)}
        means = {
            name: value / n for name, value in self.unlogged.items() if (n := counts.get(name, self.unlogged_steps)) > 0
        }
        self.unlogged, self.unlogged_steps = {}, 0
        return means

    def note_validation(self, loss: float) -> bool:
        """Keep the validation loss of the present weights. Returns whether it is the best so far."""
        self.validation_loss = loss if math.isfinite(loss) else None
        improved = math.isfinite(loss) and (self.best_loss is None or loss < self.best_loss)
        if improved:
            self.best_loss = loss
        return improved


def folder(run: Path, step: int) -> Path:
    """The folder of the checkpoint after `step` steps."""
    return run / f"step-{step:07d}"


def steps(run: Path) -> list[int]:
    """Steps of the whole checkpoints in a run folder, oldest first."""
    if not run.is_dir():
        return []
    found = (_NAME.fullmatch(path.name) for path in run.iterdir())
    return sorted(int(match[1]) for match in found if match)


def best(run: Path) -> int | None:
    """Step of the checkpoint with the lowest validation loss; None where none was validated."""
    losses = {step: read_progress(folder(run, step)).validation_loss for step in steps(run)}
    validated = {step: loss for step, loss in losses.items() if loss is not None}
    return min(validated, key=lambda step: (validated[step], step)) if validated else None


def save(
    run: Path,
    progress: Progress,
    model: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    average: Mapping[str, Tensor] | None,
) -> Path:
    """Write a checkpoint, whole or not at all, and return its folder.

    Raises InputError when the disk is full or cannot be written; the checkpoints before it stay as they were.
    """
    final = folder(run, progress.step)
    if final.exists():  # Stopped right after a checkpoint: the same step is the same content.
        return final
    partial = run / f".{final.name}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, tensors in (("model", model), ("optimizer", optimizer), ("average", average)):
            if tensors is not None:
                path = partial / f"{name}.safetensors"
                save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, path)
                flush(path)
        path = partial / "state.json"
        path.write_text(json.dumps(asdict(progress), indent=1) + "\n", encoding="utf-8")
        flush(path)
        partial.rename(final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        kept = steps(run)
        last = f"the last whole one is {folder(run, kept[-1])}" if kept else "there is none before it"
        raise InputError(
            f"{final}: the checkpoint cannot be written ({error}); {last}; make room and give the same command again"
        ) from error
    return final


def clear_partial(run: Path) -> None:
    """Remove what a killed run was still writing."""
    for path in run.glob(".step-*.partial"):
        shutil.rmtree(path)


def prune(run: Path, keep: int) -> None:
    """Remove all checkpoints but the newest `keep` and the best by validation loss."""
    kept = {*steps(run)[-keep:], best(run)}
    for step in steps(run):
        if step not in kept:
            # Renamed first: a removal cut short must not leave half a folder under the name of a whole one.
            doomed = run / f".{folder(run, step).name}.partial"
            shutil.rmtree(doomed, ignore_errors=True)
            folder(run, step).rename(doomed)
            shutil.rmtree(doomed)


def read_progress(checkpoint: Path) -> Progress:
    """Read `state.json` of a checkpoint. Raises InputError when it is damaged."""
    path = checkpoint / "state.json"
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def read_tensors(checkpoint: Path, name: str) -> dict[str, Tensor]:
    """Read `model`, `average` or `optimizer` of a checkpoint onto the CPU. Raises InputError when it is damaged."""
    path = checkpoint / f"{name}.safetensors"
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged ({reason(error)}); remove {path.parent} to go on from the one before")


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """The optimizer's state of every parameter, flat; `names` in the order in which it was given the parameters."""
    state = optimizer.state_dict()["state"]
    return {
        f"{names[index]}/{moment}": torch.as_tensor(value)
        for index, moments in state.items()
        for moment, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: Mapping[str, Tensor]) -> None:
    """Undo `optimizer_tensors`."""
    index = {name: i for i, name in enumerate(names)}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, moment = key.rsplit("/", 1)
        parameter = parameters[index[name]]
        if value.shape == parameter.shape:
            # Fused Adam walks memory, so moments lie there as their parameter does, which may be by columns.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(index[name], {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
