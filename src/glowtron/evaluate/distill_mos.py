"""DistillMOS (Stahl and Gamper 2025): an estimate of the mean opinion score, from 1 to 5, without a reference.

A small network (4.1 million weights) that was taught to answer as a large one over XLS-R features. It tells two from
sixty iterations of Griffin-Lim, which DNSMOS P.808 does not, so it is the first MOS estimate of a report. It rates
recordings of telephony and coding best, for these it was made; it does not check words, and two speakers of the same
quality may differ by a tenth. The package `distillmos` carries the weights. They are read here as data and the network
is written out, because the package itself imports torchaudio and transformers, for a command line of its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glowtron.audio import Audio
from glowtron.errors import InputError
from glowtron.evaluate.levels import RATE, levelled
from glowtron.evaluate.optional import folder_of

_CHANNELS = (2, 64, 64, 128, 256, 256, 256)
_WIDTH, _HEADS, _LAYERS, _FRAMES = 200, 8, 7, 384
_WINDOW = _FRAMES * 320
"""Samples that the network hears at a time: 7.68 s."""
_N_FFT, _HOP = 320, 160
_RENAMED = {
    "cnn.cnn.": "convolutions.",
    "transformer_pool_attn.norm_input.": "norm_features.",
    "transformer_pool_attn.transformer.norm.": "norm_projected.",
    "transformer_pool_attn.transformer.position_encoding.pe": "positions",
    "transformer_pool_attn.transformer.linear_proj.": "project.",
    "transformer_pool_attn.transformer.transformer_encoder.": "encoder.",
    "transformer_pool_attn.norm_trans.": "norm_encoded.",
    "transformer_pool_attn.pool.linear1.": "attention.0.",
    "transformer_pool_attn.pool.linear2.": "attention.2.",
    "transformer_pool_attn.pool.linear3.": "score.",
}
"""Beginnings of parameter names in the published file, and here."""


class DistillMos:
    """Rates recordings by DistillMOS, variant 7 of the package."""

    def __init__(self) -> None:
        """Raises InputError if the package `distillmos` is not installed."""
        weights = folder_of("distillmos") / "weights" / "distill_mos_v7.pt"
        self._network = _Network().eval()
        published = torch.load(weights, map_location="cpu", weights_only=True)["model"]
        self._network.load_state_dict({_renamed(name): tensor for name, tensor in published.items()})

    @torch.inference_mode()
    def estimate(self, audio: Audio) -> float:
        """Mean opinion score, from 1 to 5: the mean over windows of 7.68 s, at most a second apart.

        A shorter recording is followed by silence, as in the published program. Raises InputError on audio without
        samples.
        """
        wave = torch.from_numpy(levelled(audio))
        if len(wave) == 0:
            raise InputError("audio without a sample has no quality; give at least one")
        windows = _windows(wave)
        windows = windows / (windows.abs().amax(dim=1, keepdim=True) + 1e-8)
        return 1.0 + 4.0 * float(self._network(windows).mean())


class _Network(nn.Module):
    """Spectrogram (real and imaginary) -> convolutions -> Transformer -> attention pooling -> quality in [0, 1]."""

    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential()
        last = len(_CHANNELS) - 2
        for i, (n_in, n_out) in enumerate(zip(_CHANNELS, _CHANNELS[1:], strict=False)):
            # Every convolution but the first halves the frequencies; the last halves the frames as well.
            stride = (1 if i == 0 else 2, 2 if i == last else 1)
            self.convolutions.append(nn.Conv2d(n_in, n_out, 3, stride, padding=(0, 1)))
            self.convolutions.append(nn.LeakyReLU(0.1))
        n_features = 4 * _CHANNELS[-1]  # Four of 161 frequencies are left.
        self.norm_features = nn.BatchNorm1d(n_features)
        self.norm_projected = nn.BatchNorm1d(n_features)  # Published twice in a row.
        self.project = nn.Linear(n_features, _WIDTH)
        self.register_buffer("positions", torch.zeros(1, _FRAMES, _WIDTH))
        layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, 2 * _WIDTH, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, _LAYERS)
        self.norm_encoded = nn.BatchNorm1d(_WIDTH)
        self.attention = nn.Sequential(nn.Linear(_WIDTH, 2 * _WIDTH), nn.ReLU(), nn.Linear(2 * _WIDTH, 1))
        self.score = nn.Linear(_WIDTH, 1)

    def forward(self, waves: Tensor) -> Tensor:
        """Waves (B, 122880) at 16 kHz with a peak of 1 -> quality (B,) in [0, 1]."""
        x = self.convolutions(_spectrum(waves))  # (B, C, 4, T)
        x = self.norm_projected(self.norm_features(x.flatten(1, 2)))  # (B, C * 4, T)
        x = self.encoder(self.project(x.transpose(1, 2)) + self.positions)  # (B, T, W)
        x = self.norm_encoded(x.transpose(1, 2)).transpose(1, 2)
        pooled = (self.attention(x).softmax(dim=1) * x).sum(dim=1)  # (B, W)
        return torch.sigmoid(self.score(pooled)).squeeze(1)


def _spectrum(waves: Tensor) -> Tensor:
    """Waves (B, L) -> (B, 2, F, T): real and imaginary parts, their magnitude raised to the power of 0.3."""
    padded = F.pad(waves, ((_N_FFT - _HOP) // 2,) * 2, mode="reflect")
    window = torch.hann_window(_N_FFT)
    spectrum = torch.stft(padded, _N_FFT, _HOP, window=window, center=False, return_complex=True)
    parts = torch.view_as_real(spectrum)  # (B, F, T, 2)
    magnitude = spectrum.abs().clamp(min=1e-12)[..., None]
    return (parts * magnitude.pow(0.3) / magnitude).permute(0, 3, 1, 2)


def _windows(wave: Tensor) -> Tensor:
    """Wave (L,) -> (N, 122880): windows spread evenly over it, at most a second apart."""
    over = max(0, len(wave) - _WINDOW)
    wave = F.pad(wave, (0, _WINDOW + over - len(wave)))
    n_hops = math.ceil(over / RATE)
    starts = [over * i // n_hops if i else 0 for i in range(n_hops + 1)]
    return torch.stack([wave[start : start + _WINDOW] for start in starts])


def _renamed(name: str) -> str:
    before, after = next(pair for pair in _RENAMED.items() if name.startswith(pair[0]))
    return after + name[len(before) :]
