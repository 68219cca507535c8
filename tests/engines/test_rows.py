"""Products of few sizes, and what was made up is seen nowhere."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron.config import Tacotron2Config
from glowtron.engines.cpu_tacotron2 import FoldedConvolutions
from glowtron.engines.products import FEW, made_up
from glowtron.models.tacotron2 import Tacotron2

DTYPES = st.sampled_from([torch.float32, torch.bfloat16])


def test_few_sizes_occur() -> None:
    assert len({made_up(n, torch.bfloat16) for n in range(1, 10_000)}) < 100


@given(st.integers(1, 10**6), DTYPES)
def test_what_is_made_up_is_little(n_rows: int, dtype: torch.dtype) -> None:
    assert 0 <= made_up(n_rows, dtype) - n_rows < max(FEW, n_rows / 16 + 1)
    assert dtype == torch.bfloat16 or made_up(n_rows, dtype) == n_rows


@pytest.mark.parametrize("n_steps", [1, 31, 32, 33, 300])
@pytest.mark.parametrize("masked", [False, True])
def test_convolutions_do_not_see_what_is_made_up(n_steps: int, masked: bool) -> None:
    torch.manual_seed(n_steps)
    encoder = Tacotron2(Tacotron2Config(embedding_channels=8, encoder_channels=8)).eval().encoder
    exact, rounded = (
        FoldedConvolutions(encoder, "relu", last_is_linear=False, dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    x = torch.randn(2, n_steps, 8)
    mask = torch.arange(n_steps) < torch.tensor([[n_steps], [max(n_steps - 5, 1)]]) if masked else None
    assert (rounded(x, mask) - exact(x, mask)).abs().max() < 0.05 * exact(x, mask).abs().max()
