"""Numbers in words can be read back as the same numbers."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.text.numbers import DIGITS, LONGEST, cardinal, groups, ordinal, pairs

SMALL = [*DIGITS, *"ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()]
VALUES = {word: value for value, word in enumerate(SMALL)}
VALUES |= {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)}
SCALES = "thousand million billion trillion quadrillion quintillion sextillion septillion octillion nonillion decillion"
NUMBERS = st.integers(0, 36).flatmap(lambda figures: st.integers(0, 10**figures - 1))


def value_of(words: str) -> int:
    """A number in words, read from left to right."""
    total = group = 0
    for word in re.findall("[a-z]+", words):
        if word == "hundred":
            group *= 100
        elif word in SCALES.split():
            total += group * 1000 ** (SCALES.split().index(word) + 1)
            group = 0
        elif word != "and":
            group += VALUES[word]
    return total + group


@given(NUMBERS)
def test_cardinals_read_back_as_the_number(number: int) -> None:
    words = cardinal(number)
    assert value_of(words) == number
    assert re.fullmatch("[a-z]+([ -][a-z]+)*", words)
    assert number == 0 or "zero" not in words
    assert cardinal("000" + str(number)) == words


@given(NUMBERS)
def test_groups_are_of_thousands_and_fall(number: int) -> None:
    values = [value_of(group) for group in groups(number, " and ")]
    assert sum(values) == number
    assert values == sorted(values, reverse=True)
    assert len(values) <= LONGEST / 3 and (number == 0 or 0 not in values)


def test_words_as_they_are_written() -> None:
    assert cardinal(1_200_045) == "one million two hundred thousand forty-five"
    assert groups(1_200_045) == ["one million", "two hundred thousand", "forty-five"]
    assert groups(101_115, " and ") == ["one hundred and one thousand", "one hundred and fifteen"]
    assert cardinal("9" * LONGEST).startswith("nine hundred ninety-nine decillion")
    assert cardinal("9" * (LONGEST + 1)) == " ".join(["nine"] * (LONGEST + 1))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zeroth"), (1, "first"), (2, "second"), (3, "third"), (5, "fifth"), (8, "eighth"), (9, "ninth"),
        (12, "twelfth"), (13, "thirteenth"), (20, "twentieth"), (21, "twenty-first"), (40, "fortieth"),
        (100, "one hundredth"), (1000, "one thousandth"), (1002, "one thousand second"),
    ],
)  # fmt: skip
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


@given(st.integers(1, 9999))
def test_years_read_back_as_the_number(number: int) -> None:
    words = pairs(number)
    readings = [words, words.replace(" oh ", " hundred ")]
    readings += [f"{words[: gap.start()]} hundred {words[gap.end() :]}" for gap in re.finditer(" ", words)]
    assert number in [value_of(reading) for reading in readings if " oh " not in reading]


def test_the_first_number_imports_nothing() -> None:
    code = (
        "import sys; from glowtron.text import numbers; before = set(sys.modules); "
        "numbers.cardinal(1234), numbers.ordinal(5); sys.exit(len(set(sys.modules) - before))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
