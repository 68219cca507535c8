import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from glowtron.synthesis.alignment_checks import LONGEST_DWELL_S, LONGEST_TAIL_S, check_alignment, n_end_symbols
from glowtron.text.symbols import text_ids

STEP_S = 0.05


def walk(places: list[int], n_symbols: int) -> NDArray[np.float32]:
    """A soft alignment whose largest weight is at each of `places`."""
    weights = np.full((len(places), n_symbols), 0.3 / n_symbols, np.float32)
    weights[np.arange(len(places)), places] += 0.7
    return weights


def steady(n_symbols: int = 40, dwell: int = 3) -> list[int]:
    return [place for place in range(n_symbols) for _ in range(dwell)]


def test_a_steady_walk_is_complete() -> None:
    stats = check_alignment(walk(steady(), 40), True, STEP_S)
    assert stats.complete
    assert (stats.largest_jump, stats.largest_fall, stats.n_repeats) == (1, 0, 0)
    assert stats.tail_s == pytest.approx(5 * STEP_S)


def test_a_skip_is_told_by_its_length() -> None:
    stats = check_alignment(walk([place for place in steady() if not 10 <= place < 18], 40), True, STEP_S)
    assert stats.largest_jump == 9 and stats.skips and not stats.complete


def test_starting_late_is_a_skip() -> None:
    assert check_alignment(walk(list(range(12, 40)), 40), True, STEP_S).skips


def test_repeats_are_counted() -> None:
    places = [*range(20), *range(10, 30), *range(15, 40)]
    stats = check_alignment(walk(places, 40), True, STEP_S)
    assert stats.n_repeats == 2 and stats.repeats and not stats.skips
    assert stats.largest_fall == 13


def test_one_stray_step_back_is_no_repeat() -> None:
    places = steady()
    places[60] = 2
    assert check_alignment(walk(places, 40), True, STEP_S).complete


def test_breaking_off_is_not_complete() -> None:
    stats = check_alignment(walk(steady(30), 40), True, STEP_S)
    assert not stats.reached_end and stats.tail_s == 0.0 and not stats.complete


def test_never_stopping_is_endless() -> None:
    assert check_alignment(walk(steady(), 40), False, STEP_S).no_stop
    tail = steady() + [39] * int(LONGEST_TAIL_S / STEP_S + 1)
    stats = check_alignment(walk(tail, 40), True, STEP_S)
    assert stats.reached_end and stats.no_stop and not stats.complete


@given(st.integers(1, 6), st.integers(1, 6))
def test_tiny_alignments_are_judged(n_steps: int, n_symbols: int) -> None:
    stats = check_alignment(np.ones((n_steps, n_symbols), np.float32), True, STEP_S)
    assert stats.reached_end == (n_symbols <= 2)


def test_racing_through_a_text_is_not_speaking_it() -> None:
    stats = check_alignment(walk([*range(0, 120, 3), 119], 120), True, STEP_S)
    assert stats.reached_end and not stats.skips and stats.too_fast and not stats.complete
    assert stats.symbols_per_s == pytest.approx(60, rel=0.06)


def test_sticking_at_a_symbol_is_a_fault_also_in_turns_with_its_neighbour() -> None:
    n_steps = int(1.2 * LONGEST_DWELL_S / STEP_S)
    stuck = [place for place in range(40) for _ in range(n_steps if place == 20 else 3)]
    stats = check_alignment(walk(stuck, 40), True, STEP_S)
    assert stats.stuck and stats.failures == ("stuck at a sound",)
    assert stats.longest_dwell_s == pytest.approx(1.2 * LONGEST_DWELL_S, abs=STEP_S)
    swinging = steady()[:60] + [19, 20] * n_steps + steady()[60:]
    assert check_alignment(walk(swinging, 40), True, STEP_S).stuck


def test_the_marks_after_the_last_sound_may_pass_unattended() -> None:
    """`any.")` may be spoken to its end without a look at any of its marks, but not without its last letter."""
    assert [n_end_symbols(text_ids(text)) for text in ("any", "any.", "(any).", "{EH1 N IY0}!?'", "a", ".")] == [
        2, 2, 3, 4, 2, 2
    ]  # fmt: skip
    assert check_alignment(walk(steady(37), 40), True, STEP_S, n_end=4).complete
    assert not check_alignment(walk(steady(36), 40), True, STEP_S, n_end=4).reached_end
    assert not check_alignment(walk(steady(37), 40), True, STEP_S).reached_end


def test_faults_are_told_in_words() -> None:
    assert check_alignment(walk(steady(), 40), True, STEP_S).failures == ()
    assert check_alignment(walk(steady(30), 40), False, STEP_S).failures == ("did not stop", "did not reach its end")
