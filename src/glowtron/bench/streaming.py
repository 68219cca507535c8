"""`glowtron bench stream`: when a text is first heard, and how far its sound stays ahead of the listener."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio, concatenate
from glowtron.bench.child import Child
from glowtron.bench.measurement import CLOCKS, NOT_MEASURED, Measured, Settings, Subject, measure
from glowtron.bench.result import compared, figures, sound_rates, spread
from glowtron.bench.saying import Reader, SayingWork, sound_error, without_warnings
from glowtron.config import MelConfig


class Arrival(NamedTuple):
    """A piece of sound."""

    at_s: float
    """Since the call."""
    length_s: float


class Streaming(Subject):
    """The text to sound in pieces, from the same noise every time."""

    def __init__(
        self, work: SayingWork, kind: Literal["fast", "plain"], precision: str = "fp32", clock: str = "wall"
    ) -> None:
        self.reader, self.now = Reader(work, kind, precision), CLOCKS[clock]
        self.facts, self.parts = self.reader.facts, self.reader.parts
        self.arrivals: list[Arrival] = []

    def run(self) -> NDArray[np.float32]:
        """Sound (1, L)."""
        reader, start = self.reader, self.now()
        sounds: list[Audio] = []
        self.arrivals = []
        with without_warnings():
            for audio in reader.voice.stream(reader.words, reader.options):
                self.arrivals.append(Arrival(self.now() - start, audio.duration_s))
                sounds.append(audio)
        return concatenate(sounds).samples[None]

    def marks(self) -> Mapping[str, float]:
        """The first sound, in how many pieces all came, and how far they stayed ahead, where there were several."""
        marks = {"first_sound_s": self.arrivals[0].at_s, "pieces": len(self.arrivals)}
        return marks | ({"least_ahead_s": least_ahead_s(self.arrivals)} if len(self.arrivals) > 1 else {})

    def beside_say(self) -> tuple[NDArray[np.float32], float | str]:
        """As `run`, and the largest difference of a sample from what `Voice.say` makes of the text and its seed."""
        reader, streamed = self.reader, self.run()
        # A stream cannot take back what it said; so neither may say a sentence again.
        with without_warnings():
            said = reader.voice.say(reader.words, replace(reader.options, attempts=0)).samples
        if said.shape != streamed[0].shape:
            return streamed, NOT_MEASURED + "rounding moved the end of a sound"
        return streamed, float(np.abs(said - streamed[0]).max())


def least_ahead_s(arrivals: Sequence[Arrival]) -> float:
    """The least sound in hand, in seconds, whenever a piece comes to a listener who began with the first.

    If it is negative, the listener had to wait, and would not have by beginning so much later. Two pieces at least.
    """
    given_s, least = arrivals[0].length_s, float("inf")
    for at_s, length_s in arrivals[1:]:
        least = min(least, given_s - (at_s - arrivals[0].at_s))
        given_s += length_s
    return least


def bench_streaming(work: SayingWork, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown voice or precision, and a text without words.

    The textbook gives whole sentences; `ratio_to_plain` is that of the first sounds.
    """
    ours, plain = measure(
        partial(Streaming, work, "fast", settings.precision, settings.clock),
        partial(Streaming, work, "plain", clock=settings.clock),
        settings,
    )
    with Child(partial(Streaming, work, "fast"), settings.threads) as child:
        mel, (exact, differs_by) = child.ask(_mel), child.ask(Streaming.beside_say)
    audio_s = ours.output.shape[1] / mel.sample_rate
    rates = sound_rates(audio_s, mel.sample_rate)
    first = spread([marks["first_sound_s"] for marks in ours.marks])
    least = [marks["least_ahead_s"] for marks in ours.marks if "least_ahead_s" in marks]
    own = figures(ours, rates) | compared(ours, plain, rates)
    if isinstance(plain, Measured):
        plain_s = median(marks["first_sound_s"] for marks in plain.marks)
        own["ratio_to_plain"] = plain_s / first["median"]
        own["plain"]["first_sound_s"] = plain_s
    return {
        "what": "stream",
        "model": work.model,
        "audio_s": audio_s,
        "pieces": ours.marks[0]["pieces"],
        **own,
        "first_sound_s": first["median"],
        "first_sounds_s": first,
        "least_ahead_s": min(least) if least else NOT_MEASURED + "all came in one piece",
        "stream_differs_by": differs_by,
        "error": sound_error(ours.output, exact, mel),
    }


def _mel(streaming: Streaming) -> MelConfig:
    return streaming.reader.voice.mel
