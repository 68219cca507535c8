"""Recordings and their texts, found in a folder and everything below it.

Texts are in `metadata.csv`, in another file that is named, or beside each recording in a file of its name with `.txt`
or `.lab`. Several speakers have a column, or a folder each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple
from unicodedata import normalize

from glowtron.data.manifest import METADATA, METADATA_JSON, json_row, names_speakers, read_lines, read_text
from glowtron.errors import InputError, reason

SOUND_SUFFIXES = tuple(
    f".{name}"
    for name in "wav wave flac ogg oga opus mp3 aif aiff aifc au snd caf w64 rf64 sph voc m4a aac wma webm mp4".split()
)
"""Suffixes of recordings; files of the last five cannot be read and are reported."""
TEXT_SUFFIXES = (".txt", ".lab", ".TXT", ".LAB")
COLUMNS = ("id|text", "id|text|normalised", "id|text|speaker", "id|speaker|text", "id|text|normalised|speaker")
"""Meanings of the columns of a transcript; the first may be a path instead."""

_TRANSCRIPT = METADATA
_WAVS = "wavs"
"""The folder for recordings in LJSpeech's layout. Its name is never a speaker's."""


class Recording(NamedTuple):
    """A recording and its text, either of which may be missing."""

    id: str
    """Names its clip: the file's name without suffix, after those of its folders where files share one."""
    audio: Path | None
    raw: str
    """The text as it is written."""
    text: str
    """The same spelled out, where there is such a column."""
    speaker: str


class _Line(NamedTuple):
    """A line of a transcript."""

    where: str
    name: str
    audio: Path | None
    raw: str
    text: str
    speaker: str | None


def find_recordings(
    folder: Path,
    *,
    speaker: str | None = None,
    transcript: Path | None = None,
    columns: str | None = None,
    partial: bool = False,
) -> list[Recording]:
    """All recordings below a folder, in the order of transcripts, then of names.

    `transcript`, or else the folder's own `metadata.csv`, speaks for all of them. Without either, each folder in it is
    read for itself, by its `metadata.csv` or the texts beside its recordings, and names its speaker unless `speaker`
    does. `columns` is one of `COLUMNS`; by default the third is the normalised text in `metadata.csv`, as in LJSpeech,
    and the speaker in another file. Raises InputError for a folder without recordings, without any text, and with two
    recordings that would be one clip; for a transcript that cannot be read or tells two texts of one recording; and,
    unless `partial`, for one that tells of recordings that are not there.
    """
    if columns is not None and columns not in COLUMNS:
        raise InputError(f"columns '{columns}' are not known; give one of {', '.join(COLUMNS)}")
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; give one of recordings")
    sounds, transcripts = _contents(folder)
    if not sounds:
        raise InputError(f"{folder}: holds no recordings; give a folder of .wav, .flac or .mp3 files with their texts")
    if transcript is None and folder / _TRANSCRIPT in transcripts:
        transcript = folder / _TRANSCRIPT
    elif transcript is None and (folder / METADATA_JSON).is_file():
        transcript = folder / METADATA_JSON
    if transcript is not None:
        found = _read(folder, transcript, columns, sounds, partial)
        speakers = ["speaker"] * len(found)
    else:
        found, speakers = [], []
        homes: dict[Path, list[Path]] = {_home(path, folder): [] for path in transcripts}
        for sound in sounds:
            homes.setdefault(_home(sound, folder), []).append(sound)
        for home in sorted(homes):
            part = _read_home(home, columns, homes[home], partial)
            found += part
            inner = home.relative_to(folder).parts
            speakers += [inner[0] if inner else "speaker"] * len(part)
    if not any(line.raw for line in found):
        raise InputError(_untold(folder, len(sounds)))
    names = _names(folder, found)
    return [
        Recording(name, line.audio, line.raw, line.text, line.speaker or speaker or own)
        for line, name, own in zip(found, names, speakers, strict=True)
    ]


def _contents(folder: Path) -> tuple[list[Path], list[Path]]:
    """Recordings and transcripts below a folder, by name; what is hidden is left alone, links are followed."""

    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read: {reason(error)}") from error

    sounds: list[Path] = []
    transcripts: list[Path] = []
    seen: set[str] = set()
    for name, inner, files in os.walk(folder, onerror=fail, followlinks=True):
        if (real := os.path.realpath(name)) in seen:  # A link to a folder above would never end.
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        paths = [Path(name, file) for file in sorted(files) if not file.startswith(".")]
        sounds += [path for path in paths if path.suffix.lower() in SOUND_SUFFIXES]
        transcripts += [path for path in paths if path.name == _TRANSCRIPT]
    return sorted(sounds), transcripts


def _home(path: Path, folder: Path) -> Path:
    """The folder that a recording or a transcript belongs to."""
    return path.parent.parent if path.parent.name == _WAVS and path.parent != folder else path.parent


def _read_home(home: Path, columns: str | None, sounds: Sequence[Path], partial: bool) -> list[_Line]:
    """Recordings of one folder, with texts from its own transcript or from files beside them."""
    if (home / _TRANSCRIPT).is_file():
        return _read(home, home / _TRANSCRIPT, columns, sounds, partial)
    texts = [_beside(sound) for sound in sounds]
    return [_Line(str(sound), sound.stem, sound, text, text, None) for sound, text in zip(sounds, texts, strict=True)]


def _beside(audio: Path) -> str:
    """The text in a file beside a recording; empty if there is none."""
    path = next((file for suffix in TEXT_SUFFIXES if (file := audio.with_suffix(suffix)).is_file()), None)
    return _plain(read_text(path, "mend or remove it")) if path else ""


def _read(home: Path, path: Path, columns: str | None, sounds: Sequence[Path], partial: bool) -> list[_Line]:
    """Lines of a transcript, then recordings that none of them names."""
    rows, names = _table(path, columns)
    index = _Index(home, sounds)
    lines: list[_Line] = []
    named: dict[Path, str] = {}
    for where, row in rows:
        if len(row) != len(names):
            raise InputError(f"{where}: {len(row)} columns between '|' instead of {'|'.join(names)}")
        cells = dict(zip(names, row, strict=True))
        if empty := next((name for name in ("id", "speaker") if cells.get(name) == ""), None):
            raise InputError(f"{where}: the {empty} is empty")
        audio = index.find(cells["id"], path.parent, where)
        if audio is not None:
            if audio in named:
                raise InputError(f"{where}: '{cells['id']}' was there before, in {named[audio]}; leave one text of it")
            named[audio] = where.rpartition(", ")[2]
        raw = cells["text"]
        lines.append(_Line(where, cells["id"], audio, raw, cells.get("normalised") or raw, cells.get("speaker")))
    missing = [line for line in lines if line.audio is None]
    if missing and not partial:
        more = f", and {len(missing) - 1} more are missing" if len(missing) > 1 else ""
        raise InputError(
            f"{missing[0].where}: there is no recording '{missing[0].name}' in {home}{more}; take their lines out, or "
            "give `partial` to go on without"
        )
    return lines + [_Line(str(sound), sound.stem, sound, "", "", None) for sound in sounds if sound not in named]


def _table(path: Path, columns: str | None) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Lines of a transcript, each with its place, and what their columns are called."""
    lines = list(read_lines(path, "give lines of id|text"))
    if lines and lines[0][1].lstrip().startswith("{"):
        found = [json_row(where, line) for where, line in lines]
        named = any(row.speaker is not None for row in found)
        cells = [(row.where, [row.name, _plain(row.text), *([row.speaker or ""] if named else [])]) for row in found]
        return cells, ["id", "text", *(["speaker"] if named else [])]
    rows = [(where, [_plain(cell) for cell in line.split("|")]) for where, line in lines]
    return rows, _names_of_columns(rows, path, columns)


class _Index:
    """Recordings by what transcripts call them: by path or name, with suffix or without, in either form of Unicode."""

    def __init__(self, home: Path, sounds: Sequence[Path]) -> None:
        self._places = (home, home / _WAVS)
        self._real = {os.path.realpath(sound): sound for sound in sounds}
        self._known: dict[str, list[Path]] = {}
        for sound in sounds:
            paths = [sound.relative_to(place) for place in self._places if sound.is_relative_to(place)]
            for name in {form for path in [*paths, Path("*", sound.name)] for form in _forms(path)}:
                self._known.setdefault(name, []).append(sound)

    def find(self, name: str, beside: Path, where: str) -> Path | None:
        """The recording that a line in a file in `beside` means; raises InputError if it may be one or another."""
        for place in (*self._places, beside):
            if _is_file(place / name):
                # The same file may be given by a path that goes another way round.
                return self._real.get(os.path.realpath(place / name), place / name)
        if "\\" in name and not Path(name).parts[1:]:
            name = PureWindowsPath(name).as_posix()
        parts = Path(name).parts
        # Leading folders may be another machine's, but a name that has some never means a file in yet another folder.
        tries = [Path(*parts[k:]) for k in range(len(parts))] + [Path("*", name)] * (len(parts) == 1)
        found = next((self._known[form] for one in tries for form in _forms(one) if form in self._known), [])
        if len(found) > 1:
            raise InputError(f"{where}: '{name}' may be {found[0]} or {found[1]}; give its path")
        return found[0] if found else None


def _forms(path: Path) -> list[str]:
    """A path and, if it is of sound, the same without suffix."""
    forms = [path, *([path.with_suffix("")] if path.suffix.lower() in SOUND_SUFFIXES else [])]
    return [normalize("NFC", form.as_posix()) for form in forms]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A text in the place of a name is too long for one.
        return False


def _names_of_columns(rows: Sequence[tuple[str, list[str]]], path: Path, columns: str | None) -> list[str]:
    if not rows:
        raise InputError(f"{path}: is empty; a line is id|text")
    if columns is not None:
        return columns.split("|")
    where, first = rows[0]
    if len(first) == 1:
        raise InputError(f"{where}: holds no '|'; a line is id|text")
    if len(first) == 2:
        return ["id", "text"]
    if len(first) != 3:
        raise InputError(f"{where}: {len(first)} columns between '|'; say with `columns` what they are")
    if names_speakers([row[1:] for _, row in rows]):
        return ["id", "speaker", "text"]
    thirds = [row[2] for _, row in rows if len(row) == 3 and row[2]]
    like_names = len(set(thirds)) <= len(thirds) / 2 and not any(" " in cell for cell in thirds)
    # Names read as texts would train a voice on nonsense, and texts read as names make a crowd.
    if path.name == _TRANSCRIPT:
        if len(thirds) > 1 and like_names:
            raise InputError(f"{path}: its third column looks like speakers; say so with `columns` 'id|text|speaker'")
        return ["id", "text", "normalised"]
    if len(set(thirds)) > max(2, len(thirds) / 2) and any(" " in cell for cell in thirds):
        raise InputError(f"{path}: its third column looks like texts; say so with `columns` 'id|text|normalised'")
    return ["id", "text", "speaker"]


def _names(folder: Path, lines: Sequence[_Line]) -> list[str]:
    """Names of the clips of all lines. Raises InputError for two of one name."""
    short = [_clean(line.audio.stem if line.audio else line.name) for line in lines]
    alike = len(set(short)) < len(short)
    names = [_clean(_long_name(line.audio, folder)) for line in lines if line.audio] if alike else short
    if alike:
        coming = iter(names)
        names = [next(coming) if line.audio else name for line, name in zip(lines, short, strict=True)]
    name, n = Counter(names).most_common(1)[0]
    if n > 1:
        one, other = [line.audio or line.where for line, its in zip(lines, names, strict=True) if its == name][:2]
        raise InputError(f"{other}: would be clip '{name}', and so would {one}; rename one or take it away")
    return names


def _long_name(audio: Path, folder: Path) -> str:
    """With its folders below `folder`; with the one it is in, if it lies elsewhere."""
    parts = audio.relative_to(folder).parts if audio.is_relative_to(folder) else audio.parts[-2:]
    return "-".join([*(part for part in parts[:-1] if part != _WAVS), audio.stem])


def _clean(name: str) -> str:
    """A name that lists and file systems keep as it is: no column's end, no line's, no spaces around."""
    kept = "".join(c if c.isprintable() and c not in "|/\\" else "_" for c in normalize("NFC", name)).strip()
    return "_" + kept[1:] if kept[:1] in ("", ".") else kept


def _plain(text: str) -> str:
    """Text in one line and one form of Unicode, without spaces around."""
    return normalize("NFC", " ".join(text.split()))


def _untold(folder: Path, n: int) -> str:
    """The error message if no recording has a text."""
    lists = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".txt", ".csv", ".tsv"))
    hint = f", such as {folder / lists[0]}" if lists else ""
    return (
        f"{folder}: none of its {n} recordings has a text; write them into {_TRANSCRIPT} as id|text, or beside each as "
        f".txt, or give `transcript` FILE{hint}"
    )
