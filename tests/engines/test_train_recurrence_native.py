"""The steps that our own C takes are those of torch's operations, forwards and back, on every level at hand."""

import os
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_levels import FOUND, needs_compiled
from torch import Tensor

from glowtron.engines import train_recurrence
from glowtron.engines.cpu_wn_native import LEVEL_VARIABLE, Level
from glowtron.engines.measured import Measured
from glowtron.engines.train_recurrence import (
    NativeSteps,
    NativeStepsBack,
    Steps,
    StepsBack,
    TorchSteps,
    TorchStepsBack,
    find_level,
    recur,
)

ROOT = Path(__file__).parents[2]
ENGINES = ROOT / "src/glowtron/engines"
HARNESS = Path(__file__).with_name("steps_harness.c")
every_level = pytest.mark.parametrize("level", FOUND.levels, ids=[level.name for level in FOUND.levels])
SIZES = [(1, 1, 1, 1), (3, 2, 5, 8), (4, 16, 64, 96), (2, 51, 33, 33), (3, 7, 70, 201)]


class Case(NamedTuple):
    """S steps of B rows: H channels of an LSTM that sees K."""

    inputs: Tensor
    weight: Tensor
    keep: Tensor | None
    seen: Tensor
    grad_seen: Tensor

    def to(self, dtype: torch.dtype) -> "Case":
        return Case(*(None if tensor is None else tensor.to(dtype) for tensor in self))


class Learnt(NamedTuple):
    seen: Tensor
    gates: Tensor
    states: Tensor
    grad_inputs: Tensor
    grad_first: Tensor


def case(n_steps: int, batch: int, size: int, n_in: int, seed: int = 0, dropout: bool = True) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return Case(
        drawn(n_steps, batch, 4 * size),
        drawn(4 * size, n_in) / n_in**0.5,
        (drawn(n_steps, batch, size) > -0.5).float() / 0.7 if dropout else None,
        drawn(n_steps + 1, batch, n_in),
        drawn(n_steps, batch, n_in),
    )


def walk(case: Case, level: Level | None) -> Learnt:
    """Forwards and back; what the LSTM sees beside its own output is `case.seen`."""
    inputs, weight, keep, seen, grad_seen = case
    size = inputs.shape[2] // 4
    forwards: Steps = NativeSteps(level, inputs, weight, keep) if level else TorchSteps(inputs, weight, keep)
    forwards.seen[:, :, size:] = seen[:, :, size:]
    for t in range(len(inputs)):
        output = forwards.step(t)
        torch.testing.assert_close(output, forwards.seen[t + 1, :, :size], rtol=0, atol=0)
    given = weight, keep, forwards.gates, forwards.states, grad_seen
    back: StepsBack = NativeStepsBack(level, *given) if level else TorchStepsBack(*given)
    for t in reversed(range(len(inputs))):
        before = back.grad_now.clone()
        back.step_back(t)
    return Learnt(forwards.seen, forwards.gates, forwards.states, back.grad_inputs, before)


@every_level
def test_steps_are_those_of_torch(level: Level) -> None:
    @given(
        n_steps=st.integers(1, 4),
        batch=st.integers(1, 60),
        size=st.integers(1, 70),
        more=st.integers(0, 140),
        seed=st.integers(0, 1000),
        dropout=st.booleans(),
    )
    @settings(max_examples=25, deadline=None)
    def holds(n_steps: int, batch: int, size: int, more: int, seed: int, dropout: bool) -> None:
        drawn = case(n_steps, batch, size, size + more, seed, dropout)
        for ours, exact in zip(walk(drawn, level), walk(drawn.to(torch.float64), None), strict=True):
            torch.testing.assert_close(ours.double(), exact, rtol=2e-5, atol=2e-5)

    holds()


@every_level
def test_small_values_keep_their_digits(level: Level) -> None:
    drawn = case(2, 3, 9, 12)
    drawn = drawn._replace(inputs=drawn.inputs * 1e-4, weight=drawn.weight * 1e-4)
    ours, exact = walk(drawn, level), walk(drawn.to(torch.float64), None)
    assert exact.states[1].abs().max() < 1e-3
    assert (ours.states - exact.states).norm() < 1e-6 * exact.states.norm()


@every_level
@pytest.mark.parametrize("loud", [0.0, 1e3, 1e30])
def test_values_of_any_size(level: Level, loud: float) -> None:
    drawn = case(3, 4, 10, 13)
    assert all(part.isfinite().all() for part in walk(drawn._replace(inputs=drawn.inputs * loud), level))


@every_level
def test_the_number_of_threads_changes_no_bit(level: Level) -> None:
    drawn, before = case(3, 20, 70, 201), torch.get_num_threads()
    alone = walk(drawn, level)
    try:
        torch.set_num_threads(3)
        for ours, wanted in zip(walk(drawn, level), alone, strict=True):
            assert torch.equal(ours, wanted)
    finally:
        torch.set_num_threads(before)


@needs_compiled
def test_the_gradient_of_a_recurrence_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = case(5, 3, 12, 12)
    found = []
    for level in (None, *FOUND.levels):
        monkeypatch.setattr(train_recurrence, "find_level", lambda _, level=level: level)
        inputs, weight = (tensor.clone().requires_grad_() for tensor in drawn[:2])
        hidden = recur(inputs, weight, drawn.keep)
        # A gradient that does not lie in one piece, as it comes of a slice.
        grads = torch.autograd.grad(torch.cat((hidden, hidden), 2)[..., 3:15].square().sum(), (inputs, weight))
        found.append((hidden, *grads))
    for ours, others in pairwise(found):
        torch.testing.assert_close(ours, others)


def test_only_float32_on_a_cpu_and_only_what_was_measured_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_level(torch.zeros(1, dtype=torch.float64)) is None
    assert find_level(torch.zeros(1, dtype=torch.bfloat16)) is None
    level = FOUND.best("fp32")
    for times, wanted in (((1.0, 2.0), None), ((2.0, 1.0), level)):

        def measured(_: str, ways: dict[str, object], times: tuple[float, float] = times) -> Measured:
            return Measured(dict(zip(ways, times, strict=True)), None)

        monkeypatch.setattr(train_recurrence, "measure", measured)
        assert find_level(torch.zeros(1)) is wanted
    monkeypatch.setenv(LEVEL_VARIABLE, "none")
    assert find_level(torch.zeros(1)) is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@every_level
def test_sanitizers_see_nothing(level: Level, hook: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / level.name
    flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *hook.LEVELS[level.name].split()]
    sources = [str(HARNESS), str(ENGINES / "wn_level.c")]
    command = ["gcc", "-std=gnu11", "-O1", f"-DLEVEL={level.name}", f"-I{ENGINES}", *flags, *sources]
    subprocess.run([*command, "-o", str(program), "-lm"], check=True)
    # What the program itself allocates is freed by its end; the code that it tests allocates nothing.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    for sizes in SIZES:
        drawn = case(*sizes)
        size = sizes[2]
        drawn.seen[:, :, :size] = 0
        wanted, grad_now = walk(drawn, level), drawn.grad_seen[-1]
        laid_out = NativeSteps(level, drawn.inputs, drawn.weight, drawn.keep)._run.kept["weight"]
        given = drawn.weight, drawn.keep, wanted.gates, wanted.states, drawn.grad_seen
        turned = NativeStepsBack(level, *given)._run.kept["weight"]
        told = (laid_out, drawn.inputs, drawn.keep, drawn.seen, turned, drawn.grad_seen, grad_now)
        numbers = torch.tensor(sizes, dtype=torch.int32).numpy().tobytes()
        sent = numbers + b"".join(tensor.contiguous().numpy().tobytes() for tensor in told)
        done = subprocess.run([str(program)], input=sent, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        got = torch.frombuffer(bytearray(done.stdout), dtype=torch.float32)
        seen, grad_inputs = got.split([wanted.seen.numel(), wanted.grad_inputs.numel()])
        torch.testing.assert_close(seen.view_as(wanted.seen), wanted.seen)
        torch.testing.assert_close(grad_inputs.view_as(wanted.grad_inputs), wanted.grad_inputs, rtol=1e-4, atol=1e-5)
