"""From a log of one of the commands to the row of a vendor's table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glowtron.errors import InputError, reason

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))"
PATTERNS = {
    "tacotron2_step": re.compile(rf"Train loss (\d+) {_NUMBER} Grad Norm {_NUMBER} {_NUMBER}s/it"),
    "tacotron2_validation": re.compile(rf"Validation loss (\d+):\s+{_NUMBER}"),
    "tacotron2_end": re.compile(r"Traning Status: (success|aborted)"),
    "waveglow_step": re.compile(rf"^(\d+):\t{_NUMBER}$"),
    "waveglow_timed": re.compile(rf"^(\d+):\tloss:{_NUMBER}; \tdur_time:{_NUMBER}s; \tthroughput:{_NUMBER};"),
    "dll": re.compile(r"^DLL \S+ \S+ - (\([^)]*\)|\S+) (\S+) : (.*?)(?: (\S*))?$"),
    "dlll": re.compile(r"^DLLL (\{.*\})$"),
    "event": re.compile(r"^\[PerfLog\] (\{.*\})"),
    "machine": re.compile(r"^\[Glowtron\] (\{.*\})"),
}
"""The lines that the projects' own tools and readers look for, and the one that only Glowtron writes."""

_TELLING = {"tacotron2_end", "dll", "dlll", "event", "machine"}
"""Those by which a log tells whether its run ended as it should."""


@dataclass
class LogFigures:
    """Figures of one log; None or empty where it has none."""

    path: Path
    kinds: set[str] = field(default_factory=set)
    """Names of the patterns that were found."""
    steps: int = 0
    train_loss: float | None = None
    val_loss: float | None = None
    items_per_s: float | None = None
    """Of the last epoch, in samples or mel frames over all processes."""
    frames_per_s: list[float] = field(default_factory=list)
    """Mel frames of one process in each step."""
    finished: bool = False
    event: Mapping[str, Any] = field(default_factory=dict)
    """The value of FINISHED."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Figures in Glowtron's last line."""


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """Readings of each card by a monitor beside the run."""

    power_w: list[float]
    """Means."""
    memory_gb: list[float]
    """Peaks."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row, and why some of its cells are empty."""

    cells: dict[str, str]
    notes: list[str]
    own: dict[str, str]
    """The columns of FlagPerf's own tables, or of DeepLearningExamples'; empty for other logs."""


def read_log(path: Path) -> LogFigures:
    """The figures of a log: standard output, with standard error where it was kept, or `nvlog.json`.

    Raises InputError for a file that cannot be read, and for one in which none of the commands' lines is found.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    figures = LogFigures(path)
    for line in lines:
        for name, pattern in PATTERNS.items():
            if found := pattern.search(line):
                figures.kinds.add(name)
                _take(figures, name, found)
    if not figures.kinds - {"machine"}:
        raise InputError(f"{path}: holds no line of FlagPerf, DeepSparkHub or NVIDIA's programs; give the log of a run")
    return figures


def _take(figures: LogFigures, name: str, found: re.Match[str]) -> None:
    match name:
        case "tacotron2_step" | "waveglow_step" | "waveglow_timed":
            figures.steps = int(found[1]) + 1
            figures.train_loss = float(found[2])
            if name == "waveglow_timed":
                figures.frames_per_s.append(float(found[4]))
        case "tacotron2_validation":
            figures.val_loss = float(found[2])
        case "tacotron2_end":
            figures.finished = True
        case "dll":
            _take_dll(figures, found[1], {found[2]: found[3]})
        case "dlll":
            told = _object(found[1])
            if told.get("type") == "LOG" and isinstance(told.get("data"), dict):
                step = told.get("step")
                _take_dll(figures, str(tuple(step)) if isinstance(step, list) else str(step), told["data"])
        case "event":
            told = _object(found[1])
            if told.get("event") == "FINISHED" and isinstance(told.get("value"), dict):
                figures.event, figures.finished = told["value"], True
        case "machine":
            figures.machine = _object(found[1])
            figures.finished = bool(figures.machine.get("finished"))


def _take_dll(figures: LogFigures, step: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if name == "train_loss":
            figures.train_loss = number
            figures.steps += step.count(",") == 1 and not step.endswith(",)")
        elif name == "val_loss":
            figures.val_loss = number
        elif name == "train_items_per_sec" and (step.endswith(",)") or step == "()"):
            figures.items_per_s = number
        elif name == "run_time":
            figures.finished = True


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_monitor(path: Path) -> Monitor:
    """Read the file of FlagPerf's `nvidia_monitor`: a time, then for each card temperature, power, memory and load.

    Memory is in MiB there. Raises InputError for a file without such lines.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    cards: list[list[tuple[float, float]]] = []
    card = 0
    for line in lines:
        if re.search(r"\d\d:\d\d", line) or re.fullmatch(r"\d{4}-\d\d-\d\d-\S+", line.strip()):
            card = 0
            continue
        numbers = [float(one) for one in re.findall(r"\d+\.?\d*", line)]
        if len(numbers) != 5:
            continue
        if card == len(cards):
            cards.append([])
        cards[card].append((numbers[1], numbers[2]))
        card += 1
    if not cards:
        raise InputError(f"{path}: holds no line of temperature, power, memory used, memory and load of a card")
    return Monitor(
        power_w=[sum(power for power, _ in one) / len(one) for one in cards],
        memory_gb=[max(memory for _, memory in one) * 2**20 / 1e9 for one in cards],
    )


def make_row(
    logs: Sequence[Path], *, single: Path | None = None, monitor: Path | None = None, mos: float | None = None
) -> Row:
    """The row of a table, from the log of one run, or of several of the same for their stability.

    Args:
        logs: The logs; the figures are those of the first that finished.
        single: The log of the same run by one process, to tell how it scales.
        monitor: The file of a monitor of power and memory that ran beside.
        mos: The mean opinion score of what the model speaks, by listeners or by `glowtron evaluate`.

    Raises:
        InputError: A file that cannot be read, or is of no run; `single` of several processes.
    """
    if not logs:
        raise InputError("give the log of a run at least")
    all_figures = [read_log(path) for path in logs]
    figures = next((one for one in all_figures if one.finished), all_figures[0])
    notes: list[str] = []

    def noted(name: str, value: str | None, why: str) -> str:
        if value is None:
            notes.append(f"{name}: {why}")
            return "-"
        return value

    machine, seen = figures.machine, read_monitor(monitor) if monitor is not None else None
    speeds = _speeds(figures)
    no_machine = "the log lacks the line that begins [Glowtron]; keep standard error in it, too (2>&1)"
    finished = sum(one.finished for one in all_figures)
    tells_end = any(one.kinds & _TELLING for one in all_figures)
    share = f"{_shown(finished / len(all_figures))} ({finished} of {len(all_figures)})"
    cells = {
        "Convergence criteria": _criterion(figures, mos),
        "Configuration": noted("Configuration", _configuration(machine), no_machine),
        "FPS": noted("FPS", _shown(speeds.get("frames")), no_machine),
        "MOS": noted("MOS", _shown(mos), "no score was given (`mos`)"),
        "Performance": noted("Performance", _shown(speeds.get("clips")), no_machine),
        "Power (W)": noted("Power", _power(machine, seen), _why_no_power(machine, no_machine)),
        "Scalability": noted(
            "Scalability", _scalability(figures, single), "no run of one process was given (`single`)"
        ),
        "Memory (GB)": noted("Memory", _memory(machine, seen), no_machine),
        "Stability": noted("Stability", share if tells_end else None, no_machine),
    }
    return Row(cells=cells, notes=notes, own=_own(figures, cells))


def _speeds(figures: LogFigures) -> dict[str, float]:
    """Mel frames and clips a second, over all processes, as far as they are told."""
    machine, speeds = figures.machine, dict[str, float]()
    if "clips_per_s" in machine:
        speeds["clips"] = machine["clips_per_s"]
    if "mel_frames_per_s" in machine:
        speeds["frames"] = machine["mel_frames_per_s"]
    elif "samples_per_s" in machine:
        speeds["frames"] = machine["samples_per_s"] / machine["hop_length"]
    elif figures.frames_per_s:
        # The first steps warm up; what one process did counts for a run of one.
        steady = figures.frames_per_s[len(figures.frames_per_s) // 10 :]
        speeds["frames"] = sum(steady) / len(steady)
    elif "throughput(ips)_raw" in figures.event:
        speeds["frames"] = figures.event["throughput(ips)_no_eval"]
    return speeds


def _criterion(figures: LogFigures, mos: float | None) -> str:
    if mos is not None:
        return f"score(MOS): {mos:g}"
    target = figures.machine.get("target_val_loss")
    loss = _shown(figures.val_loss)
    if target is None:
        return "none" if loss is None else f"none; val_loss {loss}"
    reached = figures.machine.get("ended_by") == "target_val_loss"
    return f"val_loss {target:g}: {'reached' if reached else 'not reached'}" + (f" ({loss})" if loss else "")


def _configuration(machine: Mapping[str, Any]) -> str | None:
    if not machine:
        return None
    amp = {"fp32": "FP32", "tf32": "TF32", "fp16": "AMP", "bf16": "AMP (bf16)"}.get(machine["precision"])
    device = machine["machine"]["device"]
    return f"{device}, bs:{machine['batch_per_process']:g}, {machine['processes']}x, {amp or machine['precision']}"


def _power(machine: Mapping[str, Any], seen: Monitor | None) -> str | None:
    if seen is not None:
        return _each(seen.power_w)
    power = machine.get("power", {})
    watts = [power[name] for name in ("gpu_w", "cpu_w") if isinstance(power.get(name), int | float)]
    return _shown(watts[0]) if watts else None


def _why_no_power(machine: Mapping[str, Any], no_machine: str) -> str:
    if not machine:
        return no_machine
    told = "; ".join(f"{name} {why}" for name, why in machine["power"].items() if isinstance(why, str))
    return f"{told}; give the file of a monitor (`monitor`)"


def _memory(machine: Mapping[str, Any], seen: Monitor | None) -> str | None:
    values = seen.memory_gb if seen is not None else machine.get("memory_gb")
    return _each(values) if values else None


def _each(values: Sequence[float]) -> str:
    """Their mean, times their number if there are several, as vendors write it."""
    mean = f"{sum(values) / len(values):.3g}"
    return mean if len(values) == 1 else rf"{mean}\*{len(values)}"


def _scalability(figures: LogFigures, single: Path | None) -> str | None:
    if single is None:
        return None
    alone = read_log(single)
    n_processes = figures.machine.get("processes")
    ours, theirs = (_speeds(one).get("frames") for one in (figures, alone))
    if alone.machine.get("processes") != 1 or not n_processes or not ours or not theirs:
        raise InputError(f"{single}: is no log of a run of one process, with standard error in it; give such a one")
    return _shown(ours / theirs / n_processes)


def _own(figures: LogFigures, cells: Mapping[str, str]) -> dict[str, str]:
    """FlagPerf's columns, from the value of FINISHED, or DeepLearningExamples', from dllogger's lines."""
    event, machine = figures.event, figures.machine
    if not event:
        told = {"train_loss": figures.train_loss, "val_loss": figures.val_loss, "items/s": figures.items_per_s}
        return {name: _shown(value) or "-" for name, value in told.items()} if figures.kinds & {"dll", "dlll"} else {}

    def of(name: str) -> str:
        return _shown(event.get(name)) or "-"

    if "throughput(ips)_raw" in event:
        return {
            "precision": "amp" if machine.get("precision") in ("fp16", "bf16") else machine.get("precision", "-"),
            "fix_hp": "/",
            "e2e_time": of("e2e_time"),
            "p_whole": of("throughput(ips)_raw"),
            "p_train": of("throughput(ips)_no_eval"),
            "p_core": of("throughput(ips)_pure_compute"),
            "val_loss": of("val_loss"),
            "mem": cells["Memory (GB)"],
        }
    return {
        "e2e (s)": of("e2e_time"),
        "target val_loss": _shown(machine.get("target_val_loss")) or "-",
        "val_loss": of("final_loss"),
        "samples/s": of("training_items_per_second"),
    }


def as_markdown(row: Row) -> str:
    """The row as tables, with the reasons for empty cells below."""
    tables = [_table(cells) for cells in (row.cells, row.own) if cells]
    notes = "".join(f"- {note}\n" for note in row.notes)
    return "\n".join([*tables, *([notes] if notes else [])])


def _table(cells: Mapping[str, str]) -> str:
    def line(values: Iterable[str]) -> str:
        return f"| {' | '.join(values)} |\n"

    return line(cells) + line("---" for _ in cells) + line(cells.values())


def _shown(value: Any) -> str | None:
    return f"{value:.5g}" if isinstance(value, int | float) and not isinstance(value, bool) else None
