"""`glowtron book`: a book to an audiobook."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glowtron.cli.jobs import FORMATS
from glowtron.cli.options import lexicon_option, speech_options, synthesis_options, voice_option, workers_option
from glowtron.cli.output import check_folder, progress_bar
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError, reason

if TYPE_CHECKING:
    from glowtron.book.book import Book
    from glowtron.book.making import Output
    from glowtron.voice import Voice

CHARACTERS_A_MINUTE = 850
"""Of speech at rate 1, about."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|FOLDER",
    help="A .m4b file, or a folder that becomes a sound file for each chapter.  [default: FILE's name as .m4b]",
)
@click.option(
    "--format",
    type=click.Choice([format for format in FORMATS if format != "pcm"]),
    default="flac",
    show_default=True,
    help="Format of the files in a folder.",
)
@click.option(
    "--subtitles",
    type=click.Choice(["srt", "vtt", "json"]),
    help="Write captions beside the sound; json has the times of words and phones.",
)
@click.option("--chapters", metavar="LIST", help="Only these, by number, as in 2-5,7 (see --list).")
@click.option("--list", "list_only", is_flag=True, help="Show the chapters and how long they will be, and stop.")
@click.option("--title", metavar="TEXT", help="Title of the book.  [default: what the file says]")
@click.option("--author", metavar="TEXT", help="Author of the book.  [default: what the file says]")
@click.option(
    "--cover", type=click.Path(path_type=Path), metavar="FILE", help="A JPEG or PNG.  [default: the one in the EPUB]"
)
@click.option(
    "--bit-rate",
    type=click.IntRange(24, 320),
    metavar="KBIT",
    default=64,
    show_default=True,
    help="Of an M4B's AAC, kilobits a second.",
)
@voice_option
@lexicon_option
@speech_options("speaker", "rate", "pitch", "pitch_range", "energy", "pause_s", "attempts")
@workers_option("the book")
@synthesis_options
def book(
    file: Path,
    output: Path | None,
    format: str,
    subtitles: str | None,
    chapters: str | None,
    list_only: bool,
    title: str | None,
    author: str | None,
    cover: Path | None,
    bit_rate: int,
    workers: int,
    **options: Any,
) -> None:
    """Read a book aloud: an EPUB, plain text or Markdown becomes an M4B with chapters, cover and tags.

    Chapters are spoken one after the other and kept in OUTPUT.parts until the book is whole: stopped at any point, the
    same command goes on with the chapter it was at, and the book is the same in the end.

    \b
    Examples:
      glowtron book novel.epub --list
      glowtron book novel.epub -o novel.m4b
      glowtron book novel.epub -o novel.m4b --speaker kathleen --subtitles srt
      glowtron book notes.md -o notes --format mp3
    """
    from glowtron.book.book import read_book

    found = read_book(file)
    for what in found.left_out:
        click.echo(f"glowtron: warning: {file}: left out: {what}", err=True)
    found = found._replace(title=title or found.title, author=author or found.author)
    if list_only:
        _show(found, options["rate"])
        return
    if cover is not None:
        found = found._replace(cover=_picture(cover))
    from glowtron.book.making import Output, check_output, select

    if chapters is not None:
        found = found._replace(chapters=select(found.chapters, chapters))
    target = Output(output or file.with_suffix(".m4b"), format, subtitles or "", 1000 * bit_rate)
    check_folder(target.path.parent)
    check_output(target, found)

    from glowtron.voice import Voice

    voice_name, quiet = options.pop("voice"), options.pop("quiet")
    how = {name: options.pop(name) for name in ("lexicon", "device", "runtime")}
    chosen, lexicon = SynthesisOptions(**options), how["lexicon"]
    voice = Voice.load(voice_name, **how)
    voice.runtime.suit_threads()
    _make(voice, found, target, chosen, workers, None if lexicon is None else Path(lexicon), quiet)


def _make(
    voice: Voice,
    book: Book,
    target: Output,
    options: SynthesisOptions,
    workers: int,
    lexicon: Path | None,
    quiet: bool,
) -> None:
    from glowtron.book.making import make_book

    started = time.perf_counter()
    with progress_bar(sum(len(chapter.text) for chapter in book.chapters), "character", hidden=quiet) as bar:

        def progress(n_characters: int, title: str) -> None:
            bar.set_description(title[:30], refresh=False)
            bar.update(n_characters)

        length_s = make_book(
            voice, book, target, options, workers=workers, lexicon=lexicon, begin=bar.reset, progress=progress
        )
    if not quiet:
        taken_s = time.perf_counter() - started
        n = len(book.chapters)
        what = f"{n} chapter{'s' if n > 1 else ''}, {_duration(length_s)}, in {_duration(taken_s)}"
        click.echo(f"{target.path}: {what}", file=sys.stdout)


def _show(book: Book, rate: float) -> None:
    click.echo(f"{book.title}" + (f", by {book.author}" if book.author else ""))
    width = len(str(len(book.chapters)))
    total_s = 0.0
    for number, chapter in enumerate(book.chapters, 1):
        seconds = 60 * len(chapter.text) / CHARACTERS_A_MINUTE / rate
        total_s += seconds
        click.echo(f"  {number:{width}}  {_duration(seconds):>9}  {chapter.title}")
    click.echo(f"about {_duration(total_s)} of sound")


def _duration(seconds: float) -> str:
    """`1 h 05 min`, `5:04 min` or `42 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{left:02} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _picture(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
