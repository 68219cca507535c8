"""Lists of recorded clips: read from a corpus folder or a list file, checked, and split."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple, TypeVar

import numpy as np

from glowtron.audio import Audio, read_audio
from glowtron.errors import InputError, reason

R = TypeVar("R")

METADATA, METADATA_JSON = "metadata.csv", "metadata.jsonl"
"""Transcripts of a folder: of LJSpeech's or Piper's layout, and of a Hugging Face data set."""
SUFFIXES = (".wav", ".flac")
"""Suffixes of clips, in the order they are looked for."""

_MEL_SUFFIXES = (".npy", ".pt")
"""Suffixes of mels in lists."""

_JSON_PATHS = ("audio_filepath", "file_name", "audio", "path")
_JSON_TEXTS = ("normalized_text", "text", "transcription", "transcript", "sentence")
_JSON_SPEAKERS = ("speaker", "speaker_name", "speaker_id")
"""Keys of JSON lines, the first that is there counts."""

SILENT_PEAK = 1e-3
"""A clip that never gets louder than this (-60 dB of full scale) holds no speech."""

_MOST_NAMED = 20
"""Faulty clips named in one error; the rest are counted."""


class Clip(NamedTuple):
    """One recording and its text."""

    id: str
    """Unique in a run. Files of the clip, such as its mel, are named by it."""
    audio: Path
    text: str
    speaker: str
    own_id: str = ""
    """The id in the clip's own corpus, if another corpus has the same and `id` had to be made unique."""

    @property
    def label(self) -> str:
        """`speaker/id`, with the id that the clip has in its own corpus."""
        return f"{self.speaker}/{self.own_id or self.id}"


class Row(NamedTuple):
    """A line of a list or a transcript."""

    where: str
    """File and line, for errors."""
    name: str
    """Path, or id in a folder's metadata.csv."""
    text: str
    speaker: str | None


def read_manifest(source: str | Path, speaker: str = "speaker", root: Path | None = None) -> list[Clip]:
    """Clips of a folder in LJSpeech's layout, or of a list file, in the order of the file.

    A folder has its recordings in `wavs/`, as id.wav or id.flac, and a `metadata.csv` with a line for each clip:
    `id|text` or `id|text|normalised text` (no quoting; the normalised text is taken if there is one), or Piper's
    `id|speaker|text`. A folder of a Hugging Face data set has a `metadata.jsonl` instead. A list is a file as
    `read_list` reads it. All are UTF-8, or UTF-16 as `read_text` reads it. Empty lines are skipped.

    Args:
        source: The folder or the list.
        speaker: Name of the speaker, if the lines name none. Another name than the default must not be given if they
            do.
        root: Folder in which the paths of lists begin.

    Raises:
        InputError: A file that cannot be read, with its line; of missing recordings the first, and how many there are.
    """
    source = Path(source)
    if source.name == METADATA and source.is_file():
        raise InputError(f"{source}: belongs to the folder it is in; give {source.parent}")
    if source.is_file():
        return read_list(source, speaker, root)
    path, wavs = source / METADATA, source / "wavs"
    if not path.exists() and (source / METADATA_JSON).is_file():
        return read_list(source / METADATA_JSON, speaker, root)
    clips: dict[str, Clip] = {}
    missing: list[str] = []
    for where, name, text, own_speaker in _with_speaker(_read_metadata(path, wavs), path, speaker):
        if name in clips:
            raise InputError(f"{where}: id '{name}' was there before; ids must differ")
        audio = _with_suffix(wavs / name)
        if audio is None:
            missing.append(f"{where}: clip '{name}' has no recording {wavs / name}{{{','.join(SUFFIXES)}}}")
        clips[name] = Clip(name, audio or wavs, text, own_speaker or speaker)
    _require_recordings(missing)
    if not clips:
        raise InputError(f"{path}: holds no clips; a line is id|text or id|text|normalised text")
    return list(clips.values())


def read_list(path: Path, speaker: str = "speaker", root: Path | None = None) -> list[Clip]:
    r"""Clips of a list: lines `path|text`, `path|text|speaker`, `path|speaker|text`, or `path`; or JSON lines.

    If of the last two of three columns one holds few names and the other texts, this says which is which. JSON lines
    are those of NeMo's manifests (`audio_filepath`, `text`, `speaker`) and of Hugging Face's `metadata.jsonl`
    (`file_name`, `transcription` or `text`).

    A path begins in `root`; without one, in the list's folder, the folder above it, or the current one, wherever the
    first line's recording is found. Leading folders of the paths that `root` does not have (`DUMMY/`, `LJSpeech-1.1/`)
    are dropped, in all lines as many as in the first. Windows paths (`wavs\a.wav`, `C:\data\a.wav`) are read
    everywhere. A mel (`mels/NAME.npy` or `.pt`) stands for the recording it was made of (`wavs/NAME.wav`). A clip's id
    is its file's name, or `folder-name` in a list where two files share one. Raises as `read_manifest`.
    """
    rows = _with_speaker(_rows(path), path, speaker)
    base, dropped, windows = _beginning(path, rows[0].name, root)
    clips: dict[str, Clip] = {}
    missing: list[str] = []
    given = [_path(row.name, windows) for row in rows]
    alike = len({file.stem for file in given}) < len(given)
    for (where, _, text, own_speaker), file in zip(rows, given, strict=True):
        audio = _recording(base.joinpath(*file.parts[dropped:]))
        if audio is None:
            missing.append(f"{where}: there is no recording {base.joinpath(*file.parts[dropped:])}")
        name = f"{file.parent.name}-{file.stem}" if alike else file.stem
        if name in clips:
            raise InputError(f"{where}: a recording called '{name}' was there before; names must differ")
        clips[name] = Clip(name, audio or base, text, own_speaker or speaker)
    _require_recordings(missing)
    return list(clips.values())


def read_corpora(data: Iterable[tuple[str, Path]], root: Path | None = None, *, needs_text: bool = True) -> list[Clip]:
    """Clips of all sources, pairs of a speaker's name and what `read_manifest` reads, with unique ids.

    An id that clips of several speakers have becomes `speaker-id` for each of them.
    """
    clips = make_unique([clip for speaker, source in data for clip in read_manifest(source, speaker, root)])
    if needs_text and (silent := [clip for clip in clips if not clip.text]):
        raise InputError(f"clip '{silent[0].id}': its list says nothing of its text; a line is path|text")
    return clips


def speakers_of(data: Iterable[tuple[str, Path]]) -> list[str]:
    """Speakers of the sources, each once, in the order of their first mention."""
    names = (name for speaker, source in data for name in _named_speakers(source) or [speaker])
    return list(dict.fromkeys(names))


def _named_speakers(source: Path) -> list[str]:
    """Speakers that a list or a transcript names itself."""
    if source.is_file():
        rows = _rows(source)
    elif (source / METADATA).is_file():
        rows = _read_metadata(source / METADATA, source / "wavs")
    elif (source / METADATA_JSON).is_file():
        rows = _rows(source / METADATA_JSON)
    else:
        return []
    return [row.speaker for row in rows if row.speaker is not None]


def make_unique(clips: Sequence[Clip]) -> list[Clip]:
    """The clips, with `speaker-id` in place of an id that several speakers have.

    Raises InputError for one recording of two speakers, for one speaker with two clips of one id, and if the new ids
    are not unique either.
    """
    groups: dict[str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(clip.id, []).append(clip)
    unique = []
    for clip in clips:
        group = groups[clip.id]
        if all(other.speaker == clip.speaker for other in group):
            unique.append(clip)
            continue
        if len({other.audio.resolve() for other in group}) < len(group):
            names = " and of ".join(other.speaker for other in group)
            raise InputError(f"clip id '{clip.id}' is in the data of {names}, with the same recording; leave one out")
        unique.append(clip._replace(id=f"{clip.speaker}-{clip.id}", own_id=clip.id))
    seen: dict[str, Clip] = {}
    for clip in unique:
        if clip.id in seen:
            raise InputError(
                f"clip id '{clip.id}' is in the data of {seen[clip.id].speaker} and of {clip.speaker}; rename one"
                if seen[clip.id].speaker != clip.speaker
                else f"clip id '{clip.own_id or clip.id}' is twice in the data of {clip.speaker}; rename one, or name "
                "another speaker for one of the folders: `data` NAME=FOLDER"
            )
        seen[clip.id] = clip
    return unique


def read_text(path: Path, otherwise: str) -> str:
    """Content of a text file, in UTF-8, or in UTF-16 if it begins with its byte order mark; lines end with a line feed.

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
    """Place of each line of a text file, for errors, and the line; empty ones are left out. Raises as `read_text`."""
    for number, line in enumerate(read_text(path, otherwise).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line


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
                f"train on the rest; lower it: `training.validation_clips={len(theirs) // 10}`"
            )
        kept.update(sorted(theirs, key=lambda i: _rank(clips[i], seed))[:n_validation])
    return [clip for i, clip in enumerate(clips) if i not in kept], [clips[i] for i in sorted(kept)]


def _rank(clip: Clip, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}|{clip.speaker}|{clip.own_id or clip.id}".encode()).digest()


def _read_metadata(path: Path, wavs: Path) -> list[Row]:
    """Lines of a folder's metadata.csv."""
    lines = list(read_lines(path, f"give a folder with it and {wavs.name}/, or a list of path|text"))
    table = [(where, [column.strip() for column in line.split("|")]) for where, line in lines]
    speaker_first = names_speakers([columns[1:] for _, columns in table])
    rows = []
    for where, columns in table:
        if len(columns) not in (2, 3):
            raise InputError(
                f"{where}: {len(columns)} columns between '|' instead of id|text, id|text|normalised text or "
                "id|speaker|text"
            )
        name = columns[0]
        text = columns[2] if speaker_first else columns[-1] or columns[1]
        if not name:
            raise InputError(f"{where}: the id is empty")
        if not text:
            raise InputError(f"{where}: clip '{name}' has no text")
        rows.append(Row(where, name, text, columns[1] if speaker_first else None))
    return rows


def names_speakers(table: Sequence[Sequence[str]]) -> bool:
    """True if the first of two columns holds speakers and the second texts, not a text and its normalised form.

    Names are few, each is on two lines at least on average, and they are one word; texts are mostly several words.
    """
    if len(table) < 2 or any(len(columns) != 2 for columns in table):
        return False
    first, second = zip(*table, strict=True)
    if "" in first or any(len(name.split()) != 1 for name in first) or len(set(first)) > len(first) / 2:
        return False
    return sum(len(text.split()) > 1 for text in second) > len(second) / 2


def _rows(path: Path) -> list[Row]:
    """Lines of a list. Raises InputError for one that is empty or has lines of several kinds."""
    lines = list(read_lines(path, "give a list of path|text"))
    if not lines:
        raise InputError(f"{path}: holds no clips; a line is path|text, path|text|speaker or path")
    if lines[0][1].lstrip().startswith("{"):
        return [json_row(where, line) for where, line in lines]
    table = [(where, [column.strip() for column in line.split("|")]) for where, line in lines]
    n_columns = len(table[0][1])
    speaker_first = names_speakers([columns[1:] for _, columns in table])
    order = ("path", "speaker", "text") if speaker_first else ("path", "text", "speaker")
    rows = []
    for where, columns in table:
        if len(columns) != n_columns:
            raise InputError(f"{where}: {len(columns)} columns between '|', the first line has {n_columns}")
        if n_columns > 3:
            raise InputError(f"{where}: {n_columns} columns between '|' instead of path|text or path|text|speaker")
        if "" in columns:
            raise InputError(f"{where}: the {order[columns.index('')]} is empty")
        cells = dict(zip(order, columns, strict=False))
        rows.append(Row(where, cells["path"], cells.get("text", ""), cells.get("speaker")))
    return rows


def json_row(where: str, line: str) -> Row:
    """A line of NeMo's manifest or of a Hugging Face metadata.jsonl."""
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: is not JSON, as the first line is: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: is not a JSON object, as the first line is")

    def first_of(keys: Sequence[str]) -> Any:
        return next((value[key] for key in keys if value.get(key) not in (None, "")), None)

    name, text, speaker = (first_of(keys) for keys in (_JSON_PATHS, _JSON_TEXTS, _JSON_SPEAKERS))
    if not isinstance(name, str):
        raise InputError(f"{where}: names no recording; give its path as one of {', '.join(_JSON_PATHS)}")
    if text is not None and not isinstance(text, str):
        raise InputError(f"{where}: its text is no string")
    if value.get("offset"):
        raise InputError(f"{where}: begins {value['offset']} s into its recording; cut it into a file of its own first")
    return Row(where, name, (text or "").strip(), None if speaker is None else str(speaker))


def _with_speaker(rows: Sequence[Row], path: Path, speaker: str) -> Sequence[Row]:
    """The rows. Raises InputError if they name speakers, and one is given for all of them as well."""
    if speaker != "speaker" and any(row.speaker is not None for row in rows):
        raise InputError(f"{path}: names the speaker in each line; leave '{speaker}=' out")
    return rows


def _path(name: str, windows: bool) -> Path:
    """A path as it is written in a list; one of Windows begins at `/` elsewhere."""
    if not windows:
        return Path(name)
    path = PureWindowsPath(name)
    return Path("/" if path.anchor else "", *path.parts[bool(path.anchor) :])


def _beginning(path: Path, first: str, root: Path | None) -> tuple[Path, int, bool]:
    """Folder in which a list's paths begin, number of leading folders to leave out, and whether they are of Windows."""
    for windows in (False, True) if "\\" in first else (False,):
        parts = _path(first, windows).parts
        if root is not None:
            options = [(root, dropped) for dropped in range(len(parts))]
        else:
            options = [(path.parent, 0), (path.parent.parent, 0), (Path(), 0)]
        for base, dropped in options:
            if _recording(base.joinpath(*parts[dropped:])) is not None:
                return base, dropped, windows
    places = f"{root}" if root is not None else "the list's folder, the one above, or the current one"
    raise InputError(f"{path}: the first line's recording {first} is not in {places}; give `root` the folder it is in")


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
