"""The whole system measured on sentences: what was said, how, and whether the attention held."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio, concatenate
from glowtron.evaluate.sentences import Sentence
from glowtron.synthesis.faults import Attention
from glowtron.synthesis.options import SynthesisOptions
from glowtron.synthesis.utterance import FaultWarning
from glowtron.voice import Voice

Progress = Callable[[int], object]


class Speech(NamedTuple):
    """A sentence as the voice said it; one that it split into several counts as whole only if all of them are."""

    sentence: Sentence
    audio: Audio
    attention: list[Attention]
    """One for each piece the voice split the sentence into."""
    said_again: bool
    """Whether the voice needed more than one take of it."""
    alignment: NDArray[np.float32]
    """(S, N) of the first piece, for a picture."""

    @property
    def complete(self) -> bool:
        """Whether every piece was spoken to its end without fault."""
        return all(piece.complete for piece in self.attention)


def speak(
    voice: Voice, sentences: Sequence[Sentence], options: SynthesisOptions, progress: Progress | None = None
) -> Iterator[Speech]:
    """Say each of `sentences` by itself. `progress` is called with 1 after each."""
    for sentence in sentences:
        with warnings.catch_warnings():
            # What it warns of is what is measured here.
            warnings.simplefilter("ignore", FaultWarning)
            pieces = list(voice.utterances(sentence.text, options))
        yield Speech(
            sentence,
            concatenate([piece.with_pause for piece in pieces]),
            [piece.attention for piece in pieces],
            any(piece.attempts > 1 or piece.is_part for piece in pieces),
            pieces[0].alignment.float().cpu().numpy(),
        )
        if progress is not None:
            progress(1)


def read(
    voice: Voice, sentences: Sequence[Sentence], options: SynthesisOptions, progress: Progress | None = None
) -> Iterator[Speech]:
    """As `speak`, without a sound: for what only the attention is judged of."""
    for sentence in sentences:
        takes = list(voice.takes(sentence.text, options))
        yield Speech(
            sentence,
            Audio(np.zeros(0, np.float32), voice.mel.sample_rate),
            [take.attention for take in takes],
            any(take.attempt > 0 or take.line.is_part for take in takes),
            takes[0].alignment.float().cpu().numpy(),
        )
        if progress is not None:
            progress(1)


def attention_summary(speeches: Sequence[Speech]) -> dict[str, Any]:
    """Shares of sentences in which any piece had each fault, and of those without any, as JSON values."""
    n = len(speeches)

    def share(fault: Callable[[Attention], bool]) -> float:
        return sum(any(fault(piece) for piece in speech.attention) for speech in speeches) / n

    return {
        "n": n,
        "complete": sum(speech.complete for speech in speeches) / n,
        "stopped_by_themselves": 1 - share(lambda piece: not piece.stopped),
        "reach_the_end": 1 - share(lambda piece: not piece.reached_end),
        "skip": share(lambda piece: piece.skips),
        "repeat": share(lambda piece: piece.repeats),
        "race": share(lambda piece: piece.races),
        "endless": share(lambda piece: piece.endless),
        "stuck": share(lambda piece: piece.dwells),
        "said_again": sum(speech.said_again for speech in speeches) / n,
        "incomplete_sentences": [speech.sentence.text for speech in speeches if not speech.complete],
    }
