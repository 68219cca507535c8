"""The lapped transform."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron.models.mdct import Mdct


def matrix(hop_length: int, n_blocks: int) -> torch.Tensor:
    """(L, L) the transform as one matrix, a row for each sample."""
    identity = torch.eye(hop_length * n_blocks)
    return Mdct(hop_length)(identity).flatten(1)


@given(half=st.integers(1, 24), n_blocks=st.integers(1, 5))
def test_transform_is_orthonormal(half: int, n_blocks: int):
    rows = matrix(2 * half, n_blocks)
    assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5)


@given(half=st.integers(1, 24), n_blocks=st.integers(1, 5), seed=st.integers(0, 99))
def test_inverse_undoes_the_transform(half: int, n_blocks: int, seed: int):
    transform = Mdct(2 * half)
    wave = torch.randn(2, 2 * half * n_blocks, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(transform.inverse(transform(wave)), wave, atol=1e-5)


def test_inner_blocks_are_windowed_cosines_over_two_blocks():
    hop, wave = 8, torch.randn(1, 40, generator=torch.Generator().manual_seed(0))
    coefficients = Mdct(hop)(wave)
    n, k = torch.arange(2 * hop)[:, None], torch.arange(hop)
    window = torch.sin(math.pi / (2 * hop) * (n + 0.5))
    basis = math.sqrt(2 / hop) * window * torch.cos(math.pi / hop * (n + 0.5 - hop / 2) * (k + 0.5))
    for block in (1, 2, 3):
        start = block * hop - hop // 2
        assert torch.allclose(coefficients[0, block], wave[0, start : start + 2 * hop] @ basis, atol=1e-5)


def test_channels_are_frequencies():
    hop, rate = 64, 22_050
    for channel in (3, 20, 50):
        frequency = (channel + 0.5) * rate / (2 * hop)
        tone = torch.sin(2 * math.pi * frequency * torch.arange(20 * hop) / rate + 0.3)
        energy = Mdct(hop)(tone[None])[0, 1:-1].square().sum(0)
        assert energy[channel - 1 : channel + 2].sum() > 0.95 * energy.sum()


def test_stays_exact_under_autocast():
    transform, wave = Mdct(32), torch.randn(1, 96)
    with torch.autocast("cpu", torch.bfloat16):
        again = transform.inverse(transform(wave))
    assert again.dtype == torch.float32
    assert torch.allclose(again, wave, atol=1e-5)


def test_nothing_of_it_is_stored():
    assert not Mdct(16).state_dict()


def test_a_wave_that_is_no_multiple_of_the_hop_is_refused():
    with pytest.raises(RuntimeError):
        Mdct(16)(torch.zeros(1, 40))
