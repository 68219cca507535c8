"""Tacotron 2 with fast teacher forcing: what need not wait for the attention is computed for all steps at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glowtron.engines.train_attention import AttentionParams, scan
from glowtron.engines.train_dropout import draw_mask
from glowtron.engines.train_recurrence import sequence, unroll
from glowtron.models.tacotron2 import Attention, Memory, Tacotron2


class TrainingTacotron2(Tacotron2):
    """The textbook's model; only its three ways over a whole sequence differ."""

    def squeeze(self, frames: Tensor, generator: torch.Generator | None) -> Tensor:
        """See `Tacotron2.squeeze`."""
        shape = (2, *frames.shape[:2], self.prenet.channels)
        squeezed: Tensor = self.prenet(frames, draw_mask(shape, self.prenet.dropout, frames, generator))
        return squeezed

    def teacher_force(self, squeezed: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """See `Tacotron2.teacher_force`."""
        config, rnn, squeezed = self.config, self.attention_rnn, squeezed.transpose(0, 1)  # (S, B, P)
        (n_steps, batch, n_squeezed), n_hidden = squeezed.shape, rnn.hidden_size

        def mask(share: float, channels: int) -> Tensor | None:
            return draw_mask((n_steps, batch, channels), share, self.stop.bias) if self.training and share else None

        inputs = F.linear(squeezed, rnn.weight_ih[:, :n_squeezed], rnn.bias_ih + rnn.bias_hh)
        weight = torch.cat((rnn.weight_hh, rnn.weight_ih[:, n_squeezed:]), dim=1)
        keep, keep_query = mask(config.rnn_dropout, n_hidden), mask(config.attention_dropout, n_hidden)
        x, weights = scan(inputs, weight, attention_params(self.attention, memory), memory.mask, keep, keep_query)
        decoder_h = unroll(self.decoder_rnn, x, mask(config.rnn_dropout, config.decoder_rnn_channels))
        frames, stop_logits = self.project(decoder_h, x[..., n_hidden:])
        return frames.transpose(0, 1), stop_logits.t(), weights.transpose(0, 1)

    def unroll(self, cell: nn.LSTMCell, x: Tensor) -> Tensor:
        """See `Tacotron2.unroll`."""
        return sequence(cell, x)


def attention_params(attention: Attention, memory: Memory) -> AttentionParams:
    """All that `scan` needs to do as `Attention.forward` does."""
    with torch.autocast(memory.keys.device.type, enabled=False):
        location = attention.location_dense.weight @ attention.location.weight
    return AttentionParams(attention.query.weight, location, attention.energy.weight[0], memory.keys, memory.values)
