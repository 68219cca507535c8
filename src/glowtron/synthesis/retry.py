"""A sentence that fails is synthesised again with other noise, and then in parts.

Soft attention may skip, repeat or never stop, and the same text with other noise mostly does not. A short text is
aligned better than a long one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glowtron.synthesis.types import Sentence, Utterance
from glowtron.text.sentences import MIN_CHARS

MAX_SPLITS = 2
"""Number of times a sentence may be halved: into quarters. What fails on a quarter fails on words."""


def halves(sentence: Sentence) -> list[Sentence]:
    """A sentence in two or more parts; none if it is too short."""
    return sentence.split(max(MIN_CHARS, -(-len(sentence.text) // 2)))


def synthesize_with_retry(
    sentences: Sequence[Sentence],
    attempts: int,
    synthesize: Callable[[Sequence[Sentence], int], list[Utterance]],
    split: Callable[[Sentence], list[Sentence]] = halves,
    splits: int = MAX_SPLITS,
) -> list[list[Utterance]]:
    """Synthesise each sentence: one utterance without failures, or those of its parts, or the best there was.

    A sentence is tried up to `attempts` times until an utterance has no failure; those that failed are tried together.
    One that failed each time is split, and so are its parts, `splits` times. The parts are used if any of them is
    good; otherwise the utterance of the whole with the fewest failures, the first of equals. With no attempts each
    sentence is synthesised once, whatever comes of it.

    Args:
        sentences: To be synthesised together.
        attempts: For each sentence and part.
        synthesize: Gives an utterance for each of some sentences; also told the number of the attempt, from 0.
        split: Gives the parts of a sentence; none if it is too short.
        splits: How often a sentence may be split.
    """
    best = synthesize(sentences, 0)
    for attempt in range(1, attempts):
        failed = [i for i, utterance in enumerate(best) if utterance.failures]
        if not failed:
            break
        for i, utterance in zip(failed, synthesize([sentences[i] for i in failed], attempt), strict=True):
            if len(utterance.failures) < len(best[i].failures):
                best[i] = utterance
    done = [[utterance] for utterance in best]
    if not (splits and attempts):
        return done
    parts_of = {i: split(sentences[i]) for i, utterance in enumerate(best) if utterance.failures}
    parts = [part for group in parts_of.values() for part in group]
    if not parts:
        return done
    of_parts = iter(synthesize_with_retry(parts, attempts, synthesize, split, splits - 1))
    for i, group in parts_of.items():
        utterances = [utterance for _ in group for utterance in next(of_parts)]
        if any(not utterance.failures for utterance in utterances):
            done[i] = utterances
    return done
