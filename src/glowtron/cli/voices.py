"""`glowtron voices`: what there is to speak with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.config import VoiceFile


@click.command()
@click.argument("voice", metavar="[NAME|FOLDER]", required=False)
def voices(voice: str | None) -> None:
    """List the voices that ship, or show one.

    NAME is a voice that ships, FOLDER any voice folder; all about it is shown.

    \b
    Examples:
      glowtron voices
      glowtron voices my-voice
    """
    from glowtron.voice_folder import read_voice_file
    from glowtron.voices import VOICES, find_voice, shipped

    if voice is not None:
        folder = find_voice(voice)
        click.echo(_details(folder, read_voice_file(folder)))
        return
    names = shipped()
    if not names:
        raise InputError("no voice ships with this program; glowtron import or glowtron train makes one")
    for name in names:
        click.echo(f"{name}: {read_voice_file(VOICES / name).description or 'no description'}")


def _details(folder: Path, voice: VoiceFile) -> str:
    """All that a person wants to know of a voice, a line each."""
    from glowtron.synthesis.speakers import names

    acoustic, vocoder = voice.acoustic, voice.vocoder
    model = acoustic or vocoder
    assert model is not None, "a voice has at least one model"
    lines = {
        "voice": voice.name,
        "description": voice.description,
        "licence": voice.licence,
        "training data": voice.training_data,
        "folder": str(folder),
        "acoustic model": acoustic.model.type if acoustic else "none",
        "speakers": ", ".join(names(voice)),
        "reads": f"{acoustic.text.frontend}, {'phones' if acoustic.text.phonemes else 'letters'}" if acoustic else "",
        "vocoder": f"that of {voice.vocoder_of}" if voice.vocoder_of else vocoder.type if vocoder else "none",
        "sample rate": f"{model.mel.sample_rate} Hz",
        "weights": ", ".join(f"{name} {_megabytes(folder / name)}" for name in voice.sha256),
        **{f"metric {name}": ", ".join(_figures(value)) for name, value in voice.metrics.items()},
    }
    return "\n".join(f"{name + ':':16} {value}" for name, value in lines.items() if value)


def _figures(metric: Any, name: str = "") -> Iterator[str]:
    """What a metric says, nested or not: `"validation loss 1.903"`."""
    if isinstance(metric, dict):
        for key, value in metric.items():
            yield from _figures(value, f"{name} {key}".lstrip())
    else:
        yield f"{name} {metric:.4g}".lstrip() if isinstance(metric, float) else f"{name} {metric}".lstrip()


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "(missing)"
