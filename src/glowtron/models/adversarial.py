"""Losses of a generator and its discriminator in one call, so that a training loop with one optimizer can train both.

Each loss reaches the weights of its own network only: the discriminator sees what was generated without its history,
and its own weights are constants where the generator looks through them. So the sum of all may be minimised at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


class Verdict(Protocol):
    """Output of a discriminator."""

    @property
    def score(self) -> Tensor:
        """High for what it takes for a recording."""

    @property
    def features(self) -> Sequence[Tensor]:
        """Of each hidden layer."""


class AdversarialLosses(NamedTuple):
    """Of one batch, each a scalar."""

    d_loss: Tensor
    """Of the discriminator."""
    g_loss: Tensor
    """Of the generator, to be taken for a recording."""
    feature_matching: Tensor
    """Mean absolute difference of the discriminator's features of both (Larsen et al. 2016, sec. 3.2)."""


Kind = Literal["least-squares", "hinge"]


def adversarial_losses(
    discriminator: nn.Module, fake: Tensor, real: Tensor, *condition: Tensor, kind: Kind = "least-squares"
) -> AdversarialLosses:
    """Losses of a discriminator that is called with `fake` or `real` and `condition`, and returns a `Verdict`.

    kind: least squares against 1 for real and 0 for fake (Mao et al. 2017, eq. 9), or the hinge loss (Lim & Ye 2017).
    """
    of_real: Verdict = discriminator(real, *condition)
    of_fake: Verdict = discriminator(fake.detach(), *condition)
    fixed = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    seen: Verdict = functional_call(discriminator, fixed, (fake, *condition))
    real_loss, fake_loss, wish = LOSSES[kind]
    features = [
        (a.float() - b.detach().float()).abs().mean() for a, b in zip(seen.features, of_real.features, strict=True)
    ]
    return AdversarialLosses(
        real_loss(of_real.score.float()).mean() + fake_loss(of_fake.score.float()).mean(),
        wish(seen.score.float()).mean(),
        torch.stack(features).mean(),
    )


def idle(discriminator: nn.Module) -> Tensor:
    """A zero to add to the loss while the discriminator takes no part: processes wait for gradients of all weights."""
    return torch.stack([weight.sum() for weight in discriminator.parameters()]).sum() * 0


Loss = Callable[[Tensor], Tensor]
LOSSES: dict[Kind, tuple[Loss, Loss, Loss]] = {
    "least-squares": (lambda score: (score - 1).square(), Tensor.square, lambda score: (score - 1).square()),
    "hinge": (lambda score: F.relu(1 - score), lambda score: F.relu(1 + score), Tensor.neg),
}
"""Of each kind: the discriminator's loss of real and of fake scores, and the generator's of its own."""
