"""What one hears in recordings without having the original: the words, and how good it sounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from glowtron.audio import Audio
from glowtron.evaluate.mos import Mos, MosEstimator
from glowtron.evaluate.recogniser import recognise_all
from glowtron.evaluate.wer import WordCount, count_words, plain_words, spoken_words, total

_RESAMPLES = 1000

Progress = Callable[[int], object]


class Heard(NamedTuple):
    """One recording, heard."""

    words: list[str]
    """What the recogniser understood."""
    score: WordCount
    """That beside the words of the text."""
    p808: float
    """DNSMOS P.808, 1 to 5."""
    p835: Mos | None
    """All of DNSMOS, where it was asked for."""


def hear(
    texts: Sequence[str],
    audios: Sequence[Audio],
    *,
    thorough: bool = False,
    processes: int | None = None,
    progress: Progress | None = None,
) -> list[Heard]:
    """Recognise and rate recordings of `texts`. `thorough` adds P.835, at ten times the cost of P.808.

    `progress` is called with 1 after each. Raises InputError if the extra `eval` is missing.
    """
    estimator = MosEstimator()
    heard = []
    for text, audio, words in zip(texts, audios, recognise_all(audios, processes), strict=True):
        p835 = estimator.estimate(audio) if thorough else None
        p808 = p835.p808 if p835 else estimator.p808(audio)
        heard.append(Heard(words, count_words(spoken_words(text), plain_words(words)), p808, p835))
        if progress is not None:
            progress(1)
    return heard


def summary(heard: Sequence[Heard], seed: int) -> dict[str, Any]:
    """Shares and means over recordings, with 95 % intervals from resampling the recordings, as JSON values."""
    count = total([item.score for item in heard])
    values: dict[str, Any] = {
        "n": len(heard),
        "n_words": count.words,
        "words_recognised": count.share,
        "words_recognised_interval": interval(heard, lambda some: total([item.score for item in some]).share, seed),
        "word_error_rate": count.error_rate,
        "mos_p808": fmean(item.p808 for item in heard),
        "mos_p808_interval": interval(heard, lambda some: fmean(item.p808 for item in some), seed),
    }
    rated = [item.p835 for item in heard if item.p835 is not None]
    if rated:
        values |= {f"mos_{name}": fmean(getattr(mos, name) for mos in rated) for name in Mos._fields[1:]}
    return values


def interval(items: Sequence[Any], figure: Callable[[list[Any]], float], seed: int) -> tuple[float, float]:
    """95 % interval of `figure` over `items`, by the percentile bootstrap (Efron 1979)."""
    draw = random.Random(seed)
    figures = sorted(figure(draw.choices(items, k=len(items))) for _ in range(_RESAMPLES))
    return figures[round(0.025 * (_RESAMPLES - 1))], figures[round(0.975 * (_RESAMPLES - 1))]
