import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.config import OptimizerConfig
from glowtron.train.schedule import learning_rate, step_seed


def test_warm_up_is_a_straight_line_that_ends_at_the_top():
    config = OptimizerConfig(lr=1.0, warmup_steps=4)
    assert [learning_rate(step, config, 100) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine_is_half_way_down_in_the_middle_and_ends_at_its_final_share():
    config = OptimizerConfig(lr=2.0, warmup_steps=10, schedule="cosine", final_share=0.1)
    assert learning_rate(10, config, 110) == 2.0
    assert learning_rate(60, config, 110) == pytest.approx(2.0 * (0.1 + 0.9 / 2))
    assert learning_rate(110, config, 110) == pytest.approx(0.2)
    assert learning_rate(500, config, 110) == pytest.approx(0.2)


@given(
    st.integers(0, 300),
    st.integers(0, 200),
    st.integers(1, 300),
    st.floats(0, 1),
    st.sampled_from(["constant", "cosine"]),
)
def test_rate_is_over_zero_and_never_over_the_top(step, warmup, max_steps, final_share, schedule):
    config = OptimizerConfig(lr=0.5, warmup_steps=warmup, schedule=schedule, final_share=final_share)
    rate = learning_rate(step, config, max_steps)
    assert 0 <= rate <= 0.5
    assert rate > 0 or (final_share == 0 and step >= max_steps)


def test_seeds_differ_between_places_and_fit_into_63_bits():
    places = [(seed, kind, step, rank) for seed in (0, 1) for kind in "ab" for step in range(50) for rank in range(2)]
    seeds = {step_seed(*place) for place in places}
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert step_seed(1, 23) != step_seed(12, 3)
