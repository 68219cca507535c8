"""Recordings of one's own and what is said in them, found in a folder.

The texts stand in `metadata.csv`, in another file that is named, or beside each recording in a file of its name with
`.txt` or `.lab`. Several speakers have a column, or a folder each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from glowtron.data.manifest import read_lines
from glowtron.errors import InputError, reason

SOUND_SUFFIXES = tuple(
    f".{name}" for name in "wav flac ogg oga opus mp3 aif aiff aifc au caf w64 rf64 m4a aac wma webm mp4".split()
)
"""What is taken for a recording; the last five cannot be read and are reported."""
TEXT_SUFFIXES = (".txt", ".lab")
COLUMNS = ("id|text", "id|text|normalised", "id|text|speaker", "id|text|normalised|speaker")
"""What the columns of a transcript file may mean; the first may be a path instead."""


class Recording(NamedTuple):
    """A recording and its text, either of which may be missing."""

    id: str
    """The file's name without its suffix."""
    audio: Path | None
    raw: str
    """What is said, as it is written."""
    text: str
    """The same spelled out, where there is such a column."""
    speaker: str


def find_recordings(
    folder: Path, *, speaker: str = "speaker", transcript: Path | None = None, columns: str | None = None
) -> list[Recording]:
    """All recordings of a folder and all lines of its transcripts, in the order of these, then of names.

    Recordings lie in the folder or in its `wavs/`. A folder that holds neither these nor `metadata.csv` is one of
    speakers: each folder in it is read as one, and gives the speaker its name. `columns` is one of `COLUMNS`; without,
    a third column of `metadata.csv` is the normalised text, as in LJSpeech, and of another file the speaker. Raises
    InputError for a folder without recordings and for transcripts that cannot be read.
    """
    if columns is not None and columns not in COLUMNS:
        raise InputError(f"columns '{columns}' are not known; give one of {', '.join(COLUMNS)}")
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; give one of recordings")
    if transcript is None and (folder / "metadata.csv").is_file():
        transcript = folder / "metadata.csv"
    sounds = _sounds(folder)
    if transcript is not None:
        found = list(_transcribed(folder, transcript, columns, speaker, sounds))
    elif sounds:
        found = [Recording(audio.stem, audio, *_beside(audio), speaker) for audio in sounds]
    else:
        found = list(_by_speaker(folder, columns))
    if not any(recording.audio for recording in found):
        raise InputError(f"{folder}: holds no recordings; give a folder of .wav, .flac or .mp3 files with their texts")
    return found


def _by_speaker(folder: Path, columns: str | None) -> Iterator[Recording]:
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and not inner.name.startswith(".") and (_sounds(inner) or (inner / "metadata.csv").is_file()):
            yield from find_recordings(inner, speaker=inner.name, columns=columns)


def _sounds(folder: Path) -> list[Path]:
    """Recordings of a folder and its `wavs/`, by name."""
    return [
        path
        for place in (folder, folder / "wavs")
        for path in (sorted(place.iterdir()) if place.is_dir() else ())
        if path.suffix.lower() in SOUND_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _beside(audio: Path) -> tuple[str, str]:
    """The text, raw and normalised, in a file beside a recording; empty if there is none."""
    path = next((file for suffix in TEXT_SUFFIXES if (file := audio.with_suffix(suffix)).is_file()), None)
    if path is None:
        return "", ""
    try:
        text = " ".join(path.read_text(encoding="utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {reason(error)}") from error
    return text, text


def _transcribed(
    folder: Path, path: Path, columns: str | None, speaker: str, sounds: Sequence[Path]
) -> Iterator[Recording]:
    """Lines of a transcript file, then recordings that none of them names."""
    rows = [
        (where, [" ".join(cell.split()) for cell in line.split("|")])
        for where, line in read_lines(path, "give lines of id|text")
    ]
    names = _names_of_columns(rows, path, columns)
    by_name = {sound.stem: sound for sound in reversed(sounds)}
    named: set[Path] = set()
    for where, row in rows:
        if len(row) != len(names):
            raise InputError(f"{where}: {len(row)} columns between '|' instead of {'|'.join(names)}")
        cells = dict(zip(names, row, strict=True))
        file = Path(cells["id"])
        name = file.stem if file.suffix.lower() in SOUND_SUFFIXES else file.name
        if not name:
            raise InputError(f"{where}: the {names[0]} is empty")
        if "speaker" in cells and not cells["speaker"]:
            raise InputError(f"{where}: the speaker is empty")
        places = [place / file for place in (folder, folder / "wavs", path.parent)]
        audio = next((place for place in places if place.is_file()), by_name.get(name))
        if audio is not None:
            named.add(audio)
        raw = cells["text"]
        yield Recording(name, audio, raw, cells.get("normalised") or raw, cells.get("speaker", speaker))
    for sound in sounds:
        if sound not in named:
            yield Recording(sound.stem, sound, "", "", speaker)


def _names_of_columns(rows: Sequence[tuple[str, list[str]]], path: Path, columns: str | None) -> list[str]:
    if not rows:
        raise InputError(f"{path}: is empty; a line is id|text")
    if columns is not None:
        return columns.split("|")
    where, first = rows[0]
    if len(first) == 2:
        return ["id", "text"]
    if len(first) != 3:
        raise InputError(f"{where}: {len(first)} columns between '|'; say with --columns what they are")
    if path.name != "metadata.csv":
        return ["id", "text", "speaker"]
    thirds = [row[2] for _, row in rows if len(row) == 3 and row[2]]
    # Names read as texts would train a voice on nonsense.
    if len(thirds) > 1 and len(set(thirds)) <= len(thirds) / 2 and not any(" " in cell for cell in thirds):
        raise InputError(f"{path}: its third column looks like speakers; say so with --columns 'id|text|speaker'")
    return ["id", "text", "normalised"]
