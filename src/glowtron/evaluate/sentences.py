"""Test sentences: unseen ones, and texts that are hard for synthesis."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from glowtron.errors import InputError

_HARD = Path(__file__).parent / "hard_sentences.txt"
_FEWEST_WORDS = 3


class Sentence(NamedTuple):
    """A text to be spoken."""

    id: str
    text: str


def unseen_sentences(metadata: Path, seen: Collection[str], n: int, seed: int) -> list[Sentence]:
    """`n` sentences of a transcript file, drawn by `seed`, none of them with an id or a text in `seen`.

    metadata: lines `id|text` or `id|text|normalised text`, as in LJSpeech; the last column is taken. Sentences of under
    three words are left out: they are the hard list's business. Fewer come back where the file has fewer. Raises
    InputError if it cannot be read or has none.
    """
    try:
        lines = metadata.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{metadata}: cannot be read as transcripts: {error}; give lines of id|text") from error
    rows = (line.rstrip("\r").split("|") for line in lines)
    sentences = {row[-1].strip(): Sentence(row[0].strip(), row[-1].strip()) for row in rows if len(row) > 1}
    fresh = [
        sentence
        for sentence in sentences.values()
        if sentence.id not in seen and sentence.text not in seen and len(sentence.text.split()) >= _FEWEST_WORDS
    ]
    if not fresh:
        raise InputError(f"{metadata}: has no sentence that is not in the training data; give another file")
    # Ranked by its own number each, so that a larger `n` only adds sentences to those of a smaller one.
    random.Random(seed).shuffle(fresh)
    return fresh[:n]


def hard_sentences() -> list[Sentence]:
    """Texts that trip synthesis up, from one letter to a sentence of 200 words; the id begins with the kind."""
    lines = _HARD.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|", 1) for line in lines if line and not line.startswith("#")]
    return [Sentence(f"{kind} {number}", text) for number, (kind, text) in enumerate(rows, 1)]
