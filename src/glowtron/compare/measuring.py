"""Measures of each clip of a comparison, and their means with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from glowtron.audio import Audio
from glowtron.compare.columns import Column
from glowtron.evaluate.asr_mos import Instruments, Score, interval
from glowtron.evaluate.pesq_stoi import listen
from glowtron.evaluate.wer import total

MEASURES = {
    "mos_distill": ("DistillMOS", ".2f", True),
    "mos_p808": ("P.808", ".2f", True),
    "mos_overall": ("P.835", ".2f", True),
    "word_error_rate": ("Word errors", ".1%", False),
    "pesq": ("PESQ", ".2f", True),
    "stoi": ("STOI", ".3f", True),
}
"""By name: title, format, and whether more is better."""

Progress = Callable[[int], object]
Measured = dict[str, "float | None"]


def measure_column(
    column: Column, texts: Sequence[str], real: Sequence[Audio] | None, instruments: Instruments, progress: Progress
) -> tuple[list[Measured], list[Score]]:
    """Measures of each clip by name; None where there is no such figure. real: the recordings, where they are known."""
    scores = instruments.measure(texts, column.audios, progress=progress)
    rows: list[Measured] = []
    for place, (score, audio) in enumerate(zip(scores, column.audios, strict=True)):
        row: Measured = {
            "mos_distill": score.distill_mos,
            "mos_p808": None if score.dnsmos is None else score.dnsmos.p808,
            "mos_overall": None if score.dnsmos is None else score.dnsmos.overall,
            "word_error_rate": score.errors.error_rate,
            "pesq": None,
            "stoi": None,
        }
        if real is not None and column.same_words and column.name != "real":
            heard = listen(audio, real[place])
            row |= {"pesq": heard.pesq, "stoi": heard.stoi}
        rows.append(row)
    return rows, scores


def means(rows: Sequence[Measured], scores: Sequence[Score], seed: int) -> dict[str, Any]:
    """Mean and 95 % interval of each measure over the clips; word errors over all words."""
    result: dict[str, Any] = {}
    for name in MEASURES:
        if name == "word_error_rate":
            if scores:
                result[name] = _summary(list(scores), lambda some: total([s.errors for s in some]).error_rate, seed)
            continue
        values = [value for row in rows if (value := row.get(name)) is not None]
        if values:
            result[name] = _summary(values, fmean, seed)
    return result


def speed(column: Column, seed: int) -> dict[str, Any] | None:
    """Real-time factor, compute time / audio time, with its interval over clips; None where nothing was timed."""
    pairs = list(zip(column.seconds, [audio.duration_s for audio in column.audios], strict=False))
    if not pairs:
        return None
    return _summary(pairs, lambda some: sum(s for s, _ in some) / sum(d for _, d in some), seed)


def _summary(values: list[Any], figure: Callable[[list[Any]], float], seed: int) -> dict[str, Any]:
    low, high = interval(values, figure, seed)
    return {"mean": figure(values), "low": low, "high": high, "n": len(values)}


def best(columns: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    """Names of the columns, recordings apart, whose interval reaches the best mean."""
    more = MEASURES[name][2]
    known = {c["name"]: c["measures"][name] for c in columns if name in c["measures"] and c["name"] != "real"}
    if not known:
        return set()
    top = (max if more else min)(m["mean"] for m in known.values())
    return {key for key, m in known.items() if (m["high"] >= top if more else m["low"] <= top)}
