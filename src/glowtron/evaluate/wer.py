"""How much of a text a hypothesis has: words aligned to words."""

from __future__ import annotations

import re
from typing import NamedTuple

from glowtron.config import TextConfig
from glowtron.text.frontend import make_frontend

# The recogniser's dictionary writes these titles short; the frontend always says them in full.
_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint"}


class WordCount(NamedTuple):
    """How the words of a text fare in a hypothesis; counts add up over sentences by `+`-ing field by field."""

    words: int
    """Words of the text, N."""
    substituted: int
    """S: heard as another word."""
    deleted: int
    """D: not heard."""
    inserted: int
    """I: heard, but not in the text."""

    @property
    def share(self) -> float:
        """Share of the text's words that were recognised, 1 - (S + D) / N; 0 for a text without words."""
        return 1.0 - (self.substituted + self.deleted) / self.words if self.words else 0.0

    @property
    def error_rate(self) -> float:
        """Word error rate (S + D + I) / N, which insertions can carry over 1."""
        return (self.substituted + self.deleted + self.inserted) / self.words if self.words else 0.0


def total(counts: list[WordCount]) -> WordCount:
    """One count over many sentences, so that every word weighs the same."""
    return WordCount(*(sum(column) for column in zip(*counts, strict=True))) if counts else WordCount(0, 0, 0, 0)


def spoken_words(text: str) -> list[str]:
    """Words of `text` as they are compared.

    The `english` frontend spells out numbers, abbreviations and signs; then everything but letters and apostrophes
    separates words, apostrophes at the edges go, and short titles are written in full.
    """
    return plain_words(make_frontend(TextConfig(frontend="english")).clean(text))


def count_words(reference: list[str], hypothesis: list[str]) -> WordCount:
    """Align two word lists with the fewest substitutions, deletions and insertions.

    Among alignments with equally few, the one with most matches counts, so that the answer is unique.
    """
    # Each cell holds (edits, -matches) of the best alignment of the two beginnings, compared in that order.
    above = [(column, 0) for column in range(len(hypothesis) + 1)]
    for row, word in enumerate(reference, start=1):
        line = [(row, 0)]
        for column, heard in enumerate(hypothesis, start=1):
            edits, matches = above[column - 1]
            diagonal = (edits, matches - 1) if word == heard else (edits + 1, matches)
            deleted = (above[column][0] + 1, above[column][1])
            inserted = (line[-1][0] + 1, line[-1][1])
            line.append(min(diagonal, deleted, inserted))
        above = line
    edits, negative_matches = above[-1]
    n, heard_n, matched = len(reference), len(hypothesis), -negative_matches
    # N = matched + S + D and H = matched + S + I, and edits = S + D + I: three equations for three unknowns.
    substituted = n + heard_n - 2 * matched - edits
    return WordCount(n, substituted, n - matched - substituted, heard_n - matched - substituted)


def plain_words(text: str | list[str]) -> list[str]:
    """Lower-case words of letters and apostrophes, the recogniser's short titles in full."""
    joined = text if isinstance(text, str) else " ".join(text)
    words = (word.strip("'") for word in re.findall(r"[a-z']+", joined.lower().replace("\u2019", "'")))
    return [_TITLES.get(word, word) for word in words if word]
