"""`glowtron train`: recordings to weights."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from glowtron.cli.options import (
    alignment_files,
    alignments_option,
    lexicon_option,
    model_folder,
    root_option,
    speaker_and_folder,
)
from glowtron.cli.output import check_folder
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.config import RunConfig
    from glowtron.train.recipe import Kind
    from glowtron.train.task import Corpora, Task


@click.command()
@click.argument("kind", type=click.Choice(["acoustic", "fastspeech2", "vocoder", "postnet"]))
@click.option(
    "--config",
    metavar="NAME|FILE",
    required=True,
    help="A recipe that ships (they are named above), or a JSON file.",
)
@click.option(
    "--data",
    metavar="[SPEAKER=]FOLDER|LIST",
    multiple=True,
    required=True,
    help="Recordings in LJSpeech's layout (metadata.csv and wavs/), or a list of path|text or path|text|speaker; "
    "several times for several of them.",
)
@root_option
@click.option("--run", metavar="FOLDER", required=True, help="Where checkpoints and logs go; an existing run goes on.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change one key of the configuration.")
@alignments_option
@lexicon_option
@click.option("--mels", metavar="FOLDER", help="A vocoder or a postnet learns from these (see: glowtron mels).")
@click.option("--init-from", metavar="RUN|VOICE", help="Fine-tune these weights; of a postnet, its acoustic model.")
@click.option("--reinit", metavar="PART", multiple=True, help="Begin this part anew, such as embedding (--init-from).")
@click.option("--max-steps", type=click.IntRange(1), metavar="STEPS", help="Where the schedule ends.")
@click.option("--max-epochs", type=click.FloatRange(0, min_open=True), metavar="EPOCHS", help="The same in epochs.")
@click.option(
    "--max-hours", type=click.FloatRange(0, min_open=True), metavar="HOURS", help="End after these, over all starts."
)
@click.option("--target-val-loss", type=float, metavar="LOSS", help="End when the validation loss is down to this.")
@click.option("--report", is_flag=True, help="At the end, write report.json and report.md into the run folder.")
@click.option("--single", metavar="FOLDER", help="The same run by one process: the report tells how this one scales.")
@click.option("--cache", metavar="FOLDER", help="Where decoded clips and mels are kept.  [default: cache/ in the run]")
@click.option(
    "--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True, help="auto: a GPU if any."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def train(
    kind: Kind,
    config: str,
    data: tuple[str, ...],
    root: str | None,
    run: str,
    changes: tuple[str, ...],
    alignments: tuple[str, ...],
    lexicon: str | None,
    mels: str | None,
    init_from: str | None,
    reinit: tuple[str, ...],
    max_steps: int | None,
    max_epochs: float | None,
    max_hours: float | None,
    target_val_loss: float | None,
    report: bool,
    single: str | None,
    cache: str | None,
    device: str,
    quiet: bool,
) -> None:
    """Train an acoustic model, its postnet, or a vocoder.

    An acoustic model turns text into mels, and a vocoder turns mels into sound. `acoustic` is Tacotron 2; `fastspeech2`
    predicts durations, pitch and energy. Tacotron 2's postnet can be trained once more, against a discriminator, so
    that its mels are less smooth.

    Control-C writes a checkpoint, and the same command resumes the run. Metrics, sounds and pictures are in the run
    folder, for TensorBoard too. --set takes a key's path in the configuration and a JSON value.

    \b
    Recipes:
      compact-fastspeech2, compact-vocoder, compact-acoustic, compact-postnet,
      compact-wavenet, tacotron2, waveglow, waveglow-on-sound, wavenet

    \b
    Examples:
      glowtron train vocoder --config compact-vocoder --data LJSpeech-1.1 --run runs/vocoder
      glowtron train vocoder --config compact-wavenet --data LJSpeech-1.1 --run runs/wavenet
      glowtron train fastspeech2 --config compact-fastspeech2 --data d --alignments d.jsonl --run fs2
      glowtron train acoustic --config my.json --data lj=LJSpeech-1.1 --run runs/acoustic
      glowtron train postnet --config compact-postnet --data corpus --init-from am --mels gta --run pn
      glowtron train vocoder --config waveglow --data corpus --run runs/big --set training.seed=7
    """
    folder = Path(run)
    check_folder(folder)
    _require_libraries()

    from glowtron.data.manifest import speakers_of
    from glowtron.train.distributed import init_distributed
    from glowtron.train.loop import train as run_loop
    from glowtron.train.recipe import recipe
    from glowtron.train.state import StoppingCriteria
    from glowtron.train.task import Corpora

    if single is not None:
        from glowtron.train.report import read_result

        read_result(Path(single))  # Before the training, while a mistake can still be mended.
    sources = [speaker_and_folder(entry) for entry in data]
    settings = recipe(kind, config, (*_limits(max_steps, max_epochs), *changes))
    settings = _for_speakers(settings, speakers_of(sources))
    init_distributed(device)
    corpora = Corpora(sources, Path(cache) if cache else folder / "cache", Path(root) if root else None, quiet)
    options = TaskOptions(
        alignment_files(alignments),
        Path(lexicon) if lexicon else None,
        Path(mels) if mels else None,
        model_folder(init_from) if init_from else None,
        reinit,
    )
    task = make_task(settings, corpora, options)
    outcome = run_loop(task, folder, stopping=StoppingCriteria(target_val_loss, max_hours), device=device, quiet=quiet)
    if os.environ.get("RANK", "0") != "0":  # torchrun starts many of us.
        return
    if report or single is not None:
        from glowtron.train.report import write_report

        write_report(folder, Path(single) if single else None)
    if not quiet:
        state = "finished" if outcome.finished else "stopped; the same command goes on from here"
        click.echo(f"{folder}: step {outcome.step}, {state} ({outcome.ended_by.replace('_', ' ')})")


def _limits(max_steps: int | None, max_epochs: float | None) -> list[str]:
    """Changes of the configuration that set where the schedule ends: a recipe's own end gives way to a given one."""
    if max_steps is None and max_epochs is None:
        return []
    epochs = [] if max_epochs is None else [f"training.max_epochs={max_epochs}"]
    return [*epochs, f"training.max_steps={'null' if max_steps is None else max_steps}"]


class TaskOptions(NamedTuple):
    """Options that only some kinds of runs have."""

    alignments: list[Path | tuple[str, Path]]
    lexicon: Path | None
    mels: Path | None
    init_from: Path | None
    reinit: tuple[str, ...]


def make_task(config: RunConfig, corpora: Corpora, options: TaskOptions) -> Task:
    """The task of a run. Raises InputError for options that its kind does not have."""
    from glowtron.config import AcousticRun, FastSpeech2Run, VocoderRun, WaveNetRun
    from glowtron.train.acoustic_task import acoustic_task
    from glowtron.train.fastspeech2_task import fastspeech2_task
    from glowtron.train.init_from import InitFrom
    from glowtron.train.postnet_task import postnet_task
    from glowtron.train.vocoder_task import vocoder_task
    from glowtron.train.wavenet_task import wavenet_task

    alignments, lexicon, mels, source, reinit = options
    reads_text = isinstance(config, AcousticRun | FastSpeech2Run)
    if alignments and not reads_text:
        raise InputError(f"--alignments is for acoustic models; a {config.type} needs none")
    if lexicon is not None and not reads_text:
        raise InputError(f"--lexicon is for acoustic models; a {config.type} reads no text")
    if mels is not None and reads_text:
        raise InputError("--mels is for vocoders and postnets; an acoustic model learns the recordings' own")
    if reinit and (source is None or config.type == "postnet"):
        raise InputError("--reinit names parts of an acoustic model or a vocoder to begin anew; give --init-from too")
    init_from = InitFrom(source, reinit) if source is not None else None
    if isinstance(config, AcousticRun):
        return acoustic_task(config, corpora, alignments=alignments, lexicon=lexicon, init_from=init_from)
    if isinstance(config, FastSpeech2Run):
        return fastspeech2_task(config, corpora, alignments=alignments, lexicon=lexicon, init_from=init_from)
    if isinstance(config, VocoderRun):
        return vocoder_task(config, corpora, mels=mels, init_from=init_from)
    if isinstance(config, WaveNetRun):
        return wavenet_task(config, corpora, mels=mels, init_from=init_from)
    if source is None or mels is None:
        raise InputError("a postnet needs --init-from, its acoustic model, and --mels of it (see: glowtron mels)")
    return postnet_task(config, corpora, acoustic=source, mels=mels)


def _for_speakers(config: RunConfig, names: list[str]) -> RunConfig:
    """The configuration for the speakers that the data names; a recipe's own names are only those it was made with."""
    from dataclasses import replace

    from glowtron.config import AcousticRun, FastSpeech2Run

    if not isinstance(config, AcousticRun | FastSpeech2Run) or set(names) == set(config.acoustic.speakers):
        return config
    return replace(config, acoustic=replace(config.acoustic, speakers=tuple(dict.fromkeys(names))))


def _require_libraries() -> None:
    missing = [name for name in ("accelerate", "tensorboard", "matplotlib") if find_spec(name) is None]
    if missing:
        raise InputError(f"training needs {', '.join(missing)}; install with: pip install 'glowtron[train]'")
