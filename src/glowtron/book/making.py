"""A book made: its chapters spoken, and put together as one M4B or as a folder of sound files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from glowtron.audio import FORMATS, read_audio
from glowtron.book.book import Book, Chapter
from glowtron.book.m4b import Tags, check_m4b, picture_size, write_m4b
from glowtron.book.speaking import Spoken, speak_chapters
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError
from glowtron.files import hold, unwritable, write_atomic, write_bytes, write_text
from glowtron.synthesis.captions import Caption, format_captions
from glowtron.voice import Voice

M4B = (".m4b", ".m4a", ".mp4")
"""Suffixes of files that are one MP4."""


class Output(NamedTuple):
    """Path and format of an audiobook."""

    path: Path
    """A file of `M4B`, or a folder."""
    format: str = "flac"
    """Of the files in a folder."""
    subtitles: str = ""
    """`srt`, `vtt` or `json`; empty: none."""
    bit_rate: int = 64_000
    """Of AAC, bits a second."""

    @property
    def is_file(self) -> bool:
        """True if it is one file with chapters in it."""
        return self.path.suffix.lower() in M4B

    @property
    def parts(self) -> Path:
        """The folder of what is finished, until all is."""
        return self.path.with_name(f"{self.path.name}.parts")


def check_output(output: Output, book: Book) -> None:
    """Raise InputError if the book cannot be written there, before anything is computed."""
    if output.is_file:
        if output.path.is_dir():
            raise InputError(f"{output.path}: is a folder; give the name of a file in it")
        check_m4b()
        if book.cover is not None:
            picture_size(book.cover)
    elif output.path.exists() and not output.path.is_dir():
        raise InputError(f"{output.path}: is a file; books are written as {', '.join(M4B)}, or into a folder")
    elif output.path.suffix.lower() in FORMATS:
        name = output.path.suffix[1:].lower()
        raise InputError(f"{output.path}: give a .m4b, or a folder and `format` {name} for a {name} file a chapter")
    elif f".{output.format}" not in FORMATS:
        raise InputError(f"unknown sound format '{output.format}' (known: {', '.join(name[1:] for name in FORMATS)})")


def make_book(
    voice: Voice,
    book: Book,
    output: Output,
    options: SynthesisOptions,
    *,
    workers: int = 0,
    lexicon: Path | None = None,
    begin: Callable[[int], Any] | None = None,
    progress: Callable[[int, str], Any] | None = None,
) -> float:
    """Speak a book into `output`; returns its length in seconds.

    What is finished is kept in `output.parts` until all is, so that the same call goes on where one was killed, and
    ends with the same files. begin and progress: as of `speak_chapters`.

    Raises InputError if it cannot be written, or another process is making it.
    """
    check_output(output, book)
    try:
        length_s = _make(voice, book, output, options, workers, lexicon, begin, progress)
    finally:
        with suppress(OSError):  # Where a chapter is finished the folder is not empty, and stays.
            output.parts.rmdir()
    shutil.rmtree(output.parts)
    return length_s


def _make(
    voice: Voice,
    book: Book,
    output: Output,
    options: SynthesisOptions,
    workers: int,
    lexicon: Path | None,
    begin: Callable[[int], Any] | None,
    progress: Callable[[int, str], Any] | None,
) -> float:
    with hold(output.parts, "another process makes this book; wait for it"):
        spoken = []
        chapters = speak_chapters(
            voice,
            book.chapters,
            output.parts,
            options,
            workers=workers,
            lexicon=lexicon,
            begin=begin,
            progress=progress,
        )
        if not output.is_file:
            output.path.mkdir(parents=True, exist_ok=True)
        for number, chapter in enumerate(chapters, 1):
            spoken.append(chapter)
            if not output.is_file:
                _write_chapter(output, number, len(book.chapters), chapter)
        rate = voice.mel.sample_rate
        if output.is_file:
            tags = Tags(book.title, book.author, _narrator(voice, options), book.date, book.description, book.language)
            try:
                with write_atomic(output.path) as partial:
                    write_m4b(partial, spoken, rate, tags, book.cover, output.bit_rate)
            except OSError as error:
                raise unwritable(output.path, error) from error
            if output.subtitles:
                write_text(
                    output.path.with_suffix(f".{output.subtitles}"), _all_captions(spoken, rate, output.subtitles)
                )
        else:
            _write_list(output, book, spoken, rate)
    return sum(chapter.n_samples for chapter in spoken) / rate


def select(chapters: Sequence[Chapter], wanted: str) -> tuple[Chapter, ...]:
    """Chapters by number, as in `2-5,7`. Raises InputError for what is no such list."""
    found: list[int] = []
    for part in wanted.split(","):
        match = re.fullmatch(r"\s*([0-9]+)(?:\s*-\s*([0-9]+)?)?\s*", part)
        if match is None:
            raise InputError(f"chapters '{wanted}' are not understood; give numbers, as in 2-5,7")
        first = int(match[1])
        last = int(match[2]) if match[2] else len(chapters) if "-" in part else first
        if not 1 <= first <= last <= len(chapters):
            raise InputError(f"chapters '{part.strip()}': the book has chapters 1 to {len(chapters)}")
        found += [number for number in range(first, last + 1) if number not in found]
    return tuple(chapters[number - 1] for number in sorted(found))


def _narrator(voice: Voice, options: SynthesisOptions) -> str:
    speaker = options.speaker or (voice.speakers[0] if len(voice.speakers) > 1 else "")
    return f"{voice.config.name} ({speaker})" if speaker else voice.config.name


def _file_name(number: int, n_chapters: int, title: str, suffix: str) -> str:
    """A name that every system takes."""
    words = re.sub(r"[^\w\s.,'()-]", " ", title)
    words = " ".join(words.split())[:60].strip(" .")
    return f"{number:0{max(2, len(str(n_chapters)))}} {words}".strip() + suffix


def _write_chapter(output: Output, number: int, n_chapters: int, chapter: Spoken) -> None:
    path = output.path / _file_name(number, n_chapters, chapter.title, f".{output.format}")
    read_audio(chapter.path).write(path)
    if output.subtitles:
        write_text(path.with_suffix(f".{output.subtitles}"), format_captions(chapter.captions, output.subtitles))


def _write_list(output: Output, book: Book, chapters: Sequence[Spoken], sample_rate: int) -> None:
    """The playlist, and the cover."""
    lines = ["#EXTM3U", f"#PLAYLIST:{book.title}"]
    for number, chapter in enumerate(chapters, 1):
        seconds = round(chapter.n_samples / sample_rate)
        lines.append(f"#EXTINF:{seconds},{' '.join(chapter.title.split())}")
        lines.append(_file_name(number, len(chapters), chapter.title, f".{output.format}"))
    write_text(output.path / "book.m3u8", "\n".join(lines) + "\n")
    if book.cover is not None:
        suffix = ".png" if book.cover.startswith(b"\x89PNG") else ".jpg"
        write_bytes(output.path / f"cover{suffix}", book.cover)


def _all_captions(chapters: Sequence[Spoken], sample_rate: int, format: str) -> str:
    """Captions of the whole book, from its beginning."""
    found: list[Caption] = []
    start = 0
    for chapter in chapters:
        found += [caption.shifted(start / sample_rate) for caption in chapter.captions]
        start += chapter.n_samples
    return format_captions(found, format)
