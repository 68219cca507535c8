"""Symbols, their ids, and phones in braces."""

import pytest

from glowtron.errors import InputError
from glowtron.text.symbols import PHONES, SYMBOL_IDS, SYMBOLS, parse_markup, text_ids


def test_the_table_is_the_published_one() -> None:
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 148
    assert "".join(SYMBOLS[:12]) == "_-!'(),.:;? "
    assert SYMBOLS[12] == "A"
    assert SYMBOLS[37] == "Z"
    assert SYMBOLS[38] == "a"
    assert SYMBOLS[63] == "z"
    assert SYMBOLS[64:69] == ("{AA}", "{AA0}", "{AA1}", "{AA2}", "{AE}")
    assert SYMBOLS[147] == "{ZH}"
    assert len(PHONES) == 84


def test_letters_and_phones_of_one_name_differ() -> None:
    assert text_ids("B {B} b") == [SYMBOL_IDS["B"], 11, SYMBOL_IDS["{B}"], 11, SYMBOL_IDS["b"]]


def test_markup_is_read_phone_by_phone() -> None:
    assert parse_markup("{ HH  AH0 L OW1 }") == ("HH", "AH0", "L", "OW1")


def test_a_misspelt_phone_is_named() -> None:
    with pytest.raises(InputError, match=r"'\{HH AX0\}': 'AX0' is no ARPAbet phone \(did you mean 'A[A-Z]0'"):
        parse_markup("{HH AX0}")
