"""Compiled, recorded, or neither: the same result, and the truth about it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import CARD, no_compiler, record
from torch import Tensor

from glowtron.engines import cuda_launches as launches
from glowtron.engines.cuda_launches import Fused, Launches, Recorded, Tensors, agree, bucket, find_launches


def double(x: Tensor, n: int) -> Tensors:
    return (x * 2 * n,)


def grow(fixed: int, x: Tensor, y: Tensor) -> Tensors:
    return x + fixed, y * x


class Replayer:
    """`record`, counted, or at fault."""

    def __init__(self, fault: str = "") -> None:
        self.n_recorded, self.n_replayed, self.fault = 0, 0, fault

    def __call__(self, function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
        if self.fault == "refuses":
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        self.n_recorded += 1
        recorded = record(function, inputs)

        def replay(*new: Tensor) -> Tensors:
            self.n_replayed += 1
            return tuple(output + (self.fault == "wrong") for output in recorded(*new))

        return replay


def test_fused_is_the_function():
    fused = Fused(double, Launches("eager", None))
    assert fused.why == "compiled"
    for length in (3, 4, 5):
        assert torch.equal(fused(torch.ones(length), 3)[0], torch.full((length,), 6.0))
    assert fused.why == "compiled"


def test_what_cannot_be_compiled_is_called_and_told_once(recwarn: pytest.WarningsRecorder):
    fused = Fused(double, Launches(no_compiler, None))
    for _ in range(3):
        assert torch.equal(fused(torch.ones(2), 1)[0], torch.full((2,), 2.0))
    assert "no compiler here" in fused.why
    assert fused.why.startswith("not compiled: ")
    assert "second line" not in fused.why
    assert [str(warning.message) for warning in recwarn] == [f"slower than it could be, {fused.why}"]


def test_what_is_compiled_wrongly_is_left_out():
    def wrong(graph: Any, inputs: Any) -> Any:
        return lambda *arguments: tuple(output + 1 for output in graph(*arguments))

    fused = Fused(double, Launches(wrong, None))
    with pytest.warns(RuntimeWarning, match="another result"):
        assert torch.equal(fused(torch.ones(2), 1)[0], torch.full((2,), 2.0))
    assert torch.equal(fused(torch.ones(2), 1)[0], torch.full((2,), 2.0))


def test_faults_of_the_function_are_its_own():
    def faulty(x: Tensor) -> Tensors:
        return (x @ torch.ones(7, 7),)

    with pytest.raises(RuntimeError, match=r"mat1|size mismatch"):
        Fused(faulty, Launches("eager", None))(torch.ones(2, 2))
    with pytest.raises(RuntimeError, match=r"mat1|size mismatch"):
        Recorded(lambda _, x: faulty(x), Launches(None, Replayer()))(0, torch.ones(2, 2))


def test_one_recording_for_each_shape_and_case():
    replayer = Replayer()
    recorded = Recorded(grow, Launches(None, replayer))
    for _ in range(2):
        for fixed in (1, 2):
            for size in (2, 3):
                x, y = torch.randn(size), torch.randn(size)
                found = recorded(fixed, x, y)
                assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, grow(fixed, x, y), strict=True))
    assert replayer.n_recorded == 4
    assert replayer.n_replayed == 8
    assert recorded.why == "recorded"


def test_what_was_not_used_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launches, "MOST_RECORDINGS", 2)
    replayer = Replayer()
    recorded = Recorded(grow, Launches(None, replayer))
    for size in (1, 2, 1, 3, 1, 2):  # 3 drives 2 out, and then 2 has to be recorded again.
        recorded(0, torch.ones(size), torch.ones(size))
    assert replayer.n_recorded == 4


@pytest.mark.parametrize(("fault", "why"), [("refuses", "not permitted when"), ("wrong", "another result")])
def test_what_cannot_be_recorded_is_called_and_told_once(fault: str, why: str, recwarn: pytest.WarningsRecorder):
    recorded = Recorded(grow, Launches(None, Replayer(fault)))
    for _ in range(3):
        assert torch.equal(recorded(1, torch.ones(2), torch.ones(2))[0], torch.full((2,), 2.0))
    assert why in recorded.why
    assert recorded.why.startswith("not recorded: ")
    assert len(recwarn) == 1


def test_memory_that_runs_out_is_no_reason_to_go_on():
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Recorded(grow, Launches(None, full))(1, torch.ones(2), torch.ones(2))


def test_what_the_machine_has(monkeypatch: pytest.MonkeyPatch):
    device, found = torch.device("cuda"), lambda name: object()
    monkeypatch.delenv("TORCH_COMPILE_DISABLE", raising=False)
    monkeypatch.setattr(launches.importlib.util, "find_spec", found)
    assert find_launches(device, CARD).backend == "inductor"
    assert "as old as" in find_launches(device, CARD._replace(capability=(6, 1))).why_not
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")
    off = find_launches(device, CARD)
    assert off.backend is None
    assert off.recorder is not None
    assert "TORCH_COMPILE_DISABLE" in off.why_not
    monkeypatch.delenv("TORCH_COMPILE_DISABLE")
    monkeypatch.setattr(launches.importlib.util, "find_spec", lambda name: None)
    assert Fused(double, find_launches(device, CARD)).why == "not compiled: Triton is not installed"


@given(size=st.integers(1, 10**6), smallest=st.sampled_from([1, 16, 256]))
def test_buckets_are_few_and_little_larger(size: int, smallest: int):
    found = bucket(size, smallest)
    assert size <= found <= max(smallest, size * 1.25 + 1)
    assert bucket(found, smallest) == found
    assert bucket(size + 1, smallest) >= found


def test_few_buckets():
    assert len({bucket(size, 256) for size in range(1, 2**17 + 1)}) == 37


def test_agreement():
    x = torch.randn(100)
    assert agree((x,), (x + 1e-3,))
    assert agree((torch.zeros(3),), (torch.zeros(3),))
    assert not agree((x, x), (x, -x))
    assert not agree((x * float("nan"),), (x,))
    assert not agree((x,), (x * 1.2,))
