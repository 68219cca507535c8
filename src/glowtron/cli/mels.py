"""`glowtron mels`: ground-truth-aligned (GTA) mels of an acoustic model, to train its vocoder or postnet on."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.options import (
    alignment_files,
    alignments_option,
    lexicon_option,
    model_folder,
    root_option,
    speaker_and_folder,
)
from glowtron.cli.output import check_folder, progress_bar


@click.command()
@click.argument("source", metavar="RUN|VOICE")
@click.option(
    "--data",
    metavar="[SPEAKER=]FOLDER|LIST",
    multiple=True,
    required=True,
    help="Recordings in LJSpeech's layout, or a list of path|text; several times for several of them.",
)
@root_option
@alignments_option
@lexicon_option
@click.option(
    "--free-running", is_flag=True, help="No teacher forcing: the decoder gets its own frames; needs --alignments."
)
@click.option("--before-postnet", is_flag=True, help="Write the mels before the postnet.")
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where a file id.npy a clip goes.")
@click.option("--cache", metavar="FOLDER", help="Where decoded clips are kept.  [default: cache/ in the output]")
@click.option(
    "--device", metavar="DEVICE", default="auto", show_default=True, help="auto (a GPU if there is one), cpu or cuda."
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def mels(
    source: str,
    data: tuple[str, ...],
    root: str | None,
    alignments: tuple[str, ...],
    lexicon: str | None,
    free_running: bool,
    before_postnet: bool,
    output: str,
    cache: str | None,
    device: str,
    quiet: bool,
) -> None:
    """Write ground-truth-aligned (GTA) mels: an acoustic model's own mels of recordings.

    With teacher forcing, the model gets each recording frame by frame, so that its mels keep step with the sound, and a
    vocoder can learn from them (train vocoder, --mels). With --alignments the decoder attends by forced alignments, as
    it should if it was trained on such; without, its own attention is used.

    With --free-running there is no teacher forcing, only forced alignments: these are the mels of synthesis, in step
    with the recordings. A postnet learns from them (train postnet), before the postnet.

    \b
    Examples:
      glowtron mels runs/acoustic --data LJSpeech-1.1 --alignments lj.jsonl -o mels
      glowtron train vocoder --config compact-vocoder --data corpus --mels mels --run runs/vocoder2
      glowtron mels am --data d --alignments d.jsonl --free-running --before-postnet -o gta
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.engines.hardware import find_device
    from glowtron.train.gta import write_gta_mels
    from glowtron.train.task import Corpora

    sources = [speaker_and_folder(entry) for entry in data]
    corpora = Corpora(sources, Path(cache) if cache else folder / "cache", Path(root) if root else None)
    with progress_bar(0, "clip", hidden=quiet) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = write_gta_mels(
            model_folder(source),
            corpora,
            folder,
            alignments=alignment_files(alignments),
            lexicon=Path(lexicon) if lexicon else None,
            free_running=free_running,
            before_postnet=before_postnet,
            device=find_device(device),
            progress=show,
        )
    for clip, reason in result.left_out.items():
        click.echo(f"glowtron: warning: {clip}: left out: {reason}", err=True)
    if not quiet:
        click.echo(f"{folder}: {result.written} mels written")
