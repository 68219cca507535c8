"""What walking a WaveGlow from noise to audio takes wherever it is done: `waveglow.py` and `cuda_waveglow.py` do it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from glowtron.engines.conditioning import Analysis
from glowtron.engines.precision import Precision
from glowtron.models.waveglow import WaveGlow, draw_noise


class Inversion(ABC):
    """A WaveGlow's weights ready to speak; a batch of any size goes through in parts of a bounded one."""

    piece_rows: ClassVar[int]
    """Groups, times items, that are computed at once."""

    def __init__(self, model: WaveGlow, precision: Precision) -> None:
        self.config = model.config
        self.precision, self.dtype = precision.name, precision.dtype
        self.analysis = Analysis(model.analysis, model.config.mel)
        self.last_channels = slice(model.config.n_channels - model.channels[-1], None)
        """Which channels of the noise enter the last flow."""
        self._speakers = model.speaker.weight.detach().clone() if model.config.n_speakers > 1 else None
        """(n_speakers, K) what each adds to the conditioning."""

    @property
    @abstractmethod
    def _flows_reach(self) -> int:
        """Groups on either side that all flows together look at."""

    @abstractmethod
    def _inverse(self, z: Tensor, mel: Tensor, speaker: Tensor | None) -> Tensor:
        """As `inverse`, of items that go through together."""

    @property
    def reach(self) -> int:
        """Groups on either side that a group of audio depends on, but for its conditioning."""
        reach: int = self._flows_reach + self.analysis.reach
        return reach

    @property
    def receptive_frames(self) -> tuple[int, int]:
        """Mel frames before and after its own that a frame of audio depends on."""
        frames = -(-self.reach * self.config.n_channels // self.config.mel.hop_length)
        return frames + self.analysis.frames_before, frames + self.analysis.frames_after

    @torch.no_grad()
    def generate(
        self,
        mel: Tensor,
        sigma: float = 0.6,
        generator: torch.Generator | None = None,
        noise: Sequence[Tensor] | None = None,
        speaker: Tensor | None = None,
    ) -> Tensor:
        """As `WaveGlow.generate`: mel (B, M, T) -> audio (B, T * hop_length), from the same noise."""
        noise = draw_noise(self.config, mel, generator) if noise is None else noise
        return self.inverse(sigma * torch.cat(list(reversed(noise)), dim=1), mel, speaker)

    @torch.no_grad()
    def inverse(self, z: Tensor, mel: Tensor, speaker: Tensor | None = None) -> Tensor:
        """As `WaveGlow.inverse`: noise (B, C, G) and mel (B, M, T) -> audio (B, C * G)."""
        n_items = max(self.piece_rows // max(z.shape[2], 1), 1)
        parts = list(zip(z.split(n_items), mel.split(n_items), strict=True))
        speakers = [speaker] * len(parts) if speaker is None or len(speaker) == 1 else speaker.split(n_items)
        return torch.cat([self._inverse(*part, who) for part, who in zip(parts, speakers, strict=True)])

    def speaker_conditioning(self, speaker: Tensor | None) -> Tensor | None:
        """What speakers (B,), or one for all, add to the conditioning: (B, K), or (1, K); None: there is one voice."""
        if self._speakers is None:
            return None
        assert speaker is not None, "a model of several speakers needs `speaker`"
        return self._speakers[speaker]
