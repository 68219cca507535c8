"""Captions of a text's sound: SRT and WebVTT for players, JSON with the times of words and symbols for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from glowtron.errors import InputError, nearest
from glowtron.synthesis.types import Utterance, WordTime

FORMATS = ("srt", "vtt", "json")
MAX_CHARS = 84
"""Characters of one cue: two lines of 42, which can be read while they are spoken."""


class Caption(NamedTuple):
    """A sentence and when it is heard, in seconds from the beginning of the text's sound."""

    text: str
    """As written, on one line."""
    start_s: float
    end_s: float
    words: tuple[WordTime, ...]
    """As they are spoken."""

    def shifted(self, seconds: float) -> Caption:
        """The same sentence, heard so much later."""
        words = tuple(word.shifted(seconds) for word in self.words)
        return Caption(self.text, self.start_s + seconds, self.end_s + seconds, words)


def make_caption(utterance: Utterance, start_s: float, duration_s: float) -> Caption:
    """The caption of a finished sentence whose sound begins at `start_s` and lasts `duration_s`, without the pause."""
    words = tuple(_in_line(word.shifted(start_s), utterance.text) for word in utterance.words)
    return Caption(" ".join(utterance.text.split()), start_s, start_s + duration_s, words)


def _in_line(word: WordTime, text: str) -> WordTime:
    """A word of `text` with its place in the text on one line."""
    if word.span is None:
        return word
    start, end = (len(" ".join((text[:place] + "|").split())) - 1 for place in word.span)
    return word._replace(span=(start, end))


def format_captions(captions: Sequence[Caption], format: str) -> str:
    """The content of a caption file in one of `FORMATS`. Raises InputError if it is none."""
    if format not in FORMATS:
        raise InputError(f"unknown format of captions '{format}'{nearest(format, FORMATS)}")
    if format == "json":
        return json.dumps([_as_json(caption) for caption in captions], ensure_ascii=False, indent=1) + "\n"
    cues = [cue for caption in captions for cue in _cues(caption)]
    if format == "srt":
        return "".join(
            f"{i}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
            for i, (text, start, end) in enumerate(cues, 1)
        )
    return "WEBVTT\n\n" + "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{escape(text, quote=False)}\n\n" for text, start, end in cues
    )


def _cues(caption: Caption) -> list[tuple[str, float, float]]:
    """Text, start and end of each part of a caption that fits a screen."""
    parts = _wrap(caption.text)
    if len(parts) == 1 or not caption.words:
        return [(caption.text, caption.start_s, caption.end_s)]
    starts = [*(word.start_s for word in caption.words), caption.end_s]
    cuts = [*accumulate(len(part) + 1 for part in parts[:-1])]
    if all(word.span is not None for word in caption.words):
        # A part begins with the first word that is the reading of something in it.
        begins = [word.span[0] if word.span else 0 for word in caption.words]
        first = [next((i for i, begin in enumerate(begins) if begin >= cut), len(begins)) for cut in cuts]
        times = [caption.start_s, *(starts[i] for i in first), caption.end_s]
        return [(part, start, end) for part, start, end in zip(parts, times, times[1:], strict=False)]
    # What is written and what is spoken need not have the same words ("1985"), so a cut lies at the spoken word that is
    # as far in the spoken text as the cut is in the written one.
    spoken = np.array([0, *accumulate(len(word.text) + 1 for word in caption.words)], dtype=float)
    shares = np.array(cuts) / (len(caption.text) + 1) * spoken[-1]
    times = [caption.start_s, *(starts[int(np.abs(spoken - share).argmin())] for share in shares), caption.end_s]
    return [(part, start, end) for part, start, end in zip(parts, times, times[1:], strict=False)]


def _wrap(text: str) -> list[str]:
    """Parts of about one length, of `MAX_CHARS` at most where words allow it."""
    n_parts = -(-len(text) // MAX_CHARS)
    parts: list[str] = []
    for word in text.split(" "):
        length = min(MAX_CHARS, len(text) // n_parts + 6)
        if parts and len(parts[-1]) + 1 + len(word) <= length:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts


def _clock(seconds: float, point: str) -> str:
    n_ms = round(seconds * 1000)
    return f"{n_ms // 3_600_000:02}:{n_ms // 60_000 % 60:02}:{n_ms // 1000 % 60:02}{point}{n_ms % 1000:03}"


def _as_json(caption: Caption) -> dict[str, object]:
    return {
        "text": caption.text,
        "start_s": round(caption.start_s, 3),
        "end_s": round(caption.end_s, 3),
        "words": [
            {
                "text": word.text,
                "start_s": round(word.start_s, 3),
                "end_s": round(word.end_s, 3),
                "span": word.span,
                "symbols": [
                    {"symbol": one.symbol, "start_s": round(one.start_s, 3), "end_s": round(one.end_s, 3)}
                    for one in word.symbols
                ],
            }
            for word in caption.words
        ],
    }
