"""Check by its sound alone that a sentence was spoken completely.

An attention that may only move forward cannot skip in its alignment, whatever it says, so alignments alone cannot
tell. A sentence is complete where a recogniser errs on under half of its words, and where its speech is as long as a
reader could have made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glowtron.evaluate.speaking_rate import Timing
from glowtron.evaluate.wer import WordCount

LARGEST_WER = 0.5
_SLACK_S = 0.3
"""Seconds by which each stretch between pauses may leave the reader's range: what stands alone is said more slowly."""
_FEWEST_PHONES = 20
"""Shorter recordings say little about a reader's rate."""


class RateRange(NamedTuple):
    """Phones a second of speech, pauses left out, in a reader's recordings."""

    slowest: float
    fastest: float


def rate_range(n_phones: Sequence[int], timings: Sequence[Timing]) -> RateRange:
    """Smallest and largest rate over recordings with so many phones; any rate where none is long enough."""
    rates = [
        n / timing.speech_s
        for n, timing in zip(n_phones, timings, strict=True)
        if n >= _FEWEST_PHONES and timing.speech_s > 0
    ]
    return RateRange(min(rates), max(rates)) if rates else RateRange(0.0, float(np.inf))


def is_complete(count: WordCount, n_phones: int, timing: Timing, reader: RateRange) -> bool:
    """True if a sentence of so many phones was spoken completely."""
    slack = _SLACK_S * (len(timing.pauses_s) + 1)
    shortest = n_phones / reader.fastest - slack
    longest = n_phones / reader.slowest + slack if reader.slowest else float("inf")
    return count.error_rate < LARGEST_WER and shortest <= timing.speech_s <= longest
