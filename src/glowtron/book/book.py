"""A book, and the reading of its file."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from glowtron.errors import InputError, nearest, reason

SUFFIXES = (".epub", ".txt", ".md")
MOST_BYTES = 64 << 20
"""Of a text that is read at once. The longest novels have 10 MB."""


class Chapter(NamedTuple):
    """A chapter, to be spoken in one go."""

    title: str
    text: str
    """Paragraphs with empty lines between them, the heading among them."""


class Book(NamedTuple):
    """A book as it is read from a file."""

    title: str
    author: str
    """Empty where the file does not say."""
    chapters: tuple[Chapter, ...]
    language: str = ""
    date: str = ""
    description: str = ""
    cover: bytes | None = None
    """A picture, JPEG or PNG."""
    left_out: tuple[str, ...] = ()
    """Problems found while reading, in words."""


def read_book(path: Path) -> Book:
    """Read an EPUB, plain text or Markdown. Raises InputError that says what is wrong with the file."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: books are read from {', '.join(SUFFIXES)}{nearest(suffix, SUFFIXES)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if suffix == ".epub":
        from glowtron.book.epub import read_epub

        return read_epub(path)
    from glowtron.book.plain import read_markdown, read_plain

    text = _read_text(path)
    return read_markdown(text, path.stem) if suffix == ".md" else read_plain(text, path.stem)


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: is over {MOST_BYTES >> 20} MB; that is no book")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    encoding = "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "UTF-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not {encoding} text (byte {error.start}); convert it first") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def with_heading(title: str, paragraphs: Sequence[str]) -> str:
    """The text of a chapter: its title is spoken first, if it does not stand there already."""
    said = [" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()]
    if title and not _letters(" ".join(said[:3])).startswith(_letters(title)):
        # A page is headed "Two" that the contents call "Chapter Two".
        is_part = bool(said) and _letters(said[0]) in _letters(title) and bool(_letters(said[0]))
        said[: int(is_part)] = [title]
    return "\n\n".join(said)


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
