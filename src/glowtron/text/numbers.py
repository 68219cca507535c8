"""Numbers as words: cardinals, ordinals, years, decades, digits, decimals, fractions.

American, without "and": "one hundred ninety-nine".
"""

from __future__ import annotations

import functools

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ILLIONS = "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion".split()
_ILLIONS.append("decillion")
LONGEST = 36
"""Digits in the largest number that has a name; beyond, it is read digit by digit."""

# What a scale after a number is read as: "$2bn".
SCALES = {
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "mm": "million",
    "b": "billion",
    "bn": "billion",
    "t": "trillion",
    "tn": "trillion",
}

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
"""Pattern of a number as written, thousands separated or not. Anchor it with START."""
START = r"(?<![\w.])(?<![0-9][,:/])"
"""Pattern of where a number may begin; that it never begins inside another keeps matching linear."""
SIGN = r"(?:(?<![^\s(])-)?"
"""Pattern of a minus: a hyphen with nothing but space or a bracket before it."""


@functools.lru_cache(maxsize=4096)
def cardinal(number: int | str) -> str:
    """`1234` as "one thousand two hundred thirty-four"; more than 36 digits are read one by one."""
    figures = str(number).lstrip("0") or "0"
    if len(figures) > LONGEST:
        return digits(figures)
    return " ".join(groups(int(figures)))


def groups(number: int, joint: str = " ") -> list[str]:
    """The groups of thousands of a number of up to 36 digits, in words: `1234` as "one thousand", "two hundred ...".

    `joint` stands after "hundred" where the group goes on.
    """
    assert 0 <= number < 10**LONGEST, "no such number has a name"
    found: list[str] = []
    scales = iter(("", *(f" {scale}" for scale in _ILLIONS)))
    while number or not found:
        number, group = divmod(number, 1000)
        scale = next(scales)
        if group or not (number or found):
            found.append(_below_thousand(group, joint) + scale)
    return found[::-1]


def _below_thousand(number: int, joint: str) -> str:
    hundreds, rest = divmod(number, 100)
    if hundreds:
        return f"{DIGITS[hundreds]} hundred" + (joint + _below_thousand(rest, joint) if rest else "")
    if number < 10:
        return DIGITS[number]
    if number < 20:
        return _TEENS[number - 10]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (f"-{DIGITS[ones]}" if ones else "")


@functools.lru_cache(maxsize=1024)
def ordinal(number: int | str) -> str:
    """`22` as "twenty-second"."""
    return as_ordinal(cardinal(number))


def as_ordinal(words: str) -> str:
    """A number in words as an ordinal."""
    before, last = _last_word(words)
    irregular = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
    irregular["twelve"] = "twelfth"
    if last in irregular:
        return before + irregular[last]
    return before + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def digits(figures: str) -> str:
    """`"2766"` as "two seven six six"; anything but digits is skipped."""
    return " ".join(DIGITS[int(figure)] for figure in figures if figure in "0123456789")


def pairs(number: int) -> str:
    """As years and houses are read: 1895 "eighteen ninety-five", 606 "six oh six", 2005 "two thousand five"."""
    hundreds, rest = divmod(number, 100)
    if number < 100 or (hundreds % 10 == 0 and rest < 10) or number >= 10_000:
        return cardinal(number)
    if rest == 0:
        return cardinal(hundreds) + " hundred"
    return cardinal(hundreds) + (" oh " if rest < 10 else " ") + cardinal(rest)


def decade(figures: str) -> str:
    """`"1990"` as "nineteen nineties", `"90"` as "nineties", `"1900"` as "nineteen hundreds"."""
    return plural(pairs(int(figures)))


def plural(words: str) -> str:
    """A number in words in the plural: "sixty-fives", "sixes", "twenties"."""
    before, last = _last_word(words)
    if last.endswith("y"):
        return before + last[:-1] + "ies"
    return before + last + ("es" if last.endswith("x") else "s")


def spoken(number: str) -> str:
    """A NUMBER as written: "-1,234.50" is "minus one thousand two hundred thirty-four point five zero"."""
    sign = "minus " if number.startswith("-") else ""
    whole, _, decimals = number.lstrip("-").replace(",", "").partition(".")
    if not decimals:
        # A code, not a quantity, starts with zero: 007.
        return sign + (digits(whole) if len(whole) > 1 and whole.startswith("0") else cardinal(whole))
    return f"{sign}{cardinal(whole) if whole else 'zero'} point {digits(decimals)}"


@functools.lru_cache(maxsize=1024)
def fraction(numerator: str, denominator: str) -> str:
    """`("3", "4")` as "three quarters"; parts that have no everyday name are read "three over one hundred one"."""
    top, bottom = int(numerator), int(denominator)
    if not 2 <= bottom <= 100 or top == 0:
        return f"{cardinal(top)} over {cardinal(bottom)}"
    part = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom)
    if top == 1:
        return f"one {part}"
    return f"{cardinal(top)} {'halves' if part == 'half' else part + 's'}"


def mixed(whole: str, numerator: str, denominator: str) -> str:
    """`("3", "1", "2")` as "three and a half"."""
    part = fraction(numerator, denominator)
    if part.startswith("one "):
        part = ("an " if part.startswith(("one eighth", "one eleventh")) else "a ") + part[4:]
    return f"{spoken(whole)} and {part}"


def _last_word(words: str) -> tuple[str, str]:
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    return words[:cut], words[cut:]
