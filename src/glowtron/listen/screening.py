"""Which raters are left out, by rules that are fixed when the test is made and never look at a system's result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from glowtron.errors import InputError, nearest
from glowtron.listen.checks import HEADPHONE_TRIALS
from glowtron.listen.ratings import Check, Rating


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a rater is left out. None or False: the rule does not apply."""

    attention_errors: int | None = 0
    """More wrong answers to spoken requests than this (P.808: none)."""
    headphone_right: int | None = None
    """Fewer right of six headphone trials than this; set where the test has that check (Woods et al. 2017: 5)."""
    too_fast_share: float | None = 0.1
    """More than this share of trials answered before the clips could have been heard once."""
    constant: bool = True
    """The same value throughout, in five trials or more (P.808: variance of a session under 0.1)."""
    least_correlation: float | None = 0.25
    """Pearson correlation with the mean of the others, over the clips heard, under this (CrowdMOS); from six on."""
    repeat_difference: float | None = 0.25
    """Mean difference between two ratings of the same clip over this share of the scale (1 of 5 points), and over one
    step of scales that are coarser."""
    reference_misses: float | None = 0.15
    """MUSHRA: hidden reference under 90 on more than this share of pages (BS.1534-3)."""
    anchor_misses: float | None = 0.15
    """MUSHRA: 7 kHz anchor over 90 on more than this share of pages (BS.1534-3)."""


ONE_STEP = 1.0
"""Of the scales with steps: who is between two of them may say either."""


def rules_from(values: Mapping[str, Any]) -> Rules:
    """Rules by name. Raises InputError for a name that is none."""
    known = [field.name for field in fields(Rules)]
    for name in values:
        if name not in known:
            raise InputError(f"screening: unknown rule '{name}'{nearest(name, known)}")
    return Rules(**values)


class Special(NamedTuple):
    """Systems that rules of MUSHRA look at; names, or None."""

    reference: str | None = None
    anchor: str | None = None


def left_out(
    ratings: Sequence[Rating],
    checks: Sequence[Check],
    rules: Rules,
    scale: float,
    special: Special | None = None,
    paired: bool = False,
) -> dict[str, list[str]]:
    """Why each rater who is to be left out is, by rater.

    scale: its length. paired: whether values are differences, for which neither constancy nor correlation speak
    against a rater who hears no difference.
    """
    special = special or Special()
    others = _Others(ratings)
    reasons: dict[str, list[str]] = {}
    by_rater: dict[str, list[Rating]] = {}
    for rating in ratings:
        by_rater.setdefault(rating.rater, []).append(rating)
    checks_of: dict[str, list[Check]] = {}
    for check in checks:
        checks_of.setdefault(check.rater, []).append(check)
    for rater in sorted(by_rater.keys() | checks_of.keys()):
        own = by_rater.get(rater, [])
        found = _by_checks(checks_of.get(rater, []), rules)
        found += _by_speed(own, rules)
        found += _by_repeats(own, rules, scale)
        if not paired:
            found += _by_constancy(own, rules, scale) + _by_correlation(own, others, rules)
        found += _by_special(own, rules, special)
        if found:
            reasons[rater] = found
    return reasons


def _by_checks(checks: Sequence[Check], rules: Rules) -> list[str]:
    found = []
    wrong = sum(not check.right for check in checks if check.kind == "attention")
    if rules.attention_errors is not None and wrong > rules.attention_errors:
        found.append(f"{wrong} attention checks wrong")
    heard = [check.right for check in checks if check.kind == "headphones"]
    if rules.headphone_right is not None and heard and sum(heard) < rules.headphone_right:
        found.append(f"{sum(heard)} of {len(heard)} headphone trials right")
    return found


def _by_speed(own: Sequence[Rating], rules: Rules) -> list[str]:
    timed = [rating for rating in own if rating.seconds is not None and rating.least_seconds is not None]
    if rules.too_fast_share is None or not timed:
        return []
    # Half a second for clocks that run apart.
    fast = np.mean([(rating.seconds or 0) + 0.5 < (rating.least_seconds or 0) for rating in timed])
    return [f"{fast:.0%} of answers faster than the clips"] if fast > rules.too_fast_share else []


def _by_constancy(own: Sequence[Rating], rules: Rules, scale: float) -> list[str]:
    values = [rating.value for rating in own if not rating.repeat]
    # P.808's bound is a variance of 0.1 on a scale of length 4.
    constant = rules.constant and len(values) >= 5 and float(np.var(values)) < 0.1 * (scale / 4) ** 2
    return ["the same answer throughout"] if constant else []


def _by_correlation(own: Sequence[Rating], others: _Others, rules: Rules) -> list[str]:
    if rules.least_correlation is None:
        return []
    pairs = [(r.value, others.mean(r)) for r in own if not r.repeat]
    known = [(value, mean) for value, mean in pairs if mean is not None]
    values, means = np.array(known, dtype=np.float64).reshape(-1, 2).T
    if len(known) < 6 or values.std() == 0 or means.std() == 0:
        return []
    correlation = float(np.corrcoef(values, means)[0, 1])
    low = correlation < rules.least_correlation
    return [f"correlation {correlation:.2f} with the others"] if low else []


def _by_repeats(own: Sequence[Rating], rules: Rules, scale: float) -> list[str]:
    first = {(r.item, r.system, r.against): r.value for r in own if not r.repeat}
    apart = [
        abs(r.value - first[r.item, r.system, r.against])
        for r in own
        if r.repeat and (r.item, r.system, r.against) in first
    ]
    if rules.repeat_difference is None or not apart:
        return []
    mean = float(np.mean(apart))
    far = mean > max(rules.repeat_difference * scale, ONE_STEP)
    return [f"{mean:.1f} apart on average on clips heard twice"] if far else []


def _by_special(own: Sequence[Rating], rules: Rules, special: Special) -> list[str]:
    found = []
    reference = [rating.value for rating in own if rating.system == special.reference]
    if rules.reference_misses is not None and reference:
        share = float(np.mean([value < 90 for value in reference]))
        if share > rules.reference_misses:
            found.append(f"hidden reference under 90 on {share:.0%} of pages")
    anchor = [rating.value for rating in own if rating.system == special.anchor]
    if rules.anchor_misses is not None and anchor:
        share = float(np.mean([value > 90 for value in anchor]))
        if share > rules.anchor_misses:
            found.append(f"anchor over 90 on {share:.0%} of pages")
    return found


class _Others:
    """Means of each clip over raters, from which one's own rating can be taken out."""

    def __init__(self, ratings: Sequence[Rating]) -> None:
        self._sums: dict[tuple[str, str], tuple[float, int]] = {}
        for rating in ratings:
            if not rating.repeat:
                total, n = self._sums.get((rating.item, rating.system), (0.0, 0))
                self._sums[rating.item, rating.system] = (total + rating.value, n + 1)

    def mean(self, rating: Rating) -> float | None:
        total, n = self._sums[rating.item, rating.system]
        return (total - rating.value) / (n - 1) if n > 1 else None


def words_of(rules: Rules, kind: str) -> list[str]:
    """The rules that apply to a kind of method, for people."""
    words = []
    if rules.attention_errors is not None:
        words.append(f"more than {rules.attention_errors} attention checks wrong")
    if rules.headphone_right is not None:
        words.append(f"fewer than {rules.headphone_right} of {HEADPHONE_TRIALS} headphone trials right")
    if rules.too_fast_share is not None:
        words.append(f"more than {rules.too_fast_share:.0%} of answers faster than the clips")
    if rules.constant and kind != "pair":
        words.append("the same answer throughout")
    if rules.least_correlation is not None and kind != "pair":
        words.append(f"correlation with the mean of the others under {rules.least_correlation}")
    if rules.repeat_difference is not None:
        words.append(
            f"ratings of clips heard twice apart by over {rules.repeat_difference:.0%} of the scale and over one step"
        )
    if rules.reference_misses is not None and kind == "page":
        words.append(f"MUSHRA's hidden reference under 90 on more than {rules.reference_misses:.0%} of pages")
    if rules.anchor_misses is not None and kind == "page":
        words.append(f"its 7 kHz anchor over 90 on more than {rules.anchor_misses:.0%} of pages")
    return words
