"""Speech for requests: voices, turns, and the way from a thread's sound to an event loop."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterator
from threading import Event
from typing import NamedTuple

import numpy as np

from glowtron.config.synthesis import SynthesisOptions
from glowtron.serve.formats import Encoder
from glowtron.serve.queue import Made, Task, TurnQueue
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import ServedVoice, VoiceShelf
from glowtron.synthesis.types import FaultWarning, Sentence, Utterance, WordTime
from glowtron.text.frontend import MarkedText


class SpokenPiece(NamedTuple):
    """A piece of a request's sound, encoded."""

    data: bytes
    """Bytes that the encoder made of it; may be empty."""
    duration_s: float
    """Seconds of sound that went into it."""
    words: tuple[WordTime, ...]
    """Words that begin in it; times count from the beginning of the whole sound."""
    sentence: Sentence | None
    """The sentence it is of; None: silence before or after everything, or the encoder's end."""
    ends_sentence: bool
    utterance: Utterance | None = None
    """The finished sentence, on its last piece."""


class Speaker:
    """Speaks for many at once. All methods are called in one event loop."""

    def __init__(self, settings: ServerSettings, shelf: VoiceShelf) -> None:
        self.settings, self.shelf = settings, shelf
        for voice in shelf.loaded:
            voice.runtime.suit_threads()
        self.queue: TurnQueue[SpokenPiece] = TurnQueue(settings.threads or shelf.threads, settings.max_requests)

    def warm_up(self) -> None:
        """Speak a word with each voice: weights are packed, kernels chosen, and the first request is as fast as any."""
        for voice in self.shelf.loaded:
            for _ in voice.stream("Ready."):
                pass

    async def speak(
        self, text: str | MarkedText, served: ServedVoice, options: SynthesisOptions, encoder: Encoder
    ) -> AsyncIterator[SpokenPiece]:
        """The sound of a text while it is made; closing the iterator stops the work.

        Raises:
            QueueFullError: There is no room for another request.
            InputError: The text has nothing to speak, or the voice cannot do what is asked; before any piece.
        """
        loop, made, stop = asyncio.get_running_loop(), asyncio.Queue[Made[SpokenPiece]](), Event()

        def deliver(one: Made[SpokenPiece]) -> None:
            try:
                loop.call_soon_threadsafe(made.put_nowait, one)
            except RuntimeError:  # The loop is closed, and nobody waits.
                stop.set()

        task = Task(self._pieces(text, served, options, encoder, stop), deliver, stop)
        self.queue.submit(task)
        try:
            while True:
                piece, error = await made.get()
                if error is not None:
                    raise error
                if piece is None:
                    return
                self.queue.taken(task)
                yield piece
        finally:
            self.queue.cancel(task)

    def _pieces(
        self, text: str | MarkedText, served: ServedVoice, options: SynthesisOptions, encoder: Encoder, stop: Event
    ) -> Iterator[tuple[SpokenPiece, float]]:
        """Pieces, each with the seconds of its sound."""
        for piece in self._sound(text, served, options, encoder, stop):
            yield piece, piece.duration_s

    def _sound(
        self, text: str | MarkedText, served: ServedVoice, options: SynthesisOptions, encoder: Encoder, stop: Event
    ) -> Iterator[SpokenPiece]:
        """The sound of a text between the silences that the settings want."""
        rate = served.voice.mel.sample_rate

        def silence(milliseconds: int) -> SpokenPiece:
            samples = np.zeros(round(rate * milliseconds / 1000), np.float32)
            return SpokenPiece(encoder.encode(samples), len(samples) / rate, (), None, ends_sentence=False)

        lead_s = self.settings.lead_silence_ms / 1000
        if lead_s:
            yield silence(self.settings.lead_silence_ms)
        for segment in served.voice.segments(text, options, stop=stop):
            yield SpokenPiece(
                encoder.encode(segment.audio.samples),
                segment.audio.duration_s,
                tuple(word.shifted(lead_s) for word in segment.words),
                segment.sentence,
                ends_sentence=segment.utterance is not None,
                utterance=segment.utterance,
            )
        if self.settings.tail_silence_ms:
            yield silence(self.settings.tail_silence_ms)
        yield SpokenPiece(encoder.finish(), 0.0, (), None, ends_sentence=True)

    def close(self) -> None:
        """End all work."""
        self.queue.close()


def quiet_about_faults() -> None:
    """Keep warnings of single sentences out of a server's log, where they are counted instead."""
    warnings.simplefilter("ignore", FaultWarning)
