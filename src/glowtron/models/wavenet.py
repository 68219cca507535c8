"""WaveNet as a vocoder (van den Oord et al. 2016; Shen et al. 2018): a distribution of each sample, given those before.

The network of the two programs whose weights are published: layout `2020` is wavenet_vocoder as it is now, `2018` as it
was when the WaveGlow paper compared itself with it. Read order: what is modelled (signals), what is said of it
(distributions: loss and sampling), the network, and its two walks, all samples at once and one after the other.

Letters: B batch, C channels, M mel bands, T mel frames, L samples, K parts of a mixture.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glowtron.config import LinearPredictionConfig, PlainSignalConfig, WaveNetConfig
from glowtron.models.convolution import WeightNormConv, taps_from_matrix
from glowtron.models.linear_prediction import LinearPrediction

NARROW = 1e-5
"""Share of a component in a level below which its density stands for it: the difference would be rounding noise."""
SMALLEST = 1e-12
"""Shares are no smaller than this, for their logarithm's sake."""
EDGE = 0.999
"""Samples beyond this take all that a distribution has on that side."""
NOISE_EDGE = 1e-5
"""Uniform noise keeps this far from 0 and 1, so that no draw is farther than 11.5 scales."""
NOISE_FRAMES = 64
"""Mel frames whose noise is drawn at once."""


def mu_law(signal: Tensor, mu: int = 255) -> Tensor:
    """Samples in [-1, 1] -> codes 0 to mu, int64 (ITU-T G.711's curve, without its segments)."""
    value = signal.sign() * torch.log1p(mu * signal.abs()) / math.log1p(mu)
    return ((value + 1) / 2 * mu).long()


def mu_law_inverse(codes: Tensor, mu: int = 255) -> Tensor:
    """Codes 0 to mu -> samples in [-1, 1], float32."""
    value = 2 * codes.float() / mu - 1
    return value.sign() / mu * ((1 + mu) ** value.abs() - 1)


def emphasise(wave: Tensor, share: float) -> Tensor:
    """Pre-emphasis: from each sample of (B, L) `share` of the one before is taken."""
    return wave - share * F.pad(wave, (1, 0))[:, :-1]


def de_emphasise(wave: Tensor, share: float) -> Tensor:
    """Undo `emphasise`, sample after sample."""
    out = torch.empty_like(wave)
    last = wave.new_zeros(len(wave))
    for n in range(wave.shape[1]):
        last = wave[:, n] + share * last
        out[:, n] = last
    return out


class Mixture(NamedTuple):
    """A mixture's parameters, each (B, K, L)."""

    logits: Tensor
    means: Tensor
    log_scales: Tensor


def mixture_of(outputs: Tensor) -> Mixture:
    """The network's outputs (B, 3K, L), or (B, 2, L) for a single part, which needs no logit."""
    if outputs.shape[1] == 2:
        return Mixture(torch.zeros_like(outputs[:, :1]), outputs[:, :1], outputs[:, 1:])
    return Mixture(*outputs.chunk(3, dim=1))


def logistic_nll(mixture: Mixture, target: Tensor, n_levels: int, log_scale_min: float) -> Tensor:
    """-ln p of samples (B, L) of `n_levels` values in [-1, 1] (Salimans et al. 2017, PixelCNN++): (B, L), float32.

    As in the published training a component's share of a level is a difference of two sigmoids where that is over 1e-5,
    a limit meant for 256 levels, and density times width elsewhere.
    """
    logits, means, log_scales = (part.float() for part in mixture)
    log_scales = log_scales.clamp(min=log_scale_min)
    target = target.float().unsqueeze(1)
    centred, inverse = target - means, torch.exp(-log_scales)
    plus = inverse * (centred + 1 / (n_levels - 1))
    minus = inverse * (centred - 1 / (n_levels - 1))
    middle = inverse * centred
    share = torch.sigmoid(plus) - torch.sigmoid(minus)
    density = middle - log_scales - 2 * F.softplus(middle) - math.log((n_levels - 1) / 2)
    log_share = torch.where(share > NARROW, share.clamp(min=SMALLEST).log(), density)
    log_share = torch.where(target > EDGE, -F.softplus(minus), log_share)
    log_share = torch.where(target < -EDGE, plus - F.softplus(plus), log_share)
    return -torch.logsumexp(log_share + F.log_softmax(logits, dim=1), dim=1)


def gaussian_nll(mixture: Mixture, target: Tensor, log_scale_min: float) -> Tensor:
    """-ln p of samples (B, L), a density, which may be over 1: (B, L), float32."""
    logits, means, log_scales = (part.float() for part in mixture)
    log_scales = log_scales.clamp(min=log_scale_min)
    away = (target.float().unsqueeze(1) - means).square() / (2 * torch.exp(2 * log_scales))
    log_density = -0.5 * math.log(2 * math.pi) - log_scales - away
    return -torch.logsumexp(log_density + F.log_softmax(logits, dim=1), dim=1)


def wavenet_nll(config: WaveNetConfig, outputs: Tensor, target: Tensor) -> Tensor:
    """-ln p of the signal (B, L), codes for softmax, under the network's outputs (B, n_outputs, L): (B, L), float32."""
    if config.output == "softmax":
        return F.cross_entropy(outputs.float(), target, reduction="none")
    mixture = mixture_of(outputs)
    if config.output == "gaussian":
        return gaussian_nll(mixture, target, config.log_scale_min)
    return logistic_nll(mixture, target, config.n_levels, config.log_scale_min)


class Noise(NamedTuple):
    """Noise for drawing samples."""

    choice: Tensor | None
    """(B, L, K) uniform: which part of a mixture; None: there is only one."""
    value: Tensor
    """(B, L): normal for Gaussians, else uniform in (0, 1)."""


def draw_noise(
    config: WaveNetConfig, n_batch: int, n_samples: int, generator: torch.Generator | None, device: torch.device
) -> Noise:
    """Noise of a sound, drawn block after block, so that it begins with the same however long it becomes."""
    block, blocks = NOISE_FRAMES * config.mel.hop_length, []
    for _ in range(-(-n_samples // block)):
        blocks.append(draw_block(config, n_batch, block, generator, device))
    choices = [part.choice for part in blocks if part.choice is not None]
    choice = torch.cat(choices, dim=1)[:, :n_samples] if choices else None
    return Noise(choice, torch.cat([part.value for part in blocks], dim=1)[:, :n_samples])


def draw_block(
    config: WaveNetConfig, n_batch: int, n_samples: int, generator: torch.Generator | None, device: torch.device
) -> Noise:
    """Noise of the next samples."""

    def uniform(*shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=generator, device=device)
        return drawn * (1 - 2 * NOISE_EDGE) + NOISE_EDGE

    mixed = config.output != "softmax" and config.n_mixtures > 1
    choice = uniform(n_batch, n_samples, config.n_mixtures) if mixed else None
    if config.output == "gaussian":
        return Noise(choice, torch.randn(n_batch, n_samples, generator=generator, device=device))
    return Noise(choice, uniform(n_batch, n_samples))


def draw(config: WaveNetConfig, outputs: Tensor, noise: Noise, sigma: float = 1.0) -> Tensor:
    """Samples (B, L), or codes for softmax, of the distributions that outputs (B, n_outputs, L) tell.

    sigma: What noise is multiplied by: under 1 is calmer. Log-scales are taken as they are; layout 2018 limits them
    as in its loss.
    """
    if config.output == "softmax":
        cumulative = F.softmax(outputs.double() / sigma, dim=1).cumsum(dim=1)
        found = torch.searchsorted(cumulative.transpose(1, 2).contiguous(), noise.value.double().unsqueeze(2))
        return found.squeeze(2).clamp(max=config.n_levels - 1)
    logits, means, log_scales = mixture_of(outputs.float())
    if noise.choice is not None and logits.shape[1] > 1:
        chosen = (logits - torch.log(-torch.log(noise.choice.transpose(1, 2)))).argmax(dim=1, keepdim=True)
        means, log_scales = means.gather(1, chosen), log_scales.gather(1, chosen)
    mean, log_scale = means[:, 0], log_scales[:, 0]
    if config.layout == "2018":
        log_scale = log_scale.clamp(min=config.log_scale_min)
    away = noise.value if config.output == "gaussian" else noise.value.log() - (-noise.value).log1p()
    return (mean + sigma * log_scale.exp() * away).clamp(-1, 1)


class CausalConv(WeightNormConv):
    """A convolution over (B, C, L) under weight norm, whose taps look back."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, n_in, L). Returns (B, n_out, L)."""
        taps = taps_from_matrix(self.effective_weight(), self.kernel_size)
        x = F.pad(x, ((self.kernel_size - 1) * self.dilation, 0))
        return F.conv1d(x, taps, self.bias, dilation=self.dilation)

    def last(self, x: Tensor) -> Tensor:
        """Output of `forward` for the last sample: x (B, kernel_size * n_in), the earliest tap first -> (B, n_out)."""
        return F.linear(x, self.effective_weight(), self.bias)


class SmoothUpsampling(nn.Module):
    """Layout 2020: frames are mixed with their neighbours, then repeated and smoothed, the same way in each band.

    All of it is linear, and has zeros around it at every stage.
    """

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.scales, n_mels = config.upsample_scales, config.mel.n_mels
        self.mix = nn.Linear((2 * config.context_frames + 1) * n_mels, n_mels, bias=False)
        self.smooth = nn.ModuleList(WeightNormConv(1, 1, 2 * scale + 1, bias=False) for scale in self.scales)
        for layer, scale in zip(self.smooth, self.scales, strict=True):
            weight = torch.full((1, 2 * scale + 1), 1 / (2 * scale + 1))
            layer.load_state_dict({"weight_v": weight, "weight_g": weight.norm(dim=1, keepdim=True)})

    def mixed(self, mel: Tensor) -> Tensor:
        """Frames and their context -> frames, (B, M, T + 2 * context_frames) -> (B, M, T)."""
        return F.conv1d(mel, taps_from_matrix(self.mix.weight, self.mix.in_features // mel.shape[1]))

    def smoothed(self, x: Tensor) -> Tensor:
        """Bands (N, T), each by itself -> (N, L)."""
        x = x.unsqueeze(1)
        for layer, scale in zip(self.smooth, self.scales, strict=True):
            x = layer(x.repeat_interleave(scale, dim=2))
        return x.squeeze(1)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, T + 2 * context_frames) -> (B, M, L)."""
        frames = self.mixed(mel)
        return self.smoothed(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])


class TransposedUpsampling(nn.Module):
    """Layout 2018: transposed convolutions over three bands and two frames each, with rectifiers between."""

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BandConvTranspose(scale) for scale in config.upsample_scales)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, T) -> (B, M, L)."""
        x = mel.unsqueeze(1)
        for layer in self.layers:
            x = F.relu(layer(x))
        return x.squeeze(1)


class BandConvTranspose(nn.Module):
    """One stage of `TransposedUpsampling`, under weight norm with a single norm."""

    weight: nn.Parameter | None

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        weight = torch.full((1, 1, 3, scale), 1 / 3)
        self.weight_v = nn.Parameter(weight)
        self.weight_g = nn.Parameter(weight.norm().reshape(1, 1, 1, 1).clone())
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, M, T) -> (B, 1, M, T * scale)."""
        weight = self.weight_v * (self.weight_g / self.weight_v.norm())
        return F.conv_transpose2d(x, weight, self.bias, stride=(1, self.scale), padding=(1, 0))


class Layer(nn.Module):
    """A gated layer (van den Oord et al. 2016, eq. 2), conditioned on the mel and on a speaker, if any."""

    residual: CausalConv | None

    def __init__(self, config: WaveNetConfig, index: int) -> None:
        super().__init__()
        width, gates, halves = config.residual_channels, config.gate_channels, config.gate_channels // 2
        biased = config.layout == "2018"  # Else the dilated convolution's bias does for all.
        self.dropout = config.dropout
        self.dilated = CausalConv(width, gates, config.kernel_size, config.dilations[index])
        self.condition = CausalConv(config.mel.n_mels, gates, bias=biased)
        self.speaker = CausalConv(config.speaker_channels, gates, bias=biased) if config.speakers else None
        self.skip = CausalConv(halves, config.skip_channels)
        # The last layer has no successor.
        self.residual = CausalConv(halves, width) if index < config.n_layers - 1 else None

    def forward(self, x: Tensor, conditioning: Tensor, speaker: Tensor | None) -> tuple[Tensor, Tensor]:
        """x: (B, C, L), conditioning: (B, M, L), speaker: (B, S, 1). Returns the next x, and the skip output."""
        gates = self.dilated(F.dropout(x, self.dropout, self.training)) + self.condition(conditioning)
        if self.speaker is not None:
            gates = gates + self.speaker(speaker)
        filtered, gate = gates.chunk(2, dim=1)
        out = filtered.tanh() * gate.sigmoid()
        return x if self.residual is None else (x + self.residual(out)) * math.sqrt(0.5), self.skip(out)

    def step(self, taps: Tensor, conditioning: Tensor, speaker: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same for one sample: taps (B, kernel_size * C), conditioning (B, M), speaker (B, S)."""
        gates = self.dilated.last(taps) + self.condition.last(conditioning)
        if self.speaker is not None:
            assert speaker is not None
            gates = gates + self.speaker.last(speaker)
        filtered, gate = gates.chunk(2, dim=1)
        out = filtered.tanh() * gate.sigmoid()
        if self.residual is None:
            return out, self.skip.last(out)
        x = taps[:, -self.residual.bias.shape[0] :]
        return (x + self.residual.last(out)) * math.sqrt(0.5), self.skip.last(out)


class WaveNetState(NamedTuple):
    """State of the network between samples."""

    past: tuple[Tensor, ...]
    """For each layer its last inputs (B, (kernel_size - 1) * dilation, C), the oldest first."""


class WaveNet(nn.Module):
    """The whole vocoder; `forward` takes a signal to distributions, `generate` draws a sound."""

    mel_mean: Tensor
    mel_scale: Tensor

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        n_mels, n_layers = config.mel.n_mels, config.n_layers
        self.register_buffer("mel_mean", torch.zeros(n_mels))
        self.register_buffer("mel_scale", torch.ones(n_mels))
        upsampling = SmoothUpsampling if config.layout == "2020" else TransposedUpsampling
        self.upsampling = upsampling(config)
        if config.speakers:
            self.speaker = nn.Embedding(len(config.speakers), config.speaker_channels)
            nn.init.normal_(self.speaker.weight, std=0.1)
        self.first = CausalConv(config.n_levels if config.output == "softmax" else 1, config.residual_channels)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(n_layers))
        self.last = nn.ModuleList(
            (CausalConv(config.skip_channels, config.skip_channels), CausalConv(config.skip_channels, config.n_outputs))
        )
        for module in self.modules():
            if isinstance(module, CausalConv):
                module.load_state_dict(_first_weights(module))

    def standardise(self, mel: Tensor) -> Tensor:
        """The mel (B, M, T) as the network reads it."""
        mel = (mel - self.mel_mean[:, None]) / self.mel_scale[:, None]
        return mel.clamp(0, 1) if self.config.mel.framing == "lws" else mel

    def condition(self, mel: Tensor) -> Tensor:
        """Mel (B, M, T + 2 * context_frames), frames around it included -> (B, M, T * hop_length)."""
        conditioning: Tensor = self.upsampling(self.standardise(mel))
        return conditioning

    def with_context(self, mel: Tensor) -> Tensor:
        """A whole sound's mel (B, M, T), its first and last frames repeated as context."""
        around = self.config.context_frames
        return F.pad(mel, (around, around), mode="replicate") if around else mel

    def embed(self, signal: Tensor) -> Tensor:
        """Samples (B, L), or codes for softmax -> the network's input (B, 1 or n_levels, L)."""
        if self.config.output != "softmax":
            return signal.unsqueeze(1)
        return F.one_hot(signal, self.config.n_levels).transpose(1, 2).to(self.mel_mean.dtype)

    def speaker_embedding(self, speaker: Tensor | None) -> Tensor | None:
        """(B,) indices -> (B, S); None where there are no speakers."""
        if not self.config.speakers:
            return None
        assert speaker is not None, "a model of several speakers needs `speaker`"
        embedding: Tensor = self.speaker(speaker)
        return embedding

    def forward(
        self, signal: Tensor, conditioning: Tensor, speaker: Tensor | None = None, *, from_mel: bool = False
    ) -> Tensor:
        """Signal (B, L) and what it is conditioned on (B, M, L) -> (B, n_outputs, L), from the samples up to each.

        from_mel: As `distributions`, from the mel; several processes share gradients through the call of the module.

        In training output n is of sample n + 1; `generate` takes it for sample n, one sample before, as the published
        programs do, so the signal that it reads is its own, a sample late.
        """
        if from_mel:
            return self.distributions(signal, conditioning, speaker)
        embedded = self.speaker_embedding(speaker)
        who = None if embedded is None else embedded.unsqueeze(2)
        x = self.first(self.embed(signal))
        total: Tensor | None = None
        for layer in self.layers:
            x, skip = layer(x, conditioning, who)
            total = self._add(total, skip)
        assert total is not None
        return self._output(total, False)

    def distributions(self, signal: Tensor, mel: Tensor, speaker: Tensor | None = None) -> Tensor:
        """As `forward`, from the mel with its context, which covers the signal or more: (B, n_outputs, L)."""
        return self(signal, self.condition(mel)[..., : signal.shape[1]], speaker)

    def _add(self, total: Tensor | None, skip: Tensor) -> Tensor:
        if total is None:
            return skip
        return total + skip if self.config.layout == "2020" else (total + skip) * math.sqrt(0.5)

    def _output(self, total: Tensor, single: bool) -> Tensor:
        if self.config.layout == "2020":
            total = total * math.sqrt(1 / self.config.n_layers)
        for module in self.last:
            layer = cast(CausalConv, module)
            total = layer.last(F.relu(total)) if single else layer(F.relu(total))
        return total

    def start(self, n_batch: int) -> WaveNetState:
        """The state before the first sample: silence."""
        config, like = self.config, self.mel_mean
        reach = [(config.kernel_size - 1) * dilation for dilation in config.dilations]
        return WaveNetState(tuple(like.new_zeros(n_batch, n, config.residual_channels) for n in reach))

    def step(
        self, sample: Tensor, conditioning: Tensor, state: WaveNetState, speaker: Tensor | None = None
    ) -> tuple[Tensor, WaveNetState]:
        """One sample (B,) and its conditioning (B, M) -> outputs (B, n_outputs) and the next state.

        As a column of `forward`; speaker: (B, S), embedded.
        """
        x = self.first.last(self.embed(sample.unsqueeze(1)).squeeze(2))
        total: Tensor | None = None
        states = []
        for layer, past, dilation in zip(self.layers, state.past, self.config.dilations, strict=True):
            inputs = torch.cat((past, x.unsqueeze(1)), dim=1)
            x, skip = cast(Layer, layer).step(inputs[:, ::dilation].flatten(1), conditioning, speaker)
            states.append(inputs[:, 1:])
            total = self._add(total, skip)
        assert total is not None
        return self._output(total, True), WaveNetState(tuple(states))

    @property
    def silence(self) -> float | int:
        """The sample before the first one; for softmax the code that the published program begins with."""
        return (self.config.n_levels - 1) // 2 if self.config.output == "softmax" else 0.0

    @torch.no_grad()
    def generate_signal(self, mel: Tensor, noise: Noise, sigma: float = 1.0, speaker: Tensor | None = None) -> Tensor:
        """Mel (B, M, T), without context -> signal (B, T * hop_length) drawn sample after sample."""
        conditioning = self.condition(self.with_context(mel))
        embedded = self.speaker_embedding(speaker)
        state = self.start(len(mel))
        sample = torch.full((len(mel),), self.silence, device=mel.device)
        drawn = []
        for n in range(conditioning.shape[2]):
            outputs, state = self.step(sample, conditioning[:, :, n], state, embedded)
            choice = None if noise.choice is None else noise.choice[:, n : n + 1]
            here = Noise(choice, noise.value[:, n : n + 1])
            sample = draw(self.config, outputs.unsqueeze(2), here, sigma).squeeze(1)
            drawn.append(sample)
        return torch.stack(drawn, dim=1)

    def generate(
        self,
        mel: Tensor,
        sigma: float = 1.0,
        generator: torch.Generator | None = None,
        noise: Noise | None = None,
        speaker: Tensor | None = None,
    ) -> Tensor:
        """Mel (B, M, T) -> audio (B, T * hop_length). `noise` replaces what `generator` would draw."""
        if noise is None:
            length = mel.shape[2] * self.config.mel.hop_length
            noise = draw_noise(self.config, len(mel), length, generator, mel.device)
        return self.to_wave(self.generate_signal(mel, noise, sigma, speaker), mel)

    @property
    def mu(self) -> int:
        """The constant of the mu-law: the layout of 2018 has one more than codes."""
        return self.config.n_levels - 1 if self.config.layout == "2020" else self.config.n_levels

    def to_signal(self, wave: Tensor, mel: Tensor) -> Tensor:
        """Audio (B, L) and its mel (B, M, T) -> what the network models, codes for softmax."""
        kind = self.config.signal
        if isinstance(kind, LinearPredictionConfig):
            return LinearPrediction(mel, self.config.mel, kind).remove(wave)
        signal = emphasise(wave * kind.gain, kind.pre_emphasis) if kind.pre_emphasis else wave * kind.gain
        return mu_law(signal.clamp(-1, 1), self.mu) if self.config.output == "softmax" else signal

    def to_wave(self, signal: Tensor, mel: Tensor) -> Tensor:
        """Undo `to_signal`."""
        kind = self.config.signal
        if isinstance(kind, LinearPredictionConfig):
            return LinearPrediction(mel, self.config.mel, kind).put_back(signal).clamp(-1, 1)
        assert isinstance(kind, PlainSignalConfig)
        wave = mu_law_inverse(signal, self.mu) if self.config.output == "softmax" else signal
        wave = de_emphasise(wave, kind.pre_emphasis) if kind.pre_emphasis else wave
        return (wave / kind.gain).clamp(-1, 1)

    def fold_weight_norm(self) -> None:
        """Fold weight norm into the weights, for inference and storage."""
        for module in self.modules():
            if isinstance(module, WeightNormConv):
                module.fold()


def _first_weights(layer: CausalConv) -> dict[str, Tensor]:
    """Normal with the variance that keeps a rectified signal's (He et al. 2015), as in the published program."""
    assert layer.weight_v is not None
    weight = torch.randn_like(layer.weight_v) * math.sqrt(2 / layer.weight_v.shape[1])
    state = {"weight_v": weight, "weight_g": weight.norm(dim=1, keepdim=True)}
    return state if layer.bias is None else {**state, "bias": torch.zeros_like(layer.bias)}
