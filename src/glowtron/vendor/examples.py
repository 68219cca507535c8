"""`train.py` of the Tacotron 2 case of NVIDIA's DeepLearningExamples: its flags, lines and checkpoints."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glowtron.config import AcousticRun, TrainingConfig, VocoderRun
from glowtron.errors import InputError, reason
from glowtron.files import partial_of
from glowtron.train.observer import Validation
from glowtron.train.state import RunContext, TrainState
from glowtron.vendor import hyperparameters, published_checkpoints
from glowtron.vendor.dllogger import DllLogger
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
    world_size,
)

MODELS = ("Tacotron2", "WaveGlow")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `train.py`. Returns the exit status."""
    first = argparse.ArgumentParser(add_help=False)  # Which flags there are is the model's; all are checked after it.
    first.add_argument("-m", "--model-name", choices=MODELS)
    told = sys.argv[1:] if arguments is None else list(arguments)
    model_name = first.parse_known_args(told)[0].model_name
    return program(lambda: _train(parser(model_name).parse_args(told)))


def parser(model_name: str | None) -> argparse.ArgumentParser:
    """The flags of `train.py`, with those of a model."""
    top = argparse.ArgumentParser(description="Train with the flags of NVIDIA's DeepLearningExamples.")
    top.add_argument("-o", "--output", required=True, help="where checkpoints go")
    top.add_argument("-d", "--dataset-path", default="./", help="where the paths in lists begin")
    top.add_argument("-m", "--model-name", required=True, choices=MODELS)
    top.add_argument("--log-file", default="nvlog.json", help="name of the log in that folder")
    top.add_argument("--anneal-steps", nargs="*", type=int, default=[], help="epochs that lower the learning rate")
    top.add_argument("--anneal-factor", type=float, choices=[0.1, 0.3], default=0.1)
    top.add_argument("--epochs", type=int, required=True)
    top.add_argument("-lr", "--learning-rate", type=float, required=True)
    top.add_argument("-bs", "--batch-size", type=int, required=True, help="clips a step, in each process")
    top.add_argument("--epochs-per-checkpoint", type=int, default=50)
    top.add_argument("--checkpoint-path", default="", help="checkpoint to go on from")
    top.add_argument("--resume-from-last", action="store_true", help="go on from the last in the output folder")
    top.add_argument("--seed", type=int, default=1234)
    top.add_argument("--amp", "--amp-run", "--fp16-run", action="store_true", help="half precision")
    top.add_argument("--weight-decay", type=float, default=1e-6)
    top.add_argument("--grad-clip-thresh", type=float, default=1.0)
    top.add_argument("--load-mel-from-disk", action="store_true", help="a list may name mels: recordings are read")
    top.add_argument("--training-files", default="filelists/ljs_audio_text_train_filelist.txt")
    top.add_argument("--validation-files", default="filelists/ljs_audio_text_val_filelist.txt")
    top.add_argument("--text-cleaners", nargs="*", default=["english_cleaners"])
    top.add_argument("--cudnn-enabled", action="store_true")
    top.add_argument("--cudnn-benchmark", nargs="?", const=True, default=False, type=_truth)
    top.add_argument("--rank", "--local_rank", type=int, default=0, help="the number of this process")
    top.add_argument("--world-size", type=int, default=1, help="processes")
    top.add_argument("--dist-url", default="tcp://localhost:23456", help="where processes meet")
    top.add_argument("--group-name", default="group_name", help="taken and not needed")
    top.add_argument("--dist-backend", default="nccl", help="taken; the device decides")
    top.add_argument("--bench-class", default="", help="`train` and empty write checkpoints, others do not")
    top.add_argument("--dynamic-loss-scaling", type=_truth, default=True, help="taken; the scale is dynamic")
    top.add_argument("--disable-uniform-initialize-bn-weight", action="store_true", help="taken; it is never uniform")
    top.add_argument("--use-saved-learning-rate", type=_truth, default=False, help="taken; theirs does not use it")
    top.add_argument("--grad-clip", type=float, default=5.0, help="taken; --grad-clip-thresh counts")
    add_settings(top, hyperparameters.AUDIO)
    if model_name is not None:
        add_settings(top, hyperparameters.TACOTRON2 if model_name == "Tacotron2" else hyperparameters.WAVEGLOW)
    return top


def add_settings(parser: argparse.ArgumentParser, settings: Mapping[str, Any]) -> None:
    """Flags of settings, such as --wn-channels for `wn_channels`."""
    for name, default in settings.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(flag, nargs="?", const=True, default=default, type=_truth)
        else:
            parser.add_argument(flag, default=default, type=type(default))


def _truth(text: str) -> bool:
    spelled = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in spelled:
        raise argparse.ArgumentTypeError(f"{text}: give true or false")
    return spelled[text.lower()]


def find_list(name: str, root: Path) -> Path:
    """A list by its name: in the current folder, or in the data's."""
    return Path(name) if Path(name).is_file() or not (root / name).is_file() else root / name


def _train(arguments: argparse.Namespace) -> int:
    join(arguments.rank, arguments.world_size, arguments.dist_url)
    values, output, root = vars(arguments), Path(arguments.output), Path(arguments.dataset_path)
    name, is_acoustic = arguments.model_name, arguments.model_name == "Tacotron2"
    torch.backends.cudnn.enabled = arguments.cudnn_enabled
    torch.backends.cudnn.benchmark = arguments.cudnn_benchmark
    log_file = Path(arguments.log_file)
    # Some of their scripts give the output folder once more.
    log_path = log_file if log_file.parent != Path() else output / log_file
    with DllLogger(log_path, enabled=rank() == 0) as log:
        for key, value in values.items():
            log.log("PARAMETER", {key: value})
        log.log("PARAMETER", {"model_name": f"{name}_PyT"})
        lists = [find_list(values[key], root) for key in ("training_files", "validation_files")]
        clips = read_clips(lists[0], lists[1], root, needs_text=is_acoustic)
        batch_size = arguments.batch_size * world_size()
        steps = steps_per_epoch(clips, batch_size)
        training = TrainingConfig(
            seed=arguments.seed,
            batch_size=batch_size,
            precision=precision(amp=arguments.amp),  # type: ignore[arg-type]
            optimizer=hyperparameters.optimizer(
                arguments.learning_rate,
                weight_decay=arguments.weight_decay,
                clip_norm=arguments.grad_clip_thresh,
                anneal_steps=arguments.anneal_steps,
                anneal_factor=arguments.anneal_factor,
                steps_per_epoch=steps,
            ),
        )
        training = schedule(training, arguments.epochs, steps)
        config = (hyperparameters.acoustic_run if is_acoustic else hyperparameters.vocoder_run)(values, training)
        last = output / f"checkpoint_{name}_last.pt"
        path = last if arguments.resume_from_last else Path(arguments.checkpoint_path)
        start = None
        if arguments.resume_from_last or arguments.checkpoint_path:
            start = published_checkpoints.read(path, config)
            start = start._replace(step=(published_checkpoints.epoch_of(path) + 1) * steps)
        observer = TrainPy(log, Settings(arguments, config, steps))
        task = make_task(config, clips, output / "cache", arguments.batch_size)
        start_s = time.perf_counter()
        outcome = run(task, output / RUN, observer, start=start)
        log.log((), {"run_time": time.perf_counter() - start_s})
        log.log((), {"val_loss": observer.epochs.val_loss})
        log.log((), {"train_loss": observer.epochs.train_loss})
        log.log((), {"train_items_per_sec": observer.epochs.train_items_per_sec})
        log.log((), {"val_items_per_sec": observer.epochs.val_items_per_sec})
    return 0 if outcome.finished else 1


@dataclass
class Epochs:
    """The figures of the last epoch."""

    val_loss: float = 0.0
    train_loss: float = 0.0
    train_items_per_sec: float = 0.0
    val_items_per_sec: float = 0.0


class DllObserver(SuiteObserver):
    """Logs steps, epochs and validations as dllogger does. Each epoch ends with a validation."""

    def __init__(self, log: DllLogger, steps_per_epoch: int) -> None:
        super().__init__(steps_per_epoch)
        self.log = log
        self.epochs = Epochs()
        self._speeds: list[float] = []
        self._seconds = 0.0

    def stepped(self, context: RunContext, state: TrainState, metrics: Mapping[str, float]) -> None:
        lap, step = self.lap(context), state.progress.step
        epoch, i = divmod(step - 1, self.steps_per_epoch)
        seconds = max(lap.seconds - lap.waited_s, 1e-9)  # Theirs begins once the batch is there.
        self._speeds.append(lap.n_units / seconds)
        self._seconds += lap.seconds
        self.epochs.train_loss = metrics["loss"]
        self.log.log((epoch, i), {"glob_iter/iters_per_epoch": f"{step - 1}/{self.steps_per_epoch}"})
        self.log.log((epoch, i), {"train_loss": metrics["loss"]})
        self.log.log((epoch, i), {"train_items_per_sec": self._speeds[-1]})
        self.log.log((epoch, i), {"train_iter_time": seconds})
        if self.is_epoch_end(step):
            self.epochs.train_items_per_sec = sum(self._speeds) / len(self._speeds)
            self.log.log((epoch,), {"train_items_per_sec": self.epochs.train_items_per_sec})
            self.log.log((epoch,), {"train_loss": metrics["loss"]})
            self.log.log((epoch,), {"train_epoch_time": self._seconds})
            self._speeds, self._seconds = [], 0.0
            self.epoch_ended(epoch, context, state)

    def epoch_ended(self, epoch: int, context: RunContext, state: TrainState) -> None:
        """After an epoch's lines, before its validation."""

    def wants_validation(self, step: int) -> bool:
        return self.is_epoch_end(step)

    def validated(self, context: RunContext, state: TrainState, validation: Validation) -> None:
        if not self.wants_validation(state.progress.step):
            return
        epoch = state.progress.step // self.steps_per_epoch - 1
        self.epochs.val_loss = validation.metrics.get("loss", float("nan"))
        self.epochs.val_items_per_sec = validation.n_units / max(validation.seconds, 1e-9)
        self.log.log((epoch,), {"val_loss": self.epochs.val_loss})
        self.log.log((epoch,), {"val_items_per_sec": self.epochs.val_items_per_sec})


@dataclass(frozen=True)
class Settings:
    """Settings that the checkpoints need."""

    arguments: argparse.Namespace
    config: AcousticRun | VocoderRun
    steps_per_epoch: int


class TrainPy(DllObserver):
    """Writes the checkpoints of `train.py`, too."""

    def __init__(self, log: DllLogger, settings: Settings) -> None:
        super().__init__(log, settings.steps_per_epoch)
        self.settings = settings

    def epoch_ended(self, epoch: int, context: RunContext, state: TrainState) -> None:
        told = self.settings.arguments
        if epoch % told.epochs_per_checkpoint or told.bench_class not in ("", "train") or not self.is_main:
            return
        output, name = Path(told.output), told.model_name
        path = output / f"checkpoint_{name}_{epoch}.pt"
        print(f"Saving model and optimizer state at epoch {epoch} to {path}", flush=True)
        save(path, epoch, state, self.settings)
        _point(output / f"checkpoint_{name}_last.pt", path.name)


def save(path: Path, epoch: int, state: TrainState, settings: Settings) -> None:
    """Write a checkpoint as DeepLearningExamples does."""
    config = settings.config
    by_layer = isinstance(config, VocoderRun)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    content = {
        "epoch": epoch,
        "cuda_rng_state_all": cuda,
        "random_rng_states_all": [torch.random.get_rng_state()],
        "config": network_settings(vars(settings.arguments), config),
        "state_dict": published_checkpoints.model_state(state, config, condition_by_layer=by_layer),
        "optimizer": published_checkpoints.optimizer_state(state, config, condition_by_layer=by_layer),
    }
    if state.scaler is not None:
        content["scaler"] = state.scaler.state_dict()
    published_checkpoints.save(path, content)


def network_settings(values: Mapping[str, Any], config: AcousticRun | VocoderRun) -> dict[str, Any]:
    """The arguments that the published network is made with."""
    if isinstance(config, AcousticRun):
        names = ["n_mel_channels", *hyperparameters.TACOTRON2]
        return {name: values[name] for name in names}
    return {
        "n_mel_channels": values["n_mel_channels"],
        "n_flows": values["flows"],
        "n_group": values["groups"],
        "n_early_every": values["early_every"],
        "n_early_size": values["early_size"],
        "WN_config": {
            "n_layers": values["wn_layers"],
            "kernel_size": values["wn_kernel_size"],
            "n_channels": values["wn_channels"],
        },
    }


def _point(link: Path, name: str) -> None:
    """Make `link` point at the file `name` beside it, in place of what it pointed at."""
    partial = partial_of(link)
    try:
        partial.unlink(missing_ok=True)
        partial.symlink_to(name)
        partial.replace(link)
    except OSError as error:
        raise InputError(f"{link}: cannot be made: {reason(error)}") from error


if __name__ == "__main__":
    sys.exit(main())
