"""`glowtron vocode`: sound through mel and back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal

import click

from glowtron.cli.jobs import FORMATS, check_format
from glowtron.cli.options import speech_options, synthesis_options, voice_option
from glowtron.cli.output import STANDARD_OUTPUT, check_not_terminal, summary
from glowtron.cli.script import STREAM


@click.command()
@click.argument("input", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="A .wav, .flac, .ogg, .mp3 or .opus file, or - for standard output (raw 16-bit mono PCM, or --format).",
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default=None,
    help="Format of the sound.  [default: the one that -o's name ends in; pcm on standard output]",
)
@voice_option
@speech_options("speaker")
@synthesis_options
def vocode(
    input: str,
    output: str,
    format: str | None,
    voice: str | None,
    device: str,
    runtime: Literal["auto", "torch", "onnx"],
    quiet: bool,
    **options: Any,
) -> None:
    """Turn a recording into a mel and back into sound.

    INPUT is a sound file; - is standard input. What is lost on the way is the vocoder's doing. A recording of another
    rate, or of several channels, is converted.

    \b
    Examples:
      glowtron vocode recording.wav -o again.wav
      glowtron vocode recording.wav -o plain.wav --vocoder griffin-lim
      ffmpeg -i talk.mp4 -f wav - | glowtron vocode - -o - --format flac > talk.flac
    """
    from glowtron.audio import check_writable, read_audio, read_header

    if output in STANDARD_OUTPUT[1:]:
        format = format or "wav"  # As any device; `-` is raw.
    to_stream = output in STANDARD_OUTPUT
    check_format(output, format)
    if to_stream:
        check_not_terminal()
    else:
        check_writable(Path(output), format)
    name = "standard input" if input == STREAM else input
    source: str | bytes = sys.stdin.buffer.read() if input == STREAM else input
    header = read_header(source, name)
    audio = read_audio(source, name=name)

    from glowtron.config.synthesis import SynthesisOptions
    from glowtron.voice import Voice

    chosen = SynthesisOptions(**options)
    speaking = Voice.load(voice, device=device, runtime=runtime)
    speaking.runtime.suit_threads()
    converted = header.conversion(speaking.mel.sample_rate)
    if converted and not quiet:
        click.echo(f"{name}: converted from {converted}", err=True)
    started = time.perf_counter()
    result = speaking.vocode(audio, chosen)
    if to_stream:
        sys.stdout.buffer.write(result.encode(format or "pcm"))
        sys.stdout.buffer.flush()
    else:
        result.write(output, format)
    if not quiet:
        told = summary("standard output" if to_stream else output, result.duration_s, time.perf_counter() - started)
        click.echo(told, err=to_stream)
