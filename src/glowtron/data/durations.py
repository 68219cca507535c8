"""Forced alignments as acoustic models use them: the frames that each symbol lasts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from glowtron.config import MelConfig
from glowtron.data.manifest import Clip
from glowtron.errors import InputError, reason

SLACK_S = 0.1
"""Seconds by which an alignment may end after its clip does: aligners count in frames of their own."""


class Alignment(NamedTuple):
    """The end of each symbol of a clip's text."""

    symbols: tuple[int, ...]
    """Symbol ids as the text frontend gives them."""
    ends: tuple[float, ...]
    """Seconds from the clip's beginning, non-decreasing."""


def read_alignments(path: str | Path) -> dict[str, Alignment]:
    """Alignments by clip id, from lines of JSON `{"id": ..., "symbols": [...], "ends": [...]}`.

    Raises InputError that names file and line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as alignments: {reason(error)}") from error
    alignments: dict[str, Alignment] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            name, alignment = _read_line(line, f"{path}, line {number}")
            if name in alignments:
                raise InputError(f"{path}, line {number}: clip '{name}' was there before")
            alignments[name] = alignment
    return alignments


def read_alignments_of(clips: Sequence[Clip], files: Sequence[Path | tuple[str, Path]]) -> dict[str, Alignment]:
    """Alignments of the clips that have one, by clip id; `files` may be pairs of the speaker they are of, and a path.

    Of several files that hold a clip, the last counts. Raises InputError if clips of several speakers have one id and
    a file does not say whose it is.
    """
    pairs = [file if isinstance(file, tuple) else (None, file) for file in files]
    tables = [(speaker, path, read_alignments(path)) for speaker, path in pairs]
    found: dict[str, Alignment] = {}
    for clip in clips:
        for speaker, path, table in tables:
            one = table.get(clip.id) or (table.get(clip.own_id) if clip.own_id else None)
            if one is None or speaker not in (None, clip.speaker):
                continue
            if clip.own_id and clip.id not in table and speaker is None:
                raise InputError(
                    f"{path}: clips of several speakers are called '{clip.own_id}'; say whose these are: `alignments` "
                    f"{clip.speaker}={path}"
                )
            found[clip.id] = one
    return found


def durations(alignment: Alignment, n_frames: int, config: MelConfig) -> list[int]:
    """Mel frames that each symbol lasts: those centred before its end and not before its predecessor's.

    They sum to `n_frames` exactly: the last symbol takes what follows its end. Short symbols may get none. Raises
    InputError if the alignment goes on past the end of the clip.
    """
    frames_a_second = config.sample_rate / config.hop_length
    if alignment.ends[-1] > n_frames / frames_a_second + SLACK_S:
        raise InputError(
            f"its alignment ends at {alignment.ends[-1]:.2f} s but the clip at {n_frames / frames_a_second:.2f} s; "
            "align the corpus again"
        )
    # Rounded first, so that an end that falls on a frame's centre does not depend on the last bit.
    ends = [min(n_frames, math.ceil(round(end * frames_a_second, 6))) for end in alignment.ends]
    ends[-1] = n_frames
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _read_line(line: str, where: str) -> tuple[str, Alignment]:
    try:
        value = json.loads(line)
        name = str(value["id"])
        symbols = tuple(int(symbol) for symbol in value["symbols"])
        ends = tuple(float(end) for end in value["ends"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{where}: no alignment: a line is {{'id': ..., 'symbols': [...], 'ends': [...]}}") from error
    if not symbols or len(symbols) != len(ends):
        raise InputError(f"{where}: clip '{name}' has {len(symbols)} symbols and {len(ends)} ends")
    if ends[0] < 0 or not all(math.isfinite(end) for end in ends) or any(b < a for a, b in pairwise(ends)):
        raise InputError(f"{where}: clip '{name}': ends must not be negative or decrease")
    return name, Alignment(symbols, ends)
