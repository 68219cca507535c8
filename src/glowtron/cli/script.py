"""The text that a command is given: in words, in a file, or on standard input."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence
from pathlib import Path

from glowtron.errors import InputError, reason

STREAM = "-"
"""The name of standard input and standard output."""


def read_script(words: Sequence[str], file: str | None, example: str) -> str:
    """The text, from the one place that was named; `example` is a command that shows a user how to give it."""
    if words and file is not None:
        raise InputError("both TEXT and --file are given; give one of them")
    if words and list(words) != [STREAM]:
        return " ".join(words)
    if not words and file is None and sys.stdin.isatty():
        raise InputError(f"nothing to say; give the text, as in: {example}")
    source = file or STREAM
    name = "standard input" if source == STREAM else source
    try:
        data = sys.stdin.buffer.read() if source == STREAM else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {reason(error)}") from error
    encoding = "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "UTF-8"
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: is not {encoding} text (byte {error.start}); convert it first") from error
