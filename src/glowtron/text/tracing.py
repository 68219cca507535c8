"""Substitutions that remember where each character is from: the same rules for speaking, spans and explanations.

A substitution notes what it replaced, no more; what each character stands for is worked out once, when it is asked for.
"""

from __future__ import annotations

import functools
import itertools
import re
import string
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Replacement: TypeAlias = str | Callable[[re.Match[str]], str]
Span: TypeAlias = tuple[int, int]
Places: TypeAlias = NDArray[np.int64]

FIGURES = string.digits
CAPITALS = string.ascii_uppercase


class Edit(NamedTuple):
    """A replacement by one pass."""

    name: str
    """Of the pass."""
    span: Span
    """Characters of the source."""
    before: str
    """Text before the pass."""
    after: str


class _Step(NamedTuple):
    """Pieces that one substitution replaced, in order."""

    name: str
    """Of the pass; "" for what is no pass's doing."""
    starts: list[int]
    """Beginnings of the replaced pieces in the text before."""
    befores: list[str]
    afters: list[str]


class TracedText(str):
    """A text that knows of each of its characters which characters of the source it stands for.

    Only `substitute` and `stripped` keep this knowledge; every other operation gives a plain text.
    """

    name: str
    """Of the pass that is at work."""
    _source_length: int
    _steps: tuple[_Step, ...]

    @classmethod
    def source(cls, text: str) -> TracedText:
        """A source, each of whose characters stands for itself."""
        traced = cls(text)
        traced.name, traced._source_length, traced._steps = "", len(text), ()
        return traced

    def then(self, text: str, step: _Step) -> TracedText:
        """`text`, which `step` has made of this one."""
        traced = TracedText(text)
        traced.name, traced._source_length, traced._steps = self.name, self._source_length, (*self._steps, step)
        return traced

    @property
    def starts(self) -> Places:
        """Of each character the first one of the source that it stands for, which never lies before the last one's."""
        return self._trace[0]

    @property
    def ends(self) -> Places:
        """Of each character the place after the last one of the source that it stands for, in order, too."""
        return self._trace[1]

    @property
    def edits(self) -> list[Edit]:
        """Replacements of the passes, but for changes of case and space, in the order in which it was done."""
        return self._trace[2]

    def span(self, start: int, end: int) -> Span:
        """The characters of the source that characters `start` to `end`, which may be none, stand for."""
        starts, ends, _ = self._trace
        if start < end:
            return starts.item(start), ends.item(end - 1)
        here = starts.item(start) if start < len(starts) else (ends.item(-1) if len(ends) else 0)
        return here, here

    def spans(self, starts: Sequence[int], ends: Sequence[int]) -> list[Span]:
        """As `span`, of many at once."""
        return _spans(self.starts, self.ends, np.array(starts, np.int64), np.array(ends, np.int64))

    @functools.cached_property
    def _trace(self) -> tuple[Places, Places, list[Edit]]:
        starts = np.arange(self._source_length)
        ends = starts + 1
        edits: list[Edit] = []
        for step in self._steps:
            changes = [_change(*pair) for pair in zip(step.befores, step.afters, strict=True)]
            if step.name:
                edits += _edits(step, changes, starts, ends)
            starts, ends = _after(step, changes, starts, ends)
        assert len(starts) == len(self), f"a step lost its trace: {self!r}"
        return starts, ends, edits


def begin(name: str, text: str) -> None:
    """Name the pass that makes the following substitutions in a traced text."""
    if isinstance(text, TracedText):
        text.name = name


def substitute(pattern: re.Pattern[str], replacement: Replacement, text: str, needs: Iterable[str] = ()) -> str:
    """As `pattern.sub(replacement, text)`; a traced text stays one.

    needs: characters, or strings, without any of which a text has no match. It is not searched then: looking for a
    character takes a hundredth of the time.
    """
    if needs and not any(map(text.__contains__, needs)):
        return text
    if not isinstance(text, TracedText):
        return pattern.sub(replacement, text)
    constant = isinstance(replacement, str) and "\\" not in replacement
    step = _Step(text.name, [], [], [])
    pieces: list[str] = []
    position = 0
    for match in pattern.finditer(text):
        if not isinstance(replacement, str):
            after = replacement(match)
        else:
            after = replacement if constant else match.expand(replacement)
        before = match[0]
        if after != before:
            start, end = match.span()
            pieces += (text[position:start], after)
            step.starts.append(start)
            step.befores.append(before)
            step.afters.append(after)
            position = end
    if not pieces:
        return text
    pieces.append(text[position:])
    return text.then("".join(pieces), step)


def stripped(text: str, left: str | None = None, right: str | None = None) -> str:
    """`text.lstrip(left).rstrip(right)`; a traced text stays one."""
    shorter = text.lstrip(left)
    start = len(text) - len(shorter)
    end = start + len(shorter.rstrip(right))
    if not isinstance(text, TracedText) or end - start == len(text):
        return text[start:end] if end - start < len(text) else text
    return text.then(text[start:end], _Step("", [0, end], [text[:start], text[end:]], ["", ""]))


class _Change(NamedTuple):
    """Difference between a piece and its replacement."""

    same: int
    """Number of characters that are the same where both begin: they stand for themselves."""
    removed: int
    """Number of those that follow, and differ."""
    added: int
    """Number of those in their place."""
    reads: bool
    """True if there are other words."""


# The same piece is often replaced by the same words.
@functools.lru_cache(maxsize=4096)
def _change(before: str, after: str) -> _Change:
    if len(before) == len(after):  # A change of case, a sign for a sign.
        return _Change(len(before), 0, 0, before.lower() != after.lower())
    same, same_last = _alike(before, after)
    return _Change(same, len(before) - same - same_last, len(after) - same - same_last, before.split() != after.split())


def _edits(step: _Step, changes: Sequence[_Change], starts: Places, ends: Places) -> list[Edit]:
    """Pieces that a step replaced by other words; `starts` and `ends` of the text before it."""
    reads = [change.reads for change in changes]
    if not any(reads):
        return []
    befores, afters = (list(itertools.compress(of, reads)) for of in (step.befores, step.afters))
    first = np.array(list(itertools.compress(step.starts, reads)), np.int64)
    last = first + np.fromiter(map(len, befores), np.int64, len(befores))
    return list(map(Edit, itertools.repeat(step.name), _spans(starts, ends, first, last), befores, afters))


def _after(step: _Step, changes: Sequence[_Change], starts: Places, ends: Places) -> tuple[Places, Places]:
    """Sources of each character after a step, by what those before it do."""
    if not any(removed or added for _, removed, added, _ in changes):
        return starts, ends
    columns = np.fromiter(itertools.chain.from_iterable(changes), np.int64, 4 * len(changes)).reshape(-1, 4)
    same, removed, added, _ = columns.T
    first = np.array(step.starts, np.int64) + same
    last = first + removed
    first_of, last_of = _bounds(starts, ends, first, last)
    # Pieces that stay, with what is added between them: of each its length, and where it is from in the text before.
    lengths = np.empty(2 * len(first) + 1, np.int64)
    lengths[0:-1:2] = first
    lengths[-1] = len(starts)
    lengths[2::2] -= last
    lengths[1::2] = added
    origins = np.zeros_like(lengths)
    origins[2::2] = last
    origin = np.arange(lengths.sum()) + np.repeat(origins - (np.cumsum(lengths) - lengths), lengths)
    is_added = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    new_starts, new_ends = (
        of.take(origin, mode="clip") if len(of) else np.empty(len(origin), np.int64) for of in (starts, ends)
    )
    new_starts[is_added] = np.repeat(first_of, added)
    new_ends[is_added] = np.repeat(last_of, added)
    return new_starts, new_ends


def _bounds(starts: Places, ends: Places, first: Places, last: Places) -> tuple[Places, Places]:
    """The characters of the source that those from `first` to `last`, which may be none, stand for."""
    # What is added stands where the next character is from, or at the end; and no character ends before the one before.
    nothing = np.zeros(1, np.int64)
    first_of = np.concatenate((starts, ends[-1:] if len(ends) else nothing))[first]
    return first_of, np.maximum(first_of, np.concatenate((nothing, ends))[last])


def _spans(starts: Places, ends: Places, first: Places, last: Places) -> list[Span]:
    first_of, last_of = _bounds(starts, ends, first, last)
    last_of[first == last] = first_of[first == last]
    return list(zip(first_of.tolist(), last_of.tolist(), strict=True))


def _alike(before: str, after: str) -> tuple[int, int]:
    """Numbers of characters that two texts share at their beginning and at their end, no word torn."""
    same = same_last = 0
    shorter = min(len(before), len(after))
    if not shorter or (before[0] != after[0] and before[-1] != after[-1]):
        return 0, 0
    while same < shorter and before[same] == after[same]:
        same += 1
    while same_last < shorter - same and before[-1 - same_last] == after[-1 - same_last]:
        same_last += 1
    # What is changed begins and ends with a word.
    while same and (_in_word(before, same) or _in_word(after, same)):
        same -= 1
    while same_last and (_in_word(before, len(before) - same_last) or _in_word(after, len(after) - same_last)):
        same_last -= 1
    return same, same_last


def _in_word(text: str, position: int) -> bool:
    """True if a place lies between two letters or figures."""
    return text[position - 1 : position].isalnum() and text[position : position + 1].isalnum()
