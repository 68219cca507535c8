import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.listen.differences import detectable, differences, holm, raters_needed
from glowtron.listen.intervals import Components
from glowtron.listen.ratings import Rating


def ratings(means, n_raters=20, n_items=10, noise=0.7, seed=0):
    rng = np.random.default_rng(seed)
    bias = 0.5 * rng.standard_normal(n_raters)
    return [
        Rating(f"r{r}", f"i{i}", system, float(mean + bias[r] + noise * rng.standard_normal()))
        for r in range(n_raters)
        for i in range(n_items)
        for system, mean in means.items()
    ]


def test_systems_are_put_in_order():
    found = differences(ratings({"b": 3.0, "a": 4.0, "c": 2.5}), margin=0.2)
    assert {(one.better, one.worse) for one in found} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert all(one.decided and one.paired and one.more_raters == 0 for one in found)
    assert found[0].interval.mean == pytest.approx(1.5, abs=0.2)


def test_equal_systems_are_equivalent_with_enough_raters_and_undecided_with_few():
    (many,) = differences(ratings({"a": 3.0, "b": 3.0}, n_raters=60, n_items=40), margin=0.2)
    assert many.equivalent and not many.decided
    (few,) = differences(ratings({"a": 3.0, "b": 3.1}, n_raters=4, n_items=4, seed=1), margin=0.1)
    assert not few.equivalent and not few.decided
    assert few.more_raters is None or few.more_raters > 0


def test_pairs_are_turned_one_way_round():
    votes = [Rating(f"r{r}", f"i{i}", "a", 1.0, against="b") for r in range(8) for i in range(3)]
    votes += [Rating(f"r{r}", f"i{i + 3}", "b", -1.0, against="a") for r in range(8) for i in range(3)]
    votes += [Rating(f"r{r}", "i9", "b", 1.0, against="a") for r in range(8)]
    (one,) = differences(votes, margin=0.1)
    assert (one.better, one.worse) == ("a", "b")
    assert one.preferred[:3] == (48, 8, 0)
    assert one.preferred.low < 48 / 56 < one.preferred.high
    assert one.interval.mean == pytest.approx((48 - 8) / 56)


def test_unanimous_votes_of_few_raters_decide_nothing():
    votes = [Rating(f"r{r}", f"i{i}", "a", 1.0, against="b") for r in range(3) for i in range(3)]
    (one,) = differences(votes, margin=0.1)
    assert one.p == pytest.approx(0.25)
    assert not one.decided


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_never_helps(ps):
    corrected = holm(ps)
    assert all(p <= c <= min(1, len(ps) * p) + 1e-12 for p, c in zip(ps, corrected, strict=True))
    order = sorted(range(len(ps)), key=lambda k: ps[k])
    assert [corrected[k] for k in order] == sorted(corrected)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("difference", [0.15, 0.3, 0.6])
def test_the_number_of_raters_that_is_asked_for_decides_four_times_in_five(difference):
    parts = Components(rater=0.1, item=0.0, residual=1.0)
    n = raters_needed(parts, difference, n_items=40, per_rater=10)
    assert detectable(parts, n, 40, 10) <= difference
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(150):
        likes = np.sqrt(parts.rater) * rng.standard_normal(n)
        votes = [
            Rating(f"r{r}", f"i{i}", "a", float(difference + likes[r] + rng.standard_normal()), against="b")
            for r in range(n)
            for i in rng.permutation(40)[:10]
        ]
        found += differences(votes, margin=0.1)[0].p < 0.05
    assert 0.7 <= found / 150 <= 0.95


def test_no_number_of_raters_makes_up_for_too_few_items():
    assert raters_needed(Components(0.1, item=0.5, residual=1.0), 0.1, n_items=5, per_rater=5) is None
