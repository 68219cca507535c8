"""Sentences synthesised to be measured: their sound, and what the voice's own checks of the alignment say."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio, concatenate
from glowtron.config.synthesis import SynthesisOptions
from glowtron.evaluate.sentences import Sentence
from glowtron.synthesis.alignment_checks import AlignmentStats
from glowtron.synthesis.types import FaultWarning
from glowtron.voice import Voice

Progress = Callable[[int], object]


class SpokenSentence(NamedTuple):
    """A sentence as the voice said it; one that the voice splits counts as aligned only if all its parts are."""

    sentence: Sentence
    audio: Audio
    stats: list[AlignmentStats]
    """One for each part the voice split the sentence into."""
    retried: bool
    """True if the voice needed a second attempt, or split the sentence after one."""
    alignment: NDArray[np.float32]
    """(S, N) of the first part, for a picture."""

    @property
    def aligned(self) -> bool:
        """True if the alignment of every part reaches the end without a failure."""
        return all(part.complete for part in self.stats)


def speak(
    voice: Voice, sentences: Sequence[Sentence], options: SynthesisOptions, progress: Progress | None = None
) -> Iterator[SpokenSentence]:
    """Say each of `sentences` by itself. `progress` is called with 1 after each."""
    for sentence in sentences:
        with warnings.catch_warnings():
            # What it warns of is what is measured here.
            warnings.simplefilter("ignore", FaultWarning)
            parts = list(voice.utterances(sentence.text, options))
        yield SpokenSentence(
            sentence,
            concatenate([part.with_pause for part in parts]),
            [part.stats for part in parts],
            any(part.attempts > 1 or part.is_part for part in parts),
            parts[0].alignment,
        )
        if progress is not None:
            progress(1)


def alignment_summary(spoken: Sequence[SpokenSentence]) -> dict[str, Any]:
    """Shares of sentences with each failure of the alignment in any part, and of those without any, as JSON values."""
    n = len(spoken)

    def share(failed: Callable[[AlignmentStats], bool]) -> float:
        return sum(any(failed(part) for part in speech.stats) for speech in spoken) / n

    return {
        "n": n,
        "aligned": sum(speech.aligned for speech in spoken) / n,
        "stopped": 1 - share(lambda part: not part.stopped),
        "reached_end": 1 - share(lambda part: not part.reached_end),
        "skipping": share(lambda part: part.skips),
        "repeating": share(lambda part: part.repeats),
        "too_fast": share(lambda part: part.too_fast),
        "no_stop": share(lambda part: part.no_stop),
        "stuck": share(lambda part: part.stuck),
        "retried": sum(speech.retried for speech in spoken) / n,
    }
