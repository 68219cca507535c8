"""`glowtron bulk`: many texts to shards of speech."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from glowtron.cli.options import speech_options
from glowtron.cli.output import check_folder, progress_bar
from glowtron.config.synthesis import SynthesisOptions

SHARDS = ("tar", "parquet")
SOUNDS = ("flac", "opus", "wav")


@click.command()
@click.argument("texts", type=click.Path(path_type=Path), metavar="TEXTS")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER", required=True, help="Of the shards.")
@click.option("--voice", metavar="NAME|FOLDER", help="Who speaks.  [default: the first voice that ships]")
@click.option("--shards", type=click.Choice(SHARDS), default="tar", show_default=True, help="What a shard is.")
@click.option("--sound", type=click.Choice(SOUNDS), default="flac", show_default=True, help="Format of the sound.")
@click.option("--rows", type=click.IntRange(1), default=1000, show_default=True, metavar="N", help="Rows of a shard.")
@speech_options("speaker", "rate", "pitch", "pitch_range", "energy", "pause_s", "attempts", "seed")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Processes, here or on the cluster; 0: one a core.",
)
@click.option(
    "--precision",
    metavar="PRECISION",
    default="auto",
    show_default=True,
    help="fp32, bf16, int16 or int8; auto is what is fastest and exact enough, which may differ between machines.",
)
@click.option(
    "--ray",
    "cluster",
    metavar="ADDRESS",
    help="Have a Ray cluster do it: auto, HOST:6379, or local. All machines see TEXTS and FOLDER at the same place.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def bulk(
    texts: Path,
    output: Path,
    voice: str | None,
    shards: str,
    sound: str,
    rows: int,
    workers: int,
    precision: str,
    cluster: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Speak very many texts into shards for training or publishing.

    TEXTS is a .txt (a text a line), .jsonl or .parquet file; rows of the last two have text, and may have id, speaker,
    rate, pitch, pitch_range, energy and seed. Stopped at any point, the same command goes on, and the shards are the
    same bytes in the end. manifest.jsonl tells of every row, rejects.jsonl why others were not spoken.

    \b
    Examples:
      glowtron bulk texts.txt -o spoken
      glowtron bulk texts.jsonl -o spoken --shards parquet --sound opus
      glowtron bulk /shared/texts.jsonl -o /shared/spoken --ray auto --precision int8
    """
    from glowtron.bulk.job import BulkSettings, ShardReport, run_bulk
    from glowtron.bulk.rows import find_stretches
    from glowtron.voices import shipped

    check_folder(output)
    name = voice or shipped()[0]
    settings = BulkSettings(
        voice=name,
        options=SynthesisOptions(**options),
        shards=shards,
        sound=sound,
        precision=precision,
        rows_each=rows,
    )
    n_rows = sum(stretch.n_rows for stretch in find_stretches(texts, rows))
    started, made_s = time.perf_counter(), 0.0
    with progress_bar(n_rows, "row", hidden=quiet) as bar:

        def tell(report: ShardReport) -> None:
            nonlocal made_s
            bar.update(report.n_spoken + report.n_rejected)
            made_s += report.duration_s

        n_spoken, n_rejected = run_bulk(texts, output, settings, workers, tell, cluster)
    if not quiet:
        taken_s = time.perf_counter() - started
        speed = f", {made_s / taken_s:.1f} times real time" if made_s else ""
        click.echo(f"{output}: {n_spoken} rows spoken, {n_rejected} rejected; {made_s:.0f} s of audio made now{speed}")
