"""How a run went: `result.json`, the list of its starts, and what is said at the beginning."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from glowtron import config as configuration
from glowtron.config import RunConfig
from glowtron.errors import InputError, reason
from glowtron.files import write_text
from glowtron.train.checkpoints import Progress
from glowtron.train.clock import rates
from glowtron.train.log import Log
from glowtron.train.machine import describe
from glowtron.train.state import Setting

RESULT, STARTS = "result.json", "starts.jsonl"


class Diverged(InputError):
    """A loss or a gradient is no longer finite."""


def introduce(log: Log, config: RunConfig, data: Mapping[str, Any], step: int) -> None:
    """Say with which settings a run begins or goes on, and what it does not show by itself."""
    for key, value in _flat(configuration.to_dict(config)):
        log.say(f"{key} = {json.dumps(value)}")
    if left_out := data.get("left_out"):
        log.say(f"{len(left_out)} clips are left out; data.json says which and why")
    if origin := data.get("from"):
        fresh = f"; new: {', '.join(origin['fresh'])}" if origin["fresh"] else ""
        log.say(f"begins with {origin['loaded']} tensors of {origin['source']}{fresh}")
        if origin["differences"]:
            log.say(f"settings that were others there: {'; '.join(origin['differences'])}")
    if step:
        log.say(f"resumed after step {step}")


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{before}{name}.")
        else:
            yield before + name, inner


def note_start(run: Path, step: int, accelerator: Accelerator) -> None:
    """Add this start to the run's list of them, which also tells of starts that had no end."""
    line = {"time": _now(), "step": step, "processes": accelerator.num_processes, "device": str(accelerator.device)}
    with (run / STARTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def write_result(
    setting: Setting,
    progress: Progress,
    ended_by: str,
    error: str,
    memory_gb: Sequence[float],
    power: Mapping[str, float | str],
) -> None:
    """Write `result.json`, whole or not at all. memory_gb: the peak of each process."""
    task, run, training = setting.task, setting.run, setting.task.config.training
    finished = ended_by in ("max_steps", "max_epochs", "target_val_loss", "max_hours")
    spent = progress.spent
    result = {
        "time": _now(),
        "ended_by": ended_by,
        "finished": finished,
        "error": error or None,
        "step": progress.step,
        "epochs": progress.step * training.batch_size / task.n_items,
        "starts": len((run / STARTS).read_text(encoding="utf-8").splitlines()),
        "hours": (spent["worked_s"] + spent["left_out_s"]) / 3600,
        "training_hours": spent["worked_s"] / 3600,
        "validation_loss": progress.validation_loss,
        "best_validation_loss": progress.best_loss,
        "target_val_loss": setting.stops.val_loss,
        "unit": task.unit,
        task.unit: spent["amount"],
        **rates(spent, task.unit),
        "processes": setting.accelerator.num_processes,
        "machine": describe(setting.accelerator.device),
        "memory_gb": list(memory_gb),
        "power": dict(power),
    }
    write_text(run / RESULT, json.dumps(result, indent=1) + "\n")


def read_result(run: Path) -> dict[str, Any]:
    """What `write_result` wrote. Raises InputError where there is none."""
    path = run / RESULT
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read ({reason(error)}); give the folder of a run that has ended"
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: is not what a run writes; give the folder of one that has ended")
    return value


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Lines of `metrics.jsonl`, but for a last one cut short."""
    path = run / "metrics.jsonl"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
