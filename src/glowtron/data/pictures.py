"""A picture of a corpus: how long its clips are, how fast and how loud, and what is said in them."""

from __future__ import annotations

import io
from collections import Counter

from matplotlib.figure import Figure

from glowtron.data.corpus_report import CorpusReport

_MOST_SYMBOLS = 60
"""Bars that can still be told apart."""


def draw(report: CorpusReport) -> bytes:
    """A PNG of four plots."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    (durations, rates), (levels, symbols) = figure.subplots(2, 2)
    for speaker in report.speakers:
        clips = [clip for clip in report.kept if clip.speaker == speaker]
        look = {"bins": 30, "alpha": 0.6, "label": speaker.replace("$", r"\$")}
        durations.hist([clip.seconds for clip in clips], **look)
        rates.hist([clip.rate for clip in clips], **look)
        levels.hist([clip.loudness for clip in clips], **look)
    durations.set(xlabel="seconds", ylabel="clips", title="Durations after trimming")
    rates.set(xlabel="characters a second", ylabel="clips", title="Rates of speech")
    levels.set(xlabel="LUFS", ylabel="clips", title="Loudness before levelling")
    levels.axvline(report.rules.loudness, color="black", linestyle=":")
    if len(report.speakers) > 1:
        durations.legend()
    counted = Counter(letter for clip in report.kept for letter in clip.text.lower()).most_common(_MOST_SYMBOLS)
    names = ["␣" if letter == " " else letter.replace("$", r"\$") for letter, _ in counted]
    symbols.bar(range(len(counted)), [n for _, n in counted], log=True)
    symbols.set_xticks(range(len(counted)), names, fontsize=7)
    symbols.set(ylabel="times", title="Symbols")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()
