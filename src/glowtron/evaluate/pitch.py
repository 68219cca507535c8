"""Pitch error between two recordings of one clip, and the pitch range of a speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glowtron.data.pitch import Track


class PitchError(NamedTuple):
    """Difference of a recording's pitch from the real one's, in frames of 10 ms."""

    f0_cents: float | None
    """Root mean square difference over frames voiced in both and less than 20 % apart; None without such frames."""
    gross_share: float | None
    """Share of frames voiced in both that are 20 % or more apart; None without frames voiced in both."""
    voicing_share: float
    """Share of all frames that are voiced in one and not in the other."""


def pitch_error(track: Track, real: Track) -> PitchError:
    """Compare two tracks of the same clip; the longer one is cut."""
    length = min(len(track), len(real))
    ours, theirs = track[:length], real[:length]
    both = (ours > 0) & (theirs > 0)
    voicing = float(np.mean((ours > 0) != (theirs > 0))) if length else 0.0
    if not both.any():
        return PitchError(None, None, voicing)
    cents = 1200 * np.log2(ours[both] / theirs[both])
    gross = np.abs(ours[both] / theirs[both] - 1) >= 0.2
    fine = float(np.sqrt(np.mean(cents[~gross] ** 2))) if (~gross).any() else None
    return PitchError(fine, float(gross.mean()), voicing)


class PitchRange(NamedTuple):
    """Mean and spread of a speaker's pitch over all voiced frames of some recordings."""

    f0_median_hz: float | None
    """Median fundamental frequency; None without a voiced frame."""
    f0_sd_semitones: float | None
    """Standard deviation of the fundamental frequency on a logarithmic scale; frames more than an octave from the
    median are errors of the tracker and left out. None without a voiced frame."""


def pitch_range(tracks: Sequence[Track]) -> PitchRange:
    """Median and spread of pitch tracks taken together."""
    voiced = np.concatenate([track[track > 0] for track in tracks]) if tracks else np.zeros(0)
    if len(voiced) == 0:
        return PitchRange(None, None)
    median = float(np.median(voiced))
    semitones = 12 * np.log2(voiced / median)
    return PitchRange(median, float(semitones[np.abs(semitones) <= 12].std()))
