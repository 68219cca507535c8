"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import click

from glowtron.config.documentation import field_texts
from glowtron.config.synthesis import DEFAULTS, LIMITS, VOCODERS, SynthesisOptions
from glowtron.errors import InputError

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


_UNITS = {
    "speaker": "NAME",
    "pitch": "SEMITONES",
    "energy": "DECIBELS",
    "pause_s": "SECONDS",
    "correction": "ROUNDS",
    "seed": "INTEGER",
    "max_frames": "FRAMES",
    "attempts": "INTEGER",
}
"""Words for the values of synthesis options; the others are numbers."""


class SynthesisOption(click.Option):
    """An option of the command line that is a field of `SynthesisOptions`: its help is the field's documentation."""

    def __init__(self, declarations: Sequence[str]) -> None:
        (name,) = declarations
        default = getattr(DEFAULTS, name)
        super().__init__(
            [f"--{name.removesuffix('_s').replace('_', '-')}", name],
            type=click.Choice(VOCODERS) if name == "vocoder" else _range(name),
            metavar=None if name == "vocoder" else _UNITS.get(name, "NUMBER"),
            default=default,
            show_default=default is not None,
        )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line of the help; the documentation is read only for it."""
        assert self.name is not None
        text, default = field_texts(SynthesisOptions).get(self.name, ("", None))
        self.help = f"{text}  [default: {default}]" if default else text
        return super().get_help_record(ctx)


def _range(name: str) -> Any:
    """The type of a number's values, by its limits; None: a text."""
    if name not in LIMITS:
        return None
    low, high = LIMITS[name]
    (kind,) = (str(field.type) for field in fields(SynthesisOptions) if field.name == name)
    if kind.startswith("int"):
        return click.IntRange(int(low), int(high) if high < inf else None)
    return click.FloatRange(low, high)


def speech_options(*names: str) -> Callable[[F], F]:
    """Options of a command that are fields of `SynthesisOptions`, in this order."""

    def decorate(command: F) -> F:
        for name in reversed(names):
            command = click.option(name, cls=SynthesisOption)(command)
        return command

    return decorate


def synthesis_options(command: F) -> F:
    """The vocoder's options, and on what all is computed."""
    for option in reversed(
        [
            speech_options("vocoder", "sigma", "correction", "denoise", "seed"),
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


def workers_option(what: str) -> Callable[[F], F]:
    """`--workers`. what: it is spoken of, as `the text`."""
    return click.option(
        "--workers",
        type=click.IntRange(0),
        metavar="N",
        default=0,
        show_default=True,
        help=f"Processes that speak side by side; 0: as many as {what} is worth and there are cores.",
    )
