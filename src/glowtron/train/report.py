"""A run's figures in the terms of those who compare machines: `report.json` and the same as a table in `report.md`.

What could not be measured says why in its place, so that nothing is missing without a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glowtron import config as configuration
from glowtron.errors import InputError
from glowtron.files import write_text
from glowtron.train.export import read_config
from glowtron.train.result import read_metrics, read_result

REPORT, TABLE = "report.json", "report.md"
_ENDS = {
    "max_steps": "the steps of the schedule",
    "max_epochs": "the epochs of the schedule",
    "max_hours": "the hours given",
    "target_val_loss": "the target reached",
}


def write_report(run: Path, single: Path | None = None) -> dict[str, Any]:
    """Write both files into the folder of a run that has ended, and return what the first holds.

    single: the folder of the same run made by one process, which scaling is measured against. Raises InputError where
    one of them has not ended, or counts something else.
    """
    report = make_report(run, single)
    for name, text in ((REPORT, json.dumps(report, indent=1) + "\n"), (TABLE, as_table(report))):
        write_text(run / name, text)
    return report


def make_report(run: Path, single: Path | None = None) -> dict[str, Any]:
    """What `write_report` writes, as JSON values."""
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
            "accumulate": training.accumulate,
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
        return "not measured: no run of one process was given to compare with (--single)"
    alone = read_result(single)
    if alone["processes"] != 1 or speed not in alone:
        raise InputError(f"{single}: is no run of one process that counts {speed}; give such a one as --single")
    ratio = result[speed] / alone[speed]
    return {"run": str(single), "ratio_to_one_process": ratio, "efficiency": ratio / result["processes"]}


def as_table(report: Mapping[str, Any]) -> str:
    """The figures of a report as Markdown."""
    rows = [f"# Training report: {report['model']} ({report['program']})\n", "| what | figure |", "|---|---|"]
    for section, values in report.items():
        if section in ("program", "model"):
            continue
        if not isinstance(values, dict):
            rows.append(f"| {section} | {_told(values)} |")
            continue
        for name, value in values.items():
            if not isinstance(value, dict):
                rows.append(f"| {section}: {name.replace('_', ' ')} | {_told(value)} |")
    return "\n".join(rows) + "\n"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_told(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
