"""Words made of other words: inflected, with prefix or suffix, compound, contracted, in British spelling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from glowtron.text.lexicon import Phones

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


class Derived(NamedTuple):
    """A word made of others."""

    phones: Phones
    made_of: tuple[str, ...]
    """The words it was made of; of `waggoned` it is `wagon`."""


class Derivation:
    """Makes words of words."""

    def __init__(
        self, known: Callable[[str], Phones | None], say: Callable[[str], Phones], weak: Mapping[str, str]
    ) -> None:
        """`known`: phones of a word that needs no making; `say`: of any word; `weak`: function words in compounds."""
        self._known, self._say, self._weak = known, say, weak

    def derive(self, word: str) -> Derived | None:
        """A lower-case word made of others, or None. Between hyphens and apostrophes there may be any words."""
        if "-" in word:
            return self._stem(word.replace("-", "")) or self._parted(word)
        if "'" in word:
            return self._with_apostrophe(word)
        for british, american in _AMERICAN:
            if word.endswith(british):
                same = self._stem(word.removesuffix(british) + american)
                if same:
                    return same
        return self._inflected(word) or self._with_suffix(word) or self._with_prefix(word) or self._compound(word)

    def _stem(self, word: str) -> Derived | None:
        """A word of three letters and more that is known."""
        phones = self._known(word) if len(word) > 2 else None
        return Derived(phones, (word,)) if phones else None

    def _first(self, stems: Iterable[str]) -> Derived | None:
        """The first of `stems` that is known."""
        return next((stem for stem in map(self._stem, stems) if stem), None)

    def _parted(self, word: str) -> Derived:
        """The parts of a word at its hyphens, one after the other: re-entered, up-to-date."""
        phones: list[str] = []
        made_of: list[str] = []
        for part in word.split("-"):
            short = _PREFIXES.get(part) or self._weak.get(part)
            phones += short.split() if short else self._say(part)
            made_of += [] if short else [part]
        return Derived(tuple(phones), tuple(made_of))

    def _with_apostrophe(self, word: str) -> Derived:
        if word.startswith("'"):
            return Derived(self._say(word[1:]), (word[1:],))
        if word.endswith("in'"):
            stem = word[:-1] + "g"
            return Derived((*self._say(stem)[:-1], "N"), (stem,))
        if word.endswith("'"):
            return Derived(self._say(word[:-1]), (word[:-1],))
        for ending, phones in _CONTRACTIONS.items():
            if word.endswith(ending) and word != ending:
                stem = word.removesuffix(ending)
                return Derived((*self._say(stem), *phones.split()), (stem,))
        if word.endswith(("'s", "'d")):
            inflect = _plural if word.endswith("s") else _past
            return Derived(inflect(self._say(word[:-2])), (word[:-2],))
        parts = [part for part in word.split("'") if part]
        return Derived(tuple(phone for part in parts for phone in self._say(part)), tuple(parts))

    def _inflected(self, word: str) -> Derived | None:
        if word.endswith("s") and not word.endswith("ss"):
            stem = self._stem(word[:-1]) or self._with_suffix(word[:-1])
            stem = stem or (self._stem(word[:-2]) if word.endswith("es") else None)
            stem = stem or (self._stem(word[:-3] + "y") if word.endswith("ies") else None)
            if stem:
                return stem._replace(phones=_plural(stem.phones))
        if word.endswith("ed"):
            stem = self._first(_stems(word[:-2]))
            if stem:
                return stem._replace(phones=_past(stem.phones))
        return None

    def _with_suffix(self, word: str) -> Derived | None:
        for suffix in sorted(_SUFFIXES, key=len, reverse=True):
            if not word.endswith(suffix):
                continue
            rest = word.removesuffix(suffix)
            stem = self._first(
                _stems(rest) if suffix[0] in "aeiy" else [rest, rest[:-1] + "y" if rest[-1:] == "i" else rest]
            )
            if stem:
                return stem._replace(phones=_joined(stem.phones, tuple(_SUFFIXES[suffix].split())))
        return None

    def _with_prefix(self, word: str) -> Derived | None:
        for prefix in sorted(_PREFIXES, key=len, reverse=True):
            rest = word.removeprefix(prefix)
            if rest != word and len(rest) > 3 and prefix not in _ONLY_BEFORE_HYPHENS:
                stem = self._stem(rest) or self._inflected(rest) or self._with_suffix(rest)
                if stem:
                    return stem._replace(phones=(*_PREFIXES[prefix].split(), *stem.phones))
        return None

    def _compound(self, word: str) -> Derived | None:
        """Two known words of four letters and more, split as evenly as can be; the first bears the stress.

        With shorter ones it would mostly be names that are taken apart, which the network reads better.
        """
        for i in sorted(range(4, len(word) - 3), key=lambda i: abs(2 * i - len(word))):
            first, second = self._known(word[:i]), self._known(word[i:])
            if first and second:
                phones = _joined(first, tuple(phone.replace("1", "2") for phone in second))
                return Derived(phones, (word[:i], word[i:]))
        return None


def _stems(rest: str) -> list[str]:
    """Possible stems of a word before an ending that begins with a vowel: stop(p)ed, bak(e)ing, happ(y)ier."""
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
