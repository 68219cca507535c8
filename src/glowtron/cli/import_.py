"""`glowtron import`: published weights to a voice folder."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.output import check_folder


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="The voice folder to write.")
def import_(files: tuple[str, ...], output: str) -> None:
    """Turn published weights into a voice folder.

    Every layout that NVIDIA's waveglow, tacotron2 and DeepLearningExamples have written is known. Nothing in a file is
    ever run. One acoustic model and one vocoder make a voice; either alone makes a folder that can be completed later
    by importing the other into it.

    \b
    Examples:
      glowtron import tacotron2_statedict.pt waveglow_256channels.pt -o my-voice
      glowtron import waveglow_256channels.pt -o my-vocoder
      glowtron say "Good morning." --voice my-voice
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.importers.voices import import_voice

    import_voice([Path(file) for file in files], folder)
    click.echo(f"{folder}: imported; try: glowtron voices {folder}")
