"""`glowtron vocode`: sound through mel and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from glowtron.cli.options import synthesis_options, voice_option
from glowtron.cli.output import summary


@click.command()
@click.argument("input", metavar="INPUT")
@click.option("-o", "--output", metavar="FILE", required=True, help="A .wav, .flac or .ogg file.")
@voice_option
@click.option("--speaker", metavar="NAME", help="Whose voice it is, to a vocoder of several.  [default: the first]")
@synthesis_options
def vocode(input: str, output: str, voice: str | None, device: str, quiet: bool, **options: Any) -> None:
    """Turn a recording into a mel and back into sound.

    What is lost on the way is the vocoder's doing. A recording of another rate, or of several channels, is converted.

    \b
    Examples:
      glowtron vocode recording.wav -o again.wav
      glowtron vocode recording.wav -o plain.wav --vocoder griffin-lim
    """
    from glowtron.audio import check_writable, read_audio, read_header

    path = Path(output)
    check_writable(path)
    conversion = read_header(input)
    audio = read_audio(input)

    from glowtron.engines.hardware import suit_threads
    from glowtron.synthesis.options import SynthesisOptions
    from glowtron.voice import Voice

    chosen = SynthesisOptions(**options)
    speaking = Voice.load(voice, device=device)
    suit_threads(speaking.vocoder)
    converted = conversion.conversion(speaking.mel.sample_rate)
    if converted and not quiet:
        click.echo(f"{input}: converted from {converted}", err=True)
    started = time.perf_counter()
    result = speaking.vocode(audio, chosen)
    result.write(path)
    if not quiet:
        click.echo(summary(path, result.duration_s, time.perf_counter() - started))
