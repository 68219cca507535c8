"""A symbol list of one's own: what a checkpoint reads that was trained with other symbols than the published 148."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from glowtron.errors import InputError, reason
from glowtron.text.symbols import FIRST_SOUND, MARKUP, PHONES

_SPACE = re.compile(r"\s+")


def read_symbol_list(path: Path) -> tuple[str, ...]:
    """Symbols in the order of their ids: a JSON list of strings, or a text file with one symbol on each line.

    In a text file the line of the space holds one space. A phone is written `{AA1}` or, as in many programs, `@AA1`.
    Raises InputError for a file that cannot be read, an empty symbol, one that stands twice, and several characters
    that are no phone.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path}: cannot be read: {why}") from error
    if text.lstrip().startswith("[") and text.rstrip().endswith("]"):
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: is no JSON list: {error}") from error
        if not isinstance(found, list) or not all(isinstance(symbol, str) for symbol in found):
            raise InputError(f"{path}: a symbol list in JSON is a list of strings")
    else:
        found = text.removesuffix("\n").split("\n")
        found = [line.removesuffix("\r") for line in found]
    symbols = [_symbol(symbol, place, path) for place, symbol in enumerate(found)]
    first: dict[str, int] = {}
    for place, symbol in enumerate(symbols):
        if symbol in first:
            raise InputError(f"{path}: symbol {symbol!r} stands twice, with ids {first[symbol]} and {place}")
        first[symbol] = place
    return tuple(symbols)


def _symbol(symbol: str, place: int, path: Path) -> str:
    bare = symbol.removeprefix("@") if len(symbol) > 1 else symbol
    bare = bare[1:-1] if len(bare) > 2 and bare[0] == "{" and bare[-1] == "}" else bare
    if bare in PHONES and (bare != symbol or len(bare) > 1):
        return "{" + bare + "}"
    if len(symbol) == 1:
        return symbol
    if not symbol:
        raise InputError(f"{path}: the symbol with id {place} is empty; write it on its line (a space for the space)")
    raise InputError(f"{path}: {symbol!r} (id {place}) is no single character and no ARPAbet phone such as {{AA1}}")


def in_order(symbols: Sequence[str]) -> tuple[tuple[str, ...], list[int | None]]:
    """`symbols` as Glowtron keeps them: padding (id 0), then the marks that nobody hears, then what is heard.

    The rest of the program tells marks from sounds by their ids, so marks fill exactly the places before
    `FIRST_SOUND`; where there are fewer, empty symbols stand for them, and further ones follow the sounds.

    Returns the symbols, and for each its id in `symbols`; None for an empty one.
    """
    marks = [i for i, symbol in enumerate(symbols) if i > 0 and not _is_sound(symbol)]
    sounds = [i for i, symbol in enumerate(symbols) if i > 0 and _is_sound(symbol)]
    room = FIRST_SOUND - 1
    empty: list[int | None] = [None] * (room - len(marks))
    order = [0, *marks[:room], *empty, *sounds, *marks[room:]]
    return tuple("" if i is None else symbols[i] for i in order), order


def _is_sound(symbol: str) -> bool:
    return len(symbol) > 1 or unicodedata.category(symbol)[0] in "LMN"


class SymbolList:
    """Finds the ids of text."""

    def __init__(self, symbols: Sequence[str]) -> None:
        """symbols: in the order of their ids; the first is padding, and is never read from text."""
        self._ids = {symbol: i for i, symbol in enumerate(symbols) if symbol and i > 0}
        self._has_capitals = any(symbol.isupper() for symbol in self._ids if len(symbol) == 1)

    def clean(self, text: str) -> str:
        """`text` in composed form, with single spaces, in lower case if the list has no capital letters."""
        return "".join(part if inside else self._clean(part) for part, inside in self._split(text))

    def symbols(self, cleaned: str) -> Iterator[tuple[str, list[int]]]:
        """Characters of cleaned text, and phones in braces as one, each with its ids: none where it has no symbol."""
        for part, inside in self._split(cleaned):
            if inside:
                phones = ("{" + phone + "}" for phone in part[1:-1].split())
                yield part, [self._ids[phone] for phone in phones if phone in self._ids]
            else:
                yield from ((character, self._found(character)) for character in part)

    def _found(self, character: str) -> list[int]:
        return [self._ids[character]] if character in self._ids else []

    def _clean(self, text: str) -> str:
        text = _SPACE.sub(" ", unicodedata.normalize("NFC", text))
        return text if self._has_capitals else text.lower()

    def _split(self, text: str) -> list[tuple[str, bool]]:
        """`text` in parts, each with whether it is phones in braces; only phones that are listed count as such."""
        parts, position = [], 0
        for match in MARKUP.finditer(text):
            if all("{" + phone + "}" in self._ids for phone in match[0][1:-1].split()):
                parts += [(text[position : match.start()], False), (match[0], True)]
                position = match.end()
        return [*parts, (text[position:], False)]
