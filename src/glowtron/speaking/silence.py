"""Silence around speech: what a model makes of it is cut to a stated length, so that pauses are decided here.

A model that reads an alignment's marks dwells on the first and the last of them for as long as it likes. What the real
speakers do is written in docs/voices.md.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glowtron.text.sentences import Ending
from glowtron.text.symbols import FIRST_SOUND

EDGE_S = 0.05
"""Seconds of near-silence left before and after speech, in which sounds begin and die away."""
SILENT_DB = 35.0
"""What is this far under the loudest frame is not heard."""
DECAYED_DB = 25.0
"""Under the last mark, where nothing is said, it is enough to be this far under."""
_SHARES: dict[Ending, float] = {"paragraph": 2.0, "sentence": 1.0, "clause": 0.5, "words": 0.25}


def pause(ending: Ending, sentence_s: float) -> float:
    """Seconds of silence to follow on a piece of text, where it is `sentence_s` after a sentence.

    Twice as long after a paragraph, half as long at a mark inside a sentence that had to be split, a quarter where it
    has no mark.
    """
    return sentence_s * _SHARES[ending]


def heard(mel: Tensor, places: Tensor, ids: Tensor, step_s: float) -> slice:
    """Decoder steps to keep: from `EDGE_S` before the first that is heard to `EDGE_S` after the last.

    mel: (M, T) log-mel; places: (S,) the symbol read in each step; ids: (N,) symbols; step_s: seconds of a step. Only
    the first symbol, if it is a mark, may lose its beginning; a sound never does.
    """
    level = 10 / math.log(10) * (2 * mel).logsumexp(0)  # (T,) dB
    frames = -(-mel.shape[1] // len(places))
    step = torch.nn.functional.pad(level, (0, frames * len(places) - len(level)), value=-math.inf)
    below = level.max() - step.view(-1, frames).amax(1)  # (T,) -> (S,) dB under the loudest
    silent = below > SILENT_DB
    if ids[-1] < FIRST_SOUND:
        # What rises again under the last mark, once speech has died away, is an echo of the model's own.
        silent |= ((places == len(ids) - 1) & (below > DECAYED_DB)).cumsum(0) > 0
    audible = (~silent).nonzero().squeeze(1)
    if len(audible) == 0:
        return slice(0, len(places))
    edge = math.ceil(EDGE_S / step_s)
    opening = int((places > 0).int().argmax()) if ids[0] < FIRST_SOUND else 0
    start = min(int(audible[0]), opening)
    return slice(max(start - edge, 0), min(int(audible[-1]) + 1 + edge, len(places)))


def fade(wave: Tensor, sample_rate: int) -> Tensor:
    """(B, L) with its last `EDGE_S` fading to nothing, so that a cut is not heard."""
    n = min(round(EDGE_S * sample_rate), wave.shape[1])
    ramp = torch.linspace(1, 0, n, device=wave.device, dtype=wave.dtype)
    return torch.cat((wave[:, : wave.shape[1] - n], wave[:, wave.shape[1] - n :] * ramp), dim=1)
