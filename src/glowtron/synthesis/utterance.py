"""What a voice hands back of each sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from glowtron.audio import Audio
from glowtron.synthesis.faults import Attention


class FaultWarning(UserWarning):
    """A sentence was not spoken whole, whatever was tried."""


def complain(text: str, faults: Sequence[str], n_frames: int, attempts: int) -> str:
    """What is wrong with words of so many frames, said so many times."""
    return f"{', '.join(faults)} ({n_frames} frames, attempt {attempts}): '{text}'"


class Utterance(NamedTuple):
    """A sentence, spoken; or a part of one that could not be spoken whole."""

    text: str
    sentence: int
    """Which of the text's sentences it is of; each has one utterance, or one for each part."""
    audio: Audio
    pause_s: float
    """Seconds of silence that follow in the text; 0 after its last words."""
    mel: Tensor
    """(M, T), as it is at rate 1."""
    alignment: Tensor
    """(S, N) attention weights, a row for each decoder step and a column for each symbol of these words."""
    attention: Attention
    """What the attention did."""
    faults: tuple[str, ...]
    """What went wrong in the end, in words; empty: nothing."""
    attempts: int
    """Takes of these words until this one."""
    is_part: bool
    """Whether the sentence had to be split."""

    @property
    def complaint(self) -> str:
        """Its faults, for people."""
        return complain(self.text, self.faults, self.mel.shape[1], self.attempts)

    @property
    def with_pause(self) -> Audio:
        """The sound, and the silence that follows on it."""
        silence = np.zeros(round(self.pause_s * self.audio.sample_rate), np.float32)
        return Audio(np.concatenate([self.audio.samples, silence]), self.audio.sample_rate)
