"""`glowtron compare`: vocoders and voices side by side on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from glowtron.cli.options import root_option, speaker_and_folder
from glowtron.cli.output import check_folder, progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command()
@click.argument("voice", metavar="[NAME|FOLDER]", required=False)
@click.option(
    "--data",
    metavar="[SPEAKER=]FOLDER|LIST",
    multiple=True,
    required=True,
    help="Recordings that the voice was trained with; those that it kept out are shown.",
)
@root_option
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where page, JSON and clips go.")
@click.option(
    "--column",
    "systems",
    metavar="[NAME=]FOLDER",
    multiple=True,
    help="One column more: clips named as the recordings, by any system.",
)
@click.option("--title", metavar="TEXT", default="Side by side", show_default=True)
@click.option("--clips", "n_clips", type=click.IntRange(1), default=10, show_default=True, help="Sentences.")
@click.option("--spoken", is_flag=True, help="Have the voice read the texts, as one column more.")
@click.option("--no-measures", is_flag=True, help="Sound, pictures and speed only, for which no extra is needed.")
@click.option("--recogniser", metavar="NAME", default="pocketsphinx", show_default=True, help="As of evaluate.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def compare(
    voice: str | None,
    data: tuple[str, ...],
    root: str | None,
    output: str,
    systems: tuple[str, ...],
    title: str,
    n_clips: int,
    spoken: bool,
    no_measures: bool,
    recogniser: str,
    seed: int,
    device: str,
    quiet: bool,
) -> None:
    """Put a voice's vocoders, other systems and the recordings side by side on one page.

    The page is one file that needs no server: players that change system at the same place without a gap, spectrograms,
    measures and speed with intervals, and a blind mode. compare.json holds the figures, clips/ the sound, which
    `glowtron listen make` takes.

    \b
    Examples:
      glowtron compare --data lj=LJSpeech-1.1 -o side-by-side
      glowtron compare my-voice --data corpus --column piper=piper-clips --spoken -o side-by-side
      glowtron listen make side-by-side/clips/* -o test
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.compare.making import Settings
    from glowtron.compare.making import compare as make
    from glowtron.listen.make import system_folders
    from glowtron.voice import Voice

    settings = Settings(
        title=title,
        n_clips=n_clips,
        spoken=spoken,
        measures=not no_measures,
        recogniser=recogniser,
        seed=seed,
        root=Path(root) if root else None,
    )

    def bar(total: int, unit: str) -> Callable[[int], object]:
        shown = progress_bar(total, unit, hidden=quiet)

        def advance(steps: int) -> None:
            shown.update(steps)
            if shown.n >= total:
                shown.close()

        return advance

    speaking = Voice.load(voice, device=device)
    make(speaking, [speaker_and_folder(entry) for entry in data], system_folders(systems), folder, settings, bar)
    if not quiet:
        click.echo(f"{folder / 'index.html'}: written")
