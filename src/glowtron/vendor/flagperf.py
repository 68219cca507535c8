"""`run_pretraining.py` as FlagPerf starts it: its arguments, vendors' settings read as data, and its lines.

The events go to standard error as `[PerfLog]` lines, the figures of steps and epochs to standard output.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from glowtron.config import TrainingConfig
from glowtron.train.observer import Validation
from glowtron.train.state import RunContext, TrainState
from glowtron.vendor import hyperparameters
from glowtron.vendor.dllogger import DllLogger
from glowtron.vendor.examples import Settings, TrainPy, find_list
from glowtron.vendor.literals import read_settings
from glowtron.vendor.running import (
    RUN,
    SuiteObserver,
    make_task,
    precision,
    program,
    rank,
    read_clips,
    run,
    schedule,
    steps_per_epoch,
    world_size,
)

Case = Literal["WaveGlow", "tacotron2"]

_SHARED: dict[str, Any] = {
    "name": "",
    "vendor": "",
    "data_dir": "",
    "do_train": True,
    "log_freq": 1,
    "local_rank": -1,
    "dist_backend": "nccl",
    "gradient_accumulation_steps": 1,
    "amp": False,
    "fp16": False,
    "seed": 1234,
    "output": "result/",
    "cudnn_enabled": True,
    "cudnn_benchmark": False,
    "load_mel_from_disk": False,
    "text_cleaners": ["english_cleaners"],
    **hyperparameters.AUDIO,
}
SETTINGS: dict[Case, dict[str, Any]] = {
    "WaveGlow": {
        **_SHARED,
        "target_val_loss": -5.72,
        "epochs": 250,
        "batch_size": 10,
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "grad_clip_thresh": 65504.0,
        "amp": True,
        "cudnn_benchmark": True,
        "log_file": "nvlog.json",
        "epochs_per_checkpoint": 50,
        "anneal_steps": [],
        "anneal_factor": 0.1,
        "bench_class": "",
        "training_files": "filelists/ljs_audio_text_train_filelist.txt",
        "validation_files": "filelists/ljs_audio_text_val_filelist.txt",
        **hyperparameters.WAVEGLOW,
        "segment_length": 8000,
    },
    "tacotron2": {
        **_SHARED,
        "target_val_loss": 0.4852,
        "max_epochs": 1501,
        "train_batch_size": 128,
        "eval_batch_size": 128,
        "learning_rate": 1e-3,
        "weight_decay": 1e-6,
        "grad_clip_thresh": 1.0,
        "lr_anneal_steps": [500, 1000, 1500],
        "lr_anneal_factor": 0.3,
        "load_mel_from_disk": True,
        "training_files": "filelists/ljs_mel_text_train_filelist.txt",
        "validation_files": "filelists/ljs_mel_text_val_filelist.txt",
        **hyperparameters.TACOTRON2,
    },
}
"""The settings of each case with FlagPerf's values; but Tacotron 2's learning rate, 0.1 there, is that of every
vendor's file."""


class PerfLog:
    """Writes event lines. Every process has its own log, as FlagPerf starts each with one."""

    def __init__(self) -> None:
        self.last_ms = 0

    def event(self, name: str, value: Mapping[str, Any] | None = None, other: str | None = None) -> None:
        """Write an event with a value or a remark."""
        self.last_ms = int(time.time() * 1000)
        caller = inspect.stack()[1]
        line: dict[str, Any] = {"event": name}
        if value is not None:
            line["value"] = dict(value)
        if other is not None:
            line["other"] = other
        where = {"file": caller.filename, "lineno": caller.lineno, "time_ms": self.last_ms, "rank": rank()}
        print("[PerfLog]", json.dumps(line | {"metadata": where}), file=sys.stderr, flush=True)


def main(case: Case, arguments: Sequence[str] | None = None) -> int:
    """Run `run_pretraining.py` of a case. Returns the exit status."""
    return program(lambda: _run(case, read_case(case, sys.argv[1:] if arguments is None else arguments)))


def read_case(case: Case, arguments: Sequence[str]) -> dict[str, Any]:
    """The settings of a case: FlagPerf's own, then the vendor's file, then the command line's.

    Raises InputError for a file that is no settings. What FlagPerf does not know either is left out, with a warning.
    """
    parser = argparse.ArgumentParser(description=f"Train {case} as FlagPerf starts it.", allow_abbrev=False)
    parser.add_argument("--extern_config_dir", default="", help="folder of the vendor's settings")
    parser.add_argument("--extern_config_file", default="", help="the file in it, such as config_A100x1x8.py")
    parser.add_argument("--enable_extern_config", action="store_true", help="read that file")
    parser.add_argument("--extern_module_dir", default="", help="taken; a vendor's own modules are never run")
    for name, default in SETTINGS[case].items():
        flags = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
        kind = _truth if isinstance(default, bool) else type(default)
        many = (
            {"nargs": "*", "type": int if name.endswith("steps") else str}
            if isinstance(default, list)
            else {"type": kind}
        )
        parser.add_argument(*flags, dest=name, default=None, **many)
    told = vars(parser.parse_args(arguments))
    values = dict(SETTINGS[case])
    if told["enable_extern_config"]:
        path = Path(told["extern_config_dir"]) / told["extern_config_file"]
        for name, value in read_settings(path).items():
            if name not in values:
                print(f"glowtron: warning: {path}: {name} is no setting of this case", file=sys.stderr)
            else:
                values[name] = _typed(values[name], value)
    return values | {name: told[name] for name in values if told[name] is not None}


def _truth(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")


def _typed(default: Any, value: Any) -> Any:
    """A value of the settings: None is the default, and 1 is a number with a point where one is meant."""
    if value is None:
        return default
    return float(value) if isinstance(default, float) and isinstance(value, int) else value


def _run(case: Case, values: dict[str, Any]) -> int:
    start_s, log = time.time(), PerfLog()
    log.event("INIT_START")
    init_start_ms = log.last_ms
    is_acoustic = case == "tacotron2"
    torch.backends.cudnn.enabled = values["cudnn_enabled"]
    torch.backends.cudnn.benchmark = values["cudnn_benchmark"]
    if not values["do_train"]:
        log.event("FINISHED", {"e2e_time": time.time() - start_s})
        return 0
    root, output = Path(values["data_dir"]), Path(values["output"])
    lists = [_find_list(values[name], root) for name in ("training_files", "validation_files")]
    clips = read_clips(lists[0], lists[1], root, needs_text=is_acoustic)
    per_process = values["train_batch_size" if is_acoustic else "batch_size"]
    batch_size = per_process * world_size() * values["gradient_accumulation_steps"]
    steps = steps_per_epoch(clips, batch_size)
    training = TrainingConfig(
        seed=values["seed"],
        batch_size=batch_size,
        gradient_accumulation_steps=values["gradient_accumulation_steps"],
        precision=precision(amp=values["amp"] or values["fp16"]),  # type: ignore[arg-type]
        optimizer=hyperparameters.optimizer(
            values["learning_rate"],
            weight_decay=values["weight_decay"],
            clip_norm=values["grad_clip_thresh"],
            anneal_steps=values["lr_anneal_steps" if is_acoustic else "anneal_steps"],
            anneal_factor=values["lr_anneal_factor" if is_acoustic else "anneal_factor"],
            steps_per_epoch=steps,
        ),
    )
    training = schedule(training, values["max_epochs" if is_acoustic else "epochs"], steps)
    config = (hyperparameters.acoustic_run if is_acoustic else hyperparameters.vocoder_run)(values, training)
    task = make_task(config, clips, output / "cache", values.get("eval_batch_size", 1))
    target, folder = values["target_val_loss"], output / RUN
    if is_acoustic:
        observer = TacotronCase(log, steps, values["log_freq"])
        run(task, folder, observer, target_val_loss=target)
        value = observer.finished(init_start_ms)
    else:
        with DllLogger(output / values["log_file"], enabled=rank() == 0) as dll:
            dll.log("PARAMETER", {"model_name": "WaveGlow"})
            settings = Settings(argparse.Namespace(**values, model_name="WaveGlow"), config, steps)
            watching = WaveGlowCase(log, dll, settings)
            run(task, folder, watching, target_val_loss=target)
        value = watching.finished(init_start_ms)
    if rank() == 0:
        log.event("FINISHED", {"e2e_time": time.time() - start_s, **value})
    return 0


def _find_list(name: str, root: Path) -> Path:
    """A list in the data's folder, in that of the program, or in the current one."""
    beside = Path(sys.argv[0]).resolve().parent / name
    if (root / name).is_file():
        return root / name
    return beside if beside.is_file() else find_list(name, root)


class WaveGlowCase(TrainPy):
    """The events of the WaveGlow case around dllogger's lines."""

    def __init__(self, events: PerfLog, log: DllLogger, settings: Settings) -> None:
        super().__init__(log, settings)
        self.events = events
        self.target = settings.arguments.target_val_loss
        self.converged = False
        self._start_ms = 0

    def began(self, context: RunContext, state: TrainState) -> None:
        super().began(context, state)
        self.events.event("INIT_END", other="Finish initialization")
        self.events.event("TRAIN_START")
        self._start_ms = self.events.last_ms

    def validated(self, context: RunContext, state: TrainState, validation: Validation) -> None:
        super().validated(context, state, validation)
        if self.epochs.val_loss <= self.target:
            self.converged = True
            self.say(f"converged_success. eval_val_loss: {self.epochs.val_loss}, target_val_loss: {self.target}")

    def finished(self, init_start_ms: int) -> dict[str, Any]:
        """End the training's time; the value of FINISHED."""
        init_end_ms = self._start_ms
        self.events.event("TRAIN_END")
        return {
            "training_items_per_second": self.epochs.train_items_per_sec,
            "val_items_per_sec": self.epochs.val_items_per_sec,
            "converged": self.converged,
            "final_loss": self.epochs.val_loss,
            "raw_train_time": (self.events.last_ms - self._start_ms) / 1000,
            "init_time": (init_end_ms - init_start_ms) / 1000,
        }


class TacotronCase(SuiteObserver):
    """The events and lines of the Tacotron 2 case. An epoch is followed by a validation."""

    def __init__(self, events: PerfLog, steps_per_epoch: int, log_freq: int) -> None:
        super().__init__(steps_per_epoch)
        self.events, self.log_freq = events, log_freq
        self.ended_by_target = False
        self._target: float | None = None
        self._start_ms = 0
        self._last: dict[str, Any] = {}
        self._spent: Mapping[str, float] = {}

    def began(self, context: RunContext, state: TrainState) -> None:
        super().began(context, state)
        self.events.event("INIT_END", other="Finish initialization")
        self.events.event("TRAIN_START")
        self._start_ms = self.events.last_ms
        self._target = context.stopping.target_val_loss
        self.events.event("EPOCH_BEGIN")

    def stepped(self, context: RunContext, state: TrainState, metrics: Mapping[str, float]) -> None:
        step, self._spent = state.progress.step, context.clock.spent
        if (step - 1) % self.steps_per_epoch == 0 and step > 1:
            self.events.event("EPOCH_BEGIN")
        self._last = {
            "epoch": (step - 1) // self.steps_per_epoch + 1,
            "global_steps": step,
            "train_loss": metrics["loss"],
            "num_trained_samples": int(self._spent["amount"]),
        }
        if self.log_freq > 0 and step % self.log_freq == 0:
            self.events.event("STEP_END")
            told = {"step": step, "train_loss": metrics["loss"], "num_trained_samples": int(self._spent["amount"])}
            self.say(f"step_info:{told}")
        if self.is_epoch_end(step):
            self.events.event("EPOCH_END")

    def wants_validation(self, step: int) -> bool:
        return self.is_epoch_end(step)

    def validated(self, context: RunContext, state: TrainState, validation: Validation) -> None:
        loss = validation.metrics.get("loss", float("nan"))
        self._last["val_loss"] = loss
        self.ended_by_target = self._target is not None and loss <= self._target
        told = {
            "val_loss": loss,
            "epoch": self._last["epoch"],
            "global_steps": self._last["global_steps"],
            "num_trained_samples": self._last["num_trained_samples"],
            "timestamp": int(time.time()),
        }
        self.say(str(told))

    def finished(self, init_start_ms: int) -> dict[str, Any]:
        """End the training's time; the value of FINISHED."""
        self.events.event("TRAIN_END")
        raw_s = (self.events.last_ms - self._start_ms) / 1000
        worked_s = self._spent["worked_s"]
        computed_s = worked_s - self._spent["waited_s"]
        samples = self._last["num_trained_samples"]
        return {
            "converged": self.ended_by_target,
            "raw_train_time": raw_s,
            "init_time": (self._start_ms - init_start_ms) / 1000,
            **{name: self._last[name] for name in ("epoch", "global_steps", "train_loss")},
            "val_loss": self._last.get("val_loss"),
            "num_trained_samples": samples,
            "pure_training_computing_time": computed_s,
            "throughput(ips)_raw": samples / max(raw_s, 1e-9),
            "throughput(ips)_no_eval": samples / max(worked_s, 1e-9),
            "throughput(ips)_pure_compute": samples / max(computed_s, 1e-9),
        }
