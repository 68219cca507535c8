"""Silence taken off both ends of a recording.

A frame of 10 ms sounds if its level is 10 dB over the recording's quiet frames (their 5th percentile), but at least
20 dB and at most 40 dB under its loud ones (the 95th). So the rule follows the noise of a room, and leaves a recording
that drowns in it as it is. A click is no speech: what counts is the first and the last stretch of five frames of which
at least three sound. 0.1 s are kept before it and 0.2 s after, since sounds die away more slowly than they begin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glowtron.audio import Audio

FRAME_S = 0.01
BEFORE_S, AFTER_S = 0.1, 0.2
_STRETCH, _SOUNDING = 5, 3
_OVER_QUIET_DB, _LEAST_DB, _MOST_DB = 10.0, 20.0, 40.0


class Span(NamedTuple):
    """A part of a recording."""

    start: int
    """Samples."""
    end: int


def speech_span(audio: Audio) -> Span:
    """The part of a recording from its first to its last sound, with the margins; all of it where nothing sounds."""
    frame = max(1, round(FRAME_S * audio.sample_rate))
    n = len(audio.samples) // frame
    whole = Span(0, len(audio.samples))
    if n < _STRETCH:
        return whole
    frames = audio.samples[: n * frame].reshape(n, frame).astype(np.float64)
    # The variance, not the power: an offset and what is slower than speech are no sound.
    level = 10 * np.log10(frames.var(axis=1) + 1e-12)  # dB of full scale; digital silence is -120.
    quiet, loud = np.percentile(level, [5, 95])
    threshold = np.clip(quiet + _OVER_QUIET_DB, loud - _MOST_DB, loud - _LEAST_DB)
    sounding = np.convolve(level > threshold, np.ones(_STRETCH), mode="valid") >= _SOUNDING  # (n - _STRETCH + 1,)
    found = np.flatnonzero(sounding)
    if len(found) == 0:
        return whole
    start = int(found[0]) * frame - round(BEFORE_S * audio.sample_rate)
    end = (int(found[-1]) + _STRETCH) * frame + round(AFTER_S * audio.sample_rate)
    return Span(max(0, start), min(len(audio.samples), end))
