"""Checks of an alignment: failures of a sentence's synthesis.

The place of a decoder step is the symbol with the largest weight. All distances are in symbols of the text (letters or
phonemes, spaces and punctuation included).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.text.symbols import FIRST_SOUND

END_SYMBOLS = 2
"""The end of a text is its last two symbols at least: the last one is mostly a mark, which may pass unattended."""
LARGEST_STEP = 4
"""Symbols: a step forward or a fall back by more than this is a skip or a repeat, less is soft attention at work."""
LONGEST_TAIL_S = 1.0
"""Seconds: more after the end is reached is an endless tail; what stops by the limit of a symbol's duration is, too."""
LONGEST_DWELL_S = 1.0
"""Seconds: of 57,000 phones of real speech the longest lasts 0.75, and pauses at marks within a sentence 0.7."""
FASTEST_SYMBOLS_PER_S = 40.0
"""Nobody speaks faster: a quick reader does 15 to 20. An attention that may only move forward fails by racing."""


class AlignmentStats(NamedTuple):
    """Statistics of a sentence's alignment."""

    reached_end: bool
    """True if some step had its place at the last sound or after it."""
    stopped: bool
    """True if the model ended the sentence by itself, before the limit of frames."""
    largest_jump: int
    """Largest step forward of the place beyond the furthest place before it, symbols."""
    largest_fall: int
    """Furthest the place fell behind the furthest place before it and stayed at least two steps, symbols."""
    n_repeats: int
    """Number of times it fell behind by more than `LARGEST_STEP` symbols."""
    tail_s: float
    """Seconds from first reaching the end to the end of the sound; 0 if it was not reached."""
    symbols_per_s: float
    """Symbols from the first to the furthest, over the seconds of the whole sound."""
    longest_dwell_s: float
    """Seconds that any one symbol was the place, all its steps taken together."""

    @property
    def skips(self) -> bool:
        """True if symbols were passed over."""
        return self.largest_jump > LARGEST_STEP

    @property
    def repeats(self) -> bool:
        """True if it went back and spoke symbols again."""
        return self.n_repeats > 0

    @property
    def no_stop(self) -> bool:
        """True if it never stopped, or went on for long after the end."""
        return not self.stopped or self.tail_s > LONGEST_TAIL_S

    @property
    def too_fast(self) -> bool:
        """True if it went through the text faster than it can be spoken."""
        return self.symbols_per_s > FASTEST_SYMBOLS_PER_S

    @property
    def stuck(self) -> bool:
        """True if it stuck at a symbol for longer than anybody would."""
        return self.longest_dwell_s > LONGEST_DWELL_S

    @property
    def failures(self) -> tuple[str, ...]:
        """The failures in words that follow a sentence's name; empty if there are none."""
        found = (
            (not self.stopped, "did not stop"),
            (not self.reached_end, "did not reach its end"),
            (self.skips, "left something out"),
            (self.repeats, "repeated something"),
            (self.too_fast, "was rushed"),
            (self.stuck, "stuck at a sound"),
            (self.stopped and self.no_stop, "went on after its end"),
        )
        return tuple(words for is_so, words in found if is_so)

    @property
    def complete(self) -> bool:
        """True if the sentence was spoken to its end without any fault."""
        return not self.failures


def n_end_symbols(ids: Sequence[int]) -> int:
    """Number of symbols that are the end of a text: the last letter or phone with the marks after it."""
    return max(END_SYMBOLS, 1 + len(list(takewhile(lambda index: index < FIRST_SOUND, reversed(ids)))))


def check_alignment(
    alignment: NDArray[np.float32], stopped: bool, step_s: float, n_end: int = END_SYMBOLS
) -> AlignmentStats:
    """Judge one sentence by its alignment.

    alignment: (T, N), weights of N symbols in each of T steps, padding cut off, T and N at least 1; step_s: seconds
    between the alignment's rows; n_end: the last symbols, any of which is the end.
    """
    assert alignment.ndim == 2 and alignment.size > 0, alignment.shape
    n_steps, n_symbols = alignment.shape
    place = alignment.argmax(axis=1)  # (T,)
    # The attention starts at the first symbol, wherever its first step lands.
    furthest = np.maximum.accumulate(np.concatenate([[0], place]))[:-1]  # (T,), before each step
    jumps = place - furthest
    falls = np.maximum(furthest - place, 0)
    # One step back and forth again is not heard: a fall counts by what two neighbouring steps have in common.
    held = np.minimum(falls[:-1], falls[1:])
    behind = np.concatenate([[False], held > LARGEST_STEP])
    at_end = np.flatnonzero(place >= n_symbols - n_end)
    return AlignmentStats(
        reached_end=len(at_end) > 0,
        stopped=bool(stopped),
        largest_jump=int(max(jumps.max(), 0)),
        largest_fall=int(held.max(initial=0)),
        n_repeats=int(np.count_nonzero(behind[1:] & ~behind[:-1])),
        tail_s=float((n_steps - 1 - at_end[0]) * step_s) if len(at_end) else 0.0,
        symbols_per_s=float(place.max() / (n_steps * step_s)),
        longest_dwell_s=float(np.bincount(place).max() * step_s),
    )
