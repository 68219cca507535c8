"""Words as phones: what each word of a cleaned text sounds like where it stands.

A word is sought in the user's lexicon, in the dictionary, as a derived or compound word of dictionary words, and at
last read letter by letter (`glowtron.text.letter_to_sound`). Function words get the weak forms of read speech.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from glowtron.text import homographs
from glowtron.text.homographs import Context
from glowtron.text.lexicon import LETTER_NAMES, Lexicon, Phones
from glowtron.text.symbols import MARKUP

if TYPE_CHECKING:
    from glowtron.text.derivation import Derivation
    from glowtron.text.letter_to_sound import LetterToSound

_TOKEN = re.compile(
    rf"(?P<inline>{MARKUP.pattern})|(?P<word>'?[A-Za-z]+(?:['-][A-Za-z]+)*'?)|(?P<space>\s+)|(?P<mark>.)", re.DOTALL
)
_PHRASE_ENDS = frozenset(".,;:?!()")

WEAK_FORMS = {
    "a": "AH0",
    "an": "AH0 N",
    "of": "AH0 V",
    "the": "DH AH0",
    "to": "T AH0",
    "than": "DH AH0 N",
    "her": "HH ER0",
    "us": "AH0 S",
}
"""Function words as they are said inside a phrase, where the dictionary gives them in full."""

Source: TypeAlias = Literal["inline", "lexicon", "dictionary", "homograph", "weak form", "letter", "derived", "guessed"]
"""Source of a pronunciation.

In the order in which they are asked: what the text has in braces, the user's lexicon, the dictionary, the dictionary
where it has several and the neighbours chose, a function word inside a phrase, the name of a letter, a word made of
others, and letter by letter.
"""


class Word(NamedTuple):
    """A word of a text and how it is said there."""

    text: str
    """In lower case, or a capital that is a letter's name; or phones in braces."""
    phones: Phones
    source: Source
    part: str = ""
    """Of a homograph: what it was taken for, such as `noun` or `past tense`."""
    made_of: tuple[str, ...] = ()
    """Of a derived or guessed word that is made of others: these."""
    guessed: tuple[tuple[str, Phones], ...] = ()
    """The words in it, itself or what it is made of, that were read letter by letter, and how."""


class _Entry(NamedTuple):
    """Pronunciations of a word in all contexts."""

    parts: Mapping[str, Phones]
    """Pronunciations by part of speech; never empty."""
    source: Source
    made_of: tuple[str, ...] = ()
    guessed: tuple[tuple[str, Phones], ...] = ()


class Phonemizer:
    """Pronounces words and texts in ARPAbet with stress digits."""

    def __init__(self, lexicon: Path | None = None) -> None:
        """`lexicon`: the user's pronunciations (`read_pronunciations`). Raises InputError for a faulty one."""
        self._lexicon = Lexicon(lexicon)
        self._known: dict[str, _Entry] = {}
        self._fixed: dict[str, Word] = {}  # Words that sound alike wherever they stand.

    @cached_property
    def _derivation(self) -> Derivation:
        """Words that are made of others: needed where the dictionary lacks one."""
        from glowtron.text.derivation import Derivation

        return Derivation(self._default, self._alone, WEAK_FORMS)

    @cached_property
    def _letters(self) -> LetterToSound:
        """Words that are read letter by letter: needed where nothing else knows one."""
        from glowtron.text.letter_to_sound import LetterToSound

        return LetterToSound()

    @property
    def users_words(self) -> Set[str]:
        """Words of the user's lexicon, in lower case."""
        return self._lexicon.users_words

    def transcribe(self, text: str) -> str:
        """A cleaned text with every word as `{HH AH0 L OW1}`.

        Punctuation, and what already stands in braces, stay as they are; runs of white space become one space. A
        compound with hyphens is one word, for they are not heard.
        """
        return transcription(self.tokens(text))

    def pronounce(self, word: str, context: Context | None = None) -> list[str]:
        """Phones of one word of letters, apostrophes and hyphens, said where `context` says it stands.

        Without context it is said alone, in its full form: `the` then is `DH IY1`. A single capital is a letter's name.
        """
        if context is not None:
            return list(self._word(word, context).phones)
        if len(word) == 1 and word.isupper():
            return list(LETTER_NAMES[word.lower()])
        return list(_stressed(self._alone(word.lower())))

    def tokens(self, text: str, written: Callable[[int, int], str] | None = None) -> list[Word | str]:
        """Words, and the marks and spaces between them, of a cleaned text, in order.

        `written` gives what was written where the cleaned text has characters i to j; capitals and accents tell some
        words apart.
        """
        tokens, places = [], []
        for kind, token, start in _tokens(text):
            tokens.append((kind, token))
            places.append(start)
        originals = _originals(tokens, places, written) if written else {}
        found: list[Word | str] = [token for _, token in tokens]
        past = homographs.tells_of_past([token for kind, token in tokens if kind == "word"])
        befores = _words_before(tokens)
        next_sound, after = "", ""
        # From the end, since a word's sound may hang on how the next one begins.
        for i in range(len(tokens) - 1, -1, -1):
            kind, token = tokens[i]
            if kind == "word":
                original = originals.get(i, "")
                capital = original[:1].isupper()
                fixed = self._fixed.get(token) if original.isascii() and not capital else None
                if fixed is None:
                    context = Context(*befores[i], after, next_sound, capital, past)
                    word = self._as_written(token, context, original) or self._word(token, context)
                else:
                    word = fixed
            elif kind == "inline":
                word = Word(token, tuple(token[1:-1].split()), "inline")
            else:
                after = "" if token in _PHRASE_ENDS else after
                continue
            found[i] = word
            next_sound, after = word.phones[0], token
        return found

    def _as_written(self, word: str, context: Context, written: str) -> Word | None:
        """A word that its accents or its capital tell from the one in the dictionary, or None."""
        if not written or word in self._lexicon.users_words or len(word) < 2:
            return None
        if not written.isascii():
            accented = self._lexicon.find_accented(word)
            if accented is None and unicodedata.normalize("NFC", written.lower()).endswith(("\u00e9", "\u00e9e")):
                stem = word.rstrip("e")
                if stem and self._entry(word).source == "guessed":
                    accented = (*self._entry(stem).parts["DEFAULT"], "EY1")
            if accented is not None:
                return Word(word, accented, "dictionary")
        if context.name:
            name = self._lexicon.find_name(word)
            if name is not None:
                return Word(word, name, "homograph", "name")
        return None

    def _word(self, word: str, context: Context) -> Word:
        if len(word) == 1 and word.isupper():
            return Word(word, LETTER_NAMES[word.lower()], "letter")
        word = word.lower()
        if word in self._fixed:
            return self._fixed[word]
        if word not in self._lexicon.users_words:
            if word == "a" and (_is_letter(context.before) or _is_letter(context.after)):
                return Word(word, LETTER_NAMES[word], "letter")
            weak = _weak(word, context)
            if weak is not None:
                return Word(word, tuple(weak.split()), "weak form")
        entry = self._entry(word)
        part = homographs.choose(word, entry.parts, context)
        if entry.source == "dictionary" and not entry.parts.keys() <= homographs.REDUCED:
            return Word(word, entry.parts[part], "homograph", homographs.NAMES.get(part, ""))
        said = Word(word, entry.parts[part], entry.source, "", entry.made_of, entry.guessed)
        if len(entry.parts) == 1 and word not in WEAK_FORMS:
            self._fixed[word] = said
        return said

    def _entry(self, word: str) -> _Entry:
        if word not in self._known:
            self._known[word] = self._found(word)
        return self._known[word]

    def _found(self, word: str) -> _Entry:
        parts = self._look_up(word)
        if parts is not None:
            return _Entry(parts, "lexicon" if word in self._lexicon.users_words else "dictionary")
        derived = self._derivation.derive(word)
        if derived is None:
            phones = self._letters.read(word)
            return _Entry({"DEFAULT": phones}, "guessed", (), ((word, phones),))
        guessed = tuple(dict.fromkeys(guess for stem in derived.made_of for guess in self._entry(stem).guessed))
        return _Entry({"DEFAULT": derived.phones}, "guessed" if guessed else "derived", derived.made_of, guessed)

    def _look_up(self, word: str) -> Mapping[str, Phones] | None:
        if word in homographs.EXTRA and word not in self._lexicon.users_words:
            return homographs.EXTRA[word]
        return self._lexicon.find(word)

    def _default(self, word: str) -> Phones | None:
        """Default phones of a word that needs no making, or None."""
        found = self._look_up(word)
        return found["DEFAULT"] if found else None

    def _alone(self, word: str) -> Phones:
        """Phones of any word by itself."""
        parts = self._entry(word).parts
        return parts[homographs.choose(word, parts, Context())]


def transcription(tokens: Iterable[Word | str]) -> str:
    """Words as `{HH AH0 L OW1}`, the marks between them as they are, never two spaces in a row."""
    pieces: list[str] = []
    for token in tokens:
        piece = token if isinstance(token, str) else "{" + " ".join(token.phones) + "}"
        if piece != " " or (pieces and pieces[-1] != " "):
            pieces.append(piece)
    return "".join(pieces)


def _weak(word: str, context: Context) -> str | None:
    """A function word as it is said where it stands inside a phrase."""
    if word == "the" and context.before_vowel:
        return "DH IY0"
    if word == "to" and not context.after:
        return "T UW1"
    if word == "to" and context.before_vowel:
        return "T UW0"
    return WEAK_FORMS.get(word)


def _originals(tokens: list[tuple[str, str]], places: list[int], written: Callable[[int, int], str]) -> dict[int, str]:
    """Words as they were written, by the number of the token, without the capital where it says nothing."""
    words = [i for i, (kind, _) in enumerate(tokens) if kind == "word"]
    found = {i: written(places[i], places[i] + len(tokens[i][1])) for i in words}
    capitals = sum(original[:1].isupper() for original in found.values())
    heading = len(words) > 2 and 3 * capitals > 2 * len(words)  # How To Polish Silver.
    following = dict(zip(words, [tokens[i][1] for i in words[1:]], strict=False))
    for i, original in found.items():
        opens = i == words[0] or (tokens[i - 1][1] == " " and i > 1 and tokens[i - 2][1] in ".?!:")
        is_verb = following.get(i) in homographs.OPENING or tokens[i][1] != "polish"
        if original.isupper() or heading or (opens and is_verb and not _is_only_name(tokens[i][1])):
            found[i] = original.lower()
        elif " " in original:  # A year, a sum: nothing of a word.
            found[i] = ""
    return found


def _is_only_name(word: str) -> bool:
    return word in ("reno", "tangier", "trier", "louvre", "moline", "canton", "ankara", "alameda", "leghorn")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """(kind, token, place) of a text; words in lower case, without quotes that hug them."""
    quoted = False
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match.group()
        if kind == "space":
            yield "mark", " ", match.start()
        elif kind != "word":
            yield kind, token, match.start()
        else:
            # A capital is a letter to be named; frontends write "U S A", and every other word in lower case.
            word = token if len(token) == 1 else token.lower()
            start = match.start()
            if word.startswith("'") and word not in _ELIDED:
                quoted = True
                yield "mark", "'", start
                word = word[1:]
                start += 1
            closing = word.endswith("'") and (quoted or not word.endswith(("s'", "in'")))
            yield "word", word.removesuffix("'") if closing or word.endswith("s'") else word, start
            if closing:
                quoted = False
                yield "mark", "'", match.end() - 1


_ELIDED = frozenset("'tis 'twas 'em 'cause 'til 'till 'bout 'round 'twill 'twere 'twould 'neath 'gainst 'n'".split())


def _words_before(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of each token the two words before it in its phrase, nearest first; empty where there is none."""
    found: list[tuple[str, str]] = []
    before = before_that = ""
    for kind, token in tokens:
        found.append((before, before_that))
        if token in _PHRASE_ENDS:
            before = before_that = ""
        elif kind == "word":
            before, before_that = token, before
    return found


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.islower() and word not in "ai"


def _stressed(phones: Phones) -> Phones:
    """A word said alone bears a stress: its first vowel gets one if none has."""
    if any(phone[-1] in "12" for phone in phones):
        return phones
    first = next((i for i, phone in enumerate(phones) if phone.endswith("0")), None)
    return tuple(phone[:-1] + "1" if i == first else phone for i, phone in enumerate(phones))
