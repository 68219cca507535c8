"""Lists of recorded clips: read from a corpus folder or a list file, checked, and split."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from glowtron.audio import Audio, read_audio
from glowtron.errors import InputError, reason

R = TypeVar("R")

SUFFIXES = (".wav", ".flac")
"""What clips may be stored as, in the order they are looked for."""

_MEL_SUFFIXES = (".npy", ".pt")
"""What lists of mels name."""

SILENT_PEAK = 1e-3
"""A clip that never gets louder than this (-60 dB of full scale) holds no speech."""

_MOST_NAMED = 20
"""Faulty clips named in one error; the rest are counted."""


class Clip(NamedTuple):
    """One recording and what is said in it."""

    id: str
    audio: Path
    text: str
    speaker: str


def read_manifest(source: str | Path, speaker: str = "speaker", root: Path | None = None) -> list[Clip]:
    """Clips of a folder in LJSpeech's layout, or of a list file, in the order of the file.

    In a folder, `metadata.csv` holds a line `id|text` or `id|text|normalised text` a clip (no quoting; the normalised
    text is taken where there is one) and `wavs/` the recordings as id.wav or id.flac. A list holds lines `path|text`,
    `path|text|speaker`, or `path` alone, which leaves texts empty; `read_list` says where paths begin. Both are UTF-8,
    or what else `read_text` reads. Empty lines are passed over. Raises InputError that names file and line; of missing
    recordings the first, and how many more there are.
    """
    source = Path(source)
    if source.name == "metadata.csv" and source.is_file():
        raise InputError(f"{source}: belongs to the folder it is in; give {source.parent}")
    if source.is_file():
        return read_list(source, speaker, root)
    path, wavs = source / "metadata.csv", source / "wavs"
    clips: dict[str, Clip] = {}
    missing: list[str] = []
    for where, line in read_lines(path, f"give a folder with it and {wavs.name}/, or a list of path|text"):
        name, text = _read_line(line, where)
        if name in clips:
            raise InputError(f"{where}: id '{name}' was there before; ids must differ")
        audio = _with_suffix(wavs / name)
        if audio is None:
            missing.append(f"{where}: clip '{name}' has no recording {wavs / name}{{{','.join(SUFFIXES)}}}")
        clips[name] = Clip(name, audio or wavs, text, speaker)
    _require_recordings(missing)
    if not clips:
        raise InputError(f"{path}: holds no clips; a line is id|text or id|text|normalised text")
    return list(clips.values())


def read_list(path: Path, speaker: str = "speaker", root: Path | None = None) -> list[Clip]:
    """Clips of a list as the published programs have them: lines `path|text`, `path|text|speaker`, or `path`.

    A path begins in `root`; without one, where the first line's recording is found of the list's folder, the folder
    above it, and the current one. Leading folders of the paths that `root` does not have (`DUMMY/`, `LJSpeech-1.1/`)
    are dropped, in all lines as many as in the first. A mel (`mels/NAME.npy` or `.pt`) stands for the recording it was
    made of (`wavs/NAME.wav`), which is what is read. A clip's id is its file's name, or `folder-name` in a list where
    two files share one. Raises as `read_manifest`.
    """
    rows = _rows(path)
    if speaker != "speaker" and len(rows[0][1]) == 3:
        raise InputError(f"{path}: names the speaker in each line; leave '{speaker}=' out")
    base, dropped = _beginning(path, rows[0][1][0], root)
    clips: dict[str, Clip] = {}
    missing: list[str] = []
    given = [Path(columns[0]) for _, columns in rows]
    alike = len({file.stem for file in given}) < len(given)
    for (where, columns), file in zip(rows, given, strict=True):
        audio = _recording(base.joinpath(*file.parts[dropped:]))
        if audio is None:
            missing.append(f"{where}: there is no recording {base.joinpath(*file.parts[dropped:])}")
        name = f"{file.parent.name}-{file.stem}" if alike else file.stem
        if name in clips:
            raise InputError(f"{where}: a recording called '{name}' was there before; names must differ")
        text, voice = (*columns[1:], *("", speaker)[len(columns) - 1 :])
        clips[name] = Clip(name, audio or base, text, voice)
    _require_recordings(missing)
    return list(clips.values())


def read_corpora(data: Iterable[tuple[str, Path]], root: Path | None = None, *, needs_text: bool = True) -> list[Clip]:
    """Clips of all sources, pairs of a speaker's name and what `read_manifest` reads, no two of one id."""
    clips = [clip for speaker, source in data for clip in read_manifest(source, speaker, root)]
    require_distinct(clips)
    if needs_text and (silent := [clip for clip in clips if not clip.text]):
        raise InputError(f"clip '{silent[0].id}': its list says nothing of its text; a line is path|text")
    return clips


def speakers_of(data: Iterable[tuple[str, Path]]) -> list[str]:
    """Who speaks in the sources, each once, in the order of their first mention."""
    names = (
        name
        for speaker, source in data
        for name in ([columns[2] for _, columns in _rows(source) if len(columns) == 3] if source.is_file() else ())
        or [speaker]
    )
    return list(dict.fromkeys(names))


def read_text(path: Path, otherwise: str) -> str:
    """What a text file says, in UTF-8, or in UTF-16 if it begins with that one's mark; lines end with a line feed.

    Raises InputError for other encodings and, saying what to do `otherwise`, for a file that cannot be read.
    """
    try:
        # Some editors begin a file with the byte order mark.
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}; {otherwise}") from error
    encoding = "UTF-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "UTF-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: not {encoding} at byte {error.start}; save the file as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path, otherwise: str) -> Iterator[tuple[str, str]]:
    """Where each line of a text file is, for errors, and what it says; empty ones left out. Raises as `read_text`."""
    for number, line in enumerate(read_text(path, otherwise).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line


def require_distinct(clips: Iterable[Clip]) -> None:
    """Raise InputError for an id that several corpora hold: files are named by it."""
    seen: dict[str, str] = {}
    for clip in clips:
        if clip.id in seen:
            raise InputError(f"clip id '{clip.id}' is in the data of {seen[clip.id]} and of {clip.speaker}; rename one")
        seen[clip.id] = clip.speaker


def read_clip(clip: Clip, sample_rate: int | None = None) -> Audio:
    """The clip's sound. Raises InputError if it cannot be read (as `read_audio`) or is silent throughout."""
    audio = read_audio(clip.audio, sample_rate)
    if float(np.abs(audio.samples).max()) < SILENT_PEAK:
        raise InputError(f"{clip.audio}: silent from beginning to end")
    return audio


def over_clips(
    clips: Sequence[Clip], work: Callable[[Clip], R], progress: Callable[[int], None] | None = None
) -> list[R]:
    """`work` on each clip, in threads; results in the order of `clips`.

    InputErrors are collected until all clips are done, then raised as one that names each clip.
    """

    def attempt(clip: Clip) -> R | InputError:
        try:
            return work(clip)
        except InputError as error:
            return error

    results: list[R] = []
    faults: list[str] = []
    # Decoding and Fourier transforms run outside the interpreter's lock, so threads are enough.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for done, (clip, result) in enumerate(zip(clips, pool.map(attempt, clips), strict=True), 1):
            if isinstance(result, InputError):
                faults.append(f"{clip.id}: {result}")
            else:
                results.append(result)
            if progress is not None:
                progress(done)
    if faults:
        more = f"; and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise InputError(
            f"{len(faults)} of {len(clips)} clips cannot be used; mend them or take their lines out: "
            + "; ".join(faults[:_MOST_NAMED])
            + more
        )
    return results


def split(clips: Iterable[Clip], n_validation: int, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Training and validation clips, each in the given order.

    Validation takes the `n_validation` clips of each speaker with the lowest hash of (seed, speaker, id). So the choice
    does not depend on the clips' order, and clips added to a corpus change it only by taking a place.
    """
    clips = list(clips)
    kept: set[int] = set()
    for speaker in {clip.speaker for clip in clips}:
        theirs = [i for i, clip in enumerate(clips) if clip.speaker == speaker]
        if not 0 <= n_validation < len(theirs):
            raise InputError(
                f"cannot keep {n_validation} of the {len(theirs)} clips of speaker '{speaker}' for validation and "
                "train on the rest; lower validation_clips"
            )
        kept.update(sorted(theirs, key=lambda i: _rank(clips[i], seed))[:n_validation])
    return [clip for i, clip in enumerate(clips) if i not in kept], [clips[i] for i in sorted(kept)]


def _rank(clip: Clip, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}|{clip.speaker}|{clip.id}".encode()).digest()


def _read_line(line: str, where: str) -> tuple[str, str]:
    """Id and text of a clip."""
    columns = line.split("|")
    if len(columns) not in (2, 3):
        raise InputError(f"{where}: {len(columns)} columns between '|' instead of id|text or id|text|normalised text")
    name = columns[0].strip()
    text = columns[-1].strip() or columns[1].strip()
    if not name:
        raise InputError(f"{where}: the id is empty")
    if not text:
        raise InputError(f"{where}: clip '{name}' has no text")
    return name, text


def _rows(path: Path) -> list[tuple[str, list[str]]]:
    """Where each line of a list is and its columns, all of one number and none empty."""
    rows = [
        (where, [column.strip() for column in line.split("|")])
        for where, line in read_lines(path, "give a list of path|text")
    ]
    if not rows:
        raise InputError(f"{path}: holds no clips; a line is path|text, path|text|speaker or path")
    n_columns = len(rows[0][1])
    for where, columns in rows:
        if len(columns) != n_columns:
            raise InputError(f"{where}: {len(columns)} columns between '|', the first line has {n_columns}")
        if n_columns > 3:
            raise InputError(f"{where}: {n_columns} columns between '|' instead of path|text or path|text|speaker")
        if "" in columns:
            raise InputError(f"{where}: the {('path', 'text', 'speaker')[columns.index('')]} is empty")
    return rows


def _beginning(path: Path, first: str, root: Path | None) -> tuple[Path, int]:
    """The folder in which a list's paths begin, and how many leading folders of them are left out."""
    parts = Path(first).parts
    if root is not None:
        options = [(root, dropped) for dropped in range(len(parts))]
    else:
        options = [(path.parent, 0), (path.parent.parent, 0), (Path(), 0)]
    for base, dropped in options:
        if _recording(base.joinpath(*parts[dropped:])) is not None:
            return base, dropped
    places = f"{root}" if root is not None else "the list's folder, the one above, or the current one"
    raise InputError(f"{path}: the first line's recording {first} is not in {places}; give --root the folder it is in")


def _recording(path: Path) -> Path | None:
    """The recording that a list's path means, if it is there."""
    if path.suffix in _MEL_SUFFIXES:
        return _with_suffix(path.parent.parent / "wavs" / path.stem)
    return path if path.is_file() else None


def _with_suffix(path: Path) -> Path | None:
    return next((file for suffix in SUFFIXES if (file := path.with_name(path.name + suffix)).is_file()), None)


def _require_recordings(missing: Sequence[str]) -> None:
    if missing:
        more = f", and {len(missing) - 1} more clips have none" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}{more}; take their lines out")
