"""Dropout drops as many as it is told, each by itself."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron.engines.train_dropout import FastDropout, draw_mask

LIKE = torch.zeros(1)


@given(
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    share=st.floats(0.0, 0.95),
    seed=st.integers(0, 2**31),
)
def test_masks_hold_zeros_and_one_other_number(shape: list[int], share: float, seed: int) -> None:
    mask = draw_mask(shape, share, LIKE, torch.Generator().manual_seed(seed))
    assert list(mask.shape) == shape
    kept = mask[mask != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)))
    assert torch.equal(mask, draw_mask(shape, share, LIKE, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_the_share_is_kept_and_neighbours_know_nothing_of_each_other(share: float) -> None:
    n = 400_000
    dropped = (draw_mask((n,), share, LIKE, torch.Generator().manual_seed(1)) == 0).double()
    deviation = (share * (1 - share) / n) ** 0.5
    assert abs(float(dropped.mean()) - share) <= 5 * deviation
    for lane in range(4):
        assert abs(float(dropped[lane::4].mean()) - share) <= 5 * 2 * deviation
    for apart in (1, 2, 3, 4, 5, 8):
        both = float((dropped[apart:] * dropped[:-apart]).mean())
        assert abs(both - share**2) <= 5 * ((share**2 * (1 - share**2) / n) ** 0.5)


def test_the_mean_stays_and_gradients_pass_where_values_do() -> None:
    torch.manual_seed(0)
    x = torch.ones(100_000, requires_grad=True)
    y = FastDropout(0.3)(x)
    assert float(y.detach().mean()) == pytest.approx(1, abs=0.02)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_nothing_is_dropped_outside_training() -> None:
    x = torch.randn(7)
    assert FastDropout(0.5).eval()(x) is x
    assert FastDropout(0.0)(x) is x
