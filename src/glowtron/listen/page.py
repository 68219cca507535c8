"""The page of a listening test: served, or a single file that carries everything with it."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import soundfile

from glowtron.errors import InputError
from glowtron.files import write_text
from glowtron.listen.listening_test import ListeningTest
from glowtron.pages import compose, embedded, part


def served_page(test: ListeningTest) -> str:
    """HTML of the page that asks a server for its session and its clips."""
    return _page(test, test.public())


def write_page(test: ListeningTest, path: Path) -> None:
    """Write a page that needs no server: its clips are inside, and its answers come back as a file.

    Raises InputError if it cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a page is called .html")
    sessions = [test.public_session(number) for number in range(len(test.file.sessions))]
    audio = {id: _flac(test.clip_path(id)) for id in sorted(test.clip_ids)}
    about = {**test.public(), "sessions": sessions, "code": test.file.completion_code, "audio": audio}
    write_text(path, _page(test, about))


def _flac(path: Path) -> str:
    """A clip in half the bytes, without loss, in base64."""
    samples, rate = soundfile.read(path, dtype="int16")  # The headphone check has two channels.
    out = io.BytesIO()
    soundfile.write(out, samples, rate, "PCM_16", format="FLAC")
    return base64.b64encode(out.getvalue()).decode("ascii")


def _page(test: ListeningTest, about: dict[str, Any]) -> str:
    title = html.escape(test.file.title)
    return compose(
        part("listen.html"),
        {
            "<!--title-->": title,
            "<!--name-->": title,
            "<!--heading-->": title,
            "/*base*/": part("base.css"),
            "/*style*/": part("listen.css"),
            "<!--test-->": embedded(about),
            "/*player*/": part("element.js") + part("player.js"),
            "/*script*/": part("listen.js"),
        },
    )
