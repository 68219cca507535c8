"""`glowtron bench`: how fast it is here, beside the models of the textbook, in plain torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from glowtron.cli.output import check_folder
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.bench.measurement import Settings

F = TypeVar("F", bound=Callable[..., Any])
Bench: TypeAlias = "Callable[[Settings], dict[str, Any]]"
"""A function that measures something and returns its figures."""

MEASURING = [
    click.option(
        "--precision",
        metavar="NAME",
        default="auto",
        show_default=True,
        help="auto (what is fastest here), fp32, bf16, and int8 and int16 for what speaks.",
    ),
    click.option(
        "--threads", type=click.IntRange(0), default=0, metavar="N", help="0: as torch chooses.  [default: 0]"
    ),
    click.option("--runs", type=click.IntRange(1), metavar="N", default=5, show_default=True, help="Timed."),
    click.option("--warm-up", type=click.IntRange(0), metavar="N", default=1, show_default=True, help="Runs before."),
    click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True),
    click.option(
        "--clock",
        type=click.Choice(["wall", "cpu"]),
        default="wall",
        show_default=True,
        help="cpu: time on the processor, summed over threads, for a busy machine.",
    ),
    click.option("--no-plain", is_flag=True, help="Leave the textbook out; it takes longest."),
    click.option("--json", "json_file", metavar="FILE", help="Write all figures here."),
    click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
]
"""Options of every measurement."""


def measuring(prepare: Callable[..., Bench]) -> Callable[..., None]:
    """A command that measures, writes the figures and prints them.

    prepare: what is measured, by the command's own options and the seed.
    """

    @wraps(prepare)
    def command(*, json_file: str | None, quiet: bool, no_plain: bool, seed: int, **options: Any) -> None:
        # Refused before anything else.
        path = _writable(json_file)

        from glowtron.bench.measurement import Settings
        from glowtron.bench.result import Surroundings, as_table, write

        shared = {name: options.pop(name) for name in ("precision", "threads", "runs", "warm_up", "clock")}
        settings = Settings(plain=not no_plain, seed=seed, **shared)
        around = Surroundings()
        result = prepare(seed=seed, **options)(settings)
        result |= {"command": _command(), **around.tell(settings)}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(result, path)
        if not quiet:
            click.echo(as_table(result), nl=False)

    for option in reversed(MEASURING):
        command = option(command)
    return command


def model_option(default: str, known: str, metavar: str = "NAME|FOLDER") -> Callable[[F], F]:
    """Which model is measured."""
    return click.option("--model", metavar=metavar, default=default, show_default=True, help=known)


@click.group()
def bench() -> None:
    """Measure speed, memory and exactness on this machine.

    Each takes turns with the same model in plain torch and float32 (glowtron.models, the textbook), in processes of
    their own, and is compared with what that computes. Nothing has to be downloaded: full-size models have weights
    drawn at the scale of trained ones.

    \b
    Examples:
      glowtron bench vocoder --model waveglow-256 --seconds 5 --json vocoder.json
      glowtron bench vocoder --model wavenet-24x128 --batch 8 --seconds 0.05
      glowtron bench acoustic --model tacotron2 --batch 16
      glowtron bench train --model waveglow-256 --batch 2 --segment 8000
      glowtron bench say
      glowtron bench stream --seconds 60
      glowtron bench batch --texts 1000
    """
    if os.name != "posix":
        raise InputError("glowtron bench forks the processes that it measures, which Linux and macOS can")


voice_option = model_option(
    "compact", "compact (the voice that ships), full-size (tacotron2 and waveglow-256), or a voice."
)
text_option = click.option("--text", metavar="TEXT", help="What is said.  [default: what a reader says in --seconds]")
seconds_option = click.option(
    "--seconds",
    type=click.FloatRange(0, 600, min_open=True),
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    help="Of sound, each.",
)
device_option = click.option(
    "--device", metavar="DEVICE", default="cpu", show_default=True, help="cpu, cuda or cuda:1."
)
batch_option = click.option("--batch", type=click.IntRange(1), metavar="N", default=1, show_default=True)


@bench.command()
@voice_option
@text_option
@seconds_option
@device_option
@measuring
def say(model: str, text: str | None, seconds: float, device: str, seed: int) -> Bench:
    """Measure text to sound, end to end."""
    from glowtron.bench.saying import SayingWork, bench_saying

    return partial(bench_saying, SayingWork(model, text, seconds, seed, device))


@bench.command()
@voice_option
@text_option
@seconds_option
@measuring
def stream(model: str, text: str | None, seconds: float, seed: int) -> Bench:
    """Measure the time to the first sound, and whether what follows keeps ahead of its listener."""
    from glowtron.bench.saying import SayingWork
    from glowtron.bench.streaming import bench_streaming

    return partial(bench_streaming, SayingWork(model, text, seconds, seed))


@bench.command()
@voice_option
@click.option("--texts", type=click.IntRange(1), metavar="N", default=100, show_default=True, help="Different ones.")
@seconds_option
@click.option(
    "--workers", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="As of glowtron say."
)
@measuring
def batch(model: str, texts: int, seconds: float, workers: int, seed: int) -> Bench:
    """Measure many texts side by side, beside saying one after the other (left out by --no-plain).

    Texts are of 0.4 to 1.6 times --seconds. --threads, unless 0, are of this process; workers share the cores.
    """
    from glowtron.bench.batch import BatchWork, bench_batch

    return partial(bench_batch, BatchWork(model, texts, seconds, workers, seed))


@bench.command()
@model_option(
    "waveglow-256",
    "waveglow-256, waveglow-512, wavenet-24x128, wavenet-12x128, compact (the voice that ships), or a voice.",
)
@seconds_option
@batch_option
@device_option
@measuring
def vocoder(model: str, seconds: float, batch: int, device: str, seed: int) -> Bench:
    """Measure mels to sound, and what share it reaches of the rate at which this machine multiplies large matrices.

    The textbook's WaveNet takes some hundred seconds for one of sound: --seconds 0.05 are enough for it.
    """
    from glowtron.bench.vocoder import VocoderWork, bench_vocoder

    return partial(bench_vocoder, VocoderWork(model, seconds, batch, seed, device))


@bench.command()
@model_option("tacotron2", "tacotron2, compact (the voice that ships), or a voice.")
@seconds_option
@batch_option
@device_option
@measuring
def acoustic(model: str, seconds: float, batch: int, device: str, seed: int) -> Bench:
    """Measure text to mels."""
    from glowtron.bench.acoustic import AcousticWork, bench_acoustic

    return partial(bench_acoustic, AcousticWork(model, seconds, batch, seed, device))


@bench.command()
@model_option(
    "waveglow-256",
    "waveglow-256, waveglow-512, tacotron2, compact, compact-acoustic, or a JSON file with the configuration of a run.",
    metavar="NAME|FILE",
)
@click.option(
    "--batch", type=click.IntRange(1), metavar="N", help="[default: 2 of a WaveGlow, 16 of a Tacotron 2 or compact]"
)
@click.option(
    "--segment", type=click.IntRange(2), metavar="SAMPLES", default=8000, show_default=True, help="Of a WaveGlow."
)
@click.option(
    "--frames", type=click.IntRange(2), metavar="N", default=400, show_default=True, help="Of a Tacotron 2's clips."
)
@click.option(
    "--activation-checkpointing",
    is_flag=True,
    help="Compute a WaveGlow's flows again for their gradients, as training does with that key.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="That share batch and --threads and talk by gloo; more than one are compared with one of all threads.",
)
@measuring
def train(
    model: str, batch: int | None, segment: int, frames: int, activation_checkpointing: bool, processes: int, seed: int
) -> Bench:
    """Measure whole steps of training."""
    from glowtron.bench.training_step import TrainingWork

    batch = batch or (2 if model.startswith("waveglow-") else 16)
    work = TrainingWork(model, batch, segment, frames, seed, activation_checkpointing)
    if processes > 1:
        from glowtron.bench.processes import bench_processes

        return partial(bench_processes, work, processes)
    from glowtron.bench.training import bench_training

    return partial(bench_training, work)


def _writable(file: str | None) -> Path | None:
    """The file of figures. Raises InputError where it cannot be written."""
    if file is None:
        return None
    path = Path(file)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give --json a file")
    check_folder(path.parent)
    return path


def _command() -> str:
    """As it was given, without where the figures go."""
    context = click.get_current_context()
    words = [context.command_path]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if given and name not in ("json_file", "quiet"):
            words.append(parameter.opts[0])
            if value is not True:
                words.append(f"{value:g}" if isinstance(value, float) else quote(str(value)))
    return " ".join(words)
