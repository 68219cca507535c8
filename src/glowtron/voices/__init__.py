"""The voices that ship, a folder each, and where any voice is found. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from glowtron.errors import InputError, nearest

VOICES = Path(__file__).parent
"""Folder of the voices that ship."""


def shipped() -> list[str]:
    """Names of the voices that ship."""
    return sorted(path.parent.name for path in VOICES.glob("*/voice.json"))


def find_voice(source: str | Path | None = None) -> Path:
    """The folder of a voice that ships, by its name, the folder given, or that of `hf://OWNER/NAME[@REVISION]`.

    None: the first that ships. Raises InputError, naming those that ship, if there is no such voice.
    """
    if isinstance(source, str) and source.startswith("hf://"):
        from glowtron.hub import fetch_voice

        return fetch_voice(source)
    names = shipped()
    if source is None:
        if not names:
            raise InputError("no voice ships with this program; give the folder of one")
        return VOICES / names[0]
    if str(source) in names:
        return VOICES / str(source)
    if Path(source).is_dir():
        return Path(source)
    known = nearest(str(source), names) if names else ""
    raise InputError(f"no voice '{source}': it neither ships{known} nor is a folder here")
