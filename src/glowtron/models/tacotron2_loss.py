"""Losses of Tacotron 2, and of its attention (Shen et al. 2018, sec. 2.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.models.tacotron2 import Tacotron2Output, sequence_mask


class Tacotron2Loss(NamedTuple):
    """The parts of the loss, each a scalar."""

    mel_before: Tensor
    mel: Tensor
    stop: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of all losses."""
        return self.mel_before + self.mel + self.stop


def loss(output: Tacotron2Output, mel: Tensor, mel_lengths: Tensor, *, count_padding: bool = False) -> Tacotron2Loss:
    """Squared errors of both mels and the cross-entropy of the stop logit (sec. 2.2; stop: Shen et al. use the same).

    mel: (B, M, T); mel_lengths: (B,). Means are over real frames, so that padding never changes the loss;
    `count_padding` divides by all frames, as the published programs do.
    """
    n_frames, n_steps = mel.shape[2], output.stop_logits.shape[1]
    r = n_frames // n_steps
    mask = sequence_mask(mel_lengths, n_frames)
    target = mel.float().masked_fill(~mask[:, None], 0)
    steps = -(-mel_lengths // r)
    last = torch.arange(n_steps, device=mel.device) >= steps[:, None] - 1
    stop = F.binary_cross_entropy_with_logits(output.stop_logits, last.float(), reduction="sum")
    values = mel.shape[1] * (mel.shape[0] * n_frames if count_padding else mel_lengths.sum())
    logits = last.numel() if count_padding else steps.sum()
    return Tacotron2Loss(
        (output.mel_before - target).square().sum() / values,
        (output.mel - target).square().sum() / values,
        stop / logits,
    )


def attention_loss(alignment: Tensor, symbols: Tensor, n_steps: Tensor) -> Tensor:
    """Cross-entropy between the attention and the measured symbol of each real step, in nats a step.

    alignment: (B, S, N); symbols: (B, S); n_steps: (B,) real steps.
    """
    chosen = alignment.gather(2, symbols[..., None]).squeeze(-1)
    mask = sequence_mask(n_steps, alignment.shape[1])
    return -(chosen.clamp(min=1e-8).log() * mask).sum() / mask.sum()


def guided_attention_loss(alignment: Tensor, id_lengths: Tensor, n_steps: Tensor, width: float = 0.2) -> Tensor:
    """Share of the attention away from the diagonal, a mean over real steps (Tachibana et al. 2018, sec. 4.1).

    alignment: (B, S, N); id_lengths, n_steps: (B,); width: of the band around the diagonal, as a share of the text.
    """
    steps = torch.arange(alignment.shape[1], device=alignment.device)[:, None] / n_steps[:, None, None]
    symbols = torch.arange(alignment.shape[2], device=alignment.device) / id_lengths[:, None, None]
    away = 1 - torch.exp(-((steps - symbols) ** 2) / (2 * width**2))
    mask = sequence_mask(n_steps, alignment.shape[1])
    return ((alignment * away).sum(-1) * mask).sum() / mask.sum()


def symbols_of_steps(durations: Tensor, n_steps: int, reduction_factor: int) -> Tensor:
    """Which symbol is heard in the middle of each decoder step.

    durations: (B, N) frames, whatever their sum. Returns (B, S) int64; steps behind the end stay at the last symbol.
    """
    ends = durations.cumsum(1)
    middle = torch.arange(n_steps, device=durations.device) * reduction_factor + reduction_factor // 2
    middle = torch.minimum(middle.expand(len(durations), -1), ends[:, -1:] - 1).contiguous()
    return torch.searchsorted(ends, middle, right=True)
