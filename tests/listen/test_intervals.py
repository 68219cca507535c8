"""The intervals hold: shown by simulation, beside the one that papers print."""

import numpy as np
import pytest

from glowtron.listen.intervals import clustered, clustered_difference, components, labels, plain
from glowtron.listen.ratings import Rating

RATER, ITEM, RESIDUAL, MEAN = 0.25, 0.10, 0.50, 3.85
"""Variances and mean of ratings as real tests have them."""


def simulate(rng, n_raters, n_items, per_rater):
    """Ratings from 1 to 5 of one system, with their raters and items."""
    raters = np.repeat(np.arange(n_raters), per_rater)
    items = np.concatenate([rng.permutation(n_items)[:per_rater] for _ in range(n_raters)])
    bias = np.sqrt(RATER) * rng.standard_normal(n_raters)
    ease = np.sqrt(ITEM) * rng.standard_normal(n_items)
    noise = np.sqrt(RESIDUAL) * rng.standard_normal(len(raters))
    values = np.clip(np.rint(MEAN + bias[raters] + ease[items] + noise), 1, 5)
    return values, raters, labels(items.tolist())


@pytest.fixture(scope="module")
def truth():
    """The mean of ratings as they are rounded and cut."""
    spread = np.sqrt(RATER + ITEM + RESIDUAL)
    return np.clip(np.rint(MEAN + spread * np.random.default_rng(1).standard_normal(2_000_000)), 1, 5).mean()


@pytest.mark.parametrize(
    ("n_raters", "n_items", "per_rater", "most_plain"),
    [
        (10, 10, 10, 0.75),
        (30, 40, 40, 0.55),
        (100, 40, 40, 0.45),
        (30, 40, 10, 0.78),
        (100, 40, 8, 0.75),
        (250, 40, 1, 0.93),
    ],
)
def test_clustered_intervals_cover_the_truth_where_plain_ones_do_not(truth, n_raters, n_items, per_rater, most_plain):
    rng = np.random.default_rng(n_raters + per_rater)
    n = 400
    covered, covered_plain = 0, 0
    for _ in range(n):
        values, raters, items = simulate(rng, n_raters, n_items, per_rater)
        interval, narrow = clustered(values, raters, items), plain(values)
        covered += interval.low <= truth <= interval.high
        covered_plain += narrow.low <= truth <= narrow.high
    assert covered / n >= 0.92
    assert covered_plain / n <= most_plain
    assert covered / n <= 0.99  # Not by being endless.


def rating(rater, item, system, value):
    return Rating(f"r{rater}", f"i{item}", system, float(value))


def two_systems(rng, difference, n_raters=30, n_items=40, per_rater=10):
    """Ratings of two systems by the same raters on the same items; raters and items prefer one or the other, too."""
    bias, ease = np.sqrt(RATER) * rng.standard_normal(n_raters), np.sqrt(ITEM) * rng.standard_normal(n_items)
    likes = np.sqrt(0.05) * rng.standard_normal((2, n_raters))
    suits = np.sqrt(0.05) * rng.standard_normal((2, n_items))
    made = ([], [])
    for r in range(n_raters):
        for i in rng.permutation(n_items)[:per_rater]:
            for s, system in enumerate("ab"):
                value = MEAN + difference * (s == 0) + bias[r] + ease[i] + likes[s, r] + suits[s, i]
                made[s].append(rating(r, i, system, value + np.sqrt(RESIDUAL) * rng.standard_normal()))
    return made


def test_differences_over_pairs_cover_the_truth_and_find_more():
    rng = np.random.default_rng(5)
    covered = found = found_unpaired = 0
    for _ in range(200):
        a, b = two_systems(rng, 0.2)
        interval, paired = clustered_difference(a, b)
        assert paired
        covered += interval.low <= 0.2 <= interval.high
        found += interval.low > 0
        other = [r._replace(rater=r.rater + "'", item=r.item + "'") for r in b]
        apart, paired = clustered_difference(a, other)
        assert not paired
        found_unpaired += apart.low > 0
    assert covered / 200 >= 0.92
    assert found > 3 * found_unpaired


def test_variances_are_found_again():
    rng = np.random.default_rng(3)
    raters = np.repeat(np.arange(300), 20)
    items = np.concatenate([rng.permutation(200)[:20] for _ in range(300)])
    bias, ease = np.sqrt(RATER) * rng.standard_normal(300), np.sqrt(ITEM) * rng.standard_normal(200)
    values = bias[raters] + ease[items] + np.sqrt(RESIDUAL) * rng.standard_normal(len(raters))
    found = components(values, raters, labels(items.tolist()))
    assert found == pytest.approx((RATER, ITEM, RESIDUAL), abs=0.05)


def test_where_nothing_comes_twice_both_intervals_agree():
    values = np.random.default_rng(0).standard_normal(400)
    once = np.arange(400)
    assert clustered(values, once, once).half_width == pytest.approx(plain(values).half_width, rel=0.01)


def test_one_rater_tells_nothing_of_others():
    values = np.array([1.0, 2.0, 3.0])
    assert np.isinf(clustered(values, np.zeros(3, int), np.arange(3)).half_width)
    assert np.isfinite(clustered(values, np.arange(3), np.zeros(3, int)).half_width)
