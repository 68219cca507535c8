"""`glowtron export`: a run's weights to a voice folder."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.output import check_folder


@click.command()
@click.argument("sources", metavar="RUN|VOICE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="The voice folder to write.")
@click.option(
    "--store",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float16",
    show_default=True,
    help="How matrices are stored: float16 halves the folder, int8 with a scale for each row quarters it.",
)
def export(sources: tuple[str, ...], output: str, store: str) -> None:
    """Turn training runs into a voice folder.

    RUN is a run folder: one of an acoustic model, one of a vocoder, or one of each. A VOICE, one that ships or a
    folder, gives the model of which there is no run.

    \b
    Examples:
      glowtron export runs/acoustic runs/vocoder -o my-voice
      glowtron export runs/acoustic duet -o my-voice
      glowtron say "Trained at home." --voice my-voice
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.train.export import export as export_runs
    from glowtron.voices import find_voice, shipped

    # A folder here comes first; only a name that means none here is a shipped voice's.
    places = [find_voice(one) if one in shipped() and not Path(one).exists() else Path(one) for one in sources]
    export_runs(places, folder, store=store)
    click.echo(f"{folder}: exported; try: glowtron voices {folder}")
