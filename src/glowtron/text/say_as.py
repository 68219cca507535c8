"""SSML's `say-as`: rewrites a text so that a frontend reads it as it was meant."""

from __future__ import annotations

import re

from glowtron.errors import InputError
from glowtron.text import numbers
from glowtron.text.dates import MONTHS
from glowtron.text.lexicon import LETTER_NAMES

INTERPRETATIONS = (
    "characters", "spell-out", "verbatim", "digits", "telephone", "cardinal", "number", "ordinal", "fraction", "date",
    "time", "duration", "unit", "currency", "money", "address", "name", "net",
)  # fmt: skip
"""Values of `interpret-as`; the last eight name what a frontend sees by itself."""

_SIGNS = {
    "-": "dash", "–": "dash", "_": "underscore", ".": "dot", ",": "comma", ":": "colon", ";": "semicolon",
    "/": "slash", "\\": "backslash", "@": "at", "#": "hash", "&": "and", "+": "plus", "*": "star", "=": "equals",
    "%": "percent", "$": "dollar", "!": "exclamation mark", "?": "question mark", "(": "open bracket",
    ")": "close bracket", "'": "apostrophe", '"': "quote", "<": "less than", ">": "greater than", "~": "tilde",
    "^": "caret", "|": "bar",
}  # fmt: skip
_CARDINAL = re.compile(r"[+-]?[0-9][0-9,]*(?:\.[0-9]+)?")
_FRACTION = re.compile(r"(?:([0-9]+)[ +]+)?([0-9]+)\s*[/⁄]\s*([0-9]+)")
_FIELDS = {"y": "year", "m": "month", "d": "day"}


def say_as(text: str, kind: str, format: str = "") -> str:
    """`text` as one of `INTERPRETATIONS`. `format` is of a date: an order of `y`, `m` and `d`.

    Raises InputError if it is nothing of that kind.
    """
    text = " ".join(text.split())
    if not text:
        return ""
    match kind:
        case "characters" | "spell-out" | "verbatim":
            return _characters(text)
        case "digits":
            if not re.search("[0-9]", text):
                raise InputError(f"'{text}' has no digits")
            return " ".join(numbers.digits(figures) for figures in re.findall("[0-9]+", text))
        case "telephone":
            return _telephone(text)
        case "cardinal" | "number":
            return _cardinal(text)
        case "ordinal":
            match_ = re.fullmatch(r"([0-9]{1,30})(?:st|nd|rd|th)?\.?", text.replace(",", ""))
            if match_ is None:
                raise InputError(f"'{text}' is no whole number")
            return numbers.ordinal(int(match_[1]))
        case "fraction":
            return _fraction(text)
        case "date":
            return _date(text, format.lower()) if format else text
    return text


def _characters(text: str) -> str:
    words = []
    for character in text:
        if character.lower() in LETTER_NAMES:
            words.append("{" + " ".join(LETTER_NAMES[character.lower()]) + "}")
        elif character in "0123456789":
            words.append(numbers.digits(character))
        elif not character.isspace():
            words.append(_SIGNS.get(character, character))
    return " ".join(words)


def _telephone(text: str) -> str:
    groups = re.findall(r"\+|[0-9]+|[A-Za-z]+", text)
    if not any(group.isdigit() for group in groups):
        raise InputError(f"'{text}' is no telephone number")
    said = {"+": "plus", "x": "extension", "ext": "extension"}
    words = [numbers.digits(group) if group.isdigit() else said.get(group.lower(), group) for group in groups]
    return ", ".join(words).replace("plus, ", "plus ").replace("extension, ", "extension ")


def _cardinal(text: str) -> str:
    if not _CARDINAL.fullmatch(text) or len(text) > numbers.LONGEST:
        raise InputError(f"'{text}' is no number")
    sign = {"-": "minus ", "+": "plus "}.get(text[0], "")
    return sign + numbers.spoken(text.lstrip("+-"))


def _fraction(text: str) -> str:
    match = _FRACTION.fullmatch(text)
    if match is None or int(match[3]) == 0 or max(map(len, filter(None, match.groups()))) > 9:
        raise InputError(f"'{text}' is no fraction; write it as 3/4")
    if match[1]:
        return numbers.mixed(match[1], match[2], match[3])
    return numbers.fraction(match[2], match[3])


def _date(text: str, order: str) -> str:
    fields = re.findall(r"[0-9]+", text)
    if not order or set(order) - set(_FIELDS) or len(set(order)) != len(order):
        raise InputError(f"format '{order}' is none of a date; give an order of y, m and d, as in mdy")
    if len(fields) != len(order):
        raise InputError(f"'{text}' does not have the {len(order)} numbers of the date format {order}")
    parts = {_FIELDS[field]: int(value) for field, value in zip(order, fields, strict=True) if len(value) <= 4}
    month, day, year = parts.get("month"), parts.get("day"), parts.get("year")
    if (month is not None and not 1 <= month <= 12) or (day is not None and not 1 <= day <= 31):
        raise InputError(f"'{text}' is no date in the order {order}")
    said = [] if month is None else [MONTHS[month - 1]]
    if day is not None:
        said.append(numbers.ordinal(day))
    words = " ".join(said)
    if year is not None:
        words += (", " if words and day is not None else " ") + numbers.pairs(year)
    return words.strip()
