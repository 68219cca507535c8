"""The base of the WaveGlow engines: the conditioning of some groups at a time, and the inverse pass of any batch."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from glowtron.config import MelConfig
from glowtron.engines.hardware import Precision
from glowtron.engines.modules import MatrixConvolution, replace_modules
from glowtron.models.convolution import Convolution
from glowtron.models.waveglow import MdctFrontEnd, Squeeze, WaveGlow, draw_noise

AT_ONCE = 64
"""Mel frames whose conditioning is computed at once: the published upsampling makes 80 kB of each."""


class Analysis:
    """A `Squeeze` or a `MdctFrontEnd`, and how far it looks. Everything is time-major: (T, B, M), (G, B, C)."""

    def __init__(self, analysis: Squeeze | MdctFrontEnd, mel: MelConfig) -> None:
        self._analysis = replace_modules(copy.deepcopy(analysis), {Convolution: MatrixConvolution}).requires_grad_(
            False
        )
        self.n_channels, self.hop_length, self.n_conditioning = (
            analysis.n_channels,
            mel.hop_length,
            analysis.n_conditioning,
        )
        # Groups begin where frames do only every so many frames.
        self._step = math.lcm(self.hop_length, self.n_channels) // self.hop_length
        self.is_lapped = isinstance(analysis, MdctFrontEnd)
        """True if the mel is needed again, and exactly, to make samples of the flow's channels."""
        if isinstance(analysis, MdctFrontEnd):
            # Interpolation looks at the next frame, the transform at its neighbours, through the scale they have.
            layers = (*analysis.scale, analysis.scale_out)
            self.reach = 1 + sum((layer.kernel_size - 1) // 2 for layer in layers)
            """Groups on either side that `synthesise` looks at."""
            self.frames_before, self.frames_after = 0, 1
            """Frames around its own that a group's conditioning is made of."""
        else:
            self.reach, self.frames_before, self.frames_after = 0, analysis.n_frames - 1, 0

    def first_frame(self, group: int) -> int:
        """The first frame that the conditioning of `group` and all after it looks at."""
        frame = group * self.n_channels // self.hop_length - self.frames_before
        return max(frame // self._step * self._step, 0)

    def groups_before(self, n_frames: int) -> int:
        """Groups whose conditioning is settled by the first `n_frames` frames."""
        return max(n_frames - self.frames_after, 0) * self.hop_length // self.n_channels

    def condition(self, mel: Tensor, start: int, stop: int) -> Tensor:
        """Conditioning (G, B, K) of the groups from `start` to `stop`.

        mel: from `first_frame(start)` on, at least until all is settled, or else until the sound's end.
        """
        ahead = start - self.first_frame(start) * self.hop_length // self.n_channels
        n_groups = ahead + stop - start
        n_frames = -(-n_groups * self.n_channels // self.hop_length) + self.frames_after
        conditioning = self._analysis.condition(mel[:n_frames].permute(1, 2, 0), n_groups)
        return conditioning[:, ahead:].transpose(0, 1)

    def synthesise(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """Channels and their conditioning (G, B, ...) -> samples (G, B, C), true but for `reach` groups at the ends."""
        wave: Tensor = self._analysis.synthesise(x.transpose(0, 1), conditioning.transpose(0, 1))
        return wave.view(x.shape[1], -1, self.n_channels).transpose(0, 1)


class WaveGlowEngine(ABC):
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
    def why(self) -> str:
        """One line for people: why this precision and these operations."""

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
        """Speaker embedding (B, K), or (1, K) for all, that is added to the conditioning; None: there is one voice."""
        if self._speakers is None:
            return None
        assert speaker is not None, "a model of several speakers needs `speaker`"
        return self._speakers[speaker]
