"""`glowtron say`: text to sound."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glowtron.cli.jobs import FORMATS, Job, Script, check_outputs, find_jobs
from glowtron.cli.options import lexicon_option, speech_options, synthesis_options, voice_option, workers_option
from glowtron.cli.output import STANDARD_OUTPUT, is_file, progress_bar, summary
from glowtron.cli.script import STREAM, read_script
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.audio import Audio
    from glowtron.text.frontend import MarkedText
    from glowtron.voice import Voice


CAPTION_FORMATS = ("srt", "vtt", "json")
"""Those of `glowtron.synthesis.captions`, named here so that help needs no torch."""


class TextCommand(click.Command):
    """A command whose text may begin with a minus sign: `-5 degrees` is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes_value = {
            name for option in self.params if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }  # fmt: skip
        masked, only_words = [], False
        for before, word in pairwise(["", *args]):
            only_words = only_words or word == "--"
            is_text = re.match(r"-[\d.,$€£]|-\S*\s", word) and "=" not in word and before not in takes_value
            masked.append(f"\0{word}" if is_text and not only_words else word)
        rest = super().parse_args(ctx, masked)
        ctx.params["text"] = tuple(word.removeprefix("\0") for word in ctx.params["text"])
        return rest


@click.command(cls=TextCommand)
@click.argument("text", nargs=-1)
@click.option(
    "-f",
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    help="Read the text from a UTF-8 file; - is standard input. Several, each with -f, become a sound file each.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="A .wav, .flac, .ogg, .mp3 or .opus file, or - for standard output (raw 16-bit mono PCM, or --format); with "
    "--each-line or several -f a folder, or a name in which {} becomes the line's number or FILE's name.  [default: "
    "speech.wav; else speech]",
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default=None,
    help="Format of the sound.  [default: the one that -o's name ends in; else wav, and pcm on standard output]",
)
@click.option("--stream", is_flag=True, help="As -o -: write sound to standard output while the rest is computed.")
@click.option("--each-line", is_flag=True, help="Speak every line of the text into a file of its own.")
@click.option(
    "--subtitles",
    metavar="FILE",
    help="Write captions, too: a .srt, .vtt or .json file (with the times of words and phones); or srt, vtt or json "
    "alone: beside each sound file. The work is done in one process.",
)
@click.option("--ssml", is_flag=True, help="The text is SSML: <speak>, with breaks, prosody, emphasis and more in it.")
@voice_option
@lexicon_option
@speech_options("speaker", "rate", "pitch", "pitch_range", "energy", "pause_s", "attempts", "max_frames")
@workers_option("the text")
@synthesis_options
def say(
    text: tuple[str, ...],
    files: tuple[str, ...],
    output: str | None,
    format: str | None,
    stream: bool,
    each_line: bool,
    subtitles: str | None,
    ssml: bool,
    workers: int,
    **options: Any,
) -> None:
    """Speak a text into a file, or many texts into many.

    TEXT is the text; if it is - or missing, standard input is.

    Long texts are split into sentences, spoken and joined.

    \b
    Examples:
      glowtron say "Hello, world." -o hello.wav
      glowtron say --file chapter.txt --voice my-voice -o chapter.flac
      glowtron say --file prompts.txt --each-line -o prompts
      glowtron say -f one.txt -f two.txt -o spoken/{}.flac
      glowtron say --ssml "<speak>One<break time='1s'/>two</speak>" -o two.wav
      glowtron say --stream "To the loudspeaker." | aplay -f S16_LE -r 22050
    """
    if stream and output not in (None, *STANDARD_OUTPUT):
        raise InputError(f"--stream writes to standard output; leave it or -o {output} out")
    # Who sends standard output into a file and names no other wants sound in it, or nothing: no report.
    report_to = sys.stderr if output is None and is_file(sys.stdout) else sys.stdout
    if output in STANDARD_OUTPUT[1:]:
        format = format or "wav"  # As any device; `-` is raw.
    if stream or output in STANDARD_OUTPUT:
        output = STREAM
    jobs = find_jobs(_scripts(text, files), output, each_line=each_line, format=format)
    check_outputs(jobs, format)
    captions = _caption_files(jobs, subtitles)
    if workers > 1 and captions:
        raise InputError("subtitles come from one process; leave --workers out")
    if workers > 1 and jobs[0].path is None:
        raise InputError("a stream comes from one process; leave --workers out, or give -o a file")

    from glowtron.voice import Voice

    voice_name, quiet = options.pop("voice"), options.pop("quiet")
    how = {name: options.pop(name) for name in ("lexicon", "device", "runtime")}
    chosen = SynthesisOptions(**options)
    voice = Voice.load(voice_name, **how)
    voice.runtime.suit_threads()
    if ssml:
        jobs = [_marked(job, voice) for job in jobs]
    if jobs[0].path is None:
        _stream(voice, jobs[0].text, chosen, format or "pcm", quiet, captions)
    else:
        report = None if quiet else partial(click.echo, file=report_to)
        _write(voice, jobs, chosen, format, workers, report, captions)


def _scripts(words: Sequence[str], files: Sequence[str]) -> list[Script]:
    """The texts, from the one place that was named, or from several files."""
    if len(files) < 2:
        return [Script(read_script(words, files[0] if files else None, 'glowtron say "Hello."'))]
    if STREAM in files:
        raise InputError("standard input has no name for its sound; give --file - alone")
    return [Script(read_script(words, file, ""), file) for file in files]


def _marked(job: Job, voice: Voice) -> Job:
    """A job whose text is SSML. Raises InputError that says where it is none."""
    from glowtron.text.ssml import parse_ssml

    assert isinstance(job.text, str)
    try:
        return job._replace(text=parse_ssml(job.text, voice.speakers))
    except InputError as error:
        raise InputError(f"{job.place}{error}") from error


def _write(
    voice: Voice,
    jobs: Sequence[Job],
    options: SynthesisOptions,
    format: str | None,
    workers: int,
    report: Callable[[str], object] | None,
    captions: Sequence[Path],
) -> None:
    """Speak all texts into their files, once none of them is found wanting. Without `report` nothing is told."""
    from tqdm import tqdm

    n_sentences, jobs, captions = _speakable(voice, jobs, captions)
    several, quiet = len(jobs) > 1, report is None
    report = report or (lambda _: None)
    length_s, started = 0.0, time.perf_counter()
    # Where there is no terminal, what is said of each file tells how far it is, until one wants to know how long yet.
    tell, delay_s = (report, 10.0) if several and not sys.stderr.isatty() else (tqdm.write, 0.0)
    with progress_bar(n_sentences, "sentence", hidden=quiet or n_sentences < 3, delay_s=delay_s) as bar:
        texts = [job.text for job in jobs]
        if captions:
            speaking = _with_captions(voice, texts, options, captions, bar.update)
        else:
            speaking = voice.say_many(texts, options, workers=workers, progress=bar.update)
        with closing(speaking) as sounds:
            for job, audio in zip(jobs, sounds, strict=True):
                assert job.path is not None
                job.path.parent.mkdir(parents=True, exist_ok=True)
                audio.write(job.path, format)
                length_s += audio.duration_s
                if several and not quiet:
                    tell(f"{job.path}: {audio.duration_s:.2f} s of audio")
    taken_s = time.perf_counter() - started
    if several and not quiet:
        speed = length_s / taken_s
        report(f"{len(jobs)} files, {length_s:.2f} s of audio in {taken_s:.2f} s: {speed:.1f} times real time")
    elif not quiet:
        report(summary(str(jobs[0].path), length_s, taken_s))


def _caption_files(jobs: Sequence[Job], subtitles: str | None) -> list[Path]:
    """A caption file for each text, or none at all. Raises InputError if one cannot be written or has no format."""
    if subtitles is None:
        return []
    if subtitles in CAPTION_FORMATS:
        if jobs[0].path is None:
            raise InputError(
                f"standard output has no name for its subtitles; name them, as in --subtitles x.{subtitles}"
            )
        return [job.path.with_suffix(f".{subtitles}") for job in jobs if job.path is not None]
    path = Path(subtitles)
    if path.suffix.lower()[1:] not in CAPTION_FORMATS:
        raise InputError(f"{path}: subtitles are {', '.join(CAPTION_FORMATS)} files; give the name such a suffix")
    if len(jobs) > 1:
        raise InputError(f"several texts need several subtitles; give --subtitles {path.suffix[1:]} alone")
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: {'it is a folder' if path.is_dir() else 'its folder is missing'}")
    return [path]


def _with_captions(
    voice: Voice,
    texts: Sequence[str | MarkedText],
    options: SynthesisOptions,
    paths: Sequence[Path],
    progress: Callable[[int], object],
) -> Generator[Audio, None, None]:
    """Speak texts one after the other, and write each one's captions once the caller has its sound."""
    from glowtron.audio import concatenate
    from glowtron.files import write_text
    from glowtron.synthesis.captions import format_captions, make_caption

    for text, path in zip(texts, paths, strict=True):
        captions, parts, start_s, n_finished = [], [], 0.0, 0
        for utterance in voice.utterances(text, options):
            assert utterance.audio is not None
            captions.append(make_caption(utterance, start_s, utterance.audio.duration_s))
            parts.append(utterance.with_pause)
            start_s += parts[-1].duration_s
            progress(utterance.sentence.number + 1 - n_finished)
            n_finished = utterance.sentence.number + 1
        yield concatenate(parts)
        write_text(path, format_captions(captions, path.suffix.lower()[1:]))


def _speakable(
    voice: Voice, jobs: Sequence[Job], captions: Sequence[Path]
) -> tuple[int, Sequence[Job], Sequence[Path]]:
    """Sentences of all texts, and the texts with anything to speak; other lines are passed over with a warning.

    Raises InputError that says where a text stands that cannot be spoken.
    """
    from glowtron.text.english import NothingToSayError

    n_sentences = 0
    silent: dict[int, InputError] = {}
    for i, job in enumerate(jobs):
        try:
            n_sentences += len(voice.sentences(job.text))
        except NothingToSayError as error:
            if not job.name:
                raise InputError(f"{job.place}{error}") from error
            silent[i] = error
        except InputError as error:
            raise InputError(f"{job.place}{error}") from error
    if len(silent) == len(jobs):
        raise InputError(f"{jobs[0].place}{silent[0]}") from silent[0]
    for i, why in silent.items():
        click.echo(f"glowtron: warning: {jobs[i].place}passed over: {why}", err=True)
    kept = [i for i in range(len(jobs)) if i not in silent]
    return n_sentences, [jobs[i] for i in kept], [captions[i] for i in kept if captions]


def _stream(
    voice: Voice, text: str | MarkedText, options: SynthesisOptions, format: str, quiet: bool, captions: Sequence[Path]
) -> None:
    """Write sound to standard output while it comes, and captions at the end."""
    from glowtron.audio import AudioEncoder
    from glowtron.files import write_text
    from glowtron.synthesis.captions import format_captions, make_caption

    encoder, out = AudioEncoder(voice.mel.sample_rate, format), sys.stdout.buffer
    n_samples, start_s, spoken, started = 0, 0.0, [], time.perf_counter()
    for segment in voice.segments(text, options):
        out.write(encoder.encode(segment.audio.samples))
        out.flush()
        length_s = n_samples / voice.mel.sample_rate
        n_samples += len(segment.audio.samples)
        if segment.utterance is not None:  # This segment is the pause after it.
            spoken.append(make_caption(segment.utterance, start_s, length_s - start_s))
            start_s = n_samples / voice.mel.sample_rate
    for path in captions:
        write_text(path, format_captions(spoken, path.suffix.lower()[1:]))
    out.write(encoder.finish())
    out.flush()
    if not quiet:
        length_s = n_samples / voice.mel.sample_rate
        click.echo(summary("standard output", length_s, time.perf_counter() - started), err=True)
