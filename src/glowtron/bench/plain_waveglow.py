"""The published WaveGlow the usual way: `Conv1d` over (B, C, G) in float32, differentiated by autograd.

What the speed of training and of inference is measured against. It is written as one would write the paper's network
today: fused conditioning and residual-skip layers, torch's own weight norm, in-place sums; nothing is made slow on
purpose. For inference weight norm is folded in and the 1x1 convolutions are inverted beforehand, as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from glowtron.config import GroupingConfig, WaveGlowConfig
from glowtron.errors import InputError
from glowtron.models.waveglow import WN, Squeeze, WaveGlow, WeightNormConv


class PlainWaveNet(nn.Module):
    def __init__(self, n_half: int, n_conditioning: int, config: WaveGlowConfig) -> None:
        super().__init__()
        sizes = config.wavenet
        self.width, self.n_layers = sizes.n_channels, sizes.n_layers
        self.start = weight_norm(nn.Conv1d(n_half, self.width, 1))
        self.condition = weight_norm(nn.Conv1d(n_conditioning, 2 * self.width * self.n_layers, 1))
        self.dilated = nn.ModuleList()
        self.res_skip = nn.ModuleList()
        for i in range(self.n_layers):
            dilation = 2 ** (i % sizes.dilation_cycle)
            padding = dilation * (sizes.kernel_size - 1) // 2
            layer = nn.Conv1d(self.width, 2 * self.width, sizes.kernel_size, dilation=dilation, padding=padding)
            self.dilated.append(weight_norm(layer))
            n_out = 2 * self.width if i < self.n_layers - 1 else self.width
            self.res_skip.append(weight_norm(nn.Conv1d(self.width, n_out, 1)))
        self.end = nn.Conv1d(self.width, 2 * n_half, 1)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """(B, n_half, G), (B, K, G) -> (B, 2 * n_half, G)."""
        hidden = self.start(x)
        conditions = self.condition(conditioning).chunk(self.n_layers, dim=1)
        skip = torch.zeros_like(hidden)
        for i in range(self.n_layers):
            filtered, gate = self.dilated[i](hidden).add_(conditions[i]).chunk(2, dim=1)
            out = self.res_skip[i](filtered.tanh() * gate.sigmoid())
            if i < self.n_layers - 1:
                hidden = hidden + out[:, : self.width]
                skip = skip + out[:, self.width :]
            else:
                skip = skip + out
        return cast(Tensor, self.end(skip))


class PlainWaveGlow(nn.Module):
    """The whole. Raises InputError for a configuration that is not of the published algorithm."""

    def __init__(self, config: WaveGlowConfig) -> None:
        super().__init__()
        if not isinstance(config.analysis, GroupingConfig):
            raise InputError("the published algorithm has no lapped transform")
        if config.alternate_halves:
            raise InputError("the published algorithm never swaps halves")
        if config.n_speakers > 1:
            raise InputError(f"the published algorithm has one speaker; this model has {config.n_speakers}")
        self.config = config
        n_mels, self.group_size = config.mel.n_mels, config.analysis.group_size
        self.upsample = nn.ConvTranspose1d(
            n_mels, n_mels, config.analysis.upsample_kernel, stride=config.mel.hop_length
        )
        self.leaving = [config.early_size if k and k % config.early_every == 0 else 0 for k in range(config.n_flows)]
        channels = [self.group_size - sum(self.leaving[: k + 1]) for k in range(config.n_flows)]
        self.mixing = nn.ParameterList(torch.eye(n) for n in channels)
        self.wavenets = nn.ModuleList(PlainWaveNet(n // 2, n_mels * self.group_size, config) for n in channels)

    def condition(self, mel: Tensor, n_samples: int) -> Tensor:
        """(B, M, T) -> (B, M * group_size, G), of the first `n_samples` samples."""
        upsampled = self.upsample(mel)[:, :, :n_samples]
        conditioning: Tensor = upsampled.unfold(2, self.group_size, self.group_size).permute(0, 2, 1, 3).flatten(2)
        return conditioning.transpose(1, 2).contiguous()

    def forward(self, wave: Tensor, mel: Tensor) -> Tensor:
        """Audio (B, L), mel (B, M, T) -> the loss at sigma 1."""
        conditioning = self.condition(mel, wave.shape[1])
        x = wave.unfold(1, self.group_size, self.group_size).transpose(1, 2)  # (B, group_size, G)
        z: list[Tensor] = []
        stretch = wave.new_zeros(())
        for k, matrix in enumerate(self.mixing):
            z.append(x[:, : self.leaving[k]])
            x = F.conv1d(x[:, self.leaving[k] :], matrix[:, :, None])
            stretch = stretch + x.shape[0] * x.shape[2] * torch.logdet(matrix)
            first, second = x.chunk(2, dim=1)
            shift, log_s = self.wavenets[k](first, conditioning).chunk(2, dim=1)
            x = torch.cat((first, torch.exp(log_s) * second + shift), dim=1)
            stretch = stretch + log_s.sum()
        noise = torch.cat((*z, x), dim=1)
        return (noise.square().sum() / 2 - stretch) / noise.numel()

    @torch.no_grad()
    def prepare_inference(self) -> None:
        """Fold weight norm in and invert the 1x1 convolutions. There is no training after this."""
        for module in self.modules():
            if is_parametrized(module, "weight"):
                remove_parametrizations(module, "weight")
        self.unmixing = [matrix.double().inverse().float()[:, :, None] for matrix in self.mixing]

    @torch.no_grad()
    def generate(self, mel: Tensor, sigma: float, noise: Sequence[Tensor]) -> Tensor:
        """Mel (B, M, T) -> audio (B, L), from parts of noise (B, c, G) in the published drawing order."""
        conditioning = self.condition(mel, mel.shape[2] * self.config.mel.hop_length)
        x, *early = [sigma * part for part in noise]
        for k in reversed(range(len(self.wavenets))):
            first, second = x.chunk(2, dim=1)
            shift, log_s = self.wavenets[k](first, conditioning).chunk(2, dim=1)
            x = torch.cat((first, (second - shift) / torch.exp(log_s)), dim=1)
            x = F.conv1d(x, self.unmixing[k])
            if self.leaving[k]:
                x = torch.cat((early.pop(0), x), dim=1)
        return x.transpose(1, 2).flatten(1)

    @torch.no_grad()
    def copy_weights(self, model: WaveGlow) -> None:
        """Take over Glowtron's weights, so that both compute the same function."""
        assert isinstance(model.analysis, Squeeze)
        hops = self.config.mel.hop_length // self.group_size
        weight = model.analysis.upsample.weight.unflatten(0, (hops, self.config.mel.n_mels, self.group_size))
        weight = weight.unflatten(3, (-1, self.config.mel.n_mels))
        self.upsample.weight.copy_(weight.permute(4, 1, 3, 0, 2).flatten(2))
        cast(Tensor, self.upsample.bias).copy_(model.analysis.bias)
        for mine, theirs in zip(self.mixing, model.mixing, strict=True):
            mine.copy_(theirs)
        for net, other in zip(self.wavenets, model.wavenets, strict=True):
            assert isinstance(net, PlainWaveNet) and isinstance(other, WN)
            net.end.weight.copy_(other.end.weight[:, :, None])
            cast(Tensor, net.end.bias).copy_(other.end.bias)
            pairs: list[tuple[nn.Module, nn.Module]] = [(net.start, other.start), (net.condition, other.condition)]
            pairs += [*zip(net.dilated, other.dilated, strict=True), *zip(net.res_skip, other.res_skip, strict=True)]
            for convolution, layer in pairs:
                assert isinstance(convolution, nn.Conv1d) and isinstance(layer, WeightNormConv)
                _copy(convolution, layer)


def _copy(convolution: nn.Conv1d, layer: WeightNormConv) -> None:
    cast(Tensor, convolution.bias).copy_(layer.bias)
    if layer.weight is None:
        g, v = layer.weight_g, layer.weight_v
    else:  # Folded, as voices are stored.
        g, v = layer.weight.norm(dim=1, keepdim=True), layer.weight
    norm = cast(nn.Module, convolution.parametrizations).weight
    assert isinstance(norm, nn.Module)
    cast(Tensor, norm.original0).copy_(g[:, :, None])
    cast(Tensor, norm.original1).copy_(v.unflatten(1, (convolution.kernel_size[0], -1)).transpose(1, 2))
