"""`glowtron evaluate`: measures a voice."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.options import root_option, speaker_and_folder
from glowtron.cli.output import check_folder


@click.command()
@click.argument("voice", metavar="[NAME|FOLDER]", required=False)
@click.option(
    "--data",
    metavar="[SPEAKER=]FOLDER|LIST",
    multiple=True,
    required=True,
    help="Recordings in LJSpeech's layout, or a list of path|text, with the speakers' names as in training; several "
    "times for several.",
)
@root_option
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where report, pictures and sounds go.")
@click.option("--full", is_flag=True, help="More sentences and all MOS estimates: an hour instead of minutes.")
@click.option(
    "--sentences",
    metavar="FILE",
    help="Transcripts to draw unseen sentences from, lines of id|text.  [default: metadata_all.csv in the data]",
)
@click.option(
    "--recogniser",
    metavar="NAME",
    default="pocketsphinx",
    show_default=True,
    help="pocketsphinx, or whisper:FOLDER for a Whisper model in faster-whisper's layout.",
)
@click.option(
    "--n-sentences",
    type=click.IntRange(0),
    metavar="INTEGER",
    help="Unseen sentences to speak and recognise.  [default: 20; 500 with --full]",
)
@click.option("--sigma", type=click.FloatRange(0, 2), metavar="NUMBER", help="Spread of WaveGlow's noise.")
@click.option("--seed", type=click.IntRange(0), metavar="INTEGER", default=1234, show_default=True)
@click.option("--processes", type=click.IntRange(1), metavar="INTEGER", help="Recognisers at work.  [default: all]")
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def evaluate(
    voice: str | None,
    data: tuple[str, ...],
    root: str | None,
    output: str,
    full: bool,
    sentences: str | None,
    recogniser: str,
    n_sentences: int | None,
    sigma: float | None,
    seed: int,
    processes: int | None,
    device: str,
    quiet: bool,
) -> None:
    """Measure a voice beside its reader's recordings.

    Real clips that its training kept out are vocoded, and unseen sentences spoken. Word error rate, MOS estimates,
    speaker similarity and distances from the real recordings go into report.md and report.json.

    \b
    Examples:
      glowtron evaluate --data lj=LJSpeech-1.1 -o report
      glowtron evaluate my-voice --data corpus --recogniser whisper:whisper-base -o report --full
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.evaluate.evaluation import Settings
    from glowtron.evaluate.evaluation import evaluate as measure
    from glowtron.voice import Voice

    settings = Settings(
        quick=not full,
        seed=seed,
        sigma=sigma,
        root=Path(root) if root else None,
        sentences=Path(sentences) if sentences else None,
        recogniser=recogniser,
        n_sentences=n_sentences,
        processes=processes,
        quiet=quiet,
    )
    measure(Voice.load(voice, device=device), [speaker_and_folder(entry) for entry in data], folder, settings)
    if not quiet:
        click.echo(f"{folder / 'report.md'}: written")
