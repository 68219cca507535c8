"""How the samples of a WaveGlow and its mel meet, for some groups at a time."""

from __future__ import annotations

import copy
import math

from torch import Tensor

from glowtron.config import MelConfig
from glowtron.engines.convolutions import MatrixConvolution
from glowtron.engines.modules import replace_modules
from glowtron.models.convolution import Convolution
from glowtron.models.waveglow import MdctFrontEnd, Squeeze

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
        """Whether the mel is needed again, and exactly, to make samples of the flow's channels."""
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
