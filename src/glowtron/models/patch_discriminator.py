"""A judge of mels that looks at patches: is this from a recording, or was it made?

Squared error teaches the mean of all mels that could have followed, which is smoother than any of them. A network that
learns to tell made mels from real ones teaches the rest (Goodfellow et al. 2014; patches: Isola et al. 2017, section
3.2.2). Needed in training only.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from glowtron.config import PatchDiscriminatorConfig

MEL_MEAN, MEL_SPREAD = -5.5, 2.5
SLOPE = 0.2
"""Of leaky relus (Isola et al. 2017, appendix)."""


class Judgement(NamedTuple):
    """Output of the discriminator for mels."""

    score: Tensor
    """(B, 1, T', M'), one a patch: near 1 for what it takes for real, near 0 for what it takes for made."""
    features: tuple[Tensor, ...]
    """(B, C, T'', M'') after each hidden layer."""


class PatchDiscriminator(nn.Module):
    """Convolutions over a mel as a picture.

    Each score sees 25 frames of 61 bands: how speech looks, and next to nothing of what is said.
    """

    def __init__(self, config: PatchDiscriminatorConfig, n_mels: int = 80, n_speakers: int = 1) -> None:
        super().__init__()
        c = config.channels
        self.n_speakers = n_speakers
        if n_speakers > 1:  # A second picture beside the mel, else one speaker could be made to look like another.
            self.speaker = nn.Embedding(n_speakers, n_mels)
        # (in, out, kernel, stride), each over (frames, bands).
        shapes = (
            (1 if n_speakers == 1 else 2, c, (3, 5), (1, 2)),
            (c, 2 * c, (3, 5), (2, 2)),
            (2 * c, 4 * c, (3, 5), (2, 2)),
            (4 * c, 4 * c, (3, 3), (1, 1)),
            (4 * c, 1, (3, 3), (1, 1)),
        )
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(n_in, n_out, kernel, stride, (kernel[0] // 2, kernel[1] // 2)))
            for n_in, n_out, kernel, stride in shapes
        )

    def forward(self, mel: Tensor, speaker: Tensor | None = None) -> Judgement:
        """mel: (B, T, M); speaker: (B,) indices, needed with several speakers."""
        x = ((mel - MEL_MEAN) / MEL_SPREAD)[:, None]
        if self.n_speakers > 1:
            assert speaker is not None, "a discriminator of several speakers needs `speaker`"
            x = torch.cat((x, self.speaker(speaker)[:, None, None].expand_as(x)), dim=1)
        features: list[Tensor] = []
        *hidden, last = self.layers
        for layer in hidden:
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return Judgement(last(x), tuple(features))
