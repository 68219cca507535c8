"""The published weights' cleaner: the same ids as the program they were trained with."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.text import nvidia


def test_every_row_of_the_reference(parity: Callable[[str], Path]) -> None:
    rows = [json.loads(line) for line in parity("text.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        if row.get("error"):
            with pytest.raises(ValueError, match="cannot read"):
                nvidia.ids(row["text"])
            continue
        assert nvidia.ids(row["text"]) == row["ids"], row["text"]
        if row["cleaned"] is not None:
            assert nvidia.clean(row["text"]) == row["cleaned"]
    assert len(rows) > 300


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("£20", "pstwenty"),
        ("3.14159", "three point fourteen thousand, one hundred fifty-nine"),
        ("Mrs. St. Co.", "misess saint company"),
        ("$1.5 million", "one dollar, five cents million"),
        ("$0 and $0.00", "zero dollars and zero dollars"),
        ("1001 1999 2000 2009 3000", "ten oh one nineteen ninety-nine two thousand two thousand nine three thousand"),
        ("say {HH AY1}, 5!", "say {HH AY1}, five!"),
        ("unclosed {HH", "unclosed {hh"),
        ("empty {} braces", "empty {} braces"),
        ("", ""),
        ("  ", " "),
    ],
)
def test_faults_are_kept(text: str, cleaned: str) -> None:
    assert nvidia.clean(text) == cleaned


def test_unknown_phones_are_left_out() -> None:
    assert nvidia.ids("{HH XX AH0}") == nvidia.ids("{HH AH0}")


def test_text_after_a_line_break_is_not_lost() -> None:
    assert nvidia.clean("one {AH0} two\nthree {AH0} four") == "one {AH0} two three {AH0} four"


@pytest.mark.parametrize("text", ["$,5", "It cost $1.,5.", "9" * 40, "9" * 5000, "$" + "9" * 5000])
def test_what_the_program_cannot_read_is_named(text: str) -> None:
    with pytest.raises(InputError, match=r"cannot read the (amount|number) '"):
        nvidia.clean(text)


@given(st.text())
def test_any_text_has_ids_or_a_clear_error(text: str) -> None:
    try:
        ids = nvidia.ids(text)
    except InputError:
        return
    assert all(0 <= index < 148 for index in ids)


@pytest.mark.parametrize("piece", ["1", "1.", "1,", "{", "{a", "$", "$.", "st.", "a ", "😀"])
def test_time_is_linear(piece: str) -> None:
    started = time.process_time()
    with contextlib.suppress(InputError):
        nvidia.ids(piece * (30_000 // len(piece)))
    assert time.process_time() - started < 4
