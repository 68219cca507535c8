"""Speaking rate and pauses, measured on the sound alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glowtron.audio import Audio
from glowtron.evaluate.levels import RATE, at_16_khz, frame_power, is_speech

_FRAME = 160
"""Samples in a frame at 16 kHz: 10 ms."""
_SILENT_DB = 35.0
"""Frames this far under the loud ones are silence."""
SHORTEST_PAUSE_S = 0.15
"""Shorter silences are the closures of plosives."""


class SpeakingRate(NamedTuple):
    """Speaking rate and pauses over one or many recordings."""

    letters_per_s: float
    """Letters of the spoken-out text per second of speech, pauses left out."""
    words_per_min: float
    """Words per minute, pauses within a recording counted, silence at its ends not."""
    pauses_per_10_words: float
    """Pauses within recordings."""
    mean_pause_s: float
    """Mean length of a pause, seconds; 0 if there is none."""
    median_pause_s: float
    """Median length of a pause, seconds; 0 if there is none."""


class Timing(NamedTuple):
    """Seconds of one recording."""

    speech_s: float
    """From the first sound to the last, without pauses."""
    pauses_s: tuple[float, ...]
    """Silences of at least `SHORTEST_PAUSE_S` between them."""


def timing(audio: Audio) -> Timing:
    """Find speech and pauses; in silence there is neither."""
    power = frame_power(at_16_khz(audio), _FRAME)
    loud = np.flatnonzero(is_speech(power, _SILENT_DB))
    if len(loud) == 0:
        return Timing(0.0, ())
    gaps = (np.diff(loud) - 1) * _FRAME / RATE
    pauses = tuple(float(gap) for gap in gaps if gap >= SHORTEST_PAUSE_S)
    whole = (loud[-1] - loud[0] + 1) * _FRAME / RATE
    return Timing(float(whole - sum(pauses)), pauses)


def speaking_rate(texts: Sequence[Sequence[str]], timings: Sequence[Timing]) -> SpeakingRate:
    """Speaking rate over recordings and the words spoken in them, all recordings taken together."""
    n_words = sum(len(words) for words in texts)
    n_letters = sum(len(word) for words in texts for word in words)
    speech = sum(timing.speech_s for timing in timings)
    pauses = [pause for timing in timings for pause in timing.pauses_s]
    if speech == 0.0 or n_words == 0:
        return SpeakingRate(0.0, 0.0, 0.0, 0.0, 0.0)
    return SpeakingRate(
        letters_per_s=n_letters / speech,
        words_per_min=60 * n_words / (speech + sum(pauses)),
        pauses_per_10_words=10 * len(pauses) / n_words,
        mean_pause_s=float(np.mean(pauses)) if pauses else 0.0,
        median_pause_s=float(np.median(pauses)) if pauses else 0.0,
    )
