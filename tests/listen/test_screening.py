import numpy as np
import pytest

from glowtron.errors import InputError
from glowtron.listen.ratings import Check, Rating
from glowtron.listen.screening import Rules, Special, left_out, rules_from, words_of

RNG = np.random.default_rng(0)
QUALITY = {"a": 4.5, "b": 3.5, "c": 2.5, "d": 1.5}


def attentive(rater):
    """Who hears what others hear, and takes the time."""
    return [
        Rating(
            rater,
            f"i{i}",
            system,
            float(np.clip(np.rint(q + 0.5 * RNG.standard_normal()), 1, 5)),
            seconds=5.0,
            least_seconds=3.0,
        )
        for i in range(4)
        for system, q in QUALITY.items()
    ]


OTHERS = [rating for k in range(10) for rating in attentive(f"good-{k}")]
HEARD = [Check("odd", "headphones", right) for right in (True,) * 5 + (False,)]


def odd(**change):
    return [rating._replace(**change) for rating in attentive("odd")]


def shuffled():
    own = attentive("odd")
    values = [rating.value for rating in own]
    return [rating._replace(value=6 - value) for rating, value in zip(own, values, strict=True)]


def inconsistent():
    own = attentive("odd")
    far = own[0].value - 2 if own[0].value > 2 else own[0].value + 2
    return [*own, own[0]._replace(value=far, repeat=True)]


@pytest.mark.parametrize(
    ("ratings", "checks", "why"),
    [
        (attentive("odd"), [Check("odd", "attention", False)], "1 attention checks wrong"),
        (attentive("odd"), HEARD[1:] + HEARD[-1:], "4 of 6 headphone trials right"),
        (odd(seconds=1.0), [], "faster than the clips"),
        (odd(value=3.0), [], "the same answer throughout"),
        (shuffled(), [], "with the others"),
        (inconsistent(), [], "on clips heard twice"),
    ],
)
def test_each_rule_finds_whom_it_is_for(ratings, checks, why):
    reasons = left_out(OTHERS + ratings, checks, Rules(headphone_right=5), scale=4)
    assert reasons.keys() == {"odd"}
    assert why in reasons["odd"][0]


def test_the_attentive_stay():
    checks = [*HEARD, Check("odd", "attention", True)]
    assert left_out(OTHERS + attentive("odd"), checks, Rules(headphone_right=5), scale=4) == {}


def test_mushra_rules():
    pages = [Rating("r", f"i{i}", s, v) for i in range(4) for s, v in (("ref", 95.0), ("low", 20.0), ("x", 60.0 + i))]
    special = Special("ref", "low")
    assert left_out(pages, [], Rules(), 100, special) == {}
    deaf = [r._replace(value=80.0 if r.system == "ref" else 92.0 if r.system == "low" else r.value) for r in pages]
    assert left_out(deaf, [], Rules(least_correlation=None, constant=False), 100, special) == {
        "r": ["hidden reference under 90 on 100% of pages", "anchor over 90 on 100% of pages"]
    }


def test_hearing_no_difference_is_no_fault():
    same = [Rating("r", f"i{i}", "a", 0.0, against="b") for i in range(8)]
    assert left_out(same, [], Rules(), 6, paired=True) == {}


@pytest.mark.parametrize(("again", "stays"), [(1.0, True), (0.0, True), (-1.0, False)])
def test_one_step_of_a_preference_is_no_inconsistency(again, stays):
    """The scale has three steps: one of them is half of it, and a listener may well be between two."""
    preferred = [Rating("r", f"i{i}", "a", 1.0, against="b") for i in range(4)]
    reasons = left_out([*preferred, preferred[0]._replace(value=again, repeat=True)], [], Rules(), 2, paired=True)
    assert (reasons == {}) == stays


def test_rules_by_name():
    assert rules_from({"attention_errors": None}).attention_errors is None
    assert len(words_of(Rules(), "page")) > len(words_of(Rules(), "pair"))
    with pytest.raises(InputError, match="did you mean 'constant'"):
        rules_from({"constat": True})
