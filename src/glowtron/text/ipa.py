"""IPA to ARPAbet: the sounds of English, in the phones that voices know."""

from __future__ import annotations

import re
import unicodedata

from glowtron.errors import InputError
from glowtron.text.symbols import VOWELS

_PHONES = {
    # Diphthongs and other pairs, as dictionaries of American and of British English write them.
    "tʃ": "CH", "dʒ": "JH", "ʧ": "CH", "ʤ": "JH",
    "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "eɪ": "EY", "oʊ": "OW", "əʊ": "OW",
    "ɪə": "IH R", "eə": "EH R", "ʊə": "UH R", "ɜr": "ER", "ɜɹ": "ER", "ər": "ER", "əɹ": "ER",
    "ɑr": "AA R", "ɔr": "AO R",
    # Vowels.
    "ɑ": "AA", "ɒ": "AA", "a": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɔ": "AO", "ɛ": "EH", "e": "EH",
    "ɝ": "ER", "ɚ": "ER", "ɜ": "ER", "ɪ": "IH", "ɨ": "IH", "i": "IY", "o": "OW", "ʊ": "UH", "u": "UW", "ʉ": "UW",
    # Consonants.
    "b": "B", "d": "D", "ð": "DH", "f": "F", "g": "G", "ɡ": "G", "h": "HH", "j": "Y", "k": "K", "x": "K", "l": "L",
    "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "r": "R", "ɹ": "R", "ɾ": "D", "s": "S", "ʃ": "SH", "t": "T",
    "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "ʍ": "W", "y": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip
_SYMBOL = re.compile("|".join(re.escape(symbol) for symbol in sorted(_PHONES, key=len, reverse=True)))
_IGNORED = re.compile("[ː.ˑ͡‿\u0361\u032f\u0329\u0303\u02b0/\\[\\]\u200d\\s-]|\u0306")
_STRESS = {"ˈ": "1", "'": "1", "ˌ": "2", ",": "2"}


def ipa_to_arpabet(text: str) -> tuple[str, ...]:
    """Phones of one word in IPA; its vowels bear the stress of the mark before their syllable, else none.

    A word without a mark has its stress on the first vowel. Raises InputError that names the first symbol that is no
    sound of English.
    """
    text = _IGNORED.sub("", unicodedata.normalize("NFD", text))
    phones: list[str] = []
    stress, place = "0", 0
    while place < len(text):
        if text[place] in _STRESS:
            stress, place = _STRESS[text[place]], place + 1
            continue
        match = _SYMBOL.match(text, place)
        if match is None:
            raise InputError(f"in IPA '{text}': '{text[place]}' is no sound of English that is known")
        for phone in _PHONES[match[0]].split():
            if phone in VOWELS:
                phones.append(phone + stress)
                stress = "0"
            else:
                phones.append(phone)
        place = match.end()
    vowels = [i for i, phone in enumerate(phones) if phone[-1].isdigit()]
    if vowels and not any(mark in text for mark in _STRESS):
        phones[vowels[0]] = phones[vowels[0]][:-1] + "1"
    return tuple(phones)
