"""Linear prediction from a mel: an all-pole filter for each piece of a frame, and what it leaves of the samples.

The mel tells the envelope of the spectrum, so a filter can be had from it alone, by recorder and speaker alike: nothing
has to be sent or learnt (LP-WaveNet: Hwang et al. 2018; LPCNet: Valin & Skoglund 2019). What the filter leaves of the
samples is nearly white and of one level, and noise in it is heard under the speech, which has the same spectrum.

Letters: B batch, M mel bands, T mel frames, N pieces of frames, P order, L samples.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from glowtron.config import LinearPredictionConfig, MelConfig
from glowtron.mel import mel_filters

EDGE_DB = -1.0
"""Distance of the spectrum above the highest band under that band, as measured on two readers at 22,050 Hz."""
LAG_HZ = 40.0
"""Width of the smoothing of the spectrum that keeps poles off single harmonics."""
NOISE = 1e-4
"""Power of the white noise added before the filter is solved for, as a share of the whole: poles stay inside."""


class LinearPrediction:
    """Filters for a mel: `coefficients` (B, N, P) and `level` (B, N), each holding for `block_length` samples.

    Sample n is predicted as the sum of coefficients[k] * sample[n - 1 - k]; `level` is the standard deviation that the
    rest has if the mel is right.
    """

    def __init__(self, mel: Tensor, mel_config: MelConfig, config: LinearPredictionConfig) -> None:
        """mel: (B, M, T), natural log; frame t holds for the samples around t * hop_length."""
        assert mel_config.hop_length % config.blocks_per_frame == 0, "blocks divide a frame"
        self.order, self.scale = config.order, config.level
        self.block_length = mel_config.hop_length // config.blocks_per_frame
        power = spectrum(between(mel.double(), config.blocks_per_frame), mel_config).square()  # (B, N, F)
        correlation = torch.fft.irfft(power)[..., : config.order + 1] / (3 / 8 * mel_config.win_length)
        lag = torch.arange(config.order + 1, device=mel.device, dtype=torch.float64)
        correlation = correlation * torch.exp(-0.5 * (2 * math.pi * LAG_HZ * lag / mel_config.sample_rate) ** 2)
        correlation[..., 0] = correlation[..., 0] * (1 + NOISE) + 1e-12
        coefficients, error = levinson(correlation)
        self.coefficients, self.level = coefficients.float(), error.sqrt().float()

    def remove(self, wave: Tensor) -> Tensor:
        """Samples (B, L), L at most N * block_length -> what the filters leave of them, in units of `level`, scaled."""
        n_batch, length = wave.shape
        n_blocks = -(-length // self.block_length)
        padded = F.pad(wave, (self.order, n_blocks * self.block_length - length))
        # Rows are blocks with the `order` samples before them.
        blocks = padded.unfold(1, self.order + self.block_length, self.block_length)  # (B, N, order + block)
        past = blocks.unfold(2, self.order, 1)[:, :, :-1]  # (B, N, block, P), oldest first
        predicted = (past @ self.coefficients[:, :n_blocks].flip(2).unsqueeze(3)).squeeze(3)
        rest = (blocks[..., self.order :] - predicted) / self.level[:, :n_blocks, None]
        return self.scale * rest.reshape(n_batch, -1)[:, :length]

    def put_back(self, rest: Tensor) -> Tensor:
        """Undo `remove`, sample after sample."""
        wave = rest.new_zeros(len(rest), self.order + rest.shape[1])
        for n in range(rest.shape[1]):
            block = n // self.block_length
            predicted = (wave[:, n : n + self.order] * self.coefficients[:, block].flip(1)).sum(1)
            wave[:, self.order + n] = predicted + self.level[:, block] * rest[:, n] / self.scale
        return wave[:, self.order :]


def between(mel: Tensor, n_parts: int) -> Tensor:
    """(B, M, T) -> (B, T * n_parts, M): the mel at the middle of each part of the hop that begins at a frame."""
    n_frames = mel.shape[2]
    place = (torch.arange(n_frames * n_parts, device=mel.device, dtype=mel.dtype) + 0.5) / n_parts
    left = place.floor().long()
    right = (left + 1).clamp(max=n_frames - 1)
    frames = mel.transpose(1, 2)
    return torch.lerp(frames[:, left], frames[:, right], (place - left)[:, None])


def spectrum(mel: Tensor, config: MelConfig) -> Tensor:
    """(B, N, M) log-mel -> (B, N, n_fft // 2 + 1) magnitudes of a smooth spectrum that has it."""
    filters = mel_filters(config).to(mel)
    total = filters.sum(1)
    bins = torch.arange(filters.shape[1], device=mel.device, dtype=mel.dtype)
    wide = total > 0  # Not too narrow to hold a bin.
    centres = (filters @ bins)[wide] / total[wide]
    height = mel[..., wide] - total[wide].log()
    upper = torch.searchsorted(centres, bins).clamp(1, len(centres) - 1)
    low, high = centres[upper - 1], centres[upper]
    share = ((bins - low) / (high - low)).clamp(0, 1)
    log_magnitude = torch.lerp(height[..., upper - 1], height[..., upper], share)
    above = (bins * config.sample_rate / config.n_fft > config.f_max).to(mel)
    return (log_magnitude + above * (EDGE_DB * math.log(10) / 20)).exp()


def levinson(correlation: Tensor) -> tuple[Tensor, Tensor]:
    """Levinson-Durbin: autocorrelations (..., P + 1) -> coefficients (..., P) and the power left over (...)."""
    order = correlation.shape[-1] - 1
    coefficients = correlation.new_zeros((*correlation.shape[:-1], order))
    error = correlation[..., 0].clone()
    for i in range(order):
        past = correlation[..., 1 : i + 1].flip(-1)
        reflection = (correlation[..., i + 1] - (coefficients[..., :i] * past).sum(-1)) / error
        mirrored = coefficients[..., :i].flip(-1)
        coefficients[..., :i] = coefficients[..., :i] - reflection[..., None] * mirrored
        coefficients[..., i] = reflection
        error = error * (1 - reflection.square())
    return coefficients, error
