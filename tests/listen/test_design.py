from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.listen.design import all_pairs, page_sessions, pair_sessions, single_sessions

sizes = {
    "n_items": st.integers(1, 12),
    "n_systems": st.integers(2, 6),
    "n_sessions": st.integers(1, 20),
    "n_trials": st.integers(1, 60),
    "seed": st.integers(0, 99),
}


def spread(counts: Counter, of) -> int:
    values = [counts[key] for key in of]
    return max(values) - min(values)


@given(**sizes)
def test_single_clips_are_balanced(n_items, n_systems, n_sessions, n_trials, seed):
    sessions = single_sessions(n_items, n_systems, n_sessions, n_trials, seed)
    assert len(sessions) == n_sessions
    for session in sessions:
        assert 1 <= len(session) <= n_trials
        systems = Counter(cell.systems for cell in session)
        if n_trials >= n_systems:
            # Every rater hears every system on the same items, as often as any other.
            assert spread(systems, [(s,) for s in range(n_systems)]) == 0
            assert max(Counter(session).values()) == 1
            assert len(session) == n_systems * len({cell.item for cell in session})
        else:
            assert max(systems.values()) == 1
    assert spread(Counter(cell.item for session in sessions for cell in session), range(n_items)) <= 2 * n_systems
    assert sessions == single_sessions(n_items, n_systems, n_sessions, n_trials, seed)


@given(n_systems=st.integers(2, 5), n_items=st.integers(3, 12), seed=st.integers(0, 99))
def test_no_item_comes_twice_in_a_row(n_systems, n_items, seed):
    for session in single_sessions(n_items, n_systems, 4, n_items * n_systems, seed):
        assert all(a.item != b.item for a, b in zip(session, session[1:], strict=False))


@given(**sizes)
def test_pairs_are_shown_both_ways_round(n_items, n_systems, n_sessions, n_trials, seed):
    pairs = all_pairs(n_systems)
    sessions = pair_sessions(n_items, pairs, n_sessions, n_trials, seed)
    shown = Counter(cell.systems for session in sessions for cell in session)
    for a, b in pairs:
        assert abs(shown[a, b] - shown[b, a]) <= 1


@given(**sizes)
def test_pages_show_every_system_once(n_items, n_systems, n_sessions, n_trials, seed):
    sessions = page_sessions(n_items, n_systems, n_sessions, n_trials, seed)
    for session in sessions:
        assert all(sorted(cell.systems) == list(range(n_systems)) for cell in session)
        assert len({cell.item for cell in session}) == len(session) == min(n_items, n_trials)
    assert spread(Counter(cell.item for session in sessions for cell in session), range(n_items)) <= 2


def test_systems_take_every_place_equally_often():
    sessions = single_sessions(n_items=8, n_systems=4, n_sessions=4, n_trials=32, seed=1)
    firsts = Counter(session[0].systems for session in sessions)
    assert set(firsts.values()) == {1}


def test_few_trials_go_round_all_systems():
    sessions = single_sessions(n_items=40, n_systems=4, n_sessions=40, n_trials=1, seed=0)
    assert spread(Counter(session[0].systems[0] for session in sessions), range(4)) == 0
    assert spread(Counter(session[0].item for session in sessions), range(40)) == 0


def test_another_seed_is_another_design():
    assert single_sessions(8, 3, 5, 24, seed=0) != single_sessions(8, 3, 5, 24, seed=1)


def test_pairs_against_one():
    assert all_pairs(4, against=2) == [(0, 2), (1, 2), (2, 3)]
    with pytest.raises(InputError, match="1 trial"):
        pair_sessions(3, all_pairs(2), 1, 0, 0)
