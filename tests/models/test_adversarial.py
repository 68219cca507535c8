"""Losses between a generator and its discriminator."""

import pytest
import torch
from torch import nn

from glowtron.config import PatchDiscriminatorConfig, SpectralDiscriminatorConfig
from glowtron.models.adversarial import LOSSES, Kind, adversarial_losses
from glowtron.models.patch_discriminator import PatchDiscriminator
from glowtron.models.spectral_discriminator import SpectralDiscriminator, multi_resolution_stft_loss


@pytest.mark.parametrize("kind", LOSSES)
def test_each_loss_reaches_its_own_network_only(kind: Kind) -> None:
    torch.manual_seed(0)
    discriminator = SpectralDiscriminator(SpectralDiscriminatorConfig(channels=4))
    generator = nn.Linear(8, 4096)
    losses = adversarial_losses(discriminator, generator(torch.randn(2, 8)), torch.randn(2, 4096), kind=kind)
    losses.d_loss.backward(retain_graph=True)
    assert generator.weight.grad is None
    assert all(weight.grad is not None for weight in discriminator.parameters())
    discriminator.zero_grad(set_to_none=True)
    (losses.g_loss + losses.feature_matching).backward()
    assert generator.weight.grad is not None
    assert all(weight.grad is None for weight in discriminator.parameters())


def test_a_discriminator_of_mels_is_told_the_speaker() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(PatchDiscriminatorConfig(channels=2), 8, 2)
    mels = torch.randn(2, 16, 8)
    same = adversarial_losses(discriminator, mels, mels, torch.tensor([0, 1]))
    assert same.feature_matching.item() == 0
    assert same.g_loss.item() > 0


def test_the_spectral_loss_is_zero_for_the_same_sound_alone() -> None:
    wave = torch.randn(2, 4096, generator=torch.Generator().manual_seed(0))
    assert multi_resolution_stft_loss(wave, wave).item() == 0
    assert multi_resolution_stft_loss(0.5 * wave, wave).item() > 0.1
    assert multi_resolution_stft_loss(torch.zeros_like(wave), wave).isfinite()
