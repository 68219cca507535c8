"""`glowtron mels`: recordings as an acoustic model sees them, for its vocoder to learn from."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.options import lexicon_option, root_option
from glowtron.cli.output import check_folder, progress_bar
from glowtron.cli.train import model_folder, speaker_and_folder


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
@click.option("--alignments", metavar="FILE", multiple=True, help="Where to read (see: glowtron align).")
@lexicon_option
@click.option("--free", is_flag=True, help="The model hears itself, as in speaking; --alignments keep it in step.")
@click.option("--unrefined", is_flag=True, help="Write the mels as they are before the postnet.")
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
    free: bool,
    unrefined: bool,
    output: str,
    cache: str | None,
    device: str,
    quiet: bool,
) -> None:
    """Write the mels that an acoustic model makes of recordings.

    The model is shown each recording frame by frame, so that its mel keeps step with the sound, and a vocoder can learn
    to speak from it (train vocoder, --mels). With --alignments it reads its text where these say, as a model that was
    taught by them should; without, where its own attention looks.

    With --free it is not shown the recording either, only where to read: these are the mels it makes in speaking, and
    what a postnet (train postnet) has to learn to mend.

    \b
    Examples:
      glowtron mels runs/acoustic --data LJSpeech-1.1 --alignments lj.jsonl -o mels
      glowtron train vocoder --config compact-vocoder --data corpus --mels mels --run runs/vocoder2
      glowtron mels runs/acoustic --data corpus --alignments lj.jsonl --free --unrefined -o free
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.engines.device import find_device
    from glowtron.train.forced_mels import write_forced_mels

    with progress_bar(0, "clip", hidden=quiet) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = write_forced_mels(
            model_folder(source),
            [speaker_and_folder(entry) for entry in data],
            folder,
            root=Path(root) if root else None,
            alignments=[Path(path) for path in alignments],
            lexicon=Path(lexicon) if lexicon else None,
            free=free,
            refined=not unrefined,
            cache=Path(cache) if cache else None,
            device=find_device(device),
            progress=show,
        )
    for clip, reason in result.left_out.items():
        click.echo(f"glowtron: warning: {clip}: left out: {reason}", err=True)
    if not quiet:
        click.echo(f"{folder}: {result.written} mels written")
