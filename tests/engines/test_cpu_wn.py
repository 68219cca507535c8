"""Dilated convolutions over rows are torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from glowtron.engines import cpu_wn as dilated
from glowtron.engines.cpu_wn import Dilated, PairedDilated


@pytest.mark.parametrize("few_values", [0, dilated.FEW_VALUES])
@pytest.mark.parametrize(("kind", "n_taps"), [(Dilated, 1), (Dilated, 3), (Dilated, 5), (PairedDilated, 3)])
def test_is_a_convolution(kind: type[Dilated], n_taps: int, few_values: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dilated, "FEW_VALUES", few_values)

    @given(step=st.integers(1, 9), n_rows=st.integers(1, 60), n_in=st.sampled_from([1, 6, 7]))
    def holds(step: int, n_rows: int, n_in: int):
        generator = torch.Generator().manual_seed(n_rows)
        reach, margin = step * (n_taps // 2), 5 + 2 * step
        seen = torch.randn(n_rows + 2 * margin, n_in, generator=generator)
        taps = [torch.randn(n_in, 4, generator=generator) for _ in range(n_taps)]
        condition, conditioning = torch.randn(3, 4, generator=generator), torch.randn(n_rows, 3, generator=generator)
        layer, total = kind(condition, taps), torch.full((n_rows, 4), torch.nan)
        layer.write(conditioning, seen, margin, step, total, torch.full((layer.scratch_size(n_rows),), torch.nan))
        kernel = torch.stack(taps, dim=-1).transpose(0, 1)  # (out, in, taps)
        around = seen[margin - reach : margin + n_rows + reach].t()
        wanted = conditioning @ condition + F.conv1d(around[None], kernel, dilation=step)[0].t()
        assert torch.allclose(total, wanted, atol=1e-4)

    holds()
