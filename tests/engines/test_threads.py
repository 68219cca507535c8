"""Threads by size."""

import pytest
import torch

from glowtron.engines.hardware import suit_threads


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("set_by_user", "large", "expected"), [(False, False, 1), (False, True, 2), (True, False, 2)])
def test_small_models_take_one_thread_unless_the_user_says_otherwise(monkeypatch, set_by_user, large, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if set_by_user:
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
    suit_threads(not large)
    assert torch.get_num_threads() == expected
