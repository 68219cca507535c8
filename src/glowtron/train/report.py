"""Reports of a run: its start, `result.json` at its end, and `report.json` with the same figures for comparison.

Every figure that could not be measured has the reason in its place.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object

from glowtron import config as configuration
from glowtron.config import RunConfig
from glowtron.errors import InputError, reason
from glowtron.files import write_text
from glowtron.machine import describe, peak_memory_gb
from glowtron.train.checkpoints import Progress
from glowtron.train.export import read_config
from glowtron.train.log import Log, throughput
from glowtron.train.state import RunContext

RESULT, STARTS = "result.json", "starts.jsonl"
REPORT, TABLE = "report.json", "report.md"
_ENDS = {
    "max_steps": "the steps of the schedule",
    "max_epochs": "the epochs of the schedule",
    "max_hours": "the hours given",
    "target_val_loss": "the target reached",
}


class Diverged(InputError):
    """A loss or a gradient is no longer finite."""


def report_start(context: RunContext, progress: Progress, data: Mapping[str, Any]) -> None:
    """Print the settings of the run, and add this start to the list of them, which also shows starts without an end."""
    accelerator = context.accelerator
    if not accelerator.is_main_process:
        return
    print_settings(context.log, context.task.config, data, progress.step)
    n = accelerator.num_processes
    line = {"time": _now(), "step": progress.step, "processes": n, "device": str(accelerator.device)}
    with (context.run / STARTS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def print_settings(log: Log, config: RunConfig, data: Mapping[str, Any], step: int) -> None:
    """Print the configuration, what is left out of the data, the source of the first weights, and the first step."""
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


def report_end(context: RunContext, progress: Progress, ended_by: str, error: str = "") -> None:
    """Write `result.json`, and say how to go on if a signal ended the run."""
    memory_gb = [peak_memory_gb(context.accelerator.device)]
    if not error:  # After an error the other processes may not answer.
        memory_gb = gather_object(memory_gb)
    context.clock.settle()
    if not context.accelerator.is_main_process:
        return
    write_text(
        context.run / RESULT, json.dumps(_result(context, progress, ended_by, error, memory_gb), indent=1) + "\n"
    )
    if ended_by == context.interruption.name:
        context.log.say(
            f"{ended_by}: stopped after step {progress.step}, checkpoint written; "
            f"the same run goes on from {context.run}"
        )


def _result(
    context: RunContext, progress: Progress, ended_by: str, error: str, memory_gb: Sequence[float]
) -> dict[str, Any]:
    """memory_gb: the peak of each process."""
    task, spent = context.task, progress.spent
    return {
        "time": _now(),
        "ended_by": ended_by,
        "finished": ended_by in _ENDS,
        "error": error or None,
        "step": progress.step,
        "epochs": progress.step * task.config.training.batch_size / task.n_items,
        "starts": len((context.run / STARTS).read_text(encoding="utf-8").splitlines()),
        "hours": (spent["worked_s"] + spent["left_out_s"]) / 3600,
        "training_hours": spent["worked_s"] / 3600,
        "validation_loss": progress.validation_loss,
        "best_validation_loss": progress.best_loss,
        "target_val_loss": context.stopping.target_val_loss,
        "unit": task.unit,
        task.unit: spent["amount"],
        **throughput(spent, task.unit),
        "processes": context.accelerator.num_processes,
        "machine": describe(context.accelerator.device),
        "memory_gb": list(memory_gb),
        "power": context.log.power.mean(),
    }


def read_result(run: Path) -> dict[str, Any]:
    """The content of a run's `result.json`. Raises InputError if there is none."""
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
    """Lines of `metrics.jsonl`, without a last one that was cut short."""
    path = run / "metrics.jsonl"
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines


def write_report(run: Path, single: Path | None = None) -> dict[str, Any]:
    """Write `report.json` and the same as a table, `report.md`, into the folder of a run that has ended.

    Args:
        run: The run folder.
        single: The folder of the same run by one process, to measure how training scales.

    Returns:
        The content of `report.json`.

    Raises:
        InputError: One of the runs has not ended, or counts other units.
    """
    report = make_report(run, single)
    for name, text in ((REPORT, json.dumps(report, indent=1) + "\n"), (TABLE, as_table(report))):
        write_text(run / name, text)
    return report


def make_report(run: Path, single: Path | None = None) -> dict[str, Any]:
    """The content of `report.json`."""
    result, config = read_result(run), read_config(run)
    training = config.training
    unit = result["unit"]
    speed = f"{unit}_per_s"
    losses = [line for line in read_metrics(run) if line.get("split") == "validation" and "loss" in line]
    trained = [line for line in read_metrics(run) if line.get("split") == "train" and "loss" in line]
    return {
        "program": f"glowtron {result['machine']['glowtron']}",
        "model": config.type,
        "convergence": {
            "criterion": f"validation loss at most {result['target_val_loss']}"
            if result["target_val_loss"] is not None
            else "none was given",
            "reached": result["ended_by"] == "target_val_loss",
            "ended_by": _ENDS.get(result["ended_by"], result["ended_by"]),
            "steps": result["step"],
            "epochs": result["epochs"],
        },
        "configuration": {
            "processes": result["processes"],
            "device": result["machine"]["device"],
            "batch": training.batch_size,
            "batch_per_process": training.batch_size / result["processes"],
            "gradient_accumulation_steps": training.gradient_accumulation_steps,
            "precision": training.precision,
            "torch": result["machine"]["torch"],
            "whole": configuration.to_dict(config),
        },
        "performance": {
            "unit": f"{unit}/s, real ones only, over all processes, without validation and checkpoints",
            speed: result[speed],
            f"{speed}_per_process": result[speed] / result["processes"],
            "steps_per_s": result["steps_per_s"],
            "waiting_share": result["waiting_share"],
        },
        "loss": {
            "training": trained[-1]["loss"] if trained else "no line of metrics was written",
            "validation": losses[-1]["loss"] if losses else "nothing was held out",
            "best_validation": result["best_validation_loss"] if losses else "nothing was held out",
        },
        "hours": {
            "total": result["hours"],
            "training": result["training_hours"],
            "to_target": result["hours"]
            if result["ended_by"] == "target_val_loss"
            else "the target was not reached"
            if result["target_val_loss"] is not None
            else "no target was given",
        },
        "scaling": _scaling(result, speed, single),
        "memory_gb": {"highest_process": max(result["memory_gb"]), "processes": result["memory_gb"]},
        "power": {
            name: value if _is_number(value) else f"not measured: {value}" for name, value in result["power"].items()
        },
        "stability": {
            "runs_started": 1,
            "runs_finished": int(result["finished"]),
            "starts": result["starts"],
            "error": result["error"] or "none",
        },
    }


def _scaling(result: Mapping[str, Any], speed: str, single: Path | None) -> dict[str, Any] | str:
    if single is None:
        return "not measured: no run of one process was given to compare with (`single`)"
    alone = read_result(single)
    if alone["processes"] != 1 or speed not in alone:
        raise InputError(f"{single}: is no run of one process that counts {speed}; give such a one as `single`")
    ratio = result[speed] / alone[speed]
    return {"run": str(single), "ratio_to_one_process": ratio, "efficiency": ratio / result["processes"]}


def as_table(report: Mapping[str, Any]) -> str:
    """The figures of a report as Markdown."""
    rows = [f"# Training report: {report['model']} ({report['program']})\n", "| what | figure |", "|---|---|"]
    for section, values in report.items():
        if section in ("program", "model"):
            continue
        if not isinstance(values, dict):
            rows.append(f"| {section} | {_shown(values)} |")
            continue
        for name, value in values.items():
            if not isinstance(value, dict):
                rows.append(f"| {section}: {name.replace('_', ' ')} | {_shown(value)} |")
    return "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
