"""Words and how they are said: the dictionary, and the user's own additions to it.

The dictionary is the American English one of the `misaki` package (Apache-2.0, 180,000 words): its two data files,
which are put beside this module when Glowtron is built or installed. It writes pronunciations in an IPA of one
character a phone; here they become the ARPAbet of the published symbol table, every vowel with its stress digit (0
none, 1 primary, 2 secondary).
"""

from __future__ import annotations

import functools
import json
import mmap
import re
from collections.abc import Iterable, Mapping, Set
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from glowtron.errors import InputError, reason
from glowtron.text.characters import plain
from glowtron.text.symbols import CONSONANTS, VOWELS, shortened

Phones = tuple[str, ...]

_LETTER_NAMES = (
    "EY1|B IY1|S IY1|D IY1|IY1|EH1 F|JH IY1|EY1 CH|AY1|JH EY1|K EY1|EH1 L|EH1 M|EH1 N|OW1|P IY1|K Y UW1|AA1 R|EH1 S|"
    "T IY1|Y UW1|V IY1|D AH1 B AH0 L Y UW0|EH1 K S|W AY1|Z IY1"
)
LETTER_NAMES: Mapping[str, Phones] = {
    letter: tuple(name.split())
    for letter, name in zip("abcdefghijklmnopqrstuvwxyz", _LETTER_NAMES.split("|"), strict=True)
}
"""Names of the letters."""

PHONES = frozenset(CONSONANTS) | {vowel + digit for vowel in VOWELS for digit in "012"}
"""Every phone that a pronunciation is made of."""

OWN_WORDS = Path(__file__).with_name("names.txt")
"""Words that the dictionary lacks or gets wrong."""

DICTIONARY = Path(__file__).with_name("dictionary")
"""Folder that the build puts the dictionary's files into."""
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
"""Words that a lexicon may hold; cleaned text has no others."""
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
    are opened when first needed.
    """

    def __init__(self, user: Path | None = None) -> None:
        """`user`: a file of lines `word PH0 PH1 ...`. Raises InputError naming the line that is wrong."""
        self._user = read_pronunciations(user) if user is not None else {}
        self._own = read_pronunciations(OWN_WORDS) | self._user
        self._accents: dict[str, Phones] | None = None

    def find(self, word: str) -> dict[str, Phones] | None:
        """Pronunciations of a lower-case word by part of speech, or None for an unknown word.

        Keys are `DEFAULT`, and for words that sound different as one: `NOUN`, `VERB`, `ADJ`, `ADV`, `VBD` (past),
        `VBN` (participle), `DT` (determiner), `None` (nothing follows in the phrase).
        """
        if word in self._own:
            return {"DEFAULT": self._own[word]}
        gold = dictionary("gold")
        entry = gold.get(word) or gold.get(word.capitalize())
        entry = entry or dictionary("silver").get(word) or gold.get(word.upper())
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
        name = dictionary("gold").get(word.capitalize())
        if word in self._own or word in _NO_NAMES or not isinstance(name, str):
            return None
        return arpabet(name) if (dictionary("gold").get(word) or name) != name else None

    @property
    def own_words(self) -> Mapping[str, Phones]:
        """Pronunciations by this project and the user, which go before the dictionary."""
        return self._own

    @property
    def users_words(self) -> Set[str]:
        """Words of the user's file."""
        return self._user.keys()

    def words(self) -> dict[str, Phones]:
        """Every lower-case word of letters in the dictionary (not the user's), with its default pronunciation."""
        found: dict[str, Phones] = {}
        for half in ("silver", "gold"):
            for word, entry in dictionary(half).items():
                if word.isascii() and word.isalpha() and not word.isupper():
                    found[word.lower()] = arpabet(entry if isinstance(entry, str) else entry["DEFAULT"])
        return found


class Dictionary:
    """Half of the dictionary as its file has it: a line for each word, in order, so that none has to be read before it
    is asked for. Reading all of it takes 0.1 s and 20 MB.
    """

    _LINE = b'\n  "'

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        # A later version of the package may have another layout.
        self._read: dict[str, Any] | None = None if self._is_sorted() else json.loads(bytes(data))

    def get(self, word: str) -> Any:
        """Pronunciation of a word: IPA, or IPA by part of speech; None for an unknown word."""
        if self._read is not None:
            return self._read.get(word)
        key = word.encode()
        low, high = 0, len(self._data)
        while low < high:  # What is sought begins in [low, high).
            start = self._data.rfind(self._LINE, low, (low + high) // 2 + len(self._LINE))
            start = start if start >= 0 else self._data.find(self._LINE, low, high + len(self._LINE) - 1)
            if start < 0:
                return None
            found = self._key(start)
            if found == key:
                return self._value(start + len(self._LINE) + len(key) + 2)
            if found < key:
                low = start + 1
            else:
                high = start
        return None

    def items(self) -> Iterable[tuple[str, Any]]:
        """All of it."""
        read: dict[str, Any] = json.loads(bytes(self._data)) if self._read is None else self._read
        return read.items()

    @functools.cached_property
    def mixed(self) -> frozenset[str]:
        """Words with a capital behind their beginning, and not of capitals alone, in lower case."""
        if self._read is not None:
            words: Iterable[str] = self._read
        else:
            words = (word.decode() for word in re.findall(rb'\n  "([^"\n]+[A-Z][^"\n]*)": ', self._data))
        return frozenset(word.lower() for word in words if word[1:] != word[1:].lower() and not word.isupper())

    def _key(self, start: int) -> bytes:
        start += len(self._LINE)
        return self._data[start : self._data.find(b'"', start)]

    def _value(self, start: int) -> Any:
        nested = self._data[start : start + 2] == b" {"
        stop = self._data.find(b"}" if nested else b"\n", start) + nested
        return json.loads(self._data[start:stop].strip().rstrip(b","))

    def _is_sorted(self) -> bool:
        """True if samples from all over it stand in order, a line each."""
        step = max(len(self._data) // 50, 1)
        starts = [self._data.find(self._LINE, place) for place in range(0, len(self._data), step)]
        keys = [self._key(start) for start in starts if start >= 0]
        return len(keys) > 1 and keys == sorted(keys) and b"\\" not in b"".join(keys)


@functools.lru_cache(maxsize=2)
def dictionary(half: Literal["gold", "silver"]) -> Dictionary:
    """The checked half (gold) or the other; its file is mapped when it is first asked for."""
    name = f"us_{half}.json"
    path = DICTIONARY / name
    if not path.exists():  # A checkout that was not installed.
        path = Path(str(files("misaki.data").joinpath(name)))
    with path.open("rb") as file:
        return Dictionary(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


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


def _in_gold(word: str) -> bool:
    """True if the checked half has a word given in lower case, with capitals or without, but not of them alone."""
    gold, name = dictionary("gold"), word.capitalize()
    return gold.get(word) is not None or (not name.isupper() and gold.get(name) is not None) or word in gold.mixed


@functools.lru_cache(maxsize=4096)
def is_word(word: str) -> bool:
    """True if the dictionary has a word, or what it is inflected of; names are words."""
    word = word.lower()
    if _in_gold(word):
        return True
    return any(len(word) > len(end) + 2 and word.endswith(end) and _in_gold(word[: -len(end)]) for end in _ENDINGS)


def is_common(word: str) -> bool:
    """True if a word is one without a capital too."""
    word = word.lower()
    gold = dictionary("gold")
    return any(one.islower() and gold.get(one) is not None for one in (word, word.removesuffix("s")))
