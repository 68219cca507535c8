"""`glowtron bench`: how fast it is here, beside the published algorithms written plainly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from glowtron.cli.output import check_folder
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.bench.measurement import Settings

F = TypeVar("F", bound=Callable[..., Any])


def measuring_options(command: F) -> F:
    """What every measurement can be told."""
    for option in reversed(
        [
            click.option(
                "--precision",
                metavar="NAME",
                default="auto",
                show_default=True,
                help="auto (what is fastest here), fp32, bf16, and for a Tacotron 2 that speaks int8.",
            ),
            click.option(
                "--threads", type=click.IntRange(0), default=0, metavar="N", help="0: as torch chooses.  [default: 0]"
            ),
            click.option("--runs", type=click.IntRange(1), metavar="N", default=5, show_default=True, help="Timed."),
            click.option(
                "--warm-up", type=click.IntRange(0), metavar="N", default=1, show_default=True, help="Runs before."
            ),
            click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True),
            click.option(
                "--clock",
                type=click.Choice(["wall", "cpu"]),
                default="wall",
                show_default=True,
                help="cpu: time on the processor, summed over threads, for a busy machine.",
            ),
            click.option("--no-plain", is_flag=True, help="Leave the plain implementation out; it takes longest."),
            click.option("--json", "file", metavar="FILE", help="Write all figures here."),
            click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
        ]
    ):
        command = option(command)
    return command


@click.group()
def bench() -> None:
    """Measure speed, memory and exactness on this machine.

    Each takes turns with the published algorithm written plainly (Conv1d, step by step, float32), in processes of their
    own, after a check that both compute the same function. Nothing has to be downloaded: full-size models have weights
    drawn at the scale of trained ones.

    \b
    Examples:
      glowtron bench vocoder --model waveglow-256 --seconds 5 --json vocoder.json
      glowtron bench acoustic --model tacotron2 --batch 16
      glowtron bench train --model waveglow-256 --batch 2 --segment 8000
      glowtron bench say
    """


seconds_option = click.option(
    "--seconds",
    type=click.FloatRange(0, 600, min_open=True),
    metavar="SECONDS",
    default=5.0,
    show_default=True,
    help="Of sound, each.",
)
batch_option = click.option("--batch", type=click.IntRange(1), metavar="N", default=1, show_default=True)


@bench.command()
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    default="compact",
    show_default=True,
    help="compact (the voice that ships), full-size (tacotron2 and waveglow-256), or a voice.",
)
@click.option("--text", metavar="TEXT", help="What is said.  [default: what a reader says in --seconds]")
@seconds_option
@measuring_options
def say(model: str, text: str | None, seconds: float, **options: Any) -> None:
    """Measure text to sound, end to end."""
    settings, file, quiet = _settings(options)

    from glowtron.bench.saying import SayingWork, bench_saying

    _measure(lambda: bench_saying(SayingWork(model, text, seconds, settings.seed), settings), settings, file, quiet)


@bench.command()
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    default="waveglow-256",
    show_default=True,
    help="waveglow-256, waveglow-512, compact (the voice that ships), or a voice.",
)
@seconds_option
@batch_option
@measuring_options
def vocoder(model: str, seconds: float, batch: int, **options: Any) -> None:
    """Measure mels to sound."""
    settings, file, quiet = _settings(options)

    from glowtron.bench.vocoder import VocoderWork, bench_vocoder

    _measure(lambda: bench_vocoder(VocoderWork(model, seconds, batch, settings.seed), settings), settings, file, quiet)


@bench.command()
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    default="tacotron2",
    show_default=True,
    help="tacotron2, compact (the voice that ships), or a voice.",
)
@seconds_option
@batch_option
@measuring_options
def acoustic(model: str, seconds: float, batch: int, **options: Any) -> None:
    """Measure text to mels."""
    settings, file, quiet = _settings(options)

    from glowtron.bench.acoustic import AcousticWork, bench_acoustic

    work = AcousticWork(model, seconds, batch, settings.seed)
    _measure(lambda: bench_acoustic(work, settings), settings, file, quiet)


@bench.command()
@click.option(
    "--model",
    metavar="NAME|FILE",
    default="waveglow-256",
    show_default=True,
    help="waveglow-256, waveglow-512, tacotron2, compact, or a JSON file with the configuration of a run.",
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
    "--recompute-flows",
    is_flag=True,
    help="Compute a WaveGlow's flows again for their gradients, as --set recompute_flows=true does in training.",
)
@measuring_options
def train(model: str, batch: int | None, segment: int, frames: int, recompute_flows: bool, **options: Any) -> None:
    """Measure whole steps of training."""
    settings, file, quiet = _settings(options)

    from glowtron.bench.training import TrainingWork, bench_training

    batch = batch or (2 if model.startswith("waveglow-") else 16)
    work = TrainingWork(model, batch, segment, frames, settings.seed, recompute_flows)
    _measure(lambda: bench_training(work, settings), settings, file, quiet)


def _settings(options: dict[str, Any]) -> tuple[Settings, Path | None, bool]:
    """What is measured how, the file of figures, and whether to be quiet. The file is refused before anything else."""
    file, quiet = options.pop("file"), options.pop("quiet")
    path = Path(file) if file else None
    if path is not None:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give --json a file")
        check_folder(path.parent)

    from glowtron.bench.measurement import Settings

    return Settings(plain=not options.pop("no_plain"), **options), path, quiet


def _measure(bench: Callable[[], dict[str, Any]], settings: Settings, file: Path | None, quiet: bool) -> None:
    """Measure, write the figures and print them."""
    from glowtron.bench.result import Surroundings, as_table, write

    around = Surroundings()
    result = bench()
    result |= {"command": _command(), **around.tell(settings)}
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(result, file)
    if not quiet:
        click.echo(as_table(result), nl=False)


def _command() -> str:
    """As it was given, without where the figures go."""
    context = click.get_current_context()
    words = [context.command_path]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        given = context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if given and name not in ("file", "quiet"):
            words.append(parameter.opts[0])
            if value is not True:
                words.append(f"{value:g}" if isinstance(value, float) else quote(str(value)))
    return " ".join(words)
