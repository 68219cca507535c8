"""`glowtron prepare`: recordings made ready for training."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from glowtron.cli.output import check_folder, progress_bar

if TYPE_CHECKING:
    from tqdm import tqdm

    from glowtron.data.corpus_report import CorpusReport


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def prepare() -> None:
    """Make recordings ready for training.

    \b
    Examples:
      glowtron prepare ljspeech data
      glowtron prepare folder recordings -o corpus
      glowtron prepare folder --help
    """


@prepare.command()
@click.argument("folder", metavar="DIR")
@click.option("--archive", metavar="FILE", help="The archive, if you have it already.")
@click.option("--source", metavar="FOLDER", help="The unpacked corpus, if you have it already; it is linked to.")
@click.option("--url", metavar="URL", help="Where to fetch the archive from.  [default: where its author keeps it]")
@click.option("--md5", metavar="HEX", help="The MD5 of another archive than the published one.")
@click.option("--partial", is_flag=True, help="Go on with a corpus that is not all of LJSpeech.")
@click.option(
    "--mels",
    type=click.Choice(["npy", "pt"]),
    default="npy",
    show_default=True,
    help="Format of the mel files: npy for numpy, pt for programs that torch.load them.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def ljspeech(
    folder: str,
    archive: str | None,
    source: str | None,
    url: str | None,
    md5: str | None,
    partial: bool,
    mels: Literal["npy", "pt"],
    quiet: bool,
) -> None:
    """Fetch LJSpeech and write its mels and lists.

    DIR gets LJSpeech-1.1 with README, metadata.csv, wavs and mels, 15 lists of path|text in filelists, and a table in
    statistics.md: 2.6 GB to fetch, 9 GB in all. Whatever interrupts it, the same command goes on.

    \b
    Examples:
      glowtron prepare ljspeech data
      glowtron prepare ljspeech data --archive LJSpeech-1.1.tar.bz2
      glowtron prepare ljspeech data --source /corpora/LJSpeech-1.1
    """
    place = Path(folder)
    check_folder(place)

    from glowtron.data.ljspeech import MD5, URL, beside_published, prepare_ljspeech

    with closing(_Bars(quiet)) as progress:
        made = prepare_ljspeech(
            place,
            archive=Path(archive) if archive else None,
            source=Path(source) if source else None,
            url=url or URL,
            md5=(md5 or MD5).lower(),
            partial=partial,
            mels=mels,
            progress=progress,
        )
    if not quiet:
        click.echo(f"{made.corpus}: {made.statistics.clips:,} clips with their mels")
        click.echo(
            f"{place / 'filelists'}: {len(made.lists)} lists; validation and test are the published clips, "
            "subsets of the training list this program's own choice"
        )
        click.echo("\n" + beside_published(made.statistics), nl=False)


@prepare.command("folder")
@click.argument("source", metavar="DIR")
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where the corpus goes.")
@click.option(
    "--transcript",
    metavar="FILE",
    help="Lines of id|text or path|text, for all recordings.  [default: metadata.csv in DIR, if it is there]",
)
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns of the transcript: 'id|text', then '|normalised', '|speaker' or both, or 'id|speaker|text'.  "
    "[default: a third is the normalised text in metadata.csv, else the speaker; Piper's is recognised]",
)
@click.option("--speaker", metavar="NAME", help="The speaker, if no column names one.  [default: the folder's name]")
@click.option("--partial", is_flag=True, help="Go on where the transcript names recordings that are missing.")
@click.option("--sample-rate", type=int, metavar="HZ", default=22_050, show_default=True, help="Of the clips.")
@click.option("--shortest", type=float, metavar="SECONDS", default=0.5, show_default=True, help="Shorter clips go.")
@click.option("--longest", type=float, metavar="SECONDS", default=12.0, show_default=True, help="Longer clips go.")
@click.option("--loudness", type=float, metavar="LUFS", default=-23.0, show_default=True, help="Of every clip.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def from_folder(
    source: str,
    output: str,
    transcript: str | None,
    columns: str | None,
    speaker: str | None,
    partial: bool,
    sample_rate: int,
    shortest: float,
    longest: float,
    loudness: float,
    quiet: bool,
) -> None:
    """Make a corpus of your own recordings.

    DIR holds recordings of any rate and format, and their texts: in metadata.csv, in another file, or beside each
    recording as .txt or .lab. Of several speakers each has a folder in DIR, or a column says who it is.

    Silence is cut off the ends, every clip is brought to one loudness, and what cannot be used is named with the reason
    in report.md. The output is read by align, train and evaluate as it is. Whatever interrupts it, the same command
    begins anew and ends with the same files.

    \b
    Examples:
      glowtron prepare folder recordings -o corpus
      glowtron prepare folder recordings -o corpus --transcript texts.txt
      glowtron prepare folder recordings -o corpus --transcript all.txt --columns "id|text|speaker"
    """
    out = Path(output)
    check_folder(out)

    from glowtron.data.folder import prepare_folder
    from glowtron.data.quality import Rules
    from glowtron.data.recordings import find_recordings

    rules = Rules(sample_rate=sample_rate, shortest_s=shortest, longest_s=longest, loudness=loudness)
    place = Path(source)
    found = find_recordings(
        place,
        speaker=speaker,
        transcript=Path(transcript) if transcript else None,
        columns=columns,
        partial=partial,
    )
    with closing(_Bars(quiet)) as progress:
        report = prepare_folder(place, found, out, rules, lambda *done: progress("clips", *done))
    if not quiet:
        click.echo(_result(report, out))


def _result(report: CorpusReport, out: Path) -> str:
    """A summary of the corpus and the next command."""
    from glowtron.data.folder import LIST

    n = len(report.kept) + len(report.left_out)
    lines = [f"{out}: {len(report.kept)} of {n} recordings make clips, {report.total_s / 60:.1f} minutes"]
    if report.left_out:
        lines.append(f"left out: {report.summary()}")
    if doubts := report.doubts():
        lines.append(f"kept, but listen to them: {len(doubts)}")
    if not (out / "report.png").exists():
        lines.append("no picture, for want of matplotlib: pip install 'glowtron[train]'")
    data = out / LIST if (out / LIST).exists() else out
    return "\n".join([*lines, f"all about it: {out / 'report.md'}; next: glowtron align {data}"])


class _Bars:
    """A progress bar for each stage, which goes when the next one comes."""

    def __init__(self, quiet: bool) -> None:
        self._quiet, self._stage = quiet, ""
        self._bar: tqdm[None] | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        if self._bar is None or stage != self._stage:
            self.close()
            in_clips = stage in ("mels", "clips")
            self._bar = progress_bar(total, "clip" if in_clips else "B", hidden=self._quiet)
            self._bar.unit_scale = not in_clips
            self._bar.set_description(stage, refresh=False)
            self._stage = stage
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the last bar away."""
        if self._bar is not None:
            self._bar.close()
