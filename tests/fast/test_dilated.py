"""Dilated convolutions over rows are torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from glowtron.fast.dilated import PairedTaps, Taps


@pytest.mark.parametrize(("kind", "n_taps"), [(Taps, 1), (Taps, 3), (Taps, 5), (PairedTaps, 3)])
@given(step=st.integers(1, 9), n_rows=st.integers(1, 60), n_in=st.sampled_from([1, 6, 7]))
def test_is_a_convolution(kind: type[Taps], n_taps: int, step: int, n_rows: int, n_in: int):
    generator = torch.Generator().manual_seed(n_rows)
    seen = torch.randn(n_rows + 2 * 5 + 4 * step, n_in, generator=generator)
    weights = [torch.randn(n_in, 4, generator=generator) for _ in range(n_taps)]
    before = torch.randn(n_rows, 4, generator=generator)
    taps, total = kind(weights), before.clone()
    scratch = torch.full((n_rows, taps.scratch_width), torch.nan)
    taps.add(seen, 5 + 2 * step, step, total, scratch)
    kernel = torch.stack(weights, dim=-1).transpose(0, 1)  # (out, in, taps)
    reach = step * (n_taps // 2)
    input = seen[5 + 2 * step - reach :][: n_rows + 2 * reach].t()
    wanted = before + F.conv1d(input[None], kernel, dilation=step)[0].t()
    assert torch.allclose(total, wanted, atol=1e-4)
