"""The WaveNet vocoder for training: the same network as matrix products over plain ranges of rows.

Time comes first, (L, B, C): a sample back is B rows back, for every item of the batch alike, so that a dilated
convolution adds up products of ranges of rows, and nothing is padded or copied. What layers read off the mel is
computed once a frame and upsampled after that: the upsampling of layout 2020 is linear and alike in each band, so
products over bands may come first.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from glowtron.engines.train_wavenet import weight_of
from glowtron.models.wavenet import CausalConv, Layer, SmoothUpsampling, WaveNet


class TrainingWaveNet(WaveNet):
    """`models.wavenet.WaveNet` with quicker operations; layout 2018, and dropout, have the textbook's."""

    def distributions(self, signal: Tensor, mel: Tensor, speaker: Tensor | None = None) -> Tensor:
        """See `WaveNet`."""
        config = self.config
        if config.layout == "2018" or config.dropout:
            return super().distributions(signal, mel, speaker)
        n_batch, length = signal.shape
        frames, upsampling = self._frames(mel, length)
        embedded = self.speaker_embedding(speaker)
        x = F.linear(self.embed(signal).permute(2, 0, 1), weight_of(self.first), self.first.bias).flatten(0, 1)
        total: Tensor | None = None
        for module, dilation in zip(self.layers, config.dilations, strict=True):
            layer = cast(Layer, module)
            dilated = layer.dilated
            gates = dilated_rows(x, dilated, dilation * n_batch)
            around = F.linear(frames, weight_of(layer.condition))  # (T, B, gates)
            gates = torch.addmm(gates.view(length, -1), upsampling, around.flatten(1))
            if layer.speaker is not None:
                assert embedded is not None
                gates = gates + F.linear(embedded, weight_of(layer.speaker)).flatten()
            filtered, gate = gates.view(length * n_batch, -1).chunk(2, dim=1)
            out = filtered.tanh() * gate.sigmoid()
            skip = F.linear(out, weight_of(layer.skip), layer.skip.bias)
            total = skip if total is None else total + skip
            if layer.residual is not None:
                x = (x + F.linear(out, weight_of(layer.residual), layer.residual.bias)) * math.sqrt(0.5)
        assert total is not None
        total = total * math.sqrt(1 / config.n_layers)
        for last in self.last:
            conv = cast(CausalConv, last)
            total = F.linear(F.relu(total), weight_of(conv), conv.bias)
        return total.view(length, n_batch, -1).permute(1, 2, 0)

    def _frames(self, mel: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Mixed frames (T, B, M) and the matrix (length, T) that makes samples of them."""
        upsampling = cast(SmoothUpsampling, self.upsampling)
        frames = upsampling.mixed(self.standardise(mel))
        one = torch.eye(frames.shape[2], dtype=frames.dtype, device=frames.device)
        return frames.permute(2, 0, 1), upsampling.smoothed(one).T[:length]


def dilated_rows(x: Tensor, layer: CausalConv, shift: int) -> Tensor:
    """A layer's dilated convolution of rows (N, C), whose taps are `shift` rows apart."""
    weight = weight_of(layer)
    out: Tensor = DilatedRows.apply(x, weight, layer.bias, shift, layer.kernel_size)  # type: ignore[no-untyped-call]
    return out


class DilatedRows(torch.autograd.Function):
    """A causal dilated convolution of rows (N, C), whose taps are `shift` rows apart; weight (out, kernel * C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, shift: int, kernel_size: int) -> Tensor:
        taps = weight.chunk(kernel_size, dim=1)
        out = torch.addmm(bias, x, taps[-1].T)
        for back, tap in enumerate(reversed(taps[:-1]), start=1):
            if back * shift < len(x):
                out[back * shift :].addmm_(x[: -back * shift], tap.T)
        ctx.save_for_backward(x, weight)
        ctx.shift, ctx.kernel_size = shift, kernel_size
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        taps = weight.chunk(ctx.kernel_size, dim=1)
        grad_x = grad @ taps[-1]
        grad_taps = [grad.T @ x]
        for back, tap in enumerate(reversed(taps[:-1]), start=1):
            reach = back * ctx.shift
            if reach >= len(x):
                grad_taps.append(torch.zeros_like(tap))
                continue
            grad_x[:-reach].addmm_(grad[reach:], tap)
            grad_taps.append(grad[reach:].T @ x[:-reach])
        return grad_x, torch.cat(grad_taps[::-1], dim=1), grad.sum(0), None, None
