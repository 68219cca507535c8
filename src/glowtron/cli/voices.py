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
@click.option("--search", metavar="WORDS", help="List the voices that have these words in their name or description.")
@click.option(
    "--index",
    metavar="FILE|hf://OWNER/NAME",
    help="List and search those of somebody's voices.json, too; a voice is checked against it.",
)
@click.option(
    "--make-index",
    "folders",
    metavar="FOLDER=SOURCE",
    multiple=True,
    help="Write a voices.json to standard output: of each voice folder, and what others will call it.",
)
def voices(voice: str | None, search: str | None, index: str | None, folders: tuple[str, ...]) -> None:
    """List the voices that ship, or show one.

    NAME is a voice that ships, FOLDER any voice folder or hf://OWNER/NAME[@REVISION] on the Hugging Face hub; all about
    it is shown.

    \b
    Examples:
      glowtron voices
      glowtron voices my-voice
      glowtron voices --search kathleen --index hf://someone/voices
      glowtron voices --make-index my-voice=hf://me/my-voice > voices.json
    """
    from glowtron.voice_folder import read_voice_file
    from glowtron.voice_index import check_indexed, format_index, index_voice, read_index, shipped_index
    from glowtron.voices import find_voice

    if folders:
        pairs = [entry.partition("=") for entry in folders]
        if wrong := [
            entry for entry, (folder, _, source) in zip(folders, pairs, strict=True) if not folder or not source
        ]:
            raise InputError(f"--make-index {wrong[0]}: give FOLDER=SOURCE, as in my-voice=hf://me/my-voice")
        click.echo(format_index([index_voice(Path(folder), source) for folder, _, source in pairs]), nl=False)
        return
    listed = shipped_index() + (read_index(index) if index else [])
    if voice is not None:
        known = [one for one in listed if voice in (one.name, one.source)]
        folder = check_indexed(known[0]) if known else find_voice(voice)
        click.echo(_details(folder, read_voice_file(folder)))
        return
    found = [one for one in listed if one.matches((search or "").split())]
    if not found:
        raise InputError(f"no voice has '{search}' in its name or description; glowtron voices lists all")
    for one in found:
        place = "" if one.name == one.source else f" ({one.source})"
        click.echo(f"{one.name}{place}: {one.description or 'no description'}")


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
    """A metric in words, nested or not: `"validation loss 1.903"`."""
    if isinstance(metric, dict):
        for key, value in metric.items():
            yield from _figures(value, f"{name} {key}".lstrip())
    else:
        yield f"{name} {metric:.4g}".lstrip() if isinstance(metric, float) else f"{name} {metric}".lstrip()


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "(missing)"
