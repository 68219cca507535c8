"""`glowtron align`: forced alignment of texts and recordings."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.cli.options import lexicon_option, root_option
from glowtron.cli.output import check_folder, progress_bar
from glowtron.errors import InputError


@click.command()
@click.argument("data", metavar="FOLDER|LIST")
@root_option
@lexicon_option
@click.option("-o", "--output", metavar="FILE", help="Where the alignments go.  [default: alignments.jsonl there]")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def align(data: str, root: str | None, lexicon: str | None, output: str | None, quiet: bool) -> None:
    """Find when each phone of recorded texts is spoken (forced alignment).

    FOLDER has the layout of LJSpeech, metadata.csv and wavs/; a LIST has lines of path|text.

    The alignments supervise the attention of an acoustic model (train acoustic, --alignments). Clips that do not fit
    their text are named and left out. An interrupted run goes on where it stopped. Train with the same --lexicon as
    you align.

    \b
    Examples:
      glowtron align LJSpeech-1.1
      glowtron align LJSpeech-1.1 -o lj-alignments.jsonl
    """
    from glowtron.config import TextConfig
    from glowtron.data.alignment import align_clips
    from glowtron.data.manifest import read_corpora
    from glowtron.text.frontend import make_frontend

    source = Path(data)
    target = Path(output) if output else (source.parent if source.is_file() else source) / "alignments.jsonl"
    if target.is_dir():
        raise InputError(f"{target}: is a folder; give -o the name of a file in it")
    check_folder(target.parent)
    clips = read_corpora([("speaker", source)], Path(root) if root else None)
    with progress_bar(len(clips), "clip", hidden=quiet) as bar:
        frontend = make_frontend(TextConfig(phonemes=True), Path(lexicon) if lexicon else None)
        report = align_clips(clips, frontend, target, progress=lambda done: bar.update(done - bar.n))
    for clip, reason in report.failed.items():
        click.echo(f"glowtron: warning: {clip}: left out: {reason}", err=True)
    if not quiet:
        click.echo(f"{target}: {report.aligned} of {len(clips)} clips aligned")
