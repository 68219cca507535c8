"""The noise of torch, without torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron.onnx.noise import Noise

SHAPES = st.lists(
    st.one_of(
        st.tuples(st.just("normal"), st.lists(st.integers(1, 40), min_size=1, max_size=3)),
        st.tuples(st.just("uniform"), st.lists(st.integers(1, 40), min_size=1, max_size=3)),
        st.tuples(st.just("bernoulli"), st.lists(st.integers(1, 40), min_size=1, max_size=3)),
    ),
    min_size=1,
    max_size=6,
)


@given(seed=st.integers(0, 2**63 - 1), draws=SHAPES)
def test_draws_are_torchs_one_after_the_other(seed: int, draws: list[tuple[str, list[int]]]) -> None:
    generator, noise = torch.Generator().manual_seed(seed), Noise(seed)
    for kind, shape in draws:
        if kind == "normal":
            wanted, found = torch.randn(shape, generator=generator), noise.normal(*shape)
        elif kind == "uniform":
            wanted, found = torch.rand(shape, generator=generator), noise.uniform(*shape)
        else:
            wanted, found = torch.empty(shape).bernoulli_(0.3, generator=generator), noise.bernoulli(0.3, *shape)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted.numpy(), atol=2e-6 if kind == "normal" else 0)


@pytest.mark.parametrize("n", [15, 16, 17, 31, 32, 33, 100_000])
def test_many_and_few_numbers(n: int) -> None:
    wanted = torch.randn(n, generator=torch.Generator().manual_seed(n)).numpy()
    np.testing.assert_allclose(Noise(n).normal(n), wanted, atol=2e-6)
