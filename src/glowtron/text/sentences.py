"""Sentence splitting: at the ends of sentences, and within long sentences at pauses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from glowtron.text.abbreviations import (
    BEFORE_FIGURES,
    IRREGULAR,
    LIFE_YEARS,
    MONTHS,
    OTHERS,
    RULES_OF_COURT,
    STARTERS,
    TITLES,
    ends_before_figure,
)
from glowtron.text.references import BOOKS, MOVE

MAX_CHARS = 150
"""Default length of a piece: ten seconds of speech, the longest clips that voices are trained on."""
MIN_CHARS = 16
"""The smallest `max_chars`: a piece must hold a word."""

Ending: TypeAlias = Literal["paragraph", "sentence", "clause", "words"]
"""The unit that ends with a piece of text: the last two inside a sentence, at a mark and without one."""

# A stop, closing quotes and brackets, then space; or a stop of Chinese and Japanese, which write no space; or an empty
# line, or a line that begins as an entry of a list.
_BOUNDARY = re.compile(
    r"""(?<![.!?…])(?P<stop>[.!?…]+)["'”’)\]»]*(?=\s)
      | [。！？]["”’」』)]*
      | \n[ \t\r]*(?=\n)
      | \n(?=[ \t]*(?:[-*•–][ \t]|[0-9]{1,3}[.)][ \t]))""",
    re.VERBOSE,
)
_EMPTY_LINE = re.compile(r"[ \t\r]*\n[ \t\r]*(?:\n|$)")
_NEXT = re.compile(r"\s*(?P<opening>[\"'“‘(\[«]*)(?P<first>\S?)")
_WORD_BEFORE = re.compile(r"(?P<before>[\w'.-]*\s)?[\"'“‘(\[]*(?P<word>[\w./]+)$")
_NEXT_WORD = re.compile(r"\s*[\"'“‘(\[«]*(\w+)")
_NEVER_LAST = frozenset(
    word.lower() for word in (*TITLES, "St", "Dr", "Nos", "Messrs", "vs", "cf", "viz", "approx", "Ste")
)
_SELDOM_LAST = frozenset(
    word.lower() for word in (*OTHERS, *MONTHS, "u.s", "u.k", "u.n", "a.m", "p.m", "b.c", "a.d", "d.c", "ph.d")
)
_BEFORE_NUMBERS = frozenset(word.lower() for word in (*BEFORE_FIGURES, *BOOKS, "Rs", "c", "ca", "arr", "dep"))
_MEASURES = frozenset("lbs lb oz hrs hr mins min secs sec ft in yds yd mi pt qt gal".split())
_NEVER_DOTTED = frozenset(word.rstrip(".").lower() for word in IRREGULAR if word.endswith(".")) - {"ph.d"}
_OF_COURTS = frozenset("fed r civ crim app bankr".split())
_BACK = 40

# A word for cutting: markup is whole, spaces and all.
_WORD = re.compile(r"(?:\{[^{}\n]*\}|\S)+")
_MARKUP = re.compile(r"\{[^{}\n]*\}")
_STRONG_PAUSE = re.compile(r"(?:[;:!?…][\"'”’)\]]*|--|—|–|-)$")
_PAUSE = re.compile(r"[,)\]，、][\"'”’]*$")
_JOINTS = frozenset(
    "and or but nor because which who whom that while when where whether if as so then than although though".split()
)


class Piece(NamedTuple):
    """Some words to be spoken in one go."""

    text: str
    ending: Ending
    """The unit of text that ends with them."""


class _Word(NamedTuple):
    start: int
    end: int
    pause: int
    """Rank as a place to breathe: 3 at a semicolon, 2 at a comma, 1 before a conjunction, 0."""


def split_sentences(text: str, max_chars: int = MAX_CHARS) -> list[str]:
    """The texts of `split_pieces`."""
    return [piece.text for piece in split_pieces(text, max_chars)]


def split_pieces(text: str, max_chars: int = MAX_CHARS) -> Iterator[Piece]:
    """`text` in sentences, none longer than `max_chars` characters and none empty.

    All words are kept, in order; inside a piece nothing is changed. Abbreviations, initials, decimals, numbers of
    lists and quotes do not end a sentence. What is longer is cut at semicolons, commas, conjunctions or else between
    words, and a word longer than `max_chars` inside. `{ARPAbet}` is cut between phones only. A piece is looked for when
    it is asked for: where a text begins does not wait for where it ends.
    """
    assert max_chars >= MIN_CHARS, "a piece must hold a word"
    for sentence in _sentences(text):
        parts = [part for part in _cut(sentence.text, max_chars) if part]
        yield from (Piece(part, "clause" if _breathes(part) else "words") for part in parts[:-1])
        yield from (Piece(part, sentence.ending) for part in parts[-1:])


def _sentences(text: str) -> Iterator[Piece]:
    start = 0
    for match in _BOUNDARY.finditer(text):
        if match["stop"] is None or _ends_sentence(text, match, start):
            ends_paragraph = _EMPTY_LINE.match(text, match.start() if match["stop"] is None else match.end())
            yield Piece(text[start : match.end()].strip(), "paragraph" if ends_paragraph else "sentence")
            start = match.end()
    yield Piece(text[start:].strip(), "sentence")


def _ends_sentence(text: str, match: re.Match[str], start: int) -> bool:
    """True if the stop at `match` ends the sentence that began at `start`."""
    following = _NEXT.match(text, match.end())
    first = following["first"] if following else ""
    if not first:
        return True
    if first.islower() or first in ",;:=":  # 5! = 120.
        # "Stop!" he said; "etc. and so on". Only a question or cry without quotes goes on in lower case for no reason.
        return False
    if match["stop"] != ".":
        return True
    before = _WORD_BEFORE.search(text, max(start, match.start() - _BACK), match.start())
    if before is None:
        return True
    return not _abbreviated(before, text, match, first, start)


def _abbreviated(before: re.Match[str], text: str, match: re.Match[str], first: str, start: int) -> bool:
    """True if the single stop after the word `before` belongs to that word, a new word beginning with `first`."""
    word = before["word"]
    known = word.lower()
    next_word = _NEXT_WORD.match(text, match.end())
    starts = next_word is not None and next_word[1] in STARTERS
    if known in _NEVER_LAST or known in _NEVER_DOTTED:
        # "Baker St. The" ends; "at St. Paul" and "Dr. Who" do not.
        named = (before["before"] or "").strip()
        return not (known in ("st", "dr") and starts and named[:1].isupper() and named not in STARTERS)
    if first.isdigit() and known in _MEASURES and (before["before"] or "").strip()[-1:].isdigit():
        return True  # 5 lbs. 3 oz.
    if known in _BEFORE_NUMBERS and (first.isdigit() or (known == "c" and first in "$£€")):
        named = (before["before"] or "").strip()
        return not ends_before_figure(word, named)
    if LIFE_YEARS.match(text, before.start("word")):
        return True
    if known in _OF_COURTS and any(
        rule.start() <= match.start() < rule.end()
        for rule in RULES_OF_COURT.finditer(text, max(0, match.start() - _BACK), match.end() + _BACK)
    ):
        return True
    if known == "cir" and first.isdigit():  # (9th Cir. 1997)
        return True
    if word == "v" and first.isupper():  # Roe v. Wade.
        return True
    if word.isdigit() and MOVE.match(text, match.end()):
        return True
    if known in _SELDOM_LAST or re.fullmatch(r"(?:\w\.)+\w", word):
        return not starts
    if len(word) == 1 and word.isalpha() and word.isupper() and word != "I":  # J. D. Tippit, but not "plan B. Then".
        named = (before["before"] or "").strip()
        return not starts or named.endswith(".")
    # "1. First do this": the number of an entry, not the end of the one before.
    return word.isdigit() and len(word) <= 3 and before.start("word") == _first_of(text, start)


def _first_of(text: str, start: int) -> int:
    following = _NEXT.match(text, start)
    return following.start("first") if following else start


def _cut(sentence: str, max_chars: int) -> Iterator[str]:
    """A sentence in pieces of at most `max_chars`, about even in length, cut where a reader would breathe."""
    if len(sentence) <= max_chars:
        yield sentence
        return
    sentence = _MARKUP.sub(lambda match: _shorter_markup(match[0], max_chars), sentence)
    words = list(_words(sentence, max_chars))
    first = 0
    while first < len(words):
        last = _last_of_piece(words, first, max_chars)
        yield sentence[words[first].start : words[last].end]
        first = last + 1


def _last_of_piece(words: list[_Word], first: int, max_chars: int) -> int:
    """Index of the word to end the piece that begins with word `first`."""
    start = words[first].start
    left = words[-1].end - start
    if left <= max_chars:
        return len(words) - 1
    even = left / -(-left // max_chars)
    best, last = (-1, 0.0), first
    for i in range(first, len(words)):
        length = words[i].end - start
        if length > max_chars:
            break
        # Below half of an even share only when nothing longer fits.
        worth = (words[i].pause if length >= even / 2 else -1, -abs(length - even))
        if i == first or worth > best:
            best, last = worth, i
    return last


def _words(sentence: str, max_chars: int) -> Iterator[_Word]:
    matches = list(_WORD.finditer(sentence))
    for match, following in zip(matches, [*matches[1:], None], strict=True):
        start, end = match.span()
        while end - start > max_chars:
            yield _Word(start, start + max_chars, 0)
            start += max_chars
        ending = sentence[max(start, end - 4) : end]
        if _STRONG_PAUSE.search(ending):
            pause = 3
        elif _PAUSE.search(ending):
            pause = 2
        else:
            pause = int(following is not None and following[0].lower() in _JOINTS)
        yield _Word(start, end, pause)


def _breathes(part: str) -> bool:
    """True if a part of a sentence ends with a mark at which one pauses."""
    return bool(_STRONG_PAUSE.search(part[-4:]) or _PAUSE.search(part[-4:]))


def _shorter_markup(markup: str, max_chars: int) -> str:
    """Markup that is no longer than `max_chars`, or several such."""
    if len(markup) <= max_chars:
        return markup
    pieces, line = [], ""
    for phone in markup[1:-1].split():
        if len(line) + len(phone) + 3 > max_chars:
            pieces.append("{" + line + "}")
            line = ""
        line += (" " if line else "") + phone
    return " ".join([*pieces, "{" + line + "}"])
