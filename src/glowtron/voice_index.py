"""A list of voices that somebody publishes, `voices.json`: where each is, what it is, and its sha256."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glowtron.config import VoiceFile
from glowtron.errors import InputError, reason
from glowtron.voice_folder import read_voice_file, sha256
from glowtron.voices import find_voice, shipped

INDEX = "voices.json"


@dataclass(frozen=True, kw_only=True)
class IndexedVoice:
    """A line of an index."""

    name: str
    source: str
    """Value of `--voice`: the name of a voice that ships, a folder, or `hf://OWNER/NAME[@REVISION]`."""
    description: str = ""
    speakers: tuple[str, ...] = ()
    licence: str = ""
    sha256: str = ""
    """Of `voice.json`, which has those of the weights; empty: not known."""

    def matches(self, words: Sequence[str]) -> bool:
        """True if each of the words, in any case, is somewhere in it."""
        text = " ".join((self.name, self.source, self.description, self.licence, *self.speakers)).lower()
        return all(word.lower() in text for word in words)


def index_voice(folder: Path, source: str) -> IndexedVoice:
    """The line of a voice folder that others will know as `source`. Raises InputError if it is no voice."""
    voice: VoiceFile = read_voice_file(folder)
    return IndexedVoice(
        name=voice.name,
        source=source,
        description=voice.description,
        speakers=voice.acoustic.speakers if voice.acoustic else (),
        licence=voice.licence,
        sha256=sha256((folder / "voice.json").read_bytes()),
    )


def shipped_index() -> list[IndexedVoice]:
    """The voices that ship."""
    return [index_voice(find_voice(name), name) for name in shipped()]


def read_index(source: str) -> list[IndexedVoice]:
    """Read an index: a file, a folder that has a `voices.json`, or a repository `hf://OWNER/NAME` that has one.

    Raises InputError that says which line is wrong.
    """
    if source.startswith("hf://"):
        from glowtron.hub import fetch_file

        path = fetch_file(source, INDEX)
    else:
        path = Path(source) / INDEX if Path(source).is_dir() else Path(source)
    try:
        value: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{source}: cannot be read as an index of voices: {reason(error)}") from error
    lines = value.get("voices") if isinstance(value, dict) else None
    if not isinstance(lines, list):
        raise InputError(f"{source}: is no index of voices: it has no list 'voices'")
    return [_line(line, f"{source}: voice {place}") for place, line in enumerate(lines, 1)]


def format_index(voices: Sequence[IndexedVoice]) -> str:
    """The content of a `voices.json`."""
    return json.dumps({"voices": [asdict(voice) for voice in voices]}, indent=1, ensure_ascii=False) + "\n"


def check_indexed(voice: IndexedVoice) -> Path:
    """The folder of an indexed voice, fetched where need be. Raises InputError if it is not what the index says."""
    folder = find_voice(voice.source)
    found = sha256((folder / "voice.json").read_bytes())
    if voice.sha256 and found != voice.sha256:
        message = f"{voice.source}: is not the voice that the index lists (sha256 of voice.json differs)"
        raise InputError(f"{message}; ask who publishes the index, or name a revision")
    return folder


def _line(value: Any, place: str) -> IndexedVoice:
    if not isinstance(value, dict):
        raise InputError(f"{place}: must be an object, got {type(value).__name__}")
    known = {"name", "source", "description", "speakers", "licence", "sha256"}
    for name in ("name", "source"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise InputError(f"{place}: {name} must be a text")
    speakers = value.get("speakers", [])
    if not isinstance(speakers, list) or not all(isinstance(one, str) for one in speakers):
        raise InputError(f"{place}: speakers must be a list of names")
    texts = {name: value.get(name, "") for name in known - {"speakers"}}
    if wrong := [name for name, text in texts.items() if not isinstance(text, str)]:
        raise InputError(f"{place}: {wrong[0]} must be a text")
    return IndexedVoice(speakers=tuple(speakers), **texts)
