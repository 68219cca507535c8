"""Differences of systems: intervals over pairs, Holm's correction, equivalence, and how many raters would decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.listen.intervals import (
    Components,
    Interval,
    clustered,
    clustered_difference,
    components,
    quantile,
    table,
)
from glowtron.listen.ratings import Rating

_POWER = 0.8
_MOST_RATERS = 2000


class Difference(NamedTuple):
    """Difference between two systems."""

    better: str
    worse: str
    interval: Interval
    """Of the difference, 0 or more in the mean."""
    paired: bool
    """True if the same raters judged both on the same items."""
    p: float
    """Two-sided, of no difference."""
    p_holm: float
    """With Holm's correction for all pairs of this test."""
    p_wilcoxon: float | None
    """Of Wilcoxon's signed-rank test over raters' mean differences; None: under six of them differ."""
    p_equivalent: float
    """One-sided, of a difference as large as the margin or larger (TOST)."""
    more_raters: int | None
    """Raters that are lacking for a decision, were the difference as seen; 0: it is decided; None: more items first."""
    preferred: Preference | None = None
    """Of pairs: how often each was preferred."""

    @property
    def decided(self) -> bool:
        """True if there is a difference, at 5 % over all pairs."""
        return self.p_holm < 0.05

    @property
    def equivalent(self) -> bool:
        """True if the difference is smaller than the margin, at 5 %."""
        return self.p_equivalent < 0.05


class Preference(NamedTuple):
    """Votes of a pair."""

    better: int
    worse: int
    neither: int
    low: float
    """95 % interval of the better one's share of decided votes, as if these were independent (Clopper and Pearson)."""
    high: float


def differences(ratings: Sequence[Rating], margin: float) -> list[Difference]:
    """All pairs of systems, the surest first. ratings: of single systems or of pairs, without repeats."""
    by_pair = _by_pair(ratings) if any(rating.against for rating in ratings) else _by_systems(ratings)
    raw = []
    for (a, b), (interval, paired, parts) in by_pair.items():
        if interval.mean < 0:
            a, b = b, a
            interval = Interval(-interval.mean, -interval.high, -interval.low, interval.error, interval.freedom)
            parts = [part._replace(value=-part.value) for part in parts]
        raw.append((a, b, interval, paired, parts))
    raw = [entry for entry in raw if math.isfinite(entry[2].error)]
    ps = [_two_sided(entry[2], len({part.rater for part in entry[4]})) for entry in raw]
    made = [
        Difference(
            a,
            b,
            interval,
            paired,
            p,
            corrected,
            _wilcoxon(parts),
            equivalence(interval, margin),
            _more_raters(interval, parts, corrected),
            _preference(parts) if parts and parts[0].against else None,
        )
        for (a, b, interval, paired, parts), p, corrected in zip(raw, ps, holm(ps), strict=True)
    ]
    return sorted(made, key=lambda one: one.p)


def _by_systems(ratings: Sequence[Rating]) -> dict[tuple[str, str], tuple[Interval, bool, list[Rating]]]:
    of: dict[str, list[Rating]] = {}
    for rating in ratings:
        of.setdefault(rating.system, []).append(rating)
    result = {}
    for a, b in combinations(of, 2):
        values_b = {(r.rater, r.item): r.value for r in of[b]}
        parts = [r._replace(value=r.value - values_b[r.rater, r.item]) for r in of[a] if (r.rater, r.item) in values_b]
        interval, paired = clustered_difference(of[a], of[b])
        result[a, b] = (interval, paired, parts)
    return result


def _by_pair(ratings: Sequence[Rating]) -> dict[tuple[str, str], tuple[Interval, bool, list[Rating]]]:
    of: dict[tuple[str, str], list[Rating]] = {}
    for rating in ratings:
        if (rating.against, rating.system) in of:
            rating = rating._replace(system=rating.against, against=rating.system, value=-rating.value)
        of.setdefault((rating.system, rating.against), []).append(rating)
    return {pair: (clustered(*table(parts)), True, parts) for pair, parts in of.items()}


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's (1979) correction: keeps the chance of any false finding among all to the level."""
    order = sorted(range(len(ps)), key=lambda k: ps[k])
    corrected = [0.0] * len(ps)
    largest = 0.0
    for rank, k in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[k]))
        corrected[k] = largest
    return corrected


def equivalence(interval: Interval, margin: float) -> float:
    """P of two one-sided tests (Schuirmann 1987): small where the difference is surely under the margin."""
    from scipy.stats import t

    if interval.error == 0:
        return 1.0  # No variance to judge by.
    nearer = (margin - abs(interval.mean)) / interval.error
    return float(t.sf(nearer, interval.freedom))


def _two_sided(interval: Interval, n_raters: int) -> float:
    from scipy.stats import t

    if interval.error == 0:
        # All said the same, which leaves no variance to judge by: the sign test over raters.
        return min(1.0, 2 * 0.5**n_raters) if interval.mean else 1.0
    return float(2 * t.sf(abs(interval.mean) / interval.error, interval.freedom))


def _wilcoxon(parts: Sequence[Rating]) -> float | None:
    from scipy.stats import wilcoxon

    means = _means(parts)
    if np.count_nonzero(means) < 6:
        return None
    return float(wilcoxon(means, method="approx").pvalue)


def _means(parts: Sequence[Rating]) -> NDArray[np.float64]:
    of: dict[str, list[float]] = {}
    for part in parts:
        of.setdefault(part.rater, []).append(part.value)
    return np.array([float(np.mean(values)) for values in of.values()])


def _preference(parts: Sequence[Rating]) -> Preference:
    from scipy.stats import beta

    wins = sum(part.value > 0 for part in parts)
    losses = sum(part.value < 0 for part in parts)
    n = wins + losses
    low = float(beta.ppf(0.025, wins, losses + 1)) if wins else 0.0
    high = float(beta.ppf(0.975, wins + 1, losses)) if losses else 1.0
    return Preference(wins, losses, len(parts) - n, low if n else 0.0, high)


def _more_raters(interval: Interval, parts: Sequence[Rating], p_holm: float) -> int | None:
    if p_holm < 0.05:
        return 0
    if len(parts) < 4:
        return None
    values, raters, items = table(parts)
    n_raters, n_items = int(raters.max()) + 1, int(items.max()) + 1
    if min(n_raters, n_items) < 2:
        return None
    needed = raters_needed(components(values, raters, items), interval.mean, n_items, len(values) / n_raters)
    return None if needed is None else max(1, needed - n_raters)


def raters_needed(parts: Components, difference: float, n_items: int, per_rater: float) -> int | None:
    """Raters who would find this difference with a chance of 80 %, at 5 %; None: none can, there are too few items.

    parts: variances of the difference. per_rater: pairs that each rater judges.
    """
    n = 2
    while n <= _MOST_RATERS:
        if detectable(parts, n, n_items, per_rater) <= abs(difference):
            return n
        n = n + 1 if n < 100 else n + n // 50
    return None


def detectable(parts: Components, n_raters: int, n_items: int, per_rater: float) -> float:
    """The smallest difference that is found with a chance of 80 %, at 5 %."""
    error = math.sqrt(parts.rater / n_raters + parts.item / n_items + parts.residual / (n_raters * per_rater))
    freedom = max(1, min(n_raters, n_items) - 1)
    return (quantile(0.975, freedom) + quantile(_POWER, freedom)) * error


def components_of(parts: Mapping[str, Sequence[Rating]]) -> dict[str, Components]:
    """Variances of each system's ratings."""
    return {system: components(*table(ratings)) for system, ratings in parts.items()}
