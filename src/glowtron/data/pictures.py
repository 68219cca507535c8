"""A picture of a corpus: how long its clips are, how fast and how loud, and what is said in them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator

from glowtron.data.corpus_report import CorpusReport, KeptClip, shown

_BINS = 30
_MOST_SYMBOLS = 45
"""Bars whose names can still be read."""
_MOST_SPEAKERS = 8
"""Distinct colours; all further speakers share one."""


def draw(report: CorpusReport) -> bytes:
    """A PNG of four plots."""
    figure = Figure(figsize=(13, 9), layout="constrained")
    (durations, rates), (levels, symbols) = figure.subplots(2, 2)
    groups = _groups(report)
    _histogram(durations, groups, lambda clip: clip.seconds)
    durations.set(xlabel="seconds", ylabel="clips", title="Duration, silence cut off")
    _histogram(rates, groups, lambda clip: clip.rate)
    rates.set(xlabel="characters a second", ylabel="clips", title="Rate of speech")
    _histogram(levels, groups, lambda clip: clip.loudness)
    levels.axvline(report.rules.loudness, color="black", linestyle=":", label="afterwards")
    levels.set(xlabel="LUFS", ylabel="clips", title="Loudness as recorded")
    levels.legend()
    if len(groups) > 1:
        durations.legend()
    _symbols(symbols, report)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()


def _groups(report: CorpusReport) -> dict[str, list[KeptClip]]:
    """Clips by what is said of them in the legend."""
    first, rest = report.speakers[:_MOST_SPEAKERS], report.speakers[_MOST_SPEAKERS:]
    groups = {_plain(speaker): report.clips_of(speaker) for speaker in first}
    if rest:
        groups[f"{len(rest)} others"] = [clip for clip in report.kept if clip.speaker in rest]
    return groups


def _histogram(axes: Axes, groups: dict[str, list[KeptClip]], value: Callable[[KeptClip], float]) -> None:
    """Speakers on top of each other."""
    values = [[value(clip) for clip in clips] for clips in groups.values()]
    edges = np.histogram_bin_edges(np.concatenate(values), _BINS).tolist()
    axes.hist(values, bins=edges, stacked=True, label=list(groups))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _symbols(axes: Axes, report: CorpusReport) -> None:
    counted = sorted(report.symbols().items(), key=lambda item: (-item[1], item[0]))
    left = f", the {_MOST_SYMBOLS} most frequent of {len(counted)}" if len(counted) > _MOST_SYMBOLS else ""
    counted = counted[:_MOST_SYMBOLS]
    places = range(len(counted))
    axes.bar(places, [n for _, n in counted], log=True)
    axes.set_xticks(places, [_plain(shown(symbol)) for symbol, _ in counted], fontsize=9)
    for label in axes.get_xticklabels():
        label.set_rotation(90 if len(label.get_text()) > 2 else 0)
    axes.set(ylabel="times", title=f"Symbols of the texts{left}")
    axes.margins(x=0.01)


def _plain(text: str) -> str:
    """Text that is drawn as it is: no formulas, and no letters that the font does not have."""
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join("\\$" if c == "$" else c if ord(c) in known else f"U+{ord(c):04X}" for c in text)
