"""A postnet and its opponent, as one module with one loss, so that the training loop needs to know of no game."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from glowtron.models.patch_discriminator import Judgement, PatchDiscriminator
from glowtron.models.tacotron2 import Tacotron2


class Game(NamedTuple):
    """Losses of one batch, each a scalar."""

    judging: Tensor
    """What the discriminator minimises: least squares against 1 for real and 0 for made (Mao et al. 2017, eq. 9)."""
    deceiving: Tensor
    """What the postnet minimises to be taken for real."""
    features: Tensor
    """Mean absolute difference of the discriminator's features of made and real mels (Larsen et al. 2016, sec. 3.2)."""
    reconstruction: Tensor
    """Mean absolute difference of the mels themselves."""


class AdversarialPostnet(nn.Module):
    """An acoustic model of which only the postnet learns, and a discriminator that learns to see through it."""

    def __init__(self, acoustic: Tacotron2, discriminator: PatchDiscriminator) -> None:
        super().__init__()
        self.acoustic, self.discriminator = acoustic, discriminator
        self.acoustic.requires_grad_(False)
        self.acoustic.postnet.requires_grad_(True)

    def refine(self, made: Tensor) -> Tensor:
        """(B, M, T) before the postnet -> (B, M, T) after it, without padding."""
        x = made.transpose(1, 2)
        refined: Tensor = x + self.acoustic.postnet(x, None).float()
        return refined.transpose(1, 2)

    def forward(self, made: Tensor, recorded: Tensor, speaker: Tensor) -> Game:
        """made: (B, M, T) before the postnet; recorded: (B, M, T); speaker: (B,).

        Each loss reaches the weights of its own player only: the discriminator judges the postnet's mel detached, and
        is held fixed where the postnet looks through it. So the sum of all may be minimised at once.
        """
        real, fake = recorded.transpose(1, 2), self.refine(made).transpose(1, 2)
        of_real, of_fake = self.discriminator(real, speaker), self.discriminator(fake.detach(), speaker)
        judging = (of_real.score.float() - 1).square().mean() + of_fake.score.float().square().mean()
        held = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        seen: Judgement = functional_call(self.discriminator, held, (fake, speaker))
        deceiving = (seen.score.float() - 1).square().mean()
        pairs = zip(seen.features, of_real.features, strict=True)
        features = torch.stack([(a.float() - b.detach().float()).abs().mean() for a, b in pairs]).mean()
        return Game(judging, deceiving, features, (fake - real).abs().mean())
