"""Texts and the files that they become."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glowtron.cli.output import check_folder, check_not_terminal
from glowtron.cli.script import STREAM
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.text.frontend import MarkedText

FORMATS = ("wav", "flac", "ogg", "mp3", "opus", "pcm")
"""Values of `--format`: `glowtron.audio.FILE_FORMATS`, named here so that help needs no sound libraries."""


class Script(NamedTuple):
    """A text given by the user."""

    text: str
    file: str = ""
    """The place it was read from, which tells it from others; empty: there is no other."""


class Job(NamedTuple):
    """A text and the file that it becomes."""

    text: str | MarkedText
    name: str = ""
    """The name that tells it from other parts of its text."""
    path: Path | None = None
    """None: standard output."""
    place: str = ""
    """Place of the text in the input, for errors; empty: it is all of it."""


def find_jobs(
    scripts: Sequence[Script], output: str | None, *, each_line: bool, format: str | None = None
) -> list[Job]:
    """The texts and their output files, in the order in which they were given.

    Where more than one file may come of it, they are named by the texts' files, by the lines' numbers, or by both, so
    that output i answers input i; empty lines have none. `format` is the suffix of names that are made up.

    Raises InputError where there is nothing to speak, two texts would become one file, or a name has the suffix of
    another format.
    """
    check_format(output, format)
    format = format or "wav"
    if len(scripts) == 1 and not each_line:
        (job,) = _parts(scripts[0], each_line)
        return [job._replace(path=None if output == STREAM else Path(output or f"speech.{format}"))]
    pattern = _pattern(output, format, "--each-line" if each_line else "more than one --file")
    files: dict[str, str] = {}
    jobs = []
    for script in scripts:
        stem = Path(script.file).stem
        if stem in files:
            raise InputError(f"{files[stem]} and {script.file} would become files of one name; rename one of them")
        files[stem] = script.file
        for job in _parts(script, each_line):
            name = "-".join(filter(None, (stem, job.name)))
            jobs.append(job._replace(path=Path(pattern.replace("{}", name))))
    return jobs


def check_format(output: str | None, format: str | None) -> None:
    """Raise InputError for a name with the suffix of another format than the one that was asked for."""
    named = Path(output).suffix.lower()[1:] if output else ""
    if format and named in FORMATS and named != format:
        raise InputError(f"{output} is to be {format} and ends as {named} does; leave --format out, or rename it")


def _parts(script: Script, each_line: bool) -> list[Job]:
    """The whole text, or its lines, named by their numbers, without what is empty."""
    place = f"{script.file}: " if script.file else ""
    if not script.text.strip():
        raise InputError(f"{place}nothing to say: {'no line has anything in it' if each_line else 'the text is empty'}")
    if not each_line:
        return [Job(script.text, place=place)]
    # Not splitlines(), which takes a form feed or U+2028 for the end of a line; editors and wc do not.
    lines = re.split(r"\r\n|[\n\r]", script.text)
    width = max(4, len(str(len(lines))))
    return [Job(line, f"{i:0{width}}", place=f"{place}line {i}: ") for i, line in enumerate(lines, 1) if line.strip()]


def _pattern(output: str | None, format: str, why: str) -> str:
    """A path with {} in it."""
    if output == STREAM:
        raise InputError(f"{why} writes files; give -o a folder, or a name with {{}} in it")
    pattern = output or "speech"
    if "{}" in pattern:
        return pattern
    name = Path(pattern)
    if name.suffix.lower()[1:] in FORMATS:
        raise InputError(f"{name}: {why} writes many files; name them as in {name.stem}-{{}}{name.suffix}")
    return str(name / f"{{}}.{format}")


def check_outputs(jobs: Sequence[Job], format: str | None = None) -> None:
    """Refuse what cannot be written before anything is computed."""
    from glowtron.audio import check_writable

    for job in jobs:
        if job.path is None:
            check_not_terminal()
        elif job.path.parent.exists() or not job.place:
            check_writable(job.path, format)
        else:
            check_folder(job.path.parent)
