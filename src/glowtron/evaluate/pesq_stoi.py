"""PESQ and STOI: models of a listener who has both recordings, the real one and the other.

Both compare waveforms, not impressions: a vocoder that draws its own phases, as a flow does, scores low in PESQ
however natural it sounds, and one that restores phases, as Griffin-Lim does, scores high however metallic. So they
stand beside the reference-free estimate, never alone.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

from glowtron.audio import Audio
from glowtron.evaluate.levels import RATE, Samples, levelled
from glowtron.evaluate.optional import require


class Listening(NamedTuple):
    """PESQ and STOI of a recording against the real one."""

    pesq: float | None
    """Wide-band PESQ (ITU-T P.862.2), 1.0 to 4.64; None where the real recording is too short or silent for it."""
    stoi: float | None
    """Short-time objective intelligibility (Taal et al. 2011), about 0 to 1; None as with PESQ."""


def listen(audio: Audio, real: Audio) -> Listening:
    """Compare `audio` with the `real` recording of the same clip, at 16 kHz and at one level of speech."""
    ours, theirs = levelled(audio), levelled(real)
    length = min(len(ours), len(theirs))
    ours, theirs = ours[:length], theirs[:length]
    if not theirs.any():
        return Listening(None, None)
    if not ours.any():  # Neither library expects it; nothing is worse than no answer.
        return Listening(1.0, 0.0)
    return Listening(_pesq(ours, theirs), _stoi(ours, theirs))


def _pesq(ours: Samples, theirs: Samples) -> float | None:
    pesq = require("pesq")
    try:
        return float(pesq.pesq(RATE, theirs, ours, "wb"))
    except (pesq.NoUtterancesError, pesq.BufferTooShortError):
        return None


def _stoi(ours: Samples, theirs: Samples) -> float | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(require("pystoi").stoi(theirs, ours, RATE))
        except RuntimeWarning:  # Under 30 frames (about 0.4 s) of speech, for which it would return 1e-5.
            return None
