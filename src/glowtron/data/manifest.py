"""Lists of recorded clips: read from a corpus folder, checked, and split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from glowtron.audio import Audio, read_audio
from glowtron.errors import InputError, reason

R = TypeVar("R")

SUFFIXES = (".wav", ".flac")
"""What clips may be stored as, in the order they are looked for."""

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


def read_manifest(folder: str | Path, speaker: str = "speaker") -> list[Clip]:
    """Clips of a folder in LJSpeech's layout, in the order of the file.

    `metadata.csv` holds a line `id|text` or `id|text|normalised text` a clip (UTF-8, no quoting; the normalised text is
    taken where there is one) and `wavs/` the recordings as id.wav or id.flac. Empty lines are passed over. Raises
    InputError that names file and line; of missing recordings the first, and how many more there are.
    """
    folder = Path(folder)
    path, wavs = folder / "metadata.csv", folder / "wavs"
    try:
        # Some editors begin a file with the byte order mark.
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}; give a folder with it and wavs/") from error
    clips: dict[str, Clip] = {}
    missing: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{path}, line {number}"
            name, text = _read_line(line, where)
            if name in clips:
                raise InputError(f"{where}: id '{name}' was there before; ids must differ")
            audio = next((file for suffix in SUFFIXES if (file := wavs / (name + suffix)).is_file()), None)
            if audio is None:
                missing.append(f"{where}: clip '{name}' has no recording {wavs / name}{{{','.join(SUFFIXES)}}}")
            clips[name] = Clip(name, audio or wavs, text, speaker)
    if missing:
        more = f", and {len(missing) - 1} more clips have none" if len(missing) > 1 else ""
        raise InputError(f"{missing[0]}{more}; take their lines out")
    if not clips:
        raise InputError(f"{path}: holds no clips; a line is id|text or id|text|normalised text")
    return list(clips.values())


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
            f"{len(faults)} of {len(clips)} clips cannot be used; mend them or take their lines out of metadata.csv: "
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


def _read_line(line: bytes, where: str) -> tuple[str, str]:
    """Id and text of a clip."""
    try:
        columns = line.rstrip(b"\r").decode("utf-8").split("|")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 at byte {error.start}; convert the file to UTF-8") from error
    if len(columns) not in (2, 3):
        raise InputError(f"{where}: {len(columns)} columns between '|' instead of id|text or id|text|normalised text")
    name = columns[0].strip()
    text = columns[-1].strip() or columns[1].strip()
    if not name:
        raise InputError(f"{where}: the id is empty")
    if not text:
        raise InputError(f"{where}: clip '{name}' has no text")
    return name, text
