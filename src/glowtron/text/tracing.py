"""Substitutions that remember where each character is from: the same rules for speaking, spans and explanations."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

Replacement: TypeAlias = str | Callable[[re.Match[str]], str]
Span: TypeAlias = tuple[int, int]

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


class TracedText(str):
    """A text that knows of each of its characters which characters of the source it stands for.

    Only `substitute`, `stripped` and `joined` keep this knowledge; every other operation gives a plain text.
    """

    starts: Sequence[int]
    ends: Sequence[int]
    edits: list[Edit]
    name: str

    @classmethod
    def of(cls, text: str, starts: Sequence[int], ends: Sequence[int], edits: list[Edit], name: str = "") -> TracedText:
        """`text`, whose character i stands for `starts[i]` to `ends[i]` of the source."""
        traced = cls(text)
        traced.starts, traced.ends, traced.edits, traced.name = starts, ends, edits, name
        return traced

    @classmethod
    def source(cls, text: str) -> TracedText:
        """A source, each of whose characters stands for itself."""
        return cls.of(text, range(len(text)), range(1, len(text) + 1), [])

    def span(self, start: int, end: int) -> Span:
        """The characters of the source that characters `start` to `end`, which may be none, stand for."""
        if start < end:  # No character stands for something before what the one before it stands for.
            return self.starts[start], self.ends[start] if end - start == 1 else max(self.ends[start:end])
        here = self.starts[start] if start < len(self) else (self.ends[-1] if self.ends else 0)
        return here, here

    def part(self, start: int, end: int) -> TracedText:
        """Characters `start` to `end`."""
        return TracedText.of(self[start:end], self.starts[start:end], self.ends[start:end], self.edits, self.name)


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
    if isinstance(replacement, str):
        constant = "\\" not in replacement
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for match in pattern.finditer(text):
        if not isinstance(replacement, str):
            after = replacement(match)
        else:
            after = replacement if constant else match.expand(replacement)
        before = match[0]
        if after == before:
            continue
        start, end = match.span()
        if position < start:
            pieces.append(text[position:start])
            starts += text.starts[position:start]
            ends += text.ends[position:start]
        pieces.append(after)
        _trace(text, before, after, start, end, starts, ends)
        position = end
    if not pieces:
        return text
    pieces.append(text[position:])
    starts += text.starts[position:]
    ends += text.ends[position:]
    return TracedText.of("".join(pieces), starts, ends, text.edits, text.name)


def _trace(text: TracedText, before: str, after: str, start: int, end: int, starts: list[int], ends: list[int]) -> None:
    """Add what the characters of `after`, put in place of `before` at `start` to `end`, stand for; note the edit."""
    if len(before) == len(after):  # A change of case, a sign for a sign.
        starts += text.starts[start:end]
        ends += text.ends[start:end]
        if before.lower() != after.lower():
            text.edits.append(Edit(text.name, text.span(start, end), before, after))
        return
    span = text.span(start, end)
    same, same_last = _alike(before, after)
    if same or same_last:
        first, last = text.span(start + same, end - same_last)
        length = len(after) - same - same_last
        starts += [*text.starts[start : start + same], *[first] * length, *text.starts[end - same_last : end]]
        ends += [*text.ends[start : start + same], *[last] * length, *text.ends[end - same_last : end]]
    else:
        starts += [span[0]] * len(after)
        ends += [span[1]] * len(after)
    if after.split() != before.split():
        text.edits.append(Edit(text.name, span, before, after))


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


def stripped(text: str, left: str | None = None, right: str | None = None) -> str:
    """`text.lstrip(left).rstrip(right)`; a traced text stays one."""
    shorter = text.lstrip(left)
    start = len(text) - len(shorter)
    end = start + len(shorter.rstrip(right))
    return text.part(start, end) if isinstance(text, TracedText) else text[start:end]


def cut(text: str, start: int, end: int) -> str:
    """`text[start:end]`; a traced text stays one."""
    return text.part(start, end) if isinstance(text, TracedText) else text[start:end]
