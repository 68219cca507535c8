"""From text to symbol ids: one frontend for the published weights, one of our own, one for symbols of other weights.

A text is split into sentences, and each sentence is normalised once: `split` gives it in words, `encode` turns these
into ids.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glowtron.config import ProsodyOptions, TextConfig
from glowtron.errors import InputError
from glowtron.text import english
from glowtron.text.phonemes import Phonemizer, Word
from glowtron.text.sentences import MAX_CHARS, MIN_CHARS, Ending, Piece, split_pieces
from glowtron.text.symbols import FIRST_SOUND, MARKUP, PAD, SYMBOLS, character_ids, phone_ids
from glowtron.text.tracing import TracedText

if TYPE_CHECKING:
    from glowtron.text.symbol_list import SymbolList

_MARKS = ".,;:!?"


class NormalizedSentence(NamedTuple):
    """A sentence of a text, or a part of a long one."""

    text: str
    """As written."""
    normalized: str
    """In words: no digit or abbreviation is left."""
    ending: Ending
    """The unit of text that ends with it."""


class ProsodySpan(NamedTuple):
    """Some characters of a text, and how they are spoken."""

    start: int
    end: int
    prosody: ProsodyOptions


class Passage(NamedTuple):
    """A part of a text that markup sets apart, by who speaks it or by the silence after it."""

    text: str
    spans: tuple[ProsodySpan, ...] = ()
    """Parts of the text that are spoken in a way of their own, in order; none overlaps another."""
    speaker: str | None = None
    """None: the one who speaks the rest."""
    before_s: float = 0.0
    """Seconds of silence before it."""
    pause_s: float | None = None
    """Seconds of silence after it; None: what follows on its ending."""
    ending: Ending = "sentence"
    """The unit of text that ends with it."""


class MarkedText(NamedTuple):
    """A text with markup, such as `glowtron.parse_ssml` makes: whatever takes a text takes this, too."""

    passages: tuple[Passage, ...]
    """In order."""

    @property
    def text(self) -> str:
        """The text without markup."""
        return " ".join(passage.text for passage in self.passages)


class EncodedWord(NamedTuple):
    """A spoken word and its symbols."""

    text: str
    """As it is spoken, not as it is written."""
    symbols: tuple[int, int]
    """The first of its ids, and the one after its last."""
    span: tuple[int, int] | None = None
    """The characters of the sentence's text that it is the reading of; None for the published weights' frontend."""
    pronunciation: Word | None = None
    """Its phones and where they are from; None for a voice that reads letters."""


class Encoded(NamedTuple):
    """A sentence as an acoustic model reads it."""

    text: str
    """As written."""
    normalized: str
    """In words."""
    symbols: str
    """The ids in readable form: phones in braces, or letters."""
    ids: list[int]
    """Symbol ids."""
    words: tuple[EncodedWord, ...]
    """The spoken words, in order."""


class Frontend(ABC):
    """Makes an acoustic model's input from text."""

    @abstractmethod
    def normalize(self, text: str) -> str:
        """Write every number and abbreviation of `text` in words. Raises InputError if that cannot be done."""

    def _trace(self, text: str) -> str:
        """As `normalize`, with the places of words where the frontend knows them."""
        return self.normalize(text)

    @abstractmethod
    def _encode(self, text: str, normalized: str) -> Encoded:
        """Turn a normalised text into ids."""

    @abstractmethod
    def _shorten(self, piece: Piece, max_chars: int) -> list[NormalizedSentence]:
        """Normalise a piece; halve it until its words are short as well. Nothing speakable gives an empty list."""

    def encode(self, sentence: str | NormalizedSentence) -> Encoded:
        """Encode one sentence, which is normalised first if it is a plain text. Raises InputError as `normalize`."""
        if isinstance(sentence, NormalizedSentence):
            return self._encode(sentence.text, sentence.normalized)
        return self._encode(sentence, self._trace(sentence))

    def ids(self, text: str) -> list[int]:
        """The symbol ids of one sentence. Raises InputError as `normalize`."""
        return self.encode(text).ids

    def split(self, text: str, max_chars: int = MAX_CHARS) -> Iterator[NormalizedSentence]:
        """Split `text` into sentences of about `max_chars` characters at most, written and in words.

        A sentence is looked for when it is asked for; what holds nothing speakable is left out. The first one raises
        InputError if nothing in `text` is speakable.
        """
        last: NormalizedSentence | None = None
        for piece in split_pieces(text, max_chars):
            sentences = self._shorten(piece, max_chars)
            if sentences:
                yield from ([] if last is None else [last])
                yield from sentences[:-1]
                last = sentences[-1]
            elif last is not None and piece.ending == "paragraph":
                last = last._replace(ending="paragraph")
        if last is None:
            raise english.unspeakable(text)
        yield last


def make_frontend(config: TextConfig, lexicon: Path | None = None) -> Frontend:
    """The frontend that `config` describes; `lexicon` holds the user's own pronunciations, for voices that read phones.

    Raises InputError for a faulty lexicon, or one that would have no effect.
    """
    if lexicon is not None and not config.phonemes:
        raise InputError(f"{lexicon}: this voice reads letters and uses no lexicon; write {{HH AH0 L OW1}} in the text")
    if config.symbols:
        from glowtron.text.symbol_list import SymbolList

        listed = SymbolList(config.symbols)
        return BasicFrontend(listed) if config.frontend == "basic" else NvidiaFrontend(listed)
    if config.frontend == "nvidia":
        return NvidiaFrontend()
    return EnglishFrontend(Phonemizer(lexicon) if config.phonemes else None)


class _CharacterFrontend(Frontend):
    """Reads characters, and phones in braces, as they stand in the normalised text."""

    @abstractmethod
    def _symbols(self, normalized: str) -> Iterator[tuple[str, list[int]]]:
        """Characters, and phones in braces as one, with the ids of each."""

    def _encode(self, text: str, normalized: str) -> Encoded:
        # Text without any known symbol has no ids, as in the published program.
        ids, words = _spell(self._symbols(normalized))
        return Encoded(text, normalized, normalized, ids, words)

    def _shorten(self, piece: Piece, max_chars: int) -> list[NormalizedSentence]:
        normalized = self.normalize(piece.text)
        ids = self._encode(piece.text, normalized).ids
        return [NormalizedSentence(piece.text, normalized, piece.ending)] if is_speakable(ids) else []


class NvidiaFrontend(_CharacterFrontend):
    """Reads text as the published weights expect, faults included (`glowtron.text.nvidia`)."""

    def __init__(self, symbols: SymbolList | None = None) -> None:
        """symbols: those of weights that were trained with more than the published ones."""
        self._listed = symbols

    def normalize(self, text: str) -> str:
        """See `Frontend.normalize`. Empty text stays empty, as in the published program."""
        from glowtron.text import nvidia

        return nvidia.clean(text)

    def _symbols(self, normalized: str) -> Iterator[tuple[str, list[int]]]:
        if self._listed:
            return self._listed.symbols(normalized)
        from glowtron.text import nvidia

        return nvidia.symbols(normalized)


class BasicFrontend(_CharacterFrontend):
    """Reads any language's text as it stands, through the symbol list of imported weights."""

    def __init__(self, symbols: SymbolList) -> None:
        self._listed = symbols

    def normalize(self, text: str) -> str:
        """Compose characters, and make capitals small where the list has none. Figures stay: weights may know them."""
        return self._listed.clean(text)

    def _symbols(self, normalized: str) -> Iterator[tuple[str, list[int]]]:
        return self._listed.symbols(normalized)


class EnglishFrontend(Frontend):
    """Reads text as a person would (`glowtron.text.english`), and turns words into phones given a phonemizer."""

    def __init__(self, phonemizer: Phonemizer | None = None) -> None:
        self._phonemizer = phonemizer
        self._words: Set[str] = phonemizer.users_words if phonemizer else frozenset()

    def normalize(self, text: str) -> str:
        """See `Frontend.normalize`."""
        return english.clean(text, self._words)

    def _trace(self, text: str) -> TracedText:
        traced = english.trace(text, self._words)
        if not english.says_something(traced):
            raise english.unspeakable(text)
        return traced

    def _encode(self, text: str, normalized: str) -> Encoded:
        if self._phonemizer is None:
            symbols = normalized
            ids, words = _spell(_characters(normalized))
        else:
            written = _originals(text, normalized) if isinstance(normalized, TracedText) else None
            symbols, ids, words = _transcribe(self._phonemizer.tokens(normalized, written))
        if isinstance(normalized, TracedText):
            words = _located(words, normalized)
        assert is_speakable(ids) and SYMBOLS.index(PAD) not in ids, f"nothing speakable is left: {symbols!r}"
        return Encoded(text, normalized, symbols, ids, words)

    def _shorten(self, piece: Piece, max_chars: int) -> list[NormalizedSentence]:
        # Forty figures are two hundred letters.
        words = english.trace(piece.text, self._words)
        if not english.says_something(words):
            return []
        most = 1.2 * max_chars
        if len(words) <= most or len(piece.text) <= MIN_CHARS:
            return [NormalizedSentence(piece.text, words, piece.ending)]
        return [shorter for part in _halved(piece, words, most) for shorter in self._shorten(part, max_chars)]


def is_speakable(ids: list[int]) -> bool:
    """True if `ids` hold a letter or a phone."""
    return any(index >= FIRST_SOUND for index in ids)


def _originals(text: str, normalized: TracedText) -> Callable[[int, int], str]:
    """The original text of characters i to j of `normalized`."""

    def written(start: int, end: int) -> str:
        first, last = normalized.span(start, end)
        return text[first:last]

    return written


def _halved(piece: Piece, words: TracedText, most: float) -> Iterator[Piece]:
    """`piece` in halves, and these again where clearly more than `most` characters of its `words` are of one."""
    density = len(words) / len(piece.text)

    def halved(piece: Piece, start: int) -> Iterator[Piece]:
        halves = list(split_pieces(piece.text, max(MIN_CHARS, (len(piece.text) + 1) // 2)))
        halves[-1] = halves[-1]._replace(ending=piece.ending)
        position = 0
        for half in halves:
            length = len(half.text)
            position = max(position, piece.text.find(half.text, position))  # Not found: phones in braces that were cut.
            first, last = (bisect_left(words.starts, start + place) for place in (position, position + length))
            # What many characters are read as together begins with the first of them.
            if min(last - first, density * length) > 1.5 * most and length > MIN_CHARS:
                yield from halved(half, start + position)
            else:
                yield half
            position += length

    return halved(piece, 0)


def _located(words: tuple[EncodedWord, ...], normalized: TracedText) -> tuple[EncodedWord, ...]:
    """`words` of a normalised sentence with their places in the written one."""
    lowered = normalized.lower()
    found, position = [], 0
    for word in words:
        start = lowered.find(word.text.lower(), position)
        assert start >= 0, f"{word.text!r} is not among the words of {normalized!r}"
        position = start + len(word.text)
        found.append(EncodedWord(word.text, word.symbols, normalized.span(start, position), word.pronunciation))
    return tuple(found)


def _characters(normalized: str) -> Iterator[tuple[str, list[int]]]:
    """Characters, and phones in braces as one, with the ids of each."""
    position = 0
    for match in MARKUP.finditer(normalized):
        yield from ((character, character_ids(character)) for character in normalized[position : match.start()])
        yield match[0], phone_ids(match[0][1:-1].split())
        position = match.end()
    yield from ((character, character_ids(character)) for character in normalized[position:])


def _spell(symbols: Iterable[tuple[str, list[int]]]) -> tuple[list[int], tuple[EncodedWord, ...]]:
    """Ids of symbols, and the words between white space that have any."""
    ids: list[int] = []
    words: list[EncodedWord] = []
    word, first = "", 0
    for text, found in [*symbols, (" ", [])]:
        if not text.isspace():
            first = first if word else len(ids)
            word += text
        elif word:
            if len(ids) > first:
                words.append(EncodedWord(word, (first, len(ids))))
            word = ""
        ids += found
    return ids, tuple(words)


def _transcribe(tokens: Iterable[Word | str]) -> tuple[str, list[int], tuple[EncodedWord, ...]]:
    """Words and marks as readable symbols, ids, and words with their ids; never two spaces in a row.

    They stand between a space and a mark, whose sounds are the silence before and after a sentence.
    """
    kept: list[Word | str] = [" "]
    for token in tokens:
        if token != " " or kept[-1] != " ":
            kept.append(token)
    if kept[-1] == " ":
        kept.pop()
    if not (isinstance(kept[-1], str) and kept[-1][-1] in _MARKS):
        kept.append(".")
    symbols, ids, words = "", [], []
    for token in kept:
        if isinstance(token, str):
            symbols += token
            ids += character_ids(token)
        else:
            symbols += "{" + " ".join(token.phones) + "}"
            first = len(ids)
            ids += phone_ids(token.phones)
            words.append(EncodedWord(token.text, (first, len(ids)), pronunciation=token))
    return symbols, ids, tuple(words)
