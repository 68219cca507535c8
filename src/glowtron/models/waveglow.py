"""WaveGlow (Prenger, Valle & Catanzaro 2018): a flow between audio and Gaussian noise, conditioned on the mel.

One network for both ways in which samples can enter it: squeezed into groups, as in the paper and the published
weights, or through an MDCT whose coefficients are divided by a scale predicted from the mel, which learns from little
data. Read order: the loss, the two front ends, the network in each coupling (WN), the flow.

Letters: B batch, L samples, G groups of samples, C channels, M mel bands, T mel frames, K conditioning channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glowtron.config import GroupingConfig, LappedConfig, MelConfig, WaveGlowConfig, WNConfig
from glowtron.errors import InputError
from glowtron.models.convolution import Convolution, WeightNormConv
from glowtron.models.mdct import Mdct

# Mean and spread of log-mels of speech, so that the conditioning starts near zero mean and unit variance.
MEL_MEAN, MEL_SPREAD = -5.5, 2.5

NOISE_FRAMES = 64
"""Mel frames whose noise is drawn at once."""


class FlowOutput(NamedTuple):
    """Latents and log-determinants of one forward pass."""

    z: Tensor
    """(B, C, G) standard normal if the flow is perfect; the channels that left first come first."""
    log_s: tuple[Tensor, ...]
    """For each coupling (B, G, C_k), the log-scale of the channels it changed, float32."""
    log_det: Tensor
    """(n_flows,) log |det W| of each 1x1 convolution, over all its uses, float32."""
    log_scale: Tensor | None
    """(B, G, C) log of what the transform's coefficients were divided by, float32; None for grouped samples."""


def flow_loss(flow: FlowOutput, sigma: float = 1.0) -> Tensor:
    """Negative log-likelihood of the audio a value, in nats, without the Gaussian's constant (sec. 2, eq. 3 ff.)."""
    log_det = flow.log_det.sum() + torch.stack([log_s.sum() for log_s in flow.log_s]).sum()
    if flow.log_scale is not None:
        log_det = log_det - flow.log_scale.sum()
    return (flow.z.square().sum() / (2 * sigma**2) - log_det) / flow.z.numel()


class Squeeze(nn.Module):
    """Samples in groups of `group_size` channels, conditioned on the mel through a learned upsampling.

    The upsampling is a transposed convolution of `upsample_kernel` samples and the mel's hop as stride: the groups of
    one hop are a matrix product of the last few frames.
    """

    def __init__(self, config: GroupingConfig, mel: MelConfig) -> None:
        super().__init__()
        if config.upsample_kernel % mel.hop_length:
            raise InputError(
                f"analysis.upsample_kernel {config.upsample_kernel} is no multiple of mel.hop_length {mel.hop_length}"
            )
        self.n_channels = config.group_size
        self.n_conditioning = config.group_size * mel.n_mels
        self.n_frames = config.upsample_kernel // mel.hop_length
        # Rows are (group in the hop, band, sample in the group), columns (frame, newest first, band).
        self.upsample = nn.Linear(self.n_frames * mel.n_mels, mel.hop_length * mel.n_mels, bias=False)
        self.bias = nn.Parameter(torch.zeros(mel.n_mels))

    def condition(self, mel: Tensor, n_groups: int) -> Tensor:
        """(B, M, T) -> (B, G, n_conditioning): channel m * group_size + i is band m upsampled to sample i."""
        frames = F.pad(mel.transpose(1, 2), (0, 0, self.n_frames - 1, 0)).unfold(1, self.n_frames, 1)  # (B, T, M, last)
        hops = self.upsample(frames.flip(3).transpose(2, 3).flatten(2))
        groups = hops.reshape(mel.shape[0], -1, self.n_conditioning)[:, :n_groups]
        return groups + self.bias.repeat_interleave(self.n_channels)

    def analyse(self, wave: Tensor, mel: Tensor) -> tuple[Tensor, None]:
        """(B, G * C) -> (B, G, C)."""
        return wave.unflatten(-1, (-1, self.n_channels)), None

    def synthesise(self, x: Tensor, mel: Tensor) -> Tensor:
        """(B, G, C) -> (B, G * C)."""
        return x.flatten(1)


class MdctFrontEnd(nn.Module):
    """Samples as MDCT coefficients, each divided by a scale that a small network predicts from the mel.

    With nothing else this is a noise-excited vocoder: the flows learn the rest.
    """

    def __init__(self, config: LappedConfig, mel: MelConfig) -> None:
        super().__init__()
        self.n_channels, self.hop_length, self.n_conditioning = config.hop_length, mel.hop_length, mel.n_mels
        self.transform = Mdct(config.hop_length)
        width = config.scale_channels
        self.scale = nn.ModuleList((Convolution(mel.n_mels, width, 3), Convolution(width, width, 3)))
        self.scale_out = Convolution(width, config.hop_length, 3)
        nn.init.zeros_(self.scale_out.weight)

    def condition(self, mel: Tensor, n_groups: int) -> Tensor:
        """(B, M, T) -> (B, G, M): the mel, interpolated linearly at the middle of each block."""
        middle = torch.arange(n_groups, device=mel.device, dtype=torch.float32) + 0.5
        frame = (middle * (self.n_channels / self.hop_length)).clamp(max=mel.shape[-1] - 1)
        left = frame.floor().long()
        right = (left + 1).clamp(max=mel.shape[-1] - 1)
        mel = (mel.transpose(1, 2) - MEL_MEAN) / MEL_SPREAD
        return torch.lerp(mel[:, left], mel[:, right], (frame - left).to(mel.dtype)[:, None])

    def log_scale(self, conditioning: Tensor) -> Tensor:
        """(B, G, M) -> (B, G, C), float32."""
        hidden = conditioning
        for layer in self.scale:
            hidden = F.silu(layer(hidden))
        log_scale: Tensor = self.scale_out(hidden)
        return log_scale.float()

    def analyse(self, wave: Tensor, conditioning: Tensor) -> tuple[Tensor, Tensor]:
        """(B, G * C), (B, G, M) -> scaled coefficients (B, G, C) and the log of their scale."""
        log_scale = self.log_scale(conditioning)
        return self.transform(wave) * torch.exp(-log_scale), log_scale

    def synthesise(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """(B, G, C), (B, G, M) -> (B, G * C)."""
        wave: Tensor = self.transform.inverse(x * torch.exp(self.log_scale(conditioning)))
        return wave


class WN(nn.Module):
    """The network in each coupling: a WaveNet that is not causal (sec. 2.1). Its last layer starts at zero."""

    def __init__(self, n_in: int, n_out: int, n_conditioning: int, config: WNConfig) -> None:
        super().__init__()
        self.kernel_size, self.n_channels = config.kernel_size, config.n_channels
        self.dilations = tuple(2 ** (i % config.dilation_cycle) for i in range(config.n_layers))
        width, n_layers = config.n_channels, config.n_layers
        self.start = WeightNormConv(n_in, width)
        self.condition = WeightNormConv(n_conditioning, 2 * width * n_layers)
        self.dilated = nn.ModuleList(
            WeightNormConv(width, 2 * width, config.kernel_size, dilation) for dilation in self.dilations
        )
        # Rows are residual, then skip; the last layer has no successor, only its skip output.
        self.res_skip = nn.ModuleList(
            WeightNormConv(width, 2 * width if i < n_layers - 1 else width) for i in range(n_layers)
        )
        self.end = nn.Linear(width, n_out)
        nn.init.zeros_(self.end.weight)
        nn.init.zeros_(self.end.bias)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """(B, G, n_in), (B, G, K) -> (B, G, n_out)."""
        hidden = self.start(x.transpose(1, 2))  # (B, G, C) -> (B, C, G)
        conditions = self.condition(conditioning.transpose(1, 2)).chunk(len(self.dilations), dim=1)
        skip = torch.zeros_like(hidden)
        for i, (dilated, res_skip) in enumerate(zip(self.dilated, self.res_skip, strict=True)):
            filtered, gate = dilated(hidden).add_(conditions[i]).chunk(2, dim=1)
            out = res_skip(filtered.tanh() * gate.sigmoid())
            if i < len(self.dilations) - 1:
                hidden = hidden + out[:, : self.n_channels]
            skip = skip + out[:, -self.n_channels :]
        # As a convolution, so that gradients keep the layout (B, C, G) and are not copied in every layer.
        return F.conv1d(skip, self.end.weight[:, :, None], self.end.bias).transpose(1, 2)


def initial_mixing(n_channels: int, index: int, kind: str) -> Tensor:
    """(C, C) matrix that the 1x1 convolution of flow `index` starts as.

    A `rotation` is random with determinant +1. A `permutation` sets even and odd channels apart in the first flow and
    swaps the halves in the others, so that neighbours in frequency stay neighbours.
    """
    if kind == "rotation":
        matrix: Tensor = torch.linalg.qr(torch.randn(n_channels, n_channels)).Q
        if torch.linalg.slogdet(matrix).sign < 0:
            matrix[:, 0] = -matrix[:, 0]
        return matrix
    channels = torch.arange(n_channels)
    order = torch.cat((channels[::2], channels[1::2])) if index == 0 else channels.roll(n_channels // 2)
    return torch.eye(n_channels)[order]


def schedule(config: WaveGlowConfig) -> tuple[list[int], list[int]]:
    """Channels that leave early before each flow (sec. 2.2), and those that the flow still has."""
    early = [config.early_size if k and k % config.early_every == 0 else 0 for k in range(config.n_flows)]
    return early, [config.n_channels - sum(early[: k + 1]) for k in range(config.n_flows)]


def draw_block(
    config: WaveGlowConfig, n_batch: int, generator: torch.Generator | None, device: torch.device
) -> list[Tensor]:
    """Standard normal parts (B, c, G) of the next `NOISE_FRAMES` frames, in the published drawing order."""
    early, channels = schedule(config)
    n_groups = max(NOISE_FRAMES * config.mel.hop_length // config.n_channels, 1)
    widths = (channels[-1], *(n for n in reversed(early) if n))
    return [torch.randn(n_batch, n, n_groups, generator=generator, device=device) for n in widths]


def draw_noise(config: WaveGlowConfig, mel: Tensor, generator: torch.Generator | None) -> list[Tensor]:
    """Standard normal parts (B, c, G) for a mel (B, M, T), ordered as `WaveGlow.generate` wants them.

    They are drawn block after block, so that a sound begins with the same noise however long it becomes.
    """
    n_groups = mel.shape[-1] * config.mel.hop_length // config.n_channels
    blocks = [draw_block(config, mel.shape[0], generator, mel.device)]
    while len(blocks) * blocks[0][0].shape[2] < n_groups:
        blocks.append(draw_block(config, mel.shape[0], generator, mel.device))
    return [torch.cat(parts, dim=2)[..., :n_groups] for parts in zip(*blocks, strict=True)]


class WaveGlow(nn.Module):
    """The whole flow; `forward` takes audio to noise, `inverse` takes noise to audio, `generate` draws the noise."""

    def __init__(self, config: WaveGlowConfig) -> None:
        super().__init__()
        self.config = config
        analysis, wavenet = config.analysis, config.wavenet
        self.analysis = (
            MdctFrontEnd(analysis, config.mel) if isinstance(analysis, LappedConfig) else Squeeze(analysis, config.mel)
        )
        self.early, self.channels = schedule(config)
        self.mixing = nn.ParameterList(initial_mixing(n, k, config.mixing) for k, n in enumerate(self.channels))
        self.wavenets = nn.ModuleList(WN(n // 2, n, self.analysis.n_conditioning, wavenet) for n in self.channels)
        if config.n_speakers > 1:
            self.speaker = nn.Embedding(config.n_speakers, self.analysis.n_conditioning)
            nn.init.normal_(self.speaker.weight, std=0.1)

    def forward(
        self, wave: Tensor, mel: Tensor, speaker: Tensor | None = None, *, recompute: bool = False
    ) -> FlowOutput:
        """Audio (B, L) and its mel (B, M, T) -> noise and log-determinants.

        L is padded with zeros to whole groups, which `inverse` gives back, and the mel must cover it: T * hop_length
        samples or more. speaker: (B,) indices, or (1,) for all, needed with several speakers. recompute: activation
        checkpointing, flow by flow; the gradient is the same to the bit.
        """
        assert wave.shape[0] == mel.shape[0], f"{wave.shape[0]} waves and {mel.shape[0]} mels"
        assert mel.shape[2] * self.config.mel.hop_length >= wave.shape[1], (
            f"{mel.shape[2]} frames, {wave.shape[1]} samples"
        )
        n_groups = -(-wave.shape[-1] // self.config.n_channels)
        wave = F.pad(wave, (0, n_groups * self.config.n_channels - wave.shape[-1]))
        conditioning = self.condition(mel, n_groups, speaker)
        x, log_scale = self.analysis.analyse(wave, conditioning)
        left: list[Tensor] = []
        log_s: list[Tensor] = []
        log_det: list[Tensor] = []
        # The input of a flow is as small as the audio; nothing in a flow is random.
        flow = partial(checkpoint, self.flow, use_reentrant=False, preserve_rng_state=False) if recompute else self.flow
        for k in range(self.config.n_flows):
            early, x = x[..., : self.early[k]], x[..., self.early[k] :]  # (B, G, C_k)
            left.append(early)
            x, log_s_k, log_det_k = flow(k, x, conditioning)
            log_s.append(log_s_k)
            log_det.append(log_det_k)
        z = torch.cat((*left, x), dim=-1).transpose(1, 2)  # (B, G, C) -> (B, C, G)
        return FlowOutput(z, tuple(log_s), torch.stack(log_det), log_scale)

    def inverse(self, z: Tensor, mel: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Noise (B, C, G), as `forward` gives it, and mel (B, M, T) -> audio (B, C * G): undoes `forward`."""
        conditioning = self.condition(mel, z.shape[-1], speaker)
        z = z.float().transpose(1, 2)  # (B, C, G) -> (B, G, C)
        start = self.config.n_channels - self.channels[-1]
        x = z[..., start:]
        for k in reversed(range(self.config.n_flows)):
            x, _ = self.coupling(k, x, conditioning, inverse=True)
            x = inv_conv_inverse(x, self.mixing[k])
            start, stop = start - self.early[k], start
            x = torch.cat((z[..., start:stop], x), dim=-1)
        return self.analysis.synthesise(x, conditioning)

    @torch.no_grad()
    def generate(
        self,
        mel: Tensor,
        sigma: float = 0.6,
        generator: torch.Generator | None = None,
        noise: Sequence[Tensor] | None = None,
        speaker: Tensor | None = None,
    ) -> Tensor:
        """Mel (B, M, T) -> audio (B, T * hop_length), in whole groups, from noise of standard deviation `sigma`.

        `noise` (parts (B, c, G), standard normal) replaces what `generator` would draw, in the published drawing
        order: the channels of the last flow first, then those that left before it, last ones first. speaker: as of
        `forward`.
        """
        noise = draw_noise(self.config, mel, generator) if noise is None else noise
        return self.inverse(sigma * torch.cat(list(reversed(noise)), dim=1), mel, speaker)

    def condition(self, mel: Tensor, n_groups: int, speaker: Tensor | None) -> Tensor:
        """The conditioning of all flows and of the front end: mel (B, M, T) and speaker -> (B, G, K)."""
        conditioning: Tensor = self.analysis.condition(mel, n_groups)
        if self.config.n_speakers > 1:
            assert speaker is not None, "a model of several speakers needs `speaker`"
            conditioning = conditioning + self.speaker(speaker)[:, None]
        return conditioning

    def flow(self, k: int, x: Tensor, conditioning: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Flow k of (B, G, C): the same, its log-scale (B, G, C / 2) and its log-determinant, all float32."""
        x, log_det = inv_conv(x, self.mixing[k])
        x, log_s = self.coupling(k, x, conditioning)
        return x, log_s, log_det

    def coupling(self, k: int, x: Tensor, conditioning: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Affine coupling of flow k (sec. 2.1), walked either way.

        x: (B, G, C); one half passes unchanged and, with the conditioning, predicts shift and log-scale of the other.
        Returns (B, G, C) and the log-scale (B, G, C / 2), both float32.
        """
        first, second = x.chunk(2, dim=-1)
        swapped = self.config.alternate_halves and k % 2 == 1
        kept, changed = (second, first) if swapped else (first, second)
        shift, log_s = self.wavenets[k](kept, conditioning).float().chunk(2, dim=-1)
        changed = (changed - shift) * torch.exp(-log_s) if inverse else changed * torch.exp(log_s) + shift
        return torch.cat((changed, kept) if swapped else (kept, changed), dim=-1), log_s

    def fold_weight_norm(self) -> None:
        """Fold weight norm into the weights, for inference and storage."""
        for module in self.modules():
            if isinstance(module, WeightNormConv):
                module.fold()


def inv_conv(x: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Invertible 1x1 convolution (Kingma & Dhariwal 2018) of (B, G, C), and its log |det| over all B * G uses.

    In float32 whatever autocast says: the loss subtracts large numbers here.
    """
    with torch.autocast(x.device.type, enabled=False):
        log_det = torch.linalg.slogdet(matrix.float()).logabsdet * (x.shape[0] * x.shape[1])
        return F.linear(x.float(), matrix.float()), log_det


def inv_conv_inverse(x: Tensor, matrix: Tensor) -> Tensor:
    """Undo `inv_conv`. Raises InputError for a matrix that has no inverse."""
    inverse, info = torch.linalg.inv_ex(matrix.double())
    if info.any() or not inverse.isfinite().all():
        raise InputError("waveglow: a 1x1 convolution of its weights has no inverse; they are damaged, take others")
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x, inverse.to(x.dtype))
