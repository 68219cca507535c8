"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from glowtron.errors import InputError
from glowtron.synthesis.options import LIMITS

F = TypeVar("F", bound=Callable[..., Any])

RENAMED_OPTIONS: dict[str, dict[str, str]] = {
    "train": {"--from": "--init-from", "--reset": "--reinit"},
    "bench": {"--recompute-flows": "--activation-checkpointing"},
    "mels": {"--free": "--free-running", "--unrefined": "--before-postnet"},
}
"""Former names of options by command. They go on working for one release, with a warning."""


def with_new_names(command: str, arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, former names of options replaced by the present ones, with a warning for each."""
    renamed = RENAMED_OPTIONS.get(command, {})
    result: list[str] = []
    for place, argument in enumerate(arguments):
        if argument == "--":
            return result + list(arguments[place:])
        name, equals, value = argument.partition("=")
        if name in renamed:
            click.echo(f"glowtron: warning: {name} is called {renamed[name]} now", err=True)
            argument = renamed[name] + equals + value
        result.append(argument)
    return result


def speaker_and_folder(entry: str) -> tuple[str, Path]:
    """`lj=LJSpeech-1.1` names the speaker of a folder or a list; without a name it is `speaker`."""
    name, equals, folder = entry.partition("=")
    if equals and (not name or not folder):
        raise InputError(f"--data {entry}: give SPEAKER=FOLDER, or FOLDER alone for a single speaker")
    return (name, Path(folder)) if equals else ("speaker", Path(entry))


def alignment_files(entries: Sequence[str]) -> list[Path | tuple[str, Path]]:
    """Files of alignments, as pairs with the speaker that they name: `lj=lj.jsonl`."""
    files: list[Path | tuple[str, Path]] = []
    for entry in entries:
        speaker, equals, path = entry.partition("=")
        files.append((speaker, Path(path)) if equals and speaker and not Path(entry).exists() else Path(entry))
    return files


def model_folder(source: str) -> Path:
    """The folder of a run or a voice as it is given, or that of a voice that ships, by its name."""
    if Path(source).exists():
        return Path(source)
    from glowtron.voices import find_voice

    return find_voice(source)


voice_option = click.option(
    "--voice",
    metavar="NAME|FOLDER",
    default=None,
    help="A voice that ships (see: glowtron voices) or a folder with a voice.json.  [default: the first that ships]",
)

lexicon_option = click.option(
    "--lexicon",
    metavar="FILE",
    help="Your own pronunciations: a file of lines such as siobhan SH AH0 V AO1 N (see: glowtron phonemes --help).",
)

alignments_option = click.option(
    "--alignments",
    metavar="[SPEAKER=]FILE",
    multiple=True,
    help="Forced alignments (see: glowtron align); of one speaker, where several share clip names.",
)

root_option = click.option(
    "--root",
    metavar="FOLDER",
    help="Where the paths in lists begin.  [default: the folder of the list, the one above it, or this one]",
)


def synthesis_options(command: F) -> F:
    """How the vocoder turns mels into sound, and on what."""
    for option in reversed(
        [
            click.option(
                "--vocoder",
                type=click.Choice(["waveglow", "griffin-lim"]),
                default=None,
                help="What turns the mel into sound.  [default: the voice's own]",
            ),
            click.option(
                "--sigma",
                type=click.FloatRange(*LIMITS["sigma"]),
                metavar="NUMBER",
                default=None,
                help="Standard deviation of WaveGlow's noise: lower is calmer.  [default: the voice's own]",
            ),
            click.option(
                "--correction",
                type=click.IntRange(0, int(LIMITS["correction"][1])),
                metavar="ROUNDS",
                default=None,
                help="Rounds that bring WaveGlow's sound back to its mel; 0: none.  [default: the voice's own]",
            ),
            click.option(
                "--denoise",
                type=click.FloatRange(*LIMITS["denoise"]),
                metavar="NUMBER",
                default=0.0,
                help="Strength at which WaveGlow's own hum is subtracted; 0: not at all.",
                show_default=True,
            ),
            click.option(
                "--seed",
                type=click.IntRange(0),
                metavar="INTEGER",
                default=0,
                help="The same text and seed give the same audio.",
                show_default=True,
            ),
            click.option(
                "--device",
                metavar="DEVICE",
                default="auto",
                help="auto (a GPU if there is one), cpu, cuda or cuda:1.",
                show_default=True,
            ),
            click.option(
                "--runtime",
                type=click.Choice(["auto", "torch", "onnx"]),
                default="auto",
                help="What computes: torch; onnx, without it, on the CPU, which starts sooner; auto: torch where it is "
                "installed.",
                show_default=True,
            ),
            click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only."),
        ]
    ):
        command = option(command)
    return command
