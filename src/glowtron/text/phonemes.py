"""Words as phones: what each word of a cleaned text sounds like where it stands.

A word is sought in the user's lexicon, in the dictionary, as a derived or compound word of dictionary words, and at
last read letter by letter (`glowtron.text.letter_to_sound`). Function words get the weak forms of read speech.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from glowtron.text import homographs
from glowtron.text.homographs import Context
from glowtron.text.letter_to_sound import LETTER_NAMES, LetterToSound
from glowtron.text.lexicon import Lexicon, Phones
from glowtron.text.symbols import MARKUP

_TOKEN = re.compile(
    rf"(?P<inline>{MARKUP.pattern})|(?P<word>'?[A-Za-z]+(?:['-][A-Za-z]+)*'?)|(?P<space>\s+)|(?P<mark>.)", re.DOTALL
)
_PHRASE_ENDS = frozenset(".,;:?!()")

_WEAK = {
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

_PREFIXES = {
    "anti": "AE2 N T IY0",
    "co": "K OW2",
    "counter": "K AW2 N T ER0",
    "de": "D IY2",
    "dis": "D IH0 S",
    "ex": "EH2 K S",
    "fore": "F AO2 R",
    "inter": "IH2 N T ER0",
    "mis": "M IH0 S",
    "multi": "M AH2 L T IY0",
    "non": "N AA2 N",
    "out": "AW2 T",
    "over": "OW2 V ER0",
    "post": "P OW2 S T",
    "pre": "P R IY2",
    "re": "R IY0",
    "semi": "S EH2 M IY0",
    "sub": "S AH2 B",
    "super": "S UW2 P ER0",
    "un": "AH0 N",
    "under": "AH2 N D ER0",
    "with": "W IH0 TH",
}
_ONLY_BEFORE_HYPHENS = ("co", "de", "ex")  # In one word with the rest they mostly begin names.
_SUFFIXES = {
    "ability": "AH0 B IH1 L AH0 T IY0",
    "able": "AH0 B AH0 L",
    "er": "ER0",
    "ers": "ER0 Z",
    "est": "AH0 S T",
    "ford": "F ER0 D",
    "ful": "F AH0 L",
    "fully": "F AH0 L IY0",
    "hood": "HH UH2 D",
    "ing": "IH0 NG",
    "ings": "IH0 NG Z",
    "ish": "IH0 SH",
    "ism": "IH2 Z AH0 M",
    "ist": "IH0 S T",
    "less": "L AH0 S",
    "like": "L AY2 K",
    "ly": "L IY0",
    "man": "M AH0 N",
    "men": "M IH0 N",
    "ment": "M AH0 N T",
    "ments": "M AH0 N T S",
    "ness": "N AH0 S",
    "pence": "P AH0 N S",
    "ship": "SH IH2 P",
    "shire": "SH ER0",
    "some": "S AH0 M",
    "ward": "W ER0 D",
    "wards": "W ER0 D Z",
    "y": "IY0",
}
_CONTRACTIONS = {"'ll": "AH0 L", "'ve": "AH0 V", "'re": "ER0", "'m": "AH0 M", "n't": "AH0 N T"}
_AMERICAN = (
    ("our", "or"),
    ("ise", "ize"),
    ("ised", "ized"),
    ("ising", "izing"),
    ("isation", "ization"),
    ("tre", "ter"),
)
_HISSING = frozenset("S Z SH ZH CH JH".split())
_VOICELESS = frozenset("P T K F TH S SH CH HH".split())


class Phonemizer:
    """Pronounces words and texts in ARPAbet with stress digits."""

    def __init__(self, lexicon: Path | None = None) -> None:
        """`lexicon`: the user's pronunciations (`read_pronunciations`). Raises InputError for a faulty one."""
        self._lexicon = Lexicon(lexicon)
        self._letters = LetterToSound()
        self._known: dict[str, dict[str, Phones]] = {}

    def transcribe(self, text: str) -> str:
        """A cleaned text with every word as `{HH AH0 L OW1}`.

        Punctuation, and what already stands in braces, stay as they are; runs of white space become one space. A
        compound with hyphens is one word, for they are not heard.
        """
        pieces: list[str] = []
        for piece in self._pieces(text):
            if piece != " " or (pieces and pieces[-1] != " "):
                pieces.append(piece)
        return "".join(pieces)

    def pronounce(self, word: str, context: Context | None = None) -> list[str]:
        """Phones of one word of letters, apostrophes and hyphens, said where `context` says it stands.

        Without context it is said alone, in its full form: `the` then is `DH IY1`. A single capital is a letter's name.
        """
        if len(word) == 1 and word.isupper():
            return list(LETTER_NAMES[word.lower()])
        word = word.lower()
        weak = self._weak(word, context) if context is not None else None
        if weak is not None:
            return weak.split()
        parts = self._parts(word)
        phones = homographs.choose(word, parts, context or Context())
        return list(phones if context is not None else _stressed(phones))

    def _weak(self, word: str, context: Context) -> str | None:
        if self._lexicon.is_users(word):
            return None
        if word == "a" and (_is_letter(context.before) or _is_letter(context.after)):
            return "EY1"
        if word == "the" and context.before_vowel:
            return "DH IY0"
        if word == "to" and not context.after:
            return "T UW1"
        if word == "to" and context.before_vowel:
            return "T UW0"
        return _WEAK.get(word)

    def _pieces(self, text: str) -> Iterator[str]:
        """Transcribed words, marks and spaces of a text, in order."""
        tokens = list(_tokens(text))
        spoken: dict[int, list[str]] = {}
        past = homographs.tells_of_past([token for kind, token in tokens if kind == "word"])
        next_sound, after = "", ""
        # From the end, since a word's sound may hang on how the next one begins.
        for i in range(len(tokens) - 1, -1, -1):
            kind, token = tokens[i]
            if kind == "word":
                before, before_that = _words_before(tokens, i)
                context = Context(before, before_that, after, next_sound, past)
                spoken[i] = self.pronounce(token, context)
                next_sound, after = spoken[i][0], token
            elif kind == "inline":
                inside = token[1:-1].split()
                next_sound, after = (inside or [""])[0], token
            elif token in _PHRASE_ENDS:
                after = ""
        for i, (kind, token) in enumerate(tokens):
            yield "{" + " ".join(spoken[i]) + "}" if kind == "word" else token

    def _parts(self, word: str) -> dict[str, Phones]:
        """Pronunciations of any word by part of speech; never empty."""
        if word not in self._known:
            found = self._look_up(word)
            if found is None:
                derived = self._derived(word)
                found = {"DEFAULT": derived or self._letters.read(word)}
            self._known[word] = found
        return self._known[word]

    def _look_up(self, word: str) -> dict[str, Phones] | None:
        extra = homographs.EXTRA.get(word)
        if extra is not None and not self._lexicon.is_users(word):
            return dict(extra)
        return self._lexicon.find(word)

    def _known_word(self, word: str) -> Phones | None:
        """Default phones of a word of three letters and more that is in the dictionary."""
        found = self._look_up(word) if len(word) > 2 else None
        return found["DEFAULT"] if found else None

    def _derived(self, word: str) -> Phones | None:
        """Phones of a word made of dictionary words, or None."""
        if "-" in word:
            joined = self._known_word(word.replace("-", ""))
            return joined or tuple(phone for part in word.split("-") for phone in self._part_of_compound(part))
        if "'" in word:
            return self._with_apostrophe(word)
        for british, american in _AMERICAN:
            if word.endswith(british):
                phones = self._known_word(word.removesuffix(british) + american)
                if phones:
                    return phones
        return self._inflected(word) or self._with_suffix(word) or self._with_prefix(word) or self._compound(word)

    def _part_of_compound(self, part: str) -> Phones:
        said = _PREFIXES.get(part) or _WEAK.get(part)  # re-enter, up-to-date
        if said:
            return tuple(said.split())
        return homographs.choose(part, self._parts(part), Context())

    def _with_apostrophe(self, word: str) -> Phones | None:
        if word.startswith("'"):
            return tuple(self.pronounce(word[1:], Context()))
        if word.endswith("in'"):
            return (*self.pronounce(word[:-1] + "g", Context())[:-1], "N")
        if word.endswith("'"):
            return tuple(self.pronounce(word[:-1], Context()))
        for ending, phones in _CONTRACTIONS.items():
            if word.endswith(ending) and word != ending:
                return (*self._parts(word.removesuffix(ending))["DEFAULT"], *phones.split())
        if word.endswith("'s"):
            return _plural(self._parts(word[:-2])["DEFAULT"])
        if word.endswith("'d"):
            return _past(self._parts(word[:-2])["DEFAULT"])
        return tuple(phone for part in word.split("'") if part for phone in self._parts(part)["DEFAULT"])

    def _inflected(self, word: str) -> Phones | None:
        if word.endswith("s") and not word.endswith("ss"):
            stems = [word[:-1]] + ([word[:-2]] if word.endswith("es") else [])
            stems += [word[:-3] + "y"] if word.endswith("ies") else []
            for stem in stems:
                phones = self._known_word(stem) or (self._with_suffix(stem) if stem == word[:-1] else None)
                if phones:
                    return _plural(phones)
        if word.endswith("ed"):
            for stem in _stems(word[:-2]):
                phones = self._known_word(stem)
                if phones:
                    return _past(phones)
        return None

    def _with_suffix(self, word: str) -> Phones | None:
        for suffix in sorted(_SUFFIXES, key=len, reverse=True):
            if not word.endswith(suffix):
                continue
            rest = word.removesuffix(suffix)
            for stem in _stems(rest) if suffix[0] in "aeiy" else [rest, rest[:-1] + "y" if rest[-1:] == "i" else rest]:
                phones = self._known_word(stem)
                if phones:
                    return _joined(phones, tuple(_SUFFIXES[suffix].split()))
        return None

    def _with_prefix(self, word: str) -> Phones | None:
        for prefix in sorted(_PREFIXES, key=len, reverse=True):
            rest = word.removeprefix(prefix)
            if rest != word and len(rest) > 3 and prefix not in _ONLY_BEFORE_HYPHENS:
                phones = self._known_word(rest) or self._inflected(rest) or self._with_suffix(rest)
                if phones:
                    return (*_PREFIXES[prefix].split(), *phones)
        return None

    def _compound(self, word: str) -> Phones | None:
        """Two dictionary words of four letters and more, split as evenly as can be; the first bears the stress.

        With shorter ones it would mostly be names that are taken apart, which the network reads better.
        """
        for i in sorted(range(4, len(word) - 3), key=lambda i: abs(2 * i - len(word))):
            first, second = self._known_word(word[:i]), self._known_word(word[i:])
            if first and second:
                return _joined(first, tuple(phone.replace("1", "2") for phone in second))
        return None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, token) of a text; words in lower case, without quotes that hug them, compounds apart at their hyphens."""
    quoted = False
    for match in _TOKEN.finditer(text):
        kind, token = str(match.lastgroup), match.group()
        if kind == "space":
            yield "mark", " "
        elif kind != "word":
            yield kind, token
        else:
            # A capital is a letter to be named; frontends write "U S A", and every other word in lower case.
            word = token if len(token) == 1 else token.lower()
            if word.startswith("'") and word not in _ELIDED:
                quoted = True
                yield "mark", "'"
                word = word[1:]
            closing = word.endswith("'") and (quoted or not word.endswith(("s'", "in'")))
            yield "word", word.removesuffix("'") if closing or word.endswith("s'") else word
            if closing:
                quoted = False
                yield "mark", "'"


_ELIDED = frozenset("'tis 'twas 'em 'cause 'til 'till 'bout 'round 'twill 'twere 'twould 'neath 'gainst 'n'".split())


def _words_before(tokens: list[tuple[str, str]], i: int) -> tuple[str, str]:
    """The two words before token i in its phrase, nearest first; empty where there is none."""
    found: list[str] = []
    for kind, token in reversed(tokens[:i]):
        if token in _PHRASE_ENDS or len(found) == 2:
            break
        if kind == "word":
            found.append(token)
    return (*found, "", "")[:2]  # type: ignore[return-value]


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.islower() and word not in "ai"


def _stems(rest: str) -> list[str]:
    """What a word may have been before an ending that begins with a vowel: stop(p)ed, bak(e)ing, happ(y)ier."""
    stems = [rest + "e", rest]
    if len(rest) > 2 and rest[-1] == rest[-2]:
        stems = [rest[:-1], rest]
    if rest.endswith("i"):
        stems.append(rest[:-1] + "y")
    return stems


def _joined(stem: Phones, suffix: Phones) -> Phones:
    """Stem and suffix; of two like consonants that meet one is said (`dully`, `openness` keeps its one n)."""
    if stem[-1] == suffix[0]:
        return (*stem, *suffix[1:])
    if suffix[0] == "IH1" or any(phone.endswith("1") for phone in suffix):
        stem = tuple(phone.replace("1", "2") for phone in stem)
    return (*stem, *suffix)


def _plural(phones: Phones) -> Phones:
    if phones[-1] in _HISSING:
        return (*phones, "IH0", "Z")
    return (*phones, "S" if phones[-1] in _VOICELESS else "Z")


def _past(phones: Phones) -> Phones:
    if phones[-1] in ("T", "D"):
        return (*phones, "IH0", "D")
    return (*phones, "T" if phones[-1] in _VOICELESS else "D")


def _stressed(phones: Phones) -> Phones:
    """A word said alone bears a stress: its first vowel gets one if none has."""
    if any(phone[-1] in "12" for phone in phones):
        return phones
    first = next((i for i, phone in enumerate(phones) if phone.endswith("0")), None)
    return tuple(phone[:-1] + "1" if i == first else phone for i, phone in enumerate(phones))
