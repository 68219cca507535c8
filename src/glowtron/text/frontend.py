"""The way from text to ids: one frontend for the published weights, one of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.text import english, nvidia
from glowtron.text.phonemes import Phonemizer
from glowtron.text.sentences import MAX_CHARS, split_sentences
from glowtron.text.symbols import PAD, SYMBOLS, text_ids

_MARKS = ".,;:!?"
_SPEAKABLE_FROM = SYMBOLS.index("A")


class Frontend(Protocol):
    """What makes an acoustic model's input of text."""

    def clean(self, text: str) -> str:
        """`text` as it is read: every number and abbreviation in words. Raises InputError when it cannot be read."""

    def ids(self, text: str) -> list[int]:
        """Symbol ids of `text`, cleaned and, for voices that read phones, transcribed. Raises InputError as `clean`."""

    def sentences(self, text: str, max_chars: int = MAX_CHARS) -> list[str]:
        """`text`, not yet cleaned, in pieces to be spoken one by one; what holds nothing speakable is left out.

        A piece and what is read for it have about `max_chars` characters at most. Raises InputError when nothing in
        `text` is speakable.
        """


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

    def sentences(self, text: str, max_chars: int = MAX_CHARS) -> list[str]:
        """See `Frontend.sentences`."""
        pieces = [piece for piece in split_sentences(text, max_chars) if speakable(self.ids(piece))]
        if not pieces:
            raise english.unspeakable(text)
        return pieces


class EnglishFrontend:
    """Reads text as a person would (`glowtron.text.english`), and turns words into phones given a phonemizer."""

    def __init__(self, phonemizer: Phonemizer | None = None) -> None:
        self._phonemizer = phonemizer

    def clean(self, text: str) -> str:
        """See `Frontend.clean`. The words before any transcription."""
        return english.clean(text)

    def ids(self, text: str) -> list[int]:
        """See `Frontend.ids`."""
        words = english.clean(text)
        ids = text_ids(_framed(self._phonemizer.transcribe(words)) if self._phonemizer else words)
        assert speakable(ids) and SYMBOLS.index(PAD) not in ids, f"clean text left nothing to speak: {words!r}"
        return ids

    def sentences(self, text: str, max_chars: int = MAX_CHARS) -> list[str]:
        """See `Frontend.sentences`."""
        pieces: list[str] = []
        for piece in split_sentences(text, max_chars):
            pieces += self._shortened(piece, max_chars)
        if not pieces:
            raise english.unspeakable(text)
        return pieces

    def _shortened(self, piece: str, max_chars: int) -> list[str]:
        """`piece`, halved until what is read of it is short too: forty figures are two hundred letters."""
        words = english.normalize(piece)
        if not english.says_something(words):
            return []
        if len(words) <= 2 * max_chars or len(piece) <= 16:
            return [piece]
        halves = split_sentences(piece, max(16, (len(piece) + 1) // 2))
        return [shorter for half in halves for shorter in self._shortened(half, max_chars)]


def _framed(phones: str) -> str:
    """Transcribed text between a space and a mark, which are what the silence before and after it is."""
    phones = phones.strip()
    return f" {phones}" if phones[-1] in _MARKS else f" {phones}."


def speakable(ids: list[int]) -> bool:
    """Whether `ids` hold a letter or a phone."""
    return any(index >= _SPEAKABLE_FROM for index in ids)
