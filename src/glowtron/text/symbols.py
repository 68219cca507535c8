"""The 148 symbols of the published Tacotron 2 weights, their ids, and inline `{ARPAbet}`.

Id 0 pads; there is no end symbol. Letters come in both cases; phones follow in alphabetical order, vowels without
stress digit and with each of 0 (none), 1 (primary) and 2 (secondary).
"""

from __future__ import annotations

import re

from glowtron.errors import InputError, nearest

PAD = "_"
PUNCTUATION = "-!'(),.:;? "
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
PHONES = tuple(sorted((*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in ("", "0", "1", "2")))))
"""The 84 phones that may stand between braces."""

SYMBOLS = (PAD, *PUNCTUATION, *LETTERS, *("{" + phone + "}" for phone in PHONES))
"""All symbols in the order of their ids; phones in braces, since some are also letters."""
FIRST_SOUND = SYMBOLS.index(LETTERS[0])
"""Ids from here on are letters and phones; those before are marks, which nobody hears."""
SYMBOL_IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}

# Capitals tell phones from words in braces, so "{see below}" is text and "{HELO}" a mistake to be named.
MARKUP = re.compile(r"\{ *[A-Z]+[0-9]?(?: +[A-Z]+[0-9]?)* *\}")
"""Inline phones such as `{HH AH0 L OW1}`, right or misspelt."""


def is_phones(markup: str) -> bool:
    """True if the text in braces is meant as phones: one of it is a phone, or a vowel with some figure."""
    return any(word in PHONES or (word[:-1] in VOWELS and word[-1].isdigit()) for word in markup[1:-1].split())


def parse_markup(markup: str) -> tuple[str, ...]:
    """Phones of one `{HH AH0 L OW1}`.

    Raises InputError that names the first word in it that is no phone.
    """
    phones = tuple(markup[1:-1].split())
    for phone in phones:
        if phone not in PHONES:
            hint = nearest(phone, PHONES)
            raise InputError(
                f"in '{shortened(markup)}': '{phone}' is no ARPAbet phone{hint if 'mean' in hint else ''}; "
                "write words in braces like {HH AH0 L OW1}"
            )
    return phones


def text_ids(text: str) -> list[int]:
    """Ids of clean text: characters outside braces, phones inside. Characters without a symbol are left out."""
    ids: list[int] = []
    position = 0
    for match in MARKUP.finditer(text):
        ids += character_ids(text[position : match.start()])
        ids += phone_ids(match[0][1:-1].split())
        position = match.end()
    return ids + character_ids(text[position:])


def character_ids(text: str) -> list[int]:
    """Ids of the characters of `text` that have a symbol."""
    return [SYMBOL_IDS[character] for character in text if character in SYMBOL_IDS]


def phone_ids(phones: list[str] | tuple[str, ...]) -> list[int]:
    """Ids of those of `phones` that have a symbol."""
    return [SYMBOL_IDS["{" + phone + "}"] for phone in phones if phone in PHONES]


def shortened(text: str) -> str:
    """`text` as an error may quote it."""
    return text if len(text) <= 60 else text[:57] + "..."
