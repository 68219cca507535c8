"""Takes: a sentence is said until it is said whole, and where that fails, in parts.

Soft attention may skip, repeat or never stop, and the same text with other noise mostly does not. A short text is held
better than a long one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from torch import Tensor

from glowtron.mel import FLOOR
from glowtron.models.tacotron2 import Spoken
from glowtron.synthesis.faults import Attention
from glowtron.synthesis.utterance import complain
from glowtron.text.sentences import Ending

_SPLITS = 2
"""How often a sentence may be halved: into quarters. Who fails on a quarter fails on words."""


class Line(NamedTuple):
    """Some words to be spoken in one go."""

    text: str
    ending: Ending | None
    """What ends with them; None: the text."""
    place: str
    """Number of the sentence in its text; of its parts `3.0`, `3.1`, of theirs `3.0.0`. Noise is drawn by it."""

    @property
    def sentence(self) -> int:
        """Which of the text's sentences it is, or is a part of."""
        return int(self.place.partition(".")[0])

    @property
    def is_part(self) -> bool:
        """Whether its sentence had to be split."""
        return "." in self.place


class Take(NamedTuple):
    """A line as it was spoken."""

    line: Line
    attempt: int
    """How many takes of this line there were before."""
    mel: Tensor
    """(M, T)"""
    alignment: Tensor
    """(S, N)"""
    attention: Attention
    faults: tuple[str, ...]
    """What is wrong with it; empty: nothing."""

    @property
    def complaint(self) -> str:
        """Its faults, for people."""
        return complain(self.line.text, self.faults, self.mel.shape[1], self.attempt + 1)


def said(spoken: Spoken, row: int, ids: Tensor, reduction_factor: int) -> tuple[Tensor, Tensor]:
    """Mel (M, T) and alignment (S, N) of one text, ids (N,), of a batch; a frame of silence where it said nothing."""
    n_frames = int(spoken.mel_lengths[row])
    if n_frames == 0:  # It stopped at once, and the stopping frame does not count.
        return spoken.mel.new_full((spoken.mel.shape[1], 1), math.log(FLOOR)), spoken.alignment[row, :1, : len(ids)]
    n_steps = -(-n_frames // reduction_factor)
    return spoken.mel[row, :, :n_frames], spoken.alignment[row, :n_steps, : len(ids)]


Speak: TypeAlias = Callable[[Sequence[Line], int], list[Take]]
"""Lines and the number of the attempt to a take of each."""
Split: TypeAlias = Callable[[Line], list[Line]]
"""A line in smaller ones; empty where it cannot be split."""


def perform(
    lines: Sequence[Line], attempts: int, speak: Speak, split: Split, splits: int = _SPLITS
) -> list[list[Take]]:
    """The takes that speak each line: one without fault, or those of its parts, or the best there was.

    A line is said up to `attempts` times until a take has no fault; the failed ones go together. What failed in all is
    split, and so are its parts, `splits` times. The parts are used if any of them came out whole; otherwise the take of
    the whole line with the fewest faults, the first of equals. With no attempts a line is said once, and that is that.
    """
    best = speak(lines, 0)
    for attempt in range(1, attempts):
        failed = [i for i, take in enumerate(best) if take.faults]
        if not failed:
            break
        for i, take in zip(failed, speak([lines[i] for i in failed], attempt), strict=True):
            if len(take.faults) < len(best[i].faults):
                best[i] = take
    spoken = [[take] for take in best]
    groups = {i: split(lines[i]) for i, take in enumerate(best) if take.faults and splits and attempts}
    parts = [part for group in groups.values() for part in group]
    if not parts:
        return spoken
    performed = iter(perform(parts, attempts, speak, split, splits - 1))
    for i, group in groups.items():
        takes = [take for _ in group for take in next(performed)]
        if any(not take.faults for take in takes):
            spoken[i] = takes
    return spoken
