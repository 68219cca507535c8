"""Threads by size."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from glowtron.fast.threads import SMALL, suit_threads


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
    size = SMALL if large else 10
    suit_threads(None, nn.Linear(3, 3), nn.Linear(size, 1, bias=False, device="meta"))
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_wait_a_short_time_unless_the_user_says_otherwise(given, expected):
    said = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import sys, os, glowtron; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=said | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected, "False"], "it is told before torch is there"
