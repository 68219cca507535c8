"""The way from text to ids: one frontend for the published weights, one of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import NamedTuple, Protocol

from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.text import english, nvidia
from glowtron.text.phonemes import Phonemizer, Word, transcription
from glowtron.text.sentences import MAX_CHARS, MIN_CHARS, Piece, split_pieces
from glowtron.text.symbols import FIRST_SOUND, PAD, SYMBOLS, text_ids

_MARKS = ".,;:!?"


class Reading(NamedTuple):
    """How a sentence is read."""

    text: str
    """As written."""
    clean: str
    """In words."""
    symbols: str
    """What the acoustic model is given: phones in braces, or letters."""
    words: tuple[Word, ...]
    """How each word is said; empty for a voice that reads letters."""


class Frontend(Protocol):
    """What makes an acoustic model's input of text."""

    def clean(self, text: str) -> str:
        """`text` as it is read: every number and abbreviation in words. Raises InputError when it cannot be read."""

    def ids(self, text: str) -> list[int]:
        """Symbol ids of `text`, cleaned and, for voices that read phones, transcribed. Raises InputError as `clean`."""

    def read(self, text: str) -> Reading:
        """How one sentence is read, for people to see. Raises InputError as `clean`."""

    def pieces(self, text: str, max_chars: int = MAX_CHARS) -> Iterator[Piece]:
        """`text`, not yet cleaned, in pieces to be spoken one by one; what holds nothing speakable is left out.

        A piece and what is read for it have about `max_chars` characters at most; it is looked for when it is asked
        for. The first raises InputError when nothing in `text` is speakable.
        """

    def sentences(self, text: str, max_chars: int = MAX_CHARS) -> list[str]:
        """The texts of `pieces`."""


def make_frontend(config: TextConfig, lexicon: Path | None = None) -> Frontend:
    """The frontend that `config` describes; `lexicon` holds the user's own pronunciations, for voices that read phones.

    Raises InputError for a faulty lexicon, or one that would have no effect.
    """
    if lexicon is not None and not config.phonemes:
        raise InputError(f"{lexicon}: this voice reads letters and uses no lexicon; write {{HH AH0 L OW1}} in the text")
    match config.frontend:
        case "nvidia":
            return NvidiaFrontend()
        case "english":
            return EnglishFrontend(Phonemizer(lexicon) if config.phonemes else None)


class NvidiaFrontend:
    """Reads text as the published weights expect, faults included (`glowtron.text.nvidia`)."""

    def clean(self, text: str) -> str:
        """See `Frontend.clean`. Empty text stays empty, as in the published program."""
        return nvidia.clean(text)

    def ids(self, text: str) -> list[int]:
        """See `Frontend.ids`. Text without any known symbol has no ids, as in the published program."""
        return nvidia.ids(text)

    def read(self, text: str) -> Reading:
        """See `Frontend.read`."""
        clean = nvidia.clean(text)
        return Reading(text, clean, clean, ())

    def pieces(self, text: str, max_chars: int = MAX_CHARS) -> Iterator[Piece]:
        """See `Frontend.pieces`."""
        return _speakable_pieces(text, max_chars, lambda piece: [piece] if speakable(self.ids(piece.text)) else [])

    def sentences(self, text: str, max_chars: int = MAX_CHARS) -> list[str]:
        """See `Frontend.sentences`."""
        return [piece.text for piece in self.pieces(text, max_chars)]


class EnglishFrontend:
    """Reads text as a person would (`glowtron.text.english`), and turns words into phones given a phonemizer."""

    def __init__(self, phonemizer: Phonemizer | None = None) -> None:
        self._phonemizer = phonemizer
        self._words: Set[str] = phonemizer.users_words if phonemizer else frozenset()

    def clean(self, text: str) -> str:
        """See `Frontend.clean`. The words before any transcription."""
        return english.clean(text, self._words)

    def ids(self, text: str) -> list[int]:
        """See `Frontend.ids`."""
        symbols = self.read(text).symbols
        ids = text_ids(symbols)
        assert speakable(ids) and SYMBOLS.index(PAD) not in ids, f"clean text left nothing to speak: {symbols!r}"
        return ids

    def read(self, text: str) -> Reading:
        """See `Frontend.read`."""
        clean = self.clean(text)
        if self._phonemizer is None:
            return Reading(text, clean, clean, ())
        tokens = self._phonemizer.tokens(clean)
        words = tuple(token for token in tokens if isinstance(token, Word))
        return Reading(text, clean, _framed(transcription(tokens)), words)

    def pieces(self, text: str, max_chars: int = MAX_CHARS) -> Iterator[Piece]:
        """See `Frontend.pieces`."""
        return _speakable_pieces(text, max_chars, lambda piece: self._shortened(piece, max_chars))

    def sentences(self, text: str, max_chars: int = MAX_CHARS) -> list[str]:
        """See `Frontend.sentences`."""
        return [piece.text for piece in self.pieces(text, max_chars)]

    def _shortened(self, piece: Piece, max_chars: int) -> list[Piece]:
        """`piece`, halved until what is read of it is short too: forty figures are two hundred letters."""
        words = english.normalize(piece.text, self._words)
        if not english.says_something(words):
            return []
        if len(words) <= 1.2 * max_chars or len(piece.text) <= MIN_CHARS:
            return [piece]
        halves = list(split_pieces(piece.text, max(MIN_CHARS, (len(piece.text) + 1) // 2)))
        halves[-1] = halves[-1]._replace(ending=piece.ending)
        return [shorter for half in halves for shorter in self._shortened(half, max_chars)]


def _speakable_pieces(text: str, max_chars: int, shortened: Callable[[Piece], list[Piece]]) -> Iterator[Piece]:
    """All pieces of `text` after `shortened`, which gives none for one that is not speakable."""
    last: Piece | None = None
    for piece in split_pieces(text, max_chars):
        shorter = shortened(piece)
        if shorter:
            yield from ([] if last is None else [last])
            yield from shorter[:-1]
            last = shorter[-1]
        elif last is not None and piece.ending == "paragraph":
            last = last._replace(ending="paragraph")
    if last is None:
        raise english.unspeakable(text)
    yield last


def _framed(phones: str) -> str:
    """Transcribed text between a space and a mark, which are what the silence before and after it is."""
    phones = phones.strip()
    return f" {phones}" if phones[-1] in _MARKS else f" {phones}."


def speakable(ids: list[int]) -> bool:
    """Whether `ids` hold a letter or a phone."""
    return any(index >= FIRST_SOUND for index in ids)
