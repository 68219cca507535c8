"""A measured process: it answers, it passes faults of the user on, and its death is told."""

import os
from functools import partial

import numpy as np
import pytest
import torch

from glowtron.bench.child import Child
from glowtron.engines.hardware import choose_precision
from glowtron.errors import InputError
from glowtron.machine import peak_memory_gb


def test_it_holds_a_thing_and_answers() -> None:
    with Child(partial(list, (3, 1, 2)), threads=1) as child:
        child.ask(list.sort)
        assert child.ask(sorted, reverse=True) == [3, 2, 1]
        assert child.ask(list.index, 2) == 1


def test_it_is_another_process() -> None:
    with Child(os.getpid, threads=1) as child:
        assert child.ask(int) != os.getpid()


def test_faults_of_the_user_are_ours() -> None:
    with pytest.raises(InputError, match="fp99"), Child(partial(choose_precision, "fp99"), threads=1):
        pass


def test_its_death_is_told() -> None:
    with pytest.raises(RuntimeError, match="exit status 3"), Child(partial(os._exit, 3), threads=1):
        pass


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    expected = pytest.raises(RuntimeError, match=r"(?s)Traceback.*ValueError: invalid literal")
    with expected, Child(partial(int, "no number"), threads=1):
        pass


def test_its_memory_holds_nothing_of_ours() -> None:
    """A process that was spawned would begin with our highest memory as its own."""
    ours = np.ones(10**8)
    cpu = torch.device("cpu")
    assert peak_memory_gb(cpu) > 0.8
    with Child(partial(peak_memory_gb, cpu), threads=1) as child:
        assert 0.05 < child.ask(float) < 0.5
    del ours
