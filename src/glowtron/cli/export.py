"""`glowtron export`: a run's weights to a voice folder."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.output import check_folder


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="The voice folder to write.")
@click.option(
    "--store",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float16",
    show_default=True,
    help="How matrices are stored: float16 halves the folder, int8 with a scale for each row quarters it.",
)
def export(runs: tuple[str, ...], output: str, store: str) -> None:
    """Turn training runs into a voice folder.

    RUN is a run folder: one of an acoustic model, one of a vocoder, or one of each.

    \b
    Examples:
      glowtron export runs/acoustic runs/vocoder -o my-voice
      glowtron say "Trained at home." --voice my-voice
    """
    folder = Path(output)
    check_folder(folder)

    import torch

    from glowtron.train.export import export as export_runs

    export_runs([Path(run) for run in runs], folder, dtype=getattr(torch, store))
    click.echo(f"{folder}: exported; try: glowtron voices {folder}")
