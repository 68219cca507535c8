"""Brings a vocoder's sound back to the mel it was made from.

A flow draws its noise without looking at what came out: the loudness of each band is right on average, not at each
moment, and lower with a lower sigma. Here each band of each frame is given the loudness that the mel asks for, the
phases stay, and since overlapping frames then disagree a little, this is done a few times. It is the magnitude step of
Griffin & Lim (1984), on mel bands and from a good beginning instead of on single frequencies and from random phases,
with the acceleration of Perraudin et al. (2013).
"""

from __future__ import annotations

import torch
from torch import Tensor

from glowtron.config import MelConfig
from glowtron.mel import FLOOR, mel_filters

MOMENTUM = 0.9
"""Share of a round's change that the next one goes on by beforehand."""
MAX_LOG_GAIN = 3.0
"""A factor of 20: more is asked for only where there is nothing to make louder."""


class MelCorrection:
    """Gains on the bands of a short-time Fourier transform, from the mel wanted and the mel found."""

    def __init__(self, config: MelConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.filters = mel_filters(config).to(device, torch.float32)  # (M, F)
        # A frequency follows the bands over it; one outside all bands stays as it is.
        self.spread = (self.filters / self.filters.sum(0).clamp(min=1e-8)).T.contiguous()  # (F, M)
        self.window = torch.hann_window(config.win_length, device=device)

    @torch.no_grad()
    def __call__(self, wave: Tensor, mel: Tensor, rounds: int) -> Tensor:
        """Sound (B, T * hop_length) that was made of the log-mel (B, M, T) -> sound of that shape, float32."""
        config, n_samples = self.config, wave.shape[1]
        if n_samples <= config.n_fft // 2:
            return wave  # Too short for the transform's reflected edge.
        settings = (config.n_fft, config.hop_length, config.win_length, self.window)
        wave, mel = wave.float(), mel.float()
        before = wave
        for _ in range(rounds):
            ahead, before = torch.lerp(before, wave, 1 + MOMENTUM), wave
            spectrum = torch.stft(ahead, *settings, pad_mode="reflect", return_complex=True)  # (B, F, T + 1)
            found = (self.filters @ spectrum.abs()[..., : mel.shape[2]]).clamp(min=FLOOR).log()
            gain = (self.spread @ (mel - found).clamp(-MAX_LOG_GAIN, MAX_LOG_GAIN)).exp()
            # The frame behind the mel's last one has no target of its own.
            gain = torch.cat((gain, gain[..., -1:]), dim=-1)[..., : spectrum.shape[2]]
            wave = torch.istft(spectrum * gain, *settings, length=n_samples)
        return wave
