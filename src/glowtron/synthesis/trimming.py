"""Silence around speech: what a model makes of it is cut to a stated length, so that pauses are decided here.

A model that reads an alignment's marks dwells on the first and the last of them for as long as it likes. What the real
speakers do is written in docs/voices.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glowtron.synthesis.interfaces import Floats
from glowtron.text.sentences import Ending
from glowtron.text.symbols import FIRST_SOUND

EDGE_S = 0.05
"""Seconds of near-silence left before and after speech, in which sounds begin and die away."""
SILENT_DB = 35.0
"""Distance under the loudest frame at which a frame is not heard."""
DECAYED_DB = 25.0
"""Under the last mark, where nothing is said, it is enough to be this far under."""
LOOK_S = 0.5
"""Seconds after the first mark whose loudest moment counts from the beginning; each later one counts from then on."""
_SHARES: dict[Ending, float] = {"paragraph": 2.0, "sentence": 1.0, "clause": 0.5, "words": 0.25}


def pause(ending: Ending | None, sentence_s: float) -> float:
    """Seconds of silence to follow on a piece of text, where it is `sentence_s` after a sentence.

    Twice as long after a paragraph, half as long at a mark inside a sentence that had to be split, a quarter where it
    has no mark; none at the end of the text.
    """
    return 0.0 if ending is None else sentence_s * _SHARES[ending]


def trim_bounds(
    mel: Floats, places: NDArray[np.int64], ids: Sequence[int], step_s: float, *, ended: bool = True
) -> slice:
    """Decoder steps to keep: from `EDGE_S` before the first that is heard to `EDGE_S` after the last.

    mel: (M, T) log-mel; places: (S,) the symbol read in each step; ids: the symbols; step_s: seconds of a step. Only
    the first symbol, if it is a mark, may lose its beginning; a sound never does.

    Whether a step is heard depends on none that is more than `LOOK_S` later. So of a text that has not `ended` it can
    be said which steps are kept whatever follows: none until the beginning is settled.
    """
    n_steps, begins_with_mark = len(places), ids[0] < FIRST_SOUND
    if n_steps == 0 or (not ended and begins_with_mark and not (places > 0).any()):
        return slice(0, 0)
    opening = int((places > 0).argmax()) if begins_with_mark else 0
    look = opening + math.ceil(LOOK_S / step_s)
    if not ended and n_steps < look:
        return slice(0, 0)
    level = 10 / math.log(10) * np.logaddexp.reduce(2 * mel, axis=0)  # (T,) dB
    frames = -(-mel.shape[1] // n_steps)
    level = np.pad(level, (0, frames * n_steps - len(level)), constant_values=-np.inf)
    step = level.reshape(-1, frames).max(1)  # (T,) -> (S,)
    loudest = np.maximum.accumulate(step)
    loudest[:look] = loudest[min(look, n_steps) - 1]
    below = loudest - step
    silent = below > SILENT_DB
    if ids[-1] < FIRST_SOUND:
        # What rises again under the last mark, once speech has died away, is an echo of the model's own.
        silent |= np.logical_or.accumulate((places == len(ids) - 1) & (below > DECAYED_DB))
    audible = np.flatnonzero(~silent)
    if len(audible) == 0:
        return slice(0, n_steps if ended else 0)
    edge = math.ceil(EDGE_S / step_s)
    start = min(int(audible[0]), opening)
    return slice(max(start - edge, 0), min(int(audible[-1]) + 1 + edge, n_steps))


def fade_out(samples: Floats, sample_rate: int) -> Floats:
    """(L,) with its last `EDGE_S` fading to nothing, so that a cut is not heard."""
    n = min(round(EDGE_S * sample_rate), len(samples))
    ramp = np.linspace(1, 0, n, dtype=np.float32)
    return np.concatenate([samples[: len(samples) - n], samples[len(samples) - n :] * ramp])


def split_at_silence(mel: Floats, shortest: int = 700, longest: int = 1400) -> list[Floats]:
    """A log-mel (M, T) of any length in pieces of `shortest` to `longest` frames, cut where it is quietest.

    The last piece may be shorter. A WaveGlow's memory grows with the piece: 1,400 frames are 16 s as published.
    """
    loudness = mel.mean(axis=0)  # (T,)
    cuts = [0]
    while mel.shape[1] - cuts[-1] > longest:
        earliest = cuts[-1] + shortest
        cuts.append(earliest + int(loudness[earliest : cuts[-1] + longest].argmin()))
    return [mel[:, start:end] for start, end in zip(cuts, [*cuts[1:], mel.shape[1]], strict=True)]
