"""LSTMs over whole sequences: the function is that of torch's cells, the gradient is exact."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from glowtron.engines.train_recurrence import recur, rows_times, sequence, unroll


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


def mask(*shape: int, seed: int = 1) -> Tensor:
    """Of dropout, divided by its mean."""
    return (drawn(*shape, seed=seed) > -0.5).double() / 0.7


def cells(rnn: nn.LSTMCell, x: Tensor, keep: Tensor) -> Tensor:
    """Step by step, autograd's gradient."""
    hidden = state = x.new_zeros(x.shape[1], rnn.hidden_size)
    hiddens = []
    for step, kept in zip(x, keep, strict=True):
        hidden, state = rnn(step, (hidden, state))
        hidden = hidden * kept
        hiddens.append(hidden)
    return torch.stack(hiddens)


@settings(max_examples=12, deadline=None)
@given(
    n_steps=st.integers(1, 5),
    batch=st.integers(1, 3),
    width=st.integers(1, 4),
    size=st.integers(1, 5),
    seed=st.integers(0),
)
def test_unrolled_is_step_by_step(n_steps: int, batch: int, width: int, size: int, seed: int) -> None:
    torch.manual_seed(seed % 1000)
    rnn = nn.LSTMCell(width, size).double()
    x, keep = drawn(n_steps, batch, width, seed=seed), mask(n_steps, batch, size, seed=seed + 1)
    goal = drawn(n_steps, batch, size, seed=seed + 2)
    learnt = []
    for hidden in (unroll(rnn, x, keep), cells(rnn, x, keep)):
        grads = torch.autograd.grad((hidden * goal).sum(), [x, *rnn.parameters()])
        learnt.append([hidden, *grads])
    for ours, theirs in zip(*learnt, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_without_dropout_it_is_the_sequence_at_once() -> None:
    torch.manual_seed(0)
    rnn, x = nn.LSTMCell(3, 5), torch.randn(2, 7, 3)
    torch.testing.assert_close(unroll(rnn, x.transpose(0, 1), None).transpose(0, 1), sequence(rnn, x))


@pytest.mark.parametrize("keep", [mask(4, 2, 3), None], ids=["dropout", "none"])
def test_gradient_against_differences(keep: Tensor | None) -> None:
    torch.autograd.gradcheck(lambda inputs, weight: recur(inputs, weight, keep), (drawn(4, 2, 12), drawn(12, 3)))


def test_in_bfloat16_it_is_near_and_gradients_keep_their_type() -> None:
    torch.manual_seed(0)
    rnn, x = nn.LSTMCell(16, 32), torch.randn(30, 4, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rough = unroll(rnn, x, None)
        assert rough.dtype == torch.bfloat16
        grads = torch.autograd.grad(rough.float().square().sum(), list(rnn.parameters()))
    exact = unroll(rnn, x, None)
    wanted = torch.autograd.grad(exact.square().sum(), list(rnn.parameters()))
    assert (rough - exact).norm() < 0.01 * exact.norm()
    for ours, theirs in zip(grads, wanted, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.02 * theirs.norm()


def test_autocast_leaves_what_is_float32_alone_on_the_way_back() -> None:
    inputs, weight = drawn(4, 2, 12).float().detach().requires_grad_(), drawn(12, 3).float().detach()
    hidden = recur(inputs, weight, None)
    (wanted,) = torch.autograd.grad(hidden.square().sum(), inputs, retain_graph=True)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = torch.autograd.grad(hidden.square().sum(), inputs)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("rows", "n_in", "n_out"), [(1, 1, 1), (3, 33, 7), (16, 64, 130)])
def test_rows_are_multiplied(dtype: torch.dtype, rows: int, n_in: int, n_out: int) -> None:
    x, weight = drawn(rows, n_in).detach(), drawn(n_in, n_out, seed=1).detach().t()
    found = rows_times(weight.to(dtype))(x.to(dtype))
    assert found.dtype == dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.02}[dtype]
    assert (found - x @ weight.t()).norm() <= tolerance * (x @ weight.t()).norm()


def test_without_onednn_the_same_comes_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    rnn, x = nn.LSTMCell(5, 6), torch.randn(3, 2, 5)
    packed = unroll(rnn, x, None)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    torch.testing.assert_close(unroll(rnn, x, None), packed)
