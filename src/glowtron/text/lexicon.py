"""Words and how they are said: the dictionary, and the user's own additions to it.

The dictionary is the American English one of the `misaki` package (Apache-2.0, 180,000 words), read from its two data
files without importing its code. It writes pronunciations in an IPA of one character a phone; here they become the
ARPAbet of the published symbol table, every vowel with its stress digit (0 none, 1 primary, 2 secondary).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Set
from importlib.resources import files
from pathlib import Path
from typing import Any

from glowtron.errors import InputError, reason
from glowtron.text.characters import plain
from glowtron.text.symbols import CONSONANTS, VOWELS, shortened

Phones = tuple[str, ...]

PHONES = frozenset(CONSONANTS) | {vowel + digit for vowel in VOWELS for digit in "012"}
"""Every phone that a pronunciation is made of."""

OWN_WORDS = Path(__file__).with_name("names.txt")
"""Words that the dictionary lacks or gets wrong."""

ACCENTS = Path(__file__).with_name("accents.txt")
"""Words that sound otherwise with their accents."""
_NO_NAMES = frozenset("ok os orange secession recollect jubilate portage rukh testudines hidalgo rom sol dene".split())
_VOWEL_OF = dict(
    zip("AIOWYɑɔæɛɪiʊuʌəᵊᵻɜ", "EY AY OW AW OY AA AO AE EH IH IY UH UW AH AH AH IH ER".split(), strict=True)
)
# The dictionary marks as flap or glottal stop only what is spelt with t.
_CONSONANT_OF = dict(
    zip(
        "bdfhjklmnpstvwzðŋɡɹɾʔʃʒʤʧθ",
        "B D F HH Y K L M N P S T V W Z DH NG G R T T SH ZH JH CH TH".split(),
        strict=True,
    )
)
_RESPELLINGS = (
    (re.compile("[ɜə]+ɹ"), "ɜ"),  # ARPAbet has one symbol for the coloured vowel.
    (re.compile("ʌɹ"), "ɜ"),
    (re.compile("[ʔt]n(?![ɑɔæɛɪiʊuʌəᵊᵻɜAIOWYˈˌ])"), "tᵊn"),  # The n of "button" is a syllable of its own.
)
_WORD = re.compile("'?[a-z]+(?:['-][a-z]+)*'?")
"""What a lexicon may have words for; cleaned text has no others."""
_NAMED_FAULTS = 5
_VOWELLESS = re.compile("(?<![ɑɔæɛɪiʊuʌəᵊᵻɜAIOWY])[hm]+$")


def arpabet(ipa: str) -> Phones:
    """Phones of a pronunciation in the dictionary's IPA; stress marks stand right before their vowel."""
    if _VOWELLESS.fullmatch(ipa):  # hm, mmm
        ipa = ("h" if ipa[0] == "h" else "") + "ʌm"
    for pattern, respelling in _RESPELLINGS:
        ipa = pattern.sub(respelling, ipa)
    phones, stress = [], "0"
    for character in ipa:
        if character in "ˈˌ":
            stress = "1" if character == "ˈ" else "2"
        elif character in _VOWEL_OF:
            phones.append(_VOWEL_OF[character] + stress)
            stress = "0"
        else:
            phones.append(_CONSONANT_OF[character])
    return tuple(phones)


class Lexicon:
    """Pronunciations of words by part of speech.

    The user's file comes first, then this project's own `names.txt`. In the dictionary a word is found as written in
    lower case first, then as a name, then as an initialism, in the checked half before the unchecked one; the halves
    are read when first needed (about 0.07 s each).
    """

    def __init__(self, user: Path | None = None) -> None:
        """`user`: a file of lines `word PH0 PH1 ...`. Raises InputError naming the line that is wrong."""
        self._user = read_pronunciations(user) if user is not None else {}
        self._own = read_pronunciations(OWN_WORDS) | self._user
        self._halves: dict[str, dict[str, Any]] = {}
        self._accents: dict[str, Phones] | None = None

    def find(self, word: str) -> dict[str, Phones] | None:
        """Pronunciations of a lower-case word by part of speech, or None for an unknown word.

        Keys are `DEFAULT`, and for words that sound different as one: `NOUN`, `VERB`, `ADJ`, `ADV`, `VBD` (past),
        `VBN` (participle), `DT` (determiner), `None` (nothing follows in the phrase).
        """
        if word in self._own:
            return {"DEFAULT": self._own[word]}
        entry = self._half("gold").get(word) or self._half("gold").get(word.capitalize())
        entry = entry or self._half("silver").get(word) or self._half("gold").get(word.upper())
        if entry is None:
            return None
        if isinstance(entry, str):
            return {"DEFAULT": arpabet(entry)}
        return {part: arpabet(ipa) for part, ipa in entry.items() if ipa}

    def find_accented(self, word: str) -> Phones | None:
        """Phones of a lower-case word, given without them, that was written with accents: `resume` of "résumé"."""
        if self._accents is None:
            self._accents = read_pronunciations(ACCENTS)
        found = self._accents.get(word)
        if found is None and word.endswith("s") and word[:-1] in self._accents:
            return (*self._accents[word[:-1]], "Z")
        return found

    def find_name(self, word: str) -> Phones | None:
        """Phones of a lower-case word as a name, where it sounds otherwise than the word: `reno`, `polish`."""
        name = self._half("gold").get(word.capitalize())
        if word in self._own or word in _NO_NAMES or not isinstance(name, str):
            return None
        return arpabet(name) if self._half("gold").get(word, name) != name else None

    @property
    def users_words(self) -> Set[str]:
        """Words of the user's file."""
        return self._user.keys()

    def words(self) -> dict[str, Phones]:
        """Every lower-case word of letters in the dictionary (not the user's), with its default pronunciation."""
        found: dict[str, Phones] = {}
        for half in ("silver", "gold"):
            for word, entry in self._half(half).items():
                if word.isascii() and word.isalpha() and not word.isupper():
                    found[word.lower()] = arpabet(entry if isinstance(entry, str) else entry["DEFAULT"])
        return found

    def _half(self, name: str) -> dict[str, Any]:
        if name not in self._halves:
            source = files("misaki.data").joinpath(f"us_{name}.json")
            self._halves[name] = json.loads(source.read_text(encoding="utf-8"))
        return self._halves[name]


def read_pronunciations(path: Path) -> dict[str, Phones]:
    """Words of a lexicon file: `word PH0 PH1 ...`, one a line; lines that are empty or start with # are skipped.

    Words are found in lower case and in ASCII, as cleaned text has them. Raises InputError for a file that cannot be
    read, and one naming all lines with a fault: a word without phones, a word with other signs than letters, hyphens
    and apostrophes, an unknown phone, a vowel without its stress digit, a word given twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a lexicon: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: cannot be read as a lexicon: it is not UTF-8 text (byte {error.start}); convert it first"
        ) from error
    found: dict[str, Phones] = {}
    faults: dict[int, str] = {}
    # Not splitlines(), which takes a form feed or U+2028 for the end of a line; editors do not.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            word, phones = _entry(line)
            if word in found:
                raise InputError(f"'{word}' is given twice; keep one of the lines")
            found[word] = phones
        except InputError as error:
            faults[number] = str(error)
    if faults:
        raise InputError(_all_faults(path, faults))
    return found


def _entry(line: str) -> tuple[str, Phones]:
    """The word and the phones of a line. Raises InputError that says what is wrong with it."""
    written, *phones = line.split()
    word = " ".join(plain(written).lower().split())
    shown = f"'{shortened(written)}'"
    if not _WORD.fullmatch(word):
        raise InputError(
            f"{shown} must be a word of letters, hyphens and apostrophes; figures and signs are read before"
        )
    if not phones:
        raise InputError(f"{shown} has no phones; write it as: {word} PH0 PH1 ...")
    for phone in map(str.upper, phones):
        if phone in VOWELS:
            raise InputError(f"{shown}: vowel {phone} lacks its stress; write {phone}0, {phone}1 or {phone}2")
        if phone not in PHONES:
            phone = shortened(phone)
            raise InputError(f"{shown}: unknown phone {phone}; ARPAbet is wanted, such as HH AH0 L OW1")
    return word, tuple(map(str.upper, phones))


def _all_faults(path: Path, faults: dict[int, str]) -> str:
    """One line for all that is wrong with a file, the first lines in full."""
    named = [f"line {number}: {fault}" for number, fault in faults.items()]
    if len(named) == 1:
        return f"{path}, {named[0]}"
    more = [f"and {len(named) - _NAMED_FAULTS} more"] if len(named) > _NAMED_FAULTS else []
    return f"{path}: {len(named)} lines are wrong: {'; '.join([*named[:_NAMED_FAULTS], *more])}"


_ENDINGS = ("s", "es", "ed", "ing", "d", "er", "ly", "'s")


@functools.lru_cache(maxsize=1)
def _words() -> frozenset[str]:
    """Checked words of the dictionary; read when a text first asks (0.1 s)."""
    entries = json.loads(files("misaki.data").joinpath("us_gold.json").read_text(encoding="utf-8"))
    return frozenset(word.lower() for word in entries if not word.isupper())


@functools.lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    entries = json.loads(files("misaki.data").joinpath("us_gold.json").read_text(encoding="utf-8"))
    return frozenset(word for word in entries if word.islower())


@functools.lru_cache(maxsize=4096)
def is_word(word: str) -> bool:
    """True if the dictionary has a word, or what it is inflected of; names are words."""
    word = word.lower()
    if word in _words():
        return True
    return any(len(word) > len(end) + 2 and word.endswith(end) and word[: -len(end)] in _words() for end in _ENDINGS)


def is_common(word: str) -> bool:
    """True if a word is one without a capital too."""
    word = word.lower()
    return word in _common() or (word.endswith("s") and word[:-1] in _common())
