"""`glowtron say`: text to sound."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from glowtron.cli.options import lexicon_option, synthesis_options, voice_option
from glowtron.cli.output import check_folder, progress_bar, summary
from glowtron.cli.script import STREAM, read_script
from glowtron.errors import InputError
from glowtron.speaking.options import DEFAULTS, FASTEST, SLOWEST, SynthesisOptions

if TYPE_CHECKING:
    from glowtron.voice import Voice


class Job(NamedTuple):
    """A text and the file that it becomes."""

    text: str
    path: Path | None
    """None: standard output."""
    place: str = ""
    """Where in the input the text stands, for errors."""


@click.command()
@click.argument("text", nargs=-1)
@click.option("-f", "--file", metavar="FILE", help="Read the text from a UTF-8 file; - is standard input.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="A .wav, .flac or .ogg file, or - for raw 16-bit mono PCM on standard output; with --each-line a folder, or a "
    "name in which {} becomes the line's number.  [default: speech.wav; with --each-line: speech]",
)
@click.option("--stream", is_flag=True, help="As -o -: write sound to standard output while the rest is computed.")
@click.option("--each-line", is_flag=True, help="Speak every line of the text into a file of its own.")
@voice_option
@lexicon_option
@click.option("--speaker", metavar="NAME", help="Who speaks, in a voice of several.  [default: the first]")
@click.option(
    "--rate",
    type=click.FloatRange(SLOWEST, FASTEST),
    metavar="NUMBER",
    default=DEFAULTS.rate,
    show_default=True,
    help=f"Speed, from {SLOWEST} to {FASTEST} times the speaker's own; the pitch stays.",
)
@click.option(
    "--pause",
    type=click.FloatRange(0, 60),
    metavar="SECONDS",
    default=DEFAULTS.pause_s,
    show_default=True,
    help="Silence between sentences; twice that between paragraphs.",
)
@click.option(
    "--attempts",
    type=click.IntRange(0, 20),
    metavar="INTEGER",
    default=None,
    help="Takes of a sentence that fails, before it is split; 0: one, whatever it is like.  [default: the voice's own]",
)
@synthesis_options
def say(
    text: tuple[str, ...], file: str | None, output: str | None, stream: bool, each_line: bool, **options: Any
) -> None:
    """Speak a text into a file.

    TEXT is the text; if it is - or missing, standard input is.

    Long texts are split into sentences, spoken and joined.

    \b
    Examples:
      glowtron say "Hello, world." -o hello.wav
      glowtron say --file chapter.txt --voice my-voice -o chapter.flac
      glowtron say --file prompts.txt --each-line -o prompts
      glowtron say --stream "To the loudspeaker." | aplay -f S16_LE -r 22050
    """
    if stream and output not in (None, STREAM):
        raise InputError(f"--stream writes to standard output; leave it or -o {output} out")
    if stream:
        output = STREAM
    script = read_script(text, file, 'glowtron say "Hello."')
    jobs = _line_jobs(script, output) if each_line else [_whole_job(script, output)]
    _check_outputs(jobs)

    from glowtron.fast.threads import suit_threads
    from glowtron.voice import Voice

    voice_name, lexicon, device, quiet = (options.pop(name) for name in ("voice", "lexicon", "device", "quiet"))
    chosen = SynthesisOptions(pause_s=options.pop("pause"), **options)
    voice = Voice.load(voice_name, device=device, lexicon=lexicon)
    suit_threads(voice.acoustic, voice.vocoder)
    _speak(voice, jobs, chosen, quiet)


def _whole_job(script: str, output: str | None) -> Job:
    if not script.strip():
        raise InputError("nothing to say: the text is empty")
    return Job(script, None if output == STREAM else Path(output or "speech.wav"))


def _line_jobs(script: str, output: str | None) -> list[Job]:
    """A file for each line, named by the line's number, so that output i answers line i; empty lines have none."""
    if output == STREAM:
        raise InputError("--each-line writes files; give -o a folder, or a name with {} in it")
    pattern = output or "speech"
    if "{}" not in pattern:
        from glowtron.audio import FORMATS

        name = Path(pattern)
        if name.suffix.lower() in FORMATS:
            raise InputError(f"{name}: --each-line writes many files; name them as in {name.stem}-{{}}{name.suffix}")
        pattern = str(name / "{}.wav")
    # Not splitlines(), which takes a form feed or U+2028 for the end of a line; editors and wc do not.
    lines = re.split(r"\r\n|[\n\r]", script)
    width = max(4, len(str(len(lines))))
    jobs = [
        Job(line, Path(pattern.replace("{}", f"{i:0{width}}")), f"line {i}: ")
        for i, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not jobs:
        raise InputError("nothing to say: the text has no line with anything in it")
    return jobs


def _check_outputs(jobs: Sequence[Job]) -> None:
    """Refuse what cannot be written before anything is computed."""
    from glowtron.audio import check_writable

    for job in jobs:
        if job.path is None:
            if sys.stdout.isatty():
                raise InputError("standard output is a terminal; pipe raw PCM somewhere, or give -o a file")
        elif job.path.parent.exists() or not job.place:
            check_writable(job.path)
        else:
            check_folder(job.path.parent)


def _speak(voice: Voice, jobs: Sequence[Job], options: SynthesisOptions, quiet: bool) -> None:
    """Speak all texts, once none of them is found wanting."""
    from tqdm import tqdm

    # Counting takes the whole text, which a stream would have to wait for; how far that is, is heard.
    n_sentences = sum(_count_sentences(voice, job) for job in jobs if job.path is not None)
    # Without a terminal, what is said of each file tells how far it is.
    hidden = quiet or n_sentences < 3 or (len(jobs) > 1 and not sys.stderr.isatty())
    with progress_bar(n_sentences, "sentence", hidden=hidden) as bar:
        for job in jobs:
            started = time.perf_counter()
            if job.path is None:
                length_s = _stream(voice, job.text, options)
            else:
                audio = voice.say(job.text, options, bar.update)
                job.path.parent.mkdir(parents=True, exist_ok=True)
                audio.write(job.path)
                length_s = audio.duration_s
            if not quiet:
                line = summary(job.path or "standard output", length_s, time.perf_counter() - started)
                tqdm.write(line, file=sys.stdout if job.path else sys.stderr)


def _count_sentences(voice: Voice, job: Job) -> int:
    try:
        return len(voice.sentences(job.text))
    except InputError as error:
        raise InputError(f"{job.place}{error}") from error


def _stream(voice: Voice, text: str, options: SynthesisOptions) -> float:
    """Write raw 16-bit little-endian PCM to standard output while it comes; returns its length in seconds."""
    n_bytes = 0
    for audio in voice.stream(text, options):
        data = audio.pcm16().astype("<i2").tobytes()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        n_bytes += len(data)
    return n_bytes / 2 / voice.mel.sample_rate
