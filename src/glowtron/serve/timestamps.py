"""Words as they are written, with the times of what they are read as."""

from __future__ import annotations

from typing import NamedTuple

from glowtron.serve.speaker import SpokenPiece
from glowtron.synthesis.types import Sentence, WordTime


class WrittenWord(NamedTuple):
    """A word of the text and when it is heard, in seconds from the beginning of the sound."""

    word: str
    start_s: float
    end_s: float

    @property
    def content(self) -> dict[str, str | float]:
        """In Kokoro's shape."""
        return {"word": self.word, "start_time": round(self.start_s, 3), "end_time": round(self.end_s, 3)}


class WrittenWords:
    """Makes written words of spoken ones as these come.

    Words that are the reading of one place in the text (`1895`) are one, so the last word is held back until the next
    one begins. A frontend that does not know places gives words as they are spoken.
    """

    def __init__(self) -> None:
        self._sentence: Sentence | None = None
        self._span = (0, 0)
        self._times = (0.0, 0.0)
        self._spoken: str | None = None
        """The word that is held back, as it is spoken; None: there is none."""

    def push(self, piece: SpokenPiece) -> list[WrittenWord]:
        """The next piece -> the words that are whole by now."""
        done = []
        for word in piece.words:
            if self._goes_on(piece.sentence, word):
                assert word.span is not None
                self._span = (self._span[0], max(self._span[1], word.span[1]))
                self._times = (self._times[0], word.end_s)
                continue
            done += self.finish()
            self._sentence, self._span = piece.sentence, word.span or (0, 0)
            self._times, self._spoken = (word.start_s, word.end_s), word.text
        return done

    def finish(self) -> list[WrittenWord]:
        """The word that was held back."""
        if self._spoken is None:
            return []
        written = self._sentence.text[slice(*self._span)] if self._sentence is not None else ""
        word = WrittenWord(written or self._spoken, *self._times)
        self._spoken = None
        return [word]

    def _goes_on(self, sentence: Sentence | None, word: WordTime) -> bool:
        """True if a spoken word is of the written one that is held back."""
        same = self._spoken is not None and sentence is self._sentence
        return same and word.span is not None and word.span[0] < self._span[1]
