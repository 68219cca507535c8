"""Substitutions that remember where each character is from: the same rules for speaking, spans and explanations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

Replacement: TypeAlias = str | Callable[[re.Match[str]], str]
Span: TypeAlias = tuple[int, int]


class Edit(NamedTuple):
    """A replacement by one pass."""

    name: str
    """Of the pass."""
    span: Span
    """Characters of the source."""
    before: str
    """What stood there before the pass."""
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
        """The characters of the source that characters `start` to `end` stand for, as narrow as may be."""
        return min(self.starts[start:end]), max(self.ends[start:end])

    def part(self, start: int, end: int) -> TracedText:
        """Characters `start` to `end`."""
        return TracedText.of(self[start:end], self.starts[start:end], self.ends[start:end], self.edits, self.name)


def begin(name: str, text: str) -> None:
    """Name the pass that makes the following substitutions in a traced text."""
    if isinstance(text, TracedText):
        text.name = name


def substitute(pattern: re.Pattern[str], replacement: Replacement, text: str) -> str:
    """As `pattern.sub(replacement, text)`; a traced text stays one."""
    if not isinstance(text, TracedText):
        return pattern.sub(replacement, text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for match in pattern.finditer(text):
        after = match.expand(replacement) if isinstance(replacement, str) else replacement(match)
        before = match[0]
        if after == before:
            continue
        start, end = match.span()
        pieces += [text[position:start], after]
        starts += text.starts[position:start]
        ends += text.ends[position:start]
        _trace(text, match, after, starts, ends)
        position = end
    if not position and not pieces:
        return text
    pieces.append(text[position:])
    starts += text.starts[position:]
    ends += text.ends[position:]
    return TracedText.of("".join(pieces), starts, ends, text.edits, text.name)


def _trace(text: TracedText, match: re.Match[str], after: str, starts: list[int], ends: list[int]) -> None:
    """Add what the characters of `after`, put in place of a match, stand for, and note the edit."""
    before, (start, end) = match[0], match.span()
    if len(before) == len(after):  # A change of case, a sign for a sign.
        starts += text.starts[start:end]
        ends += text.ends[start:end]
        if before.lower() != after.lower():
            text.edits.append(Edit(text.name, _span(text, start, end), before, after))
        return
    shorter = min(len(before), len(after))
    same = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    same_last = next((i for i in range(shorter - same) if before[-1 - i] != after[-1 - i]), shorter - same)
    # No word is torn: what is changed begins and ends with a word.
    while same and (_in_word(before, same) or _in_word(after, same)):
        same -= 1
    while same_last and (_in_word(before, len(before) - same_last) or _in_word(after, len(after) - same_last)):
        same_last -= 1
    changed = _span(text, start + same, end - same_last)
    length = len(after) - same - same_last
    starts += [*text.starts[start : start + same], *[changed[0]] * length, *text.starts[end - same_last : end]]
    ends += [*text.ends[start : start + same], *[changed[1]] * length, *text.ends[end - same_last : end]]
    if after.split() != before.split():
        text.edits.append(Edit(text.name, _span(text, start, end), before, after))


def _in_word(text: str, position: int) -> bool:
    """True if a place lies between two letters or figures."""
    return text[position - 1 : position].isalnum() and text[position : position + 1].isalnum()


def _span(text: TracedText, start: int, end: int) -> Span:
    """The source of characters that may be none."""
    if start < end:
        return text.span(start, end)
    here = text.starts[start] if start < len(text) else (text.ends[-1] if len(text) else 0)
    return here, here


def stripped(text: str, left: str | None = None, right: str | None = None) -> str:
    """`text.lstrip(left).rstrip(right)`; a traced text stays one."""
    shorter = text.lstrip(left)
    start = len(text) - len(shorter)
    end = start + len(shorter.rstrip(right))
    return text.part(start, end) if isinstance(text, TracedText) else text[start:end]


def cut(text: str, start: int, end: int) -> str:
    """`text[start:end]`; a traced text stays one."""
    return text.part(start, end) if isinstance(text, TracedText) else text[start:end]
