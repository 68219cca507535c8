"""`train.py` of NVIDIA's tacotron2, and of DeepSparkHub, which adds a target: their flags, lines and checkpoints."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from glowtron.config import AcousticRun, TrainingConfig
from glowtron.errors import InputError, nearest
from glowtron.train.observer import Validation
from glowtron.train.state import RunContext, TrainState
from glowtron.vendor import hyperparameters, published_checkpoints
from glowtron.vendor.literals import read_keywords
from glowtron.vendor.running import (
    RUN,
    SuiteObserver,
    join,
    make_task,
    precision,
    program,
    read_clips,
    run,
    schedule,
    steps_per_epoch,
)

Dialect = Literal["nvidia", "deepspark"]

HPARAMS: dict[str, Any] = {
    "epochs": 500,
    "iters_per_checkpoint": 1000,
    "seed": 1234,
    "dynamic_loss_scaling": True,
    "fp16_run": False,
    "distributed_run": False,
    "dist_backend": "nccl",
    "dist_url": "tcp://localhost:54321",
    "cudnn_enabled": True,
    "cudnn_benchmark": False,
    "ignore_layers": ["embedding.weight"],
    "load_mel_from_disk": False,
    "training_files": "filelists/ljs_audio_text_train_filelist.txt",
    "validation_files": "filelists/ljs_audio_text_val_filelist.txt",
    "text_cleaners": ["english_cleaners"],
    **hyperparameters.AUDIO,
    **hyperparameters.TACOTRON2,
    "max_decoder_steps": 1000,
    "use_saved_learning_rate": False,
    "learning_rate": 1e-3,
    "weight_decay": 1e-6,
    "grad_clip_thresh": 1.0,
    "batch_size": 64,
    "mask_padding": True,
}
"""The published hyperparameters, which an `hparams.py` in the folder and `--hparams` change."""


def main(dialect: Dialect = "nvidia", arguments: Sequence[str] | None = None) -> int:
    """Run `train.py`. Returns the exit status."""
    return program(lambda: _train(dialect, _parser(dialect).parse_args(arguments)))


def _parser(dialect: Dialect) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train Tacotron 2 with the flags of NVIDIA's tacotron2.")
    parser.add_argument("-o", "--output_directory", required=True, help="where checkpoints go")
    parser.add_argument("-l", "--log_directory", required=True, help="where TensorBoard's logs go, in that folder")
    parser.add_argument("-c", "--checkpoint_path", help="checkpoint to go on from")
    parser.add_argument("--warm_start", action="store_true", help="take the checkpoint's weights only")
    parser.add_argument("--n_gpus", type=int, default=1, help="processes, as multiproc says")
    parser.add_argument("--rank", type=int, default=0, help="the number of this one, as multiproc says")
    parser.add_argument("--group_name", default="group_name", help="taken and not needed")
    parser.add_argument("--hparams", default="", help="comma-separated name=value pairs")
    if dialect == "deepspark":
        parser.add_argument("--target_val_loss", type=float, default=0.5, help="end when the validation loss is this")
    return parser


def read_hparams(path: Path, changes: str) -> dict[str, Any]:
    """The hyperparameters of a folder's `hparams.py`, if there is one, with those of a command line.

    Raises InputError for unknown names and values of another type.
    """
    values = dict(HPARAMS)
    if path.is_file():
        known = {"len(symbols)": HPARAMS["n_symbols"], "len(symbols.symbols)": HPARAMS["n_symbols"]}
        told = read_keywords(path, "HParams", known)
        values |= {name: _typed(name, value, str(path)) for name, value in told.items()}
    # A comma within brackets does not part two pairs.
    for pair in re.findall(r"[^,\[]+(?:\[[^\]]*\])?", changes):
        name, equals, text = pair.strip().partition("=")
        if not equals:
            raise InputError(f"--hparams {pair}: give name=value, such as batch_size=32")
        values[name] = _typed(name, _parsed(name, text), "--hparams")
    return values


def _parsed(name: str, text: str) -> Any:
    default = HPARAMS.get(name)
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        spelled = {"true": True, "1": True, "false": False, "0": False}
        return spelled.get(text.lower(), text)
    if isinstance(default, list):
        return [part.strip("' \"") for part in text.strip("[]").split(",") if part]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _typed(name: str, value: Any, where: str) -> Any:
    if name not in HPARAMS:
        raise InputError(f"{where}: unknown hyperparameter '{name}'{nearest(name, list(HPARAMS))}")
    kind = type(HPARAMS[name])
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise InputError(f"{where}: {name} is {value!r}, and has to be of type {kind.__name__}")
    return value


def _train(dialect: Dialect, arguments: argparse.Namespace) -> int:
    values = read_hparams(Path("hparams.py"), arguments.hparams)
    if arguments.n_gpus > 1 and not values["distributed_run"]:
        raise InputError("several processes need --hparams=distributed_run=True; each would train on its own")
    join(arguments.rank, arguments.n_gpus if values["distributed_run"] else 1, values["dist_url"])
    torch.backends.cudnn.enabled = values["cudnn_enabled"]
    torch.backends.cudnn.benchmark = values["cudnn_benchmark"]
    for title, name in (
        ("FP16 Run:", "fp16_run"),
        ("Dynamic Loss Scaling:", "dynamic_loss_scaling"),
        ("Distributed Run:", "distributed_run"),
        ("cuDNN Enabled:", "cudnn_enabled"),
        ("cuDNN Benchmark:", "cudnn_benchmark"),
    ):
        print(title, values[name], flush=True)

    output = Path(arguments.output_directory)
    clips = read_clips(Path(values["training_files"]), Path(values["validation_files"]), None, needs_text=True)
    batch_size = values["batch_size"] * arguments.n_gpus
    steps = steps_per_epoch(clips, batch_size)
    config = _config(values, batch_size, steps)
    start = None
    task = make_task(config, clips, output / "cache", values["batch_size"])
    if arguments.checkpoint_path is not None:
        path = Path(arguments.checkpoint_path)
        print(f"{'Warm starting model from' if arguments.warm_start else 'Loading'} checkpoint '{path}'", flush=True)
        found = published_checkpoints.read(path, config)
        if arguments.warm_start:
            ignored = _ours(values["ignore_layers"], config)
            weights = {name: tensor for name, tensor in found.model.items() if name not in ignored}
            task.model.load_state_dict({**task.model.state_dict(), **weights})
        else:
            start = found
            if values["use_saved_learning_rate"] and found.learning_rate is not None:
                config = _config(values | {"learning_rate": found.learning_rate}, batch_size, steps)
                task = make_task(config, clips, output / "cache", values["batch_size"])
            print(f"Loaded checkpoint '{path}' from iteration {found.step - 1}", flush=True)
    target = arguments.target_val_loss if dialect == "deepspark" else None
    observer = TrainPy(dialect, output, steps, values["iters_per_checkpoint"])
    outcome = run(task, output / arguments.log_directory / RUN, observer, target_val_loss=target, start=start)
    if dialect == "deepspark":
        print("Traning Status:", "success" if outcome.ended_by == "target_val_loss" else "aborted", flush=True)
    return 0 if outcome.finished else 1


def _config(values: Mapping[str, Any], batch_size: int, steps: int) -> AcousticRun:
    training = TrainingConfig(
        seed=values["seed"],
        batch_size=batch_size,
        precision=precision(amp=values["fp16_run"]),  # type: ignore[arg-type]
        optimizer=hyperparameters.optimizer(
            values["learning_rate"], weight_decay=values["weight_decay"], clip_norm=values["grad_clip_thresh"]
        ),
    )
    return hyperparameters.acoustic_run(values, schedule(training, values["epochs"], steps))


def _ours(published: Sequence[str], config: AcousticRun) -> set[str]:
    """Our names of published tensors."""
    from glowtron.models.published_tacotron2 import published_layout

    layout = published_layout(config.acoustic.tacotron2, config.acoustic.mel.n_mels)
    return {name for name, (theirs, _) in layout.items() if theirs in published}


class TrainPy(SuiteObserver):
    """Prints the lines of `train.py` and writes its checkpoints. An iteration counts from 0, a step from 1."""

    def __init__(self, dialect: Dialect, output: Path, steps_per_epoch: int, iters_per_checkpoint: int) -> None:
        super().__init__(steps_per_epoch)
        self.dialect, self.output, self.every = dialect, output, iters_per_checkpoint

    def began(self, context: RunContext, state: TrainState) -> None:
        super().began(context, state)
        step = state.progress.step
        if step % self.steps_per_epoch and step < context.last_step:  # In the middle of an epoch.
            self.say(f"Epoch: {step // self.steps_per_epoch}")

    def stepped(self, context: RunContext, state: TrainState, metrics: Mapping[str, float]) -> None:
        iteration, seconds = state.progress.step - 1, self.lap(context).seconds
        if iteration % self.steps_per_epoch == 0:
            self.say(f"Epoch: {iteration // self.steps_per_epoch}")
        if "grad_norm" in metrics:  # Theirs says nothing of a step that half precision overflowed in.
            self.say(
                f"Train loss {iteration} {metrics['loss']:.6f} Grad Norm {metrics['grad_norm']:.6f} {seconds:.2f}s/it"
            )

    def wants_validation(self, step: int) -> bool:
        return (step - 1) % self.every == 0

    def validated(self, context: RunContext, state: TrainState, validation: Validation) -> None:
        step, loss = state.progress.step, validation.metrics.get("loss", float("nan"))
        if self.wants_validation(step):
            self.say(f"Validation loss {step - 1}: {loss:9f}  ")
            if self.is_main:
                self.save(context, state, step - 1)
        if step == context.last_step and self.dialect == "deepspark":  # It validates after the last epoch, too.
            self.say(f"Validation loss {step}: {loss:9f}  ")

    def save(self, context: RunContext, state: TrainState, iteration: int) -> None:
        """Write a checkpoint as the published programs do."""
        path = self.output / f"checkpoint_{iteration}"
        self.say(f"Saving model and optimizer state at iteration {iteration} to {path}")
        config = context.task.config
        assert isinstance(config, AcousticRun)
        content = {
            "iteration": iteration,
            "state_dict": published_checkpoints.model_state(state, config),
            "optimizer": published_checkpoints.optimizer_state(state, config),
            "learning_rate": config.training.optimizer.lr,
        }
        published_checkpoints.save(path, content)


if __name__ == "__main__":
    sys.exit(main())
