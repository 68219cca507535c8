"""The types of a sentence on its way to sound: `Sentence` (text), `Utterance` (mel), `Segment` (samples)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.config import ProsodyOptions
from glowtron.synthesis.alignment_checks import AlignmentStats
from glowtron.text.english import NothingToSayError
from glowtron.text.frontend import Encoded, Frontend, NormalizedSentence, ProsodySpan
from glowtron.text.sentences import Ending
from glowtron.text.symbols import SYMBOLS

Samples = NDArray[np.float32]
"""(L,) in [-1, 1]."""


class FaultWarning(UserWarning):
    """A sentence could not be synthesised completely, whatever was tried."""


class Markup(NamedTuple):
    """Markup of a sentence; the defaults change nothing."""

    speaker: str | None = None
    """None: the options'."""
    spans: tuple[ProsodySpan, ...] = ()
    """Parts of its text that are spoken in a way of their own."""
    before_s: float = 0.0
    """Seconds of silence before it."""
    pause_s: float | None = None
    """Seconds of silence after it; None: what follows on its ending."""

    def parted(self, text: str, parts: Sequence[str]) -> list[Markup]:
        """That of each part of a text."""
        found: list[Markup] = []
        place = 0
        for i, part in enumerate(parts):
            place = max(text.find(part, place), place)
            end = place + len(part)
            spans = tuple(
                ProsodySpan(max(span.start, place) - place, min(span.end, end) - place, span.prosody)
                for span in self.spans
                if span.start < end and span.end > place
            )
            last = i == len(parts) - 1
            found.append(Markup(self.speaker, spans, 0.0 if i else self.before_s, self.pause_s if last else None))
            place = end
        return found


class Sentence:
    """A sentence to synthesise, or a part of one that failed. It is encoded at the first use, and once."""

    def __init__(
        self,
        frontend: Frontend,
        source: NormalizedSentence,
        ending: Ending | None,
        place: str,
        markup: Markup | None = None,
    ) -> None:
        self._frontend, self.source = frontend, source
        self.markup = Markup() if markup is None else markup
        """Changes that the text's markup asks of it."""
        self.ending = ending
        """The unit of text that ends with it; None: the text."""
        self.place = place
        """Its number in the text; `3.0` and `3.1` for its parts, `3.0.0` for theirs. Noise is drawn by it."""

    @cached_property
    def encoded(self) -> Encoded:
        """Its symbol ids and words."""
        return self._frontend.encode(self.source)

    @property
    def text(self) -> str:
        """As written."""
        return self.source.text

    @property
    def number(self) -> int:
        """The number of the sentence in its text, from 0; parts have that of the whole."""
        return int(self.place.partition(".")[0])

    @property
    def is_part(self) -> bool:
        """True if its sentence had to be split."""
        return "." in self.place

    def split(self, max_chars: int) -> list[Sentence]:
        """Its parts, cut at pauses or else between words; none if it is too short.

        Args:
            max_chars: Characters of a part, about.
        """
        parts = list(self._frontend.split(self.text, max_chars))
        if len(parts) == 1:
            return []
        endings = [*(part.ending for part in parts[:-1]), self.ending]
        markup = self.markup.parted(self.text, [part.text for part in parts])
        return [
            Sentence(self._frontend, part, ending, f"{self.place}.{i}", marks)
            for i, (part, ending, marks) in enumerate(zip(parts, endings, markup, strict=True))
        ]

    def parts_of_one_rate(self) -> list[Sentence]:
        """Its parts, each spoken at one rate throughout; none has a pause of its own."""
        edges = sorted({0, len(self.text), *(edge for span in self.markup.spans for edge in span[:2])})
        texts = [self.text[start:end].strip() for start, end in zip(edges, edges[1:], strict=False)]
        sources: list[NormalizedSentence] = []
        for text in filter(None, texts):
            try:
                sources += self._frontend.split(text)
            except NothingToSayError:  # A mark alone.
                continue
        markup = self.markup.parted(self.text, [source.text for source in sources])
        n_last = len(sources) - 1
        return [
            Sentence(
                self._frontend,
                source,
                self.ending if i == n_last else None,
                f"{self.place}.r{i}",
                marks._replace(pause_s=self.markup.pause_s if i == n_last else 0.0),
            )
            for i, (source, marks) in enumerate(zip(sources, markup, strict=True))
        ]

    @cached_property
    def changes(self) -> list[ProsodyOptions]:
        """Prosody changes of each symbol by the markup."""
        found = [ProsodyOptions()] * len(self.encoded.ids)
        for span in self.markup.spans:
            inside = [
                word.symbols
                for word in self.encoded.words
                if word.span and word.span[0] < span.end and word.span[1] > span.start
            ]
            if inside:
                first, last = inside[0][0], inside[-1][1]
                found[first:last] = [span.prosody] * (last - first)
        return found


class SymbolTime(NamedTuple):
    """When a symbol of a word is heard."""

    symbol: str
    """A phone, or a letter where the voice reads letters."""
    start_s: float
    """Seconds from the beginning of the sound."""
    end_s: float
    """Seconds from the beginning of the sound."""


class WordTime(NamedTuple):
    """When a word is heard."""

    text: str
    """As it is spoken."""
    start_s: float
    """Seconds from the beginning of the sound."""
    end_s: float
    """Seconds from the beginning of the sound."""
    symbols: tuple[SymbolTime, ...] = ()
    """Its phones or letters."""
    span: tuple[int, int] | None = None
    """The characters of the sentence's text that it is the reading of; None where the frontend does not know."""

    def shifted(self, seconds: float) -> WordTime:
        """The same word, heard later.

        Args:
            seconds: By how much.
        """
        symbols = (SymbolTime(one.symbol, one.start_s + seconds, one.end_s + seconds) for one in self.symbols)
        return WordTime(self.text, self.start_s + seconds, self.end_s + seconds, tuple(symbols), self.span)


class Utterance(NamedTuple):
    """A synthesised sentence, or a part of one that could not be synthesised as a whole."""

    sentence: Sentence
    attempts: int
    """Attempts at this sentence until this one."""
    mel: NDArray[np.float32]
    """(M, T) at rate 1, without the silence around speech."""
    alignment: NDArray[np.float32]
    """(S, N) attention weights: a row for each decoder step, a column for each symbol."""
    stats: AlignmentStats
    """Measured on the alignment."""
    failures: tuple[str, ...]
    """Faults, in words; empty: none."""
    audio: Audio | None = None
    """Its sound, where that was asked for."""
    pause_s: float = 0.0
    """Seconds of silence that follow in the text; 0 after the last words."""
    words: tuple[WordTime, ...] = ()
    """Its words in its sound."""

    @property
    def text(self) -> str:
        """As written."""
        return self.sentence.text

    @property
    def is_part(self) -> bool:
        """True if its sentence had to be split."""
        return self.sentence.is_part

    @property
    def with_pause(self) -> Audio:
        """Its sound, and the silence that follows."""
        assert self.audio is not None, "only mels were asked for"
        silence = np.zeros(round(self.pause_s * self.audio.sample_rate), np.float32)
        return self.audio._replace(samples=joined([self.audio.samples, silence]))

    @property
    def warning(self) -> str:
        """Its failures, for people."""
        n_frames = self.mel.shape[1]
        return f"{', '.join(self.failures)} ({n_frames} frames, attempt {self.attempts}): '{self.text}'"


class Segment(NamedTuple):
    """A piece of a text's sound, in order: joined, the samples are the whole."""

    audio: Audio
    sentence: Sentence
    words: tuple[WordTime, ...]
    """Words that begin in it, or began before and were not reported: their ends were not known. Times count from the
    beginning of the text's sound."""
    utterance: Utterance | None = None
    """The finished sentence, without its sound, on its last segment, which holds the pause after it."""


def word_times(encoded: Encoded, places: NDArray[np.int64], step_s: float, *, ended: bool = True) -> list[WordTime]:
    """When each word and its symbols are heard, from the symbol that each decoder step attends to.

    A word begins with the first step that has reached its first symbol, and ends when a step gets past its last one.

    Args:
        encoded: The sentence.
        places: (S,) the symbol of each decoder step.
        step_s: Seconds of a step.
        ended: Whether no steps follow. If some do, the words whose ends are not known yet are left out.
    """
    furthest = np.maximum.accumulate(places)
    # From each symbol on, and one past the last.
    reached = np.searchsorted(furthest, np.arange(len(encoded.ids) + 1))
    at_s = [float(step * step_s) for step in reached]
    return [
        WordTime(
            word.text,
            at_s[word.symbols[0]],
            at_s[word.symbols[1]],
            tuple(SymbolTime(SYMBOLS[encoded.ids[i]].strip("{}"), at_s[i], at_s[i + 1]) for i in range(*word.symbols)),
            word.span,
        )
        for word in encoded.words
        if ended or reached[word.symbols[1]] < len(places)
    ]


def joined(parts: Sequence[Samples]) -> Samples:
    """All samples, in order."""
    return np.concatenate([np.zeros(0, np.float32), *parts])
