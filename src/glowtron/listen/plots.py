"""Pictures of a listening test, for the report and for papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glowtron.errors import InputError
from glowtron.files import write_atomic
from glowtron.listen.differences import Difference
from glowtron.listen.intervals import Interval
from glowtron.listen.methods import Method
from glowtron.listen.ratings import Rating

_INK, _ACCENT, _SOFT = "#1c1b19", "#0b5f6f", "#b9b4a9"


def draw_means(path: Path, means: Mapping[str, tuple[Interval, Interval]], method: Method) -> None:
    """Means of systems with the clustered interval, and the plain one beside it. Writes a PNG."""
    figure, axes = _figure(len(means))
    for place, (clustered, plain) in enumerate(reversed(list(means.values()))):
        axes.plot([plain.low, plain.high], [place - 0.18] * 2, color=_SOFT, lw=3, solid_capstyle="butt")
        axes.plot([clustered.low, clustered.high], [place] * 2, color=_ACCENT, lw=3, solid_capstyle="butt")
        axes.plot(clustered.mean, place, "o", color=_INK, ms=6)
        axes.annotate(f"{clustered.mean:.2f}", (clustered.mean, place), (0, 7), textcoords="offset points", ha="center")
    _names(axes, list(means)[::-1])
    axes.set(
        xlim=(method.low, method.high),
        xlabel="mean rating; below, in grey: the interval as if ratings were independent",
    )
    _save(figure, path)


def draw_differences(path: Path, found: Sequence[Difference], margin: float) -> None:
    """Differences with their intervals, and the margin of equivalence. Writes a PNG."""
    figure, axes = _figure(len(found))
    axes.axvspan(-margin, margin, color=_SOFT, alpha=0.3, lw=0)
    axes.axvline(0, color=_INK, lw=1)
    for place, one in enumerate(reversed(found)):
        colour = _ACCENT if one.decided else _SOFT
        axes.plot([one.interval.low, one.interval.high], [place] * 2, color=colour, lw=3, solid_capstyle="butt")
        axes.plot(one.interval.mean, place, "o", color=_INK, ms=6)
    _names(axes, [f"{one.better} – {one.worse}" for one in reversed(found)])
    axes.set_xlabel("difference of means; shaded: too small to matter")
    _save(figure, path)


def draw_raters(path: Path, ratings: Sequence[Rating], left_out: Mapping[str, Any]) -> None:
    """Each rater's mean of each system: how much raters differ, and whether they agree. Writes a PNG."""
    systems = list(dict.fromkeys(rating.system for rating in ratings))
    raters = list(dict.fromkeys(rating.rater for rating in ratings))
    sums = np.zeros((2, len(raters), len(systems)))
    for rating in ratings:
        row, column = raters.index(rating.rater), systems.index(rating.system)
        sums[:, row, column] += rating.value, 1
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[0] / sums[1]
    figure, axes = _figure(len(systems))
    for place in range(len(systems)):
        own = means[:, len(systems) - 1 - place]
        offsets = np.linspace(-0.25, 0.25, len(raters)) if len(raters) > 1 else np.zeros(1)
        for value, offset, rater in zip(own, offsets, raters, strict=True):
            out = rater in left_out
            axes.plot(value, place + offset, "x" if out else "o", color=_SOFT if out else _ACCENT, ms=4, alpha=0.8)
    _names(axes, list(reversed(systems)))
    axes.set_xlabel("mean of one rater; crosses: left out")
    _save(figure, path)


def _figure(n_rows: int) -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need 'matplotlib': pip install 'glowtron[listen]'") from error
    figure = Figure(figsize=(7.5, 1.1 + 0.55 * n_rows), layout="constrained")
    axes = figure.subplots()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color="#e6e2da")
    axes.set_axisbelow(True)
    return figure, axes


def _names(axes: Any, names: Sequence[str]) -> None:
    # A dollar sign would begin a formula.
    axes.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", length=0)


def _save(figure: Any, path: Path) -> None:
    with write_atomic(path) as partial:
        figure.savefig(partial, format="png", dpi=150)
