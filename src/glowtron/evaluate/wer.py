"""Word error rate: the words heard aligned to the words of the text, both written alike.

Numbers and abbreviations are spelled out on both sides, and what sounds alike counts as right: `colour` and `color`,
`their` and `there`, `newcomer` and `new comer`. A recogniser chooses a spelling; a voice is judged by its sound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.text.frontend import Frontend, make_frontend

# The recognisers write these titles short; the frontend always says them in full.
_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint"}
_NUMBERS = frozenset(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety".split()
)
_LARGE_NUMBERS = frozenset({"hundred", "thousand", "million"})
_LONGEST_JOIN = 3
"""Words that may be written as one."""


class WordCount(NamedTuple):
    """Word errors of a hypothesis; counts of sentences are added field by field."""

    words: int
    """Words of the text, N."""
    substituted: int
    """S: heard as another word."""
    deleted: int
    """D: not heard."""
    inserted: int
    """I: heard, but not in the text."""

    @property
    def correct(self) -> float:
        """Share of the text's words that were recognised, 1 - (S + D) / N; 0 for a text without words."""
        return 1.0 - (self.substituted + self.deleted) / self.words if self.words else 0.0

    @property
    def error_rate(self) -> float:
        """Word error rate (S + D + I) / N, which insertions can carry over 1; 0 for a text without words."""
        return (self.substituted + self.deleted + self.inserted) / self.words if self.words else 0.0


def total(counts: list[WordCount]) -> WordCount:
    """One count over many sentences, so that every word weighs the same."""
    return WordCount(*(sum(column) for column in zip(*counts, strict=True))) if counts else WordCount(0, 0, 0, 0)


def spoken_words(text: str) -> list[str]:
    """Words of `text` as they are compared; none where it holds nothing speakable.

    The `english` frontend spells out numbers, abbreviations and signs; then everything but letters and apostrophes
    separates words, apostrophes at the edges go, and short titles are written in full.
    """
    try:
        return plain_words(make_frontend(TextConfig(frontend="english")).normalize(text))
    except InputError:
        return []


def plain_words(text: str) -> list[str]:
    """Lower-case words of letters and apostrophes, short titles in full, numbers said one way."""
    words = (word.strip("'") for word in re.findall(r"[a-z']+", text.lower().replace("\u2019", "'")))
    return _numbers_alike([_TITLES.get(word, word) for word in words if word])


def _numbers_alike(words: list[str]) -> list[str]:
    """Numbers in words as a recogniser's digits come back: `a hundred and five`, `nineteen oh five` by `hundred`."""
    alike: list[str] = []
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word == "and" and before in _LARGE_NUMBERS and after in _NUMBERS:
            continue
        if word == "a" and after in _LARGE_NUMBERS:
            word = "one"
        if word == "oh" and before in _NUMBERS and after in _NUMBERS:
            word = "hundred"
        alike.append(word)
    return alike


class Pronunciations:
    """Looks up and guesses how words sound, by the `english` frontend with phones."""

    def __init__(self) -> None:
        self._frontend: Frontend | None = None
        self.of = lru_cache(maxsize=100_000)(self._look_up)

    def _look_up(self, word: str) -> str:
        """Phones of one word said alone, without stress, each followed by a space."""
        if self._frontend is None:  # Its dictionary takes a second, and is not always needed.
            self._frontend = make_frontend(TextConfig(frontend="english", phonemes=True))
        phones = [
            phone
            for said in self._frontend.encode(word).words
            if said.pronunciation is not None
            for phone in said.pronunciation.phones
        ]
        return "".join(f"{re.sub('[0-9]', '', phone)} " for phone in phones)


def count_words(
    reference: Sequence[str], hypothesis: Sequence[str], sound: Callable[[str], str] | None = None
) -> WordCount:
    """Align two word lists with the fewest substitutions, deletions and insertions.

    sound: gives a word's pronunciation; words of one sound are then the same word. Up to three words match one that is
    written, or sounds, like them joined. Among alignments with equally few errors, the one with most matches counts.
    """
    # A cell holds (errors, -words matched, S, D, I) of the best alignment of two beginnings, compared in that order.
    cells: list[list[tuple[int, int, int, int, int]]] = []
    for i in range(len(reference) + 1):
        cells.append([])
        for j in range(len(hypothesis) + 1):
            ways = [(0, 0, 0, 0, 0)] if i == j == 0 else []
            if i:
                e, m, s, d, n = cells[i - 1][j]
                ways.append((e + 1, m, s, d + 1, n))
            if j:
                e, m, s, d, n = cells[i][j - 1]
                ways.append((e + 1, m, s, d, n + 1))
            if i and j:
                e, m, s, d, n = cells[i - 1][j - 1]
                ways.append((e + 1, m, s + 1, d, n))
            for n_ref, n_hyp in _matches(reference[:i], hypothesis[:j], sound):
                e, m, s, d, n = cells[i - n_ref][j - n_hyp]
                ways.append((e, m - n_ref, s, d, n))
            cells[i].append(min(ways))
    return WordCount(len(reference), *cells[-1][-1][2:])


def _matches(
    reference: Sequence[str], hypothesis: Sequence[str], sound: Callable[[str], str] | None
) -> list[tuple[int, int]]:
    """Numbers of words at the two ends that are the same: one and one, or several that one joins."""
    sizes = [(1, 1), *((1, n) for n in range(2, _LONGEST_JOIN + 1)), *((n, 1) for n in range(2, _LONGEST_JOIN + 1))]
    fitting = ((a, b) for a, b in sizes if a <= len(reference) and b <= len(hypothesis))
    return [(a, b) for a, b in fitting if _same(reference[-a:], hypothesis[-b:], sound)]


def _same(left: Sequence[str], right: Sequence[str], sound: Callable[[str], str] | None) -> bool:
    """True if two runs of words are written alike or sound alike, joined."""
    if "".join(left) == "".join(right):
        return True
    return sound is not None and "".join(map(sound, left)) == "".join(map(sound, right))
