"""`train.py` of NVIDIA's waveglow, and of DeepSparkHub, which prints times: their flags, lines and checkpoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from glowtron.config import TrainingConfig, VocoderRun
from glowtron.errors import InputError, nearest
from glowtron.files import read_json
from glowtron.train.state import RunContext, TrainState
from glowtron.vendor import hyperparameters, published_checkpoints
from glowtron.vendor.launching import n_devices
from glowtron.vendor.running import (
    RUN,
    SuiteObserver,
    join,
    make_task,
    precision,
    program,
    rank,
    read_clips,
    run,
    schedule,
    steps_per_epoch,
)

Dialect = Literal["nvidia", "deepspark"]

SECTIONS: dict[str, dict[str, Any]] = {
    "train_config": {
        "fp16_run": False,
        "output_directory": "checkpoints",
        "epochs": 100000,
        "learning_rate": 1e-4,
        "sigma": 1.0,
        "iters_per_checkpoint": 2000,
        "batch_size": 12,
        "seed": 1234,
        "checkpoint_path": "",
        "with_tensorboard": False,
    },
    "data_config": {
        "training_files": "train_files.txt",
        "segment_length": 16000,
        **{
            name: value
            for name, value in hyperparameters.AUDIO.items()
            if name not in ("max_wav_value", "n_mel_channels")
        },
    },
    "dist_config": {"dist_backend": "nccl", "dist_url": "tcp://localhost:54321"},
    "waveglow_config": {
        "n_mel_channels": 80,
        "n_flows": 12,
        "n_group": 8,
        "n_early_every": 4,
        "n_early_size": 2,
        "WN_config": {"n_layers": 8, "n_channels": 256, "kernel_size": 3},
    },
}
"""The sections of the published `config.json`, with its values."""


def main(dialect: Dialect = "nvidia", arguments: Sequence[str] | None = None) -> int:
    """Run `train.py`. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Train WaveGlow with the flags of NVIDIA's waveglow.")
    parser.add_argument("-c", "--config", required=True, help="JSON file of the configuration")
    parser.add_argument("-r", "--rank", type=int, default=0, help="the number of this process, as distributed.py says")
    parser.add_argument("-g", "--group_name", default="", help="the name of its group, as distributed.py says")
    parser.add_argument("--num_gpus", type=int, help="processes, as distributed.py says")
    return program(lambda: _train(dialect, parser.parse_args(arguments)))


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    """The sections of a `config.json`. Raises InputError for keys that are missing from it or unknown."""
    value = read_json(path, "a configuration of waveglow")
    return {name: _section(value, name, known, path) for name, known in SECTIONS.items()}


def _section(value: Any, name: str, known: Mapping[str, Any], path: Path) -> dict[str, Any]:
    section = value.get(name) if isinstance(value, dict) else None
    if not isinstance(section, dict):
        raise InputError(f"{path}: has no section '{name}'; begin with the published config.json")
    for key in section:
        if key not in known:
            raise InputError(f"{path}: unknown key {name}.{key}{nearest(key, list(known))}")
    # The first config.json had no with_tensorboard.
    result = {**known, **section}
    for key, default in known.items():
        given = result[key]
        if isinstance(default, dict):
            result[key] = _section(section, key, default, path) if key in section else default
        elif isinstance(default, float) and isinstance(given, int | float) and not isinstance(given, bool):
            result[key] = float(given)
        elif type(given) is not type(default):
            raise InputError(f"{path}: {name}.{key} is {given!r}, and has to be of type {type(default).__name__}")
    return result


def _train(dialect: Dialect, arguments: argparse.Namespace) -> int:
    sections = read_config(Path(arguments.config))
    values, data = sections["train_config"], sections["data_config"]
    n_processes = arguments.num_gpus if arguments.num_gpus is not None else n_devices()
    if n_processes > 1 and not arguments.group_name:
        print("WARNING: Multiple GPUs detected but no distributed group set")
        print("Only running 1 GPU.  Use distributed.py for multiple GPUs")
        n_processes = 1
    if n_processes == 1 and arguments.rank:
        raise InputError(f"--rank {arguments.rank}: there is one process, whose rank is 0; use distributed.py")
    join(arguments.rank, n_processes, sections["dist_config"]["dist_url"])
    torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark = True, False

    output = Path(values["output_directory"])
    clips = read_clips(Path(data["training_files"]), None, None, needs_text=False)
    batch_size = values["batch_size"] * n_processes
    steps = steps_per_epoch(clips, batch_size)
    config = _config(sections, batch_size, steps)
    start = None
    if values["checkpoint_path"]:
        path = Path(values["checkpoint_path"])
        start = published_checkpoints.read(path, config)
        print(f"Loaded checkpoint '{path}' (iteration {start.step - 1})", flush=True)
    if rank() == 0:
        print("output directory", output, flush=True)
    observer = TrainPy(dialect, output, steps, values["iters_per_checkpoint"])
    return (
        0
        if run(make_task(config, clips, output / "cache"), output / "logs" / RUN, observer, start=start).finished
        else 1
    )


def _config(sections: Mapping[str, Mapping[str, Any]], batch_size: int, steps: int) -> VocoderRun:
    values, network = sections["train_config"], sections["waveglow_config"]
    net = network["WN_config"]
    named = {
        **hyperparameters.AUDIO,
        **sections["data_config"],
        "n_mel_channels": network["n_mel_channels"],
        "flows": network["n_flows"],
        "groups": network["n_group"],
        "early_every": network["n_early_every"],
        "early_size": network["n_early_size"],
        "wn_layers": net["n_layers"],
        "wn_channels": net["n_channels"],
        "wn_kernel_size": net["kernel_size"],
        "sigma": values["sigma"],
    }
    training = TrainingConfig(
        seed=values["seed"],
        batch_size=batch_size,
        precision=precision(amp=values["fp16_run"]),  # type: ignore[arg-type]
        optimizer=hyperparameters.optimizer(values["learning_rate"]),
    )
    return hyperparameters.vocoder_run(named, schedule(training, values["epochs"], steps))


class TrainPy(SuiteObserver):
    """Prints the lines of `train.py` and writes its checkpoints. An iteration counts from 0, a step from 1."""

    def __init__(self, dialect: Dialect, output: Path, steps_per_epoch: int, iters_per_checkpoint: int) -> None:
        super().__init__(steps_per_epoch)
        self.dialect, self.output, self.every = dialect, output, iters_per_checkpoint

    def began(self, context: RunContext, state: TrainState) -> None:
        super().began(context, state)
        step = state.progress.step
        if step % self.steps_per_epoch and step < context.last_step:  # In the middle of an epoch.
            print(f"Epoch: {step // self.steps_per_epoch}", flush=True)

    def stepped(self, context: RunContext, state: TrainState, metrics: Mapping[str, float]) -> None:
        config = context.task.config
        assert isinstance(config, VocoderRun)
        iteration, lap = state.progress.step - 1, self.lap(context)
        if iteration % self.steps_per_epoch == 0:
            print(f"Epoch: {iteration // self.steps_per_epoch}", flush=True)
        if self.dialect == "nvidia":
            print(f"{iteration}:\t{metrics['loss']:.9f}", flush=True)
        else:
            # Theirs counts the frames of the mels of one process, and no time for loading.
            clips = config.training.batch_size // context.shard.world_size
            frames = clips * (config.segment_length // config.vocoder.mel.hop_length + 1)
            seconds = max(lap.seconds - lap.waited_s, 1e-9)
            print(
                f"{iteration}:\tloss:{metrics['loss']:.3f}; \tdur_time:{seconds:.3f}s; "
                f"\tthroughput:{frames / seconds:.3f};",
                flush=True,
            )
        if iteration % self.every == 0 and self.is_main:
            self._save(iteration, state, config)

    def _save(self, iteration: int, state: TrainState, config: VocoderRun) -> None:
        path = self.output / f"waveglow_{iteration}"
        print(f"Saving model and optimizer state at iteration {iteration} to {path}", flush=True)
        model = published_checkpoints.pickled_waveglow(published_checkpoints.model_state(state, config), config.vocoder)
        content = {
            "model": model,
            "iteration": iteration,
            "optimizer": published_checkpoints.optimizer_state(state, config),
            "learning_rate": config.training.optimizer.lr,
        }
        with published_checkpoints.importable_glow(model):
            published_checkpoints.save(path, content)


if __name__ == "__main__":
    sys.exit(main())
