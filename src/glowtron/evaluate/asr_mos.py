"""Recordings measured without a reference: words by a recogniser (ASR), quality by networks (MOS estimates)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from glowtron.audio import Audio
from glowtron.evaluate.distill_mos import DistillMos
from glowtron.evaluate.mos import DnsMos, DnsMosEstimator
from glowtron.evaluate.optional import is_installed
from glowtron.evaluate.recogniser import POCKETSPHINX, check_recogniser, recognise_all
from glowtron.evaluate.wer import Pronunciations, WordCount, count_words, spoken_words, total

_RESAMPLES = 1000

Progress = Callable[[int], object]


class Score(NamedTuple):
    """Measures of one recording."""

    heard: list[str]
    """Words that the recogniser heard."""
    errors: WordCount
    """These words beside the words of the text."""
    distill_mos: float | None = None
    """DistillMOS, 1 to 5; None where it is not installed, or the recording was not rated."""
    dnsmos: DnsMos | None = None
    """DNSMOS; None where the recording was not rated."""


class Instruments:
    """The recogniser and the networks of one evaluation, opened once."""

    def __init__(self, recogniser: str = POCKETSPHINX, *, p835: bool = False, processes: int | None = None) -> None:
        """recogniser: as of `open_recogniser`. p835: adds P.835 to P.808, at ten times its cost.

        processes: recognisers at work; None: one a processor. Raises InputError if the extra `eval` is missing.
        DistillMOS is left out where its package is missing.
        """
        check_recogniser(recogniser)
        self.recogniser, self.processes, self._p835 = recogniser, processes, p835
        self._dnsmos = DnsMosEstimator()
        self._distill_mos = DistillMos() if is_installed("distillmos") else None
        self._pronunciations = Pronunciations()

    def measure(
        self, texts: Sequence[str], audios: Sequence[Audio], *, n_rated: int | None = None, progress: Progress
    ) -> list[Score]:
        """Recognise recordings of `texts`, and rate the first `n_rated` of them (None: all).

        `progress` is called with 1 after each.
        """
        n_rated = len(audios) if n_rated is None else n_rated
        scores = []
        heard = recognise_all(audios, self.recogniser, self.processes)
        for i, (text, audio, words) in enumerate(zip(texts, audios, heard, strict=True)):
            score = Score(words, count_words(spoken_words(text), words, self._pronunciations.of))
            scores.append(self._rate(score, audio) if i < n_rated else score)
            progress(1)
        return scores

    def n_phones(self, text: str) -> int:
        """Number of phones in a text, its words said alone."""
        return sum(self._pronunciations.of(word).count(" ") for word in spoken_words(text))

    def _rate(self, score: Score, audio: Audio) -> Score:
        distill_mos = None if self._distill_mos is None else self._distill_mos.estimate(audio)
        return score._replace(distill_mos=distill_mos, dnsmos=self._dnsmos.estimate(audio, p835=self._p835))


def summary(scores: Sequence[Score], seed: int) -> dict[str, Any]:
    """Rates and means over recordings, with 95 % intervals from resampling the recordings, as JSON values."""
    count = total([score.errors for score in scores])
    values: dict[str, Any] = {
        "n": len(scores),
        "n_words": count.words,
        "word_error_rate": count.error_rate,
        "word_error_rate_interval": interval(scores, lambda some: total([s.errors for s in some]).error_rate, seed),
        "words_correct": count.correct,
        "words_correct_interval": interval(scores, lambda some: total([s.errors for s in some]).correct, seed),
    }
    ratings = [_ratings(score) for score in scores]
    for name in ("mos_distill", "mos_overall", "mos_signal", "mos_background", "mos_p808"):
        rated = [rating[name] for rating in ratings if name in rating]
        if rated:
            values |= {name: fmean(rated), f"{name}_interval": interval(rated, fmean, seed)}
    return values


def _ratings(score: Score) -> Mapping[str, float]:
    named = {} if score.dnsmos is None else {f"mos_{name}": mos for name, mos in score.dnsmos._asdict().items()}
    return {name: mos for name, mos in {"mos_distill": score.distill_mos, **named}.items() if mos is not None}


def interval(items: Sequence[Any], figure: Callable[[list[Any]], float], seed: int) -> tuple[float, float]:
    """95 % interval of `figure` over `items`, by the percentile bootstrap (Efron 1979)."""
    draw = random.Random(seed)
    figures = sorted(figure(draw.choices(items, k=len(items))) for _ in range(_RESAMPLES))
    return figures[round(0.025 * (_RESAMPLES - 1))], figures[round(0.975 * (_RESAMPLES - 1))]
