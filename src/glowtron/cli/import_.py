"""`glowtron import`: published weights to a voice folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from glowtron.cli.output import check_folder


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="The voice folder to write.")
@click.option(
    "--symbols",
    metavar="FILE",
    help="The symbol list of weights that were trained with others than the published 148: one on each line in the "
    "order of their ids, or a JSON list; a phone is {AA1} or @AA1.",
)
@click.option(
    "--frontend",
    type=click.Choice(("nvidia", "basic")),
    default="nvidia",
    show_default=True,
    help="How text is cleaned: nvidia, as the published English weights expect; or basic, for --symbols of another "
    "language: as it stands, in lower case if the list has no capitals.",
)
@click.option(
    "--hparams",
    metavar="FILE",
    help="Hyperparameters of a WaveNet, as its program wrote them.  [default: hparams.json or NAME.json beside it]",
)
@click.option(
    "--statistics",
    metavar="FILE",
    help="Mean and scale of the mels that a WaveNet was trained on.  [default: meanvar.joblib beside it]",
)
def import_(
    files: tuple[str, ...],
    output: str,
    symbols: str | None,
    frontend: Literal["nvidia", "basic"],
    hparams: str | None,
    statistics: str | None,
) -> None:
    """Turn published weights into a voice folder.

    Every layout that NVIDIA's waveglow, tacotron2 and DeepLearningExamples have written is known, and
    both of wavenet_vocoder. Nothing in a file is
    ever run. One acoustic model and one vocoder make a voice; either alone makes a folder that can be completed later
    by importing the other into it.

    \b
    Examples:
      glowtron import tacotron2_statedict.pt waveglow_256channels.pt -o my-voice
      glowtron import waveglow_256channels.pt -o my-vocoder
      glowtron import checkpoint_latest_ema.pth --statistics meanvar.joblib -o my-wavenet
      glowtron import german.pt --symbols symbols.txt --frontend basic -o german
      glowtron say "Good morning." --voice my-voice
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.importers.voices import import_voice

    symbol_file = Path(symbols) if symbols else None
    import_voice(
        [Path(file) for file in files],
        folder,
        symbols=symbol_file,
        frontend=frontend,
        hparams=Path(hparams) if hparams else None,
        statistics=Path(statistics) if statistics else None,
    )
    click.echo(f"{folder}: imported; try: glowtron voices {folder}")
