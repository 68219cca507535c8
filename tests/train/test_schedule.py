from dataclasses import replace

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from glowtron.config import OptimizerConfig, TrainingConfig
from glowtron.train.schedule import last_step, learning_rate, step_seed


def test_warm_up_is_a_straight_line_that_ends_at_the_top():
    config = OptimizerConfig(lr=1.0, warmup_steps=4)
    assert [learning_rate(step, config, 100, 7.5) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine_is_half_way_down_in_the_middle_and_ends_at_its_final_share():
    config = OptimizerConfig(lr=2.0, warmup_steps=10, schedule="cosine", final_share=0.1)
    assert learning_rate(10, config, 110, 7.5) == 2.0
    assert learning_rate(60, config, 110, 7.5) == pytest.approx(2.0 * (0.1 + 0.9 / 2))
    assert learning_rate(110, config, 110, 7.5) == pytest.approx(0.2)
    assert learning_rate(500, config, 110, 7.5) == pytest.approx(0.2)


@examples(
    st.integers(0, 300),
    st.integers(0, 200),
    st.integers(1, 300),
    st.floats(0, 1),
    st.sampled_from(["constant", "cosine"]),
)
def test_rate_is_over_zero_and_never_over_the_top(step, warmup, max_steps, final_share, schedule):
    config = OptimizerConfig(lr=0.5, warmup_steps=warmup, schedule=schedule, final_share=final_share)
    rate = learning_rate(step, config, max_steps, 7.5)
    assert 0 <= rate <= 0.5
    assert rate > 0 or (final_share == 0 and step >= max_steps)


def test_annealing_takes_the_share_of_the_latest_time_reached():
    config = OptimizerConfig(lr=1.0, lr_milestones=((2, 0.3), (3.5, 0.1)))
    assert [learning_rate(step, config, 9, 10) for step in (0, 19, 20, 34, 35, 99)] == [1, 1, 0.3, 0.3, 0.1, 0.1]
    steps = replace(config, lr_milestone_unit="steps", warmup_steps=2)
    assert [learning_rate(step, steps, 9, 10) for step in range(5)] == [0.5, 1, 0.3, 0.3, 0.1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lr_milestones": ((5, 0.1), (5, 0.01))}, "lr_milestones must rise"),
        ({"lr_milestones": ((0, 0.1),)}, "lr_milestones must rise from over 0"),
        ({"lr_milestones": ((1, -0.1),)}, "shares of lr in lr_milestones must not be under 0"),
        ({"schedule": "cosine", "lr_milestones": ((1, 0.1),)}, "lr_milestones needs schedule constant, not cosine"),
    ],
)
def test_annealing_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        OptimizerConfig(**changes)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_steps": 5}, 5),
        ({"max_steps": None, "max_epochs": 3}, 6),  # 3 * 7 / 4 = 5.25
        ({"max_steps": 5, "max_epochs": 3}, 5),
        ({"max_steps": 50, "max_epochs": 4 / 7}, 1),
        ({"max_steps": 50, "max_epochs": 3 * (4 / 7)}, 3),
    ],
)
def test_a_run_is_over_by_steps_or_epochs_whichever_comes_first(limits, expected):
    assert last_step(TrainingConfig(batch_size=4, **limits), 7) == expected


def test_a_run_without_end_and_parts_that_do_not_fit_are_refused():
    for given, said in (
        ({"max_steps": None}, "give max_steps, max_epochs or both"),
        ({"max_epochs": 0.0}, "max_epochs must be over 0"),
        (
            {"batch_size": 6, "gradient_accumulation_steps": 4},
            "batch_size 6 is no multiple of gradient_accumulation_steps 4",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            TrainingConfig(**given)


def test_seeds_differ_between_places_and_fit_into_63_bits():
    places = [(seed, kind, step, rank) for seed in (0, 1) for kind in "ab" for step in range(50) for rank in range(2)]
    seeds = {step_seed(*place) for place in places}
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert step_seed(1, 23) != step_seed(12, 3)
