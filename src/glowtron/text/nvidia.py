"""Text as the published weights learnt to read it: NVIDIA's `english_cleaners`, faults included.

The cleaner began in Keith Ito's tacotron (2017). What it does wrong ("£20" is "pstwenty", decimals are read as an
integer, "mrs." is "misess", every "st." a saint) is what those weights expect, so it stays; `english` does it right.
Two things differ, where the original loses text or fails: braces are found on every line of a text and nothing after
them is dropped, and transliteration is that of `anyascii`, made equal where the test rows show a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from anyascii import anyascii

from glowtron.errors import InputError
from glowtron.text.numbers import LONGEST, as_ordinal, groups
from glowtron.text.symbols import character_ids, phone_ids

ABBREVIATIONS = {
    "mrs": "misess",
    "mr": "mister",
    "dr": "doctor",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "drs": "doctors",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
}
# Where the original's transliteration and anyascii's are known to differ.
TRANSLITERATED = {"£": "PS", "—": "--"}

_ABBREVIATION = re.compile(r"\b(" + "|".join(ABBREVIATIONS) + r")\.")
_THOUSANDS = re.compile(r"[0-9][0-9,]+[0-9]")
_DOLLARS = re.compile(r"\$([0-9.,]*[0-9])")
_DECIMAL = re.compile(r"(?<![0-9])([0-9]+)\.([0-9]+)")
_ORDINAL = re.compile(r"(?<![0-9])([0-9]+)(?:st|nd|rd|th)")
_INTEGER = re.compile(r"[0-9]+")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """Text as the published weights were trained to read it; `{ARPAbet}` stays as it is. Nothing is stripped.

    Raises InputError that names an amount or a number which the published program cannot read either.
    """
    return "".join(part if inside else _clean(part) for part, inside in _split(text))


def ids(text: str) -> list[int]:
    """Symbol ids of `text`, cleaned. Characters and phones without a symbol are left out; empty text has no ids."""
    return [index for _, found in symbols(clean(text)) for index in found]


def symbols(cleaned: str) -> Iterator[tuple[str, list[int]]]:
    """Characters of cleaned text, and phones in braces as one, each with its ids: none where it has no symbol."""
    for part, inside in _split(cleaned):
        if inside:
            yield part, phone_ids(part[1:-1].split(" "))
        else:
            yield from ((character, character_ids(character)) for character in part)


def _split(text: str) -> list[tuple[str, bool]]:
    """`text` in parts, each with whether it is in braces. Braces without a pair or with nothing inside are text."""
    parts: list[tuple[str, bool]] = []
    position = 0
    while (start := text.find("{", position)) >= 0 and (end := text.find("}", start + 2)) >= 0:
        parts += [(text[position:start], False), (text[start : end + 1], True)]
        position = end + 1
    return [*parts, (text[position:], False)]


def _clean(text: str) -> str:
    text = "".join(_ascii(character) for character in text).lower()
    text = _numbers(text)
    text = _ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], text)
    return _SPACE.sub(" ", text)


def _ascii(character: str) -> str:
    if character.isascii():
        return character
    if character in TRANSLITERATED:
        return TRANSLITERATED[character]
    letters = anyascii(character)
    if letters.startswith(":") and letters.endswith(":") and len(letters) > 2:  # The name of an emoji.
        return ""
    # Syllables of Chinese stand apart in the original.
    return letters + " " if "\u3400" <= character <= "\u9fff" else letters


def _numbers(text: str) -> str:
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    text = _DOLLARS.sub(_dollars, text)
    text = _DECIMAL.sub(r"\1 point \2", text)
    text = _ORDINAL.sub(lambda match: as_ordinal(_words(match[1], " and ")), text)
    return _INTEGER.sub(_integer, text)


def _dollars(match: re.Match[str]) -> str:
    amount = match[1]
    dollars, _, cents = amount.partition(".")
    if "." in cents:
        return amount + " dollars"
    if "," in amount:
        raise InputError(f"the published text frontend cannot read the amount '{match[0]}'; write it without commas")
    number, hundredths = dollars.lstrip("0"), cents.lstrip("0")
    parts = []
    if number:
        parts.append(f"{number} dollar" + ("" if number == "1" else "s"))
    if hundredths:
        parts.append(f"{hundredths} cent" + ("" if hundredths == "1" else "s"))
    return ", ".join(parts) or "zero dollars"


def _integer(match: re.Match[str]) -> str:
    figures = match[0].lstrip("0") or "0"
    number = int(figures) if len(figures) <= 4 else 0
    if 1000 < number < 3000:  # Read as a year, whatever it is.
        if number == 2000:
            return "two thousand"
        hundreds, rest = divmod(number, 100)
        if 2000 < number < 2010:
            return "two thousand " + _words(str(rest))
        if rest == 0:
            return _words(str(hundreds)) + " hundred"
        return _words(str(hundreds)) + (" oh " if rest < 10 else " ") + _words(str(rest))
    return _words(figures)


def _words(figures: str, joint: str = " ") -> str:
    """A number in words, with commas between groups of thousands unless the last group is one word; see `groups`."""
    if len(figures) > LONGEST:
        shown = figures if len(figures) <= 40 else figures[:40] + "..."
        raise InputError(f"the published text frontend cannot read the number '{shown}'; write it in words")
    *before, last = groups(int(figures), joint)
    if not before:
        return last
    return ", ".join(before) + (", " if " " in last else joint) + last
