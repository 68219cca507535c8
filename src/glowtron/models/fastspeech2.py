"""FastSpeech 2 with convolutions: symbols in, mel out, all frames at once (Ren et al. 2021, "FastSpeech 2: Fast and
High-Quality End-to-End Text to Speech").

The variance adaptor is the paper's (sec. 2.3): durations, pitch and energy are predicted, the measured ones are fed in
while training, and a caller may change them. Three things differ, so that a voice speaks on a CPU while it is computed:

- The encoder is Tacotron 2's (convolutions and a bidirectional LSTM; Shen et al. 2018, sec. 2.2), not a transformer.
- The decoder is a stack of gated dilated convolutions (WaveNet, van den Oord et al. 2016, sec. 2.3) whose reach is
  finite: a frame depends on `reach` frames on either side, and a mel can be computed in pieces.
- Pitch is a contour of frames, as log F0 normalised for each speaker, beside a voicing flag; energy is one value a
  symbol. A little noise enters the decoder, from which an adversarial loss makes what cannot be predicted.

Read order: parts (encoder, predictors, decoder), then the whole.
Letters: B batch, N symbols, T mel frames, M mel bands, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glowtron.config import FastSpeech2Config, ProsodyOptions
from glowtron.text.symbols import FIRST_SOUND

MEL_MEAN, MEL_SCALE = -5.5, 2.5
"""The decoder predicts log-mels that are shifted and scaled by these, to about zero mean and unit variance."""
AS_PREDICTED = ProsodyOptions()
LOG_SEMITONE = math.log(2) / 12
"""A semitone as a difference of log F0."""
LOG_DECIBEL = math.log(10) / 20
"""A decibel as a difference of log amplitude."""


class Prosody(NamedTuple):
    """All that the decoder is told besides the symbols: predicted, measured, or changed by a caller."""

    durations: Tensor
    """(B, N) int64, mel frames that each symbol lasts."""
    pitch: Tensor
    """(B, T) log F0 in standard deviations from the speaker's mean; interpolated where the voice rests."""
    voiced: Tensor
    """(B, T) 1 where there is a pitch, 0 elsewhere."""
    energy: Tensor
    """(B, N) mean log-mel of a symbol's frames in standard deviations from the corpus's mean."""


class Predictions(NamedTuple):
    """Predictions of the variance adaptor from the text."""

    log_durations: Tensor
    """(B, N) log(1 + frames)."""
    pitch: Tensor
    """(B, T)."""
    voicing_logits: Tensor
    """(B, T)."""
    energy: Tensor
    """(B, N)."""


class Plan(NamedTuple):
    """A text with its prosody, ready to be decoded in whole or in pieces."""

    frames: Tensor
    """(B, C + 2, T) encoded symbols, repeated for as many frames as they last."""
    mask: Tensor
    """(B, 1, T) 1 for real frames."""
    durations: Tensor
    """(B, N) int64, mel frames that each symbol lasts."""
    pitch: Tensor
    """(B, T) log F0 in standard deviations from the speaker's mean."""
    voiced: Tensor
    """(B, T) 1 where there is a pitch, 0 elsewhere."""


class Changes:
    """Changes of what is predicted: numbers where all symbols share them, else of each symbol, (1, N)."""

    def __init__(self, prosody: ProsodyOptions | Sequence[ProsodyOptions], device: torch.device) -> None:
        self._prosody, self._device = prosody, device
        self.rate, self.pause, self.energy = self._of("rate"), self._of("pause"), self._of("energy")
        self.pitch, self.pitch_range = self._of("pitch"), self._of("pitch_range")

    def _of(self, name: str) -> Tensor | float:
        if isinstance(self._prosody, ProsodyOptions):
            value: float = getattr(self._prosody, name)
            return value
        return torch.tensor([[getattr(one, name) for one in self._prosody]], device=self._device)

    @staticmethod
    def of_frames(value: Tensor | float, durations: Tensor) -> Tensor | float:
        """A change of symbols as one of their frames, (1, T)."""
        return value.repeat_interleave(durations[0], dim=1) if isinstance(value, Tensor) else value


class FastSpeech2Output(NamedTuple):
    """Mel and predictions of one forward pass in training."""

    mel: Tensor
    """(B, M, T)."""
    predictions: Predictions


class Encoder(nn.Module):
    """Convolutions and a bidirectional LSTM over symbol embeddings."""

    def __init__(self, config: FastSpeech2Config):
        super().__init__()
        c = config.channels
        self.dropout = config.encoder_dropout
        self.embedding = nn.Embedding(config.n_symbols, c)
        padding = config.encoder_kernel // 2
        self.convolutions = nn.ModuleList(
            nn.Conv1d(c, c, config.encoder_kernel, padding=padding) for _ in range(config.encoder_layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(c) for _ in range(config.encoder_layers))
        self.lstm = nn.LSTM(c, c // 2, batch_first=True, bidirectional=True)

    def forward(self, ids: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """ids: (B, N); lengths: (B,); mask: (B, N). Returns (B, N, C), zero in padding."""
        x = self.embedding(ids) * mask[..., None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            y = norm(convolution(x.transpose(1, 2)).transpose(1, 2).relu())
            x = x + F.dropout(y, self.dropout, self.training) * mask[..., None]
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return x + F.dropout(y, self.dropout, self.training)


class SymbolPredictor(nn.Module):
    """Two convolutions over encoded symbols to one value each (sec. 2.3, figure 1c)."""

    def __init__(self, config: FastSpeech2Config):
        super().__init__()
        c = config.channels
        self.dropout = config.predictor_dropout
        self.convolutions = nn.ModuleList(nn.Conv1d(c, c, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(c) for _ in range(2))
        self.out = nn.Linear(c, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (B, N, C); mask: (B, N). Returns (B, N)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution((x * mask[..., None]).transpose(1, 2)).transpose(1, 2).relu())
            x = F.dropout(x, self.dropout, self.training)
        return self.out(x).squeeze(2)


class GatedLayers(nn.Module):
    """Residual dilated convolutions with a gate: tanh of one half times sigmoid of the other."""

    def __init__(self, channels: int, dilations: Sequence[int], dropout: float):
        super().__init__()
        self.dropout, self.dilations = dropout, tuple(dilations)
        self.gates = nn.ModuleList(nn.Conv1d(channels, 2 * channels, 3, dilation=d, padding=d) for d in dilations)
        self.outs = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in dilations)

    @property
    def reach(self) -> int:
        """Frames on either side that a frame depends on."""
        return sum(self.dilations)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (B, C, T), zero where mask (B, 1, T) is 0. Returns the same shape, zero there too."""
        for gate, out in zip(self.gates, self.outs, strict=True):
            filtered, gated = gate(F.dropout(x, self.dropout, self.training)).chunk(2, dim=1)
            x = (x + out(filtered.tanh() * gated.sigmoid())) * mask
        return x


class FastSpeech2(nn.Module):
    """The whole: `encode` the text, `plan` its prosody, `decode` both to a mel.

    Its buffers are the corpus's statistics, by which pitch and energy are normalised.
    """

    pitch_mean: Tensor
    """(n_speakers,) of log F0, in voiced frames."""
    pitch_std: Tensor
    """(n_speakers,)"""
    energy_mean: Tensor
    """(1,) of a symbol's mean log-mel."""
    energy_std: Tensor
    """(1,)"""

    def __init__(self, config: FastSpeech2Config, n_mels: int = 80):
        super().__init__()
        self.config, self.n_mels = config, n_mels
        c = config.channels
        self.encoder = Encoder(config)
        self.speaker = nn.Embedding(config.n_speakers, c)
        nn.init.normal_(self.speaker.weight, std=0.1)
        self.duration, self.energy = SymbolPredictor(config), SymbolPredictor(config)
        self.energy_in = nn.Linear(1, c)
        # Two channels tell a frame's place in its symbol, and how long that lasts.
        self.pitch_in = nn.Conv1d(c + 2, config.pitch_channels, 3, padding=1)
        self.pitch_layers = GatedLayers(config.pitch_channels, config.pitch_dilations, config.predictor_dropout)
        self.pitch_out = nn.Conv1d(config.pitch_channels, 2, 1)
        self.decoder_in = nn.Conv1d(c + 2 + 2 + config.noise_channels, config.decoder_channels, 3, padding=1)
        self.decoder = GatedLayers(config.decoder_channels, config.decoder_dilations, config.decoder_dropout)
        self.mel_out = nn.Conv1d(config.decoder_channels, n_mels, 1)
        self.register_buffer("pitch_mean", torch.zeros(config.n_speakers))
        self.register_buffer("pitch_std", torch.ones(config.n_speakers))
        self.register_buffer("energy_mean", torch.zeros(1))
        self.register_buffer("energy_std", torch.ones(1))

    @property
    def reach(self) -> int:
        """Frames of a plan, on either side, that a frame of the mel depends on."""
        return 1 + self.decoder.reach

    def encode(self, ids: Tensor, id_lengths: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """ids: (B, N); id_lengths, speaker: (B,). Returns encoded symbols (B, N, C) and their mask (B, N)."""
        mask = torch.arange(ids.shape[1], device=ids.device) < id_lengths[:, None]
        encoded = self.encoder(ids, id_lengths, mask) + self.speaker(speaker)[:, None]
        return encoded, mask

    def predict_pitch(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """frames: (B, C + 2, T); mask: (B, 1, T). Returns pitch and voicing logits, (B, T) each."""
        hidden = self.pitch_layers(self.pitch_in(frames) * mask, mask)
        pitch, voicing = self.pitch_out(hidden).unbind(1)
        return pitch, voicing

    def decode(self, frames: Tensor, pitch: Tensor, voiced: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, C + 2, T), pitch and voiced (B, T), noise (B, Z, T), mask (B, 1, T) to a mel (B, M, T)."""
        x = torch.cat((frames, (pitch * voiced)[:, None], voiced[:, None], noise), dim=1) * mask
        x = self.decoder(self.decoder_in(x) * mask, mask)
        return self.mel_out(x) * MEL_SCALE + MEL_MEAN

    def forward(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        prosody: Prosody,
        speaker: Tensor,
        noise: Tensor,
        *,
        window: tuple[Tensor, int] | None = None,
    ) -> FastSpeech2Output:
        """Training: the measured prosody goes in (sec. 2.3).

        ids: (B, N); id_lengths, speaker: (B,); noise: (B, Z, T). With `window`, a first frame for each item (B,) and
        a number of frames, prosody's frames, noise and the mel are of that window alone.
        """
        encoded, mask = self.encode(ids, id_lengths, speaker)
        # The predictors do not shape the encoder: what helps them most would be to remember the corpus.
        seen = encoded.detach() if self.config.detach_predictors else encoded
        log_durations, energy = self.duration(seen, mask), self.energy(seen, mask)
        symbols = encoded + self.energy_in(prosody.energy[..., None])
        frames, frame_mask = expand(symbols, prosody.durations, window)
        seen_frames = frames.detach() if self.config.detach_predictors else frames
        pitch, voicing = self.predict_pitch(seen_frames, frame_mask)
        mel = self.decode(frames, prosody.pitch, prosody.voiced, noise, frame_mask)
        return FastSpeech2Output(mel, Predictions(log_durations, pitch, voicing, energy))

    @torch.no_grad()
    def plan(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        speaker: Tensor,
        prosody: ProsodyOptions | Sequence[ProsodyOptions],
        max_frames: int,
    ) -> Plan:
        """Predict the prosody of texts, and change it as `prosody` says; a text is cut after `max_frames`.

        ids: (B, N); id_lengths, speaker: (B,). prosody: of all symbols, or of each one of a single text.
        """
        change = Changes(prosody, ids.device)
        encoded, mask = self.encode(ids, id_lengths, speaker)
        frames_each = (self.duration(encoded, mask).float().exp() - 1).clamp(min=0) * mask / change.rate
        frames_each = torch.where(ids < FIRST_SOUND, frames_each * change.pause, frames_each)
        # The ends are rounded, not the durations, so that a text is as long as the sum of what was predicted.
        ends = frames_each.cumsum(1).round().clamp(max=max_frames).long()
        ends[:, -1].clamp_(min=1)
        durations = torch.cat((ends[:, :1], ends.diff(dim=1)), dim=1)
        energy = self.energy(encoded, mask).float() + change.energy * LOG_DECIBEL / self.energy_std
        frames, frame_mask = expand(encoded + self.energy_in(energy.to(encoded)[..., None]), durations)
        pitch, voicing = self.predict_pitch(frames, frame_mask)
        shift = change.of_frames(change.pitch, durations) * (LOG_SEMITONE / self.pitch_std[speaker])[:, None]
        pitch = pitch.float() * change.of_frames(change.pitch_range, durations) + shift
        return Plan(frames, frame_mask, durations, pitch.to(frames), (voicing > 0).to(frames))

    @torch.no_grad()
    def generate(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        speaker: Tensor,
        generators: Sequence[torch.Generator],
        prosody: ProsodyOptions = AS_PREDICTED,
        max_frames: int = 2000,
    ) -> tuple[Tensor, Tensor]:
        """Speak texts, each with a generator of its noise. Returns mels (B, M, T) and durations (B, N)."""
        plan = self.plan(ids, id_lengths, speaker, prosody, max_frames)
        noise = draw_noise(self.config, plan.durations.sum(1), generators).to(plan.frames)
        return self.decode(plan.frames, plan.pitch, plan.voiced, noise, plan.mask), plan.durations


def draw_noise(config: FastSpeech2Config, lengths: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Standard normal noise (B, Z, T) of texts of `lengths` (B,) frames, zero behind each; the same in any company."""
    noise = torch.zeros(len(lengths), int(lengths.max()), config.noise_channels, device=lengths.device)
    for row, length, generator in zip(noise, lengths.tolist(), generators, strict=True):
        drawn = torch.randn(length, config.noise_channels, generator=generator, device=generator.device)
        row[:length] = drawn.to(noise)
    return noise.transpose(1, 2)


def expand(symbols: Tensor, durations: Tensor, window: tuple[Tensor, int] | None = None) -> tuple[Tensor, Tensor]:
    """Length regulator (Ren et al. 2019, sec. 3.2): each symbol is repeated for as many frames as it lasts.

    symbols: (B, N, C); durations: (B, N) frames. Returns (B, C + 2, T) and a mask (B, 1, T) of real frames. The two
    channels more are the frame's place in its symbol, from 0 to 1, and log(1 + frames) of that symbol.
    """
    ends = durations.cumsum(1)  # (B, N)
    if window is None:
        first, n_frames = torch.zeros_like(ends[:, 0]), int(ends[:, -1].max())
    else:
        first, n_frames = window
    frame = first[:, None] + torch.arange(n_frames, device=ends.device)  # (B, T)
    mask = frame < ends[:, -1:]
    index = torch.searchsorted(ends, frame.contiguous(), right=True).clamp(max=durations.shape[1] - 1)
    lasts = durations.gather(1, index)
    place = (frame - (ends.gather(1, index) - lasts) + 0.5) / lasts.clamp(min=1)
    repeated = symbols.gather(1, index[..., None].expand(-1, -1, symbols.shape[2]))
    frames = torch.cat((repeated, place.to(symbols)[..., None], lasts.to(symbols)[..., None].log1p()), dim=2)
    return (frames * mask[..., None]).transpose(1, 2), mask[:, None].to(symbols)


class FastSpeech2Loss(NamedTuple):
    """Parts of the loss, each a scalar."""

    mel: Tensor
    """Mean absolute error of the log-mel."""
    duration: Tensor
    """Mean squared error of log(1 + frames)."""
    pitch: Tensor
    """Mean squared error of the normalised log F0 over voiced frames."""
    voicing: Tensor
    """Cross-entropy of the voicing flag."""
    energy: Tensor
    """Mean squared error of the normalised energy."""

    @property
    def total(self) -> Tensor:
        """The sum, which is minimised before the adversarial loss joins."""
        return self.mel + self.duration + self.pitch + self.voicing + self.energy


def loss(
    output: FastSpeech2Output, mel: Tensor, prosody: Prosody, id_lengths: Tensor, frame_mask: Tensor
) -> FastSpeech2Loss:
    """Means over real symbols and frames, so that padding never changes the loss (sec. 2.2; energy, pitch: sec. 2.3).

    mel: (B, M, T); prosody: measured; id_lengths: (B,); frame_mask: (B, T).
    """
    p = output.predictions
    symbol_mask = torch.arange(prosody.energy.shape[1], device=mel.device) < id_lengths[:, None]
    frame_mask = frame_mask.to(mel)
    n_symbols, n_frames = symbol_mask.sum(), frame_mask.sum()
    voiced = prosody.voiced * frame_mask
    voicing = F.binary_cross_entropy_with_logits(p.voicing_logits.float(), prosody.voiced, reduction="none")
    return FastSpeech2Loss(
        mel=((output.mel.float() - mel).abs() * frame_mask[:, None]).sum() / (n_frames * mel.shape[1]),
        duration=((p.log_durations.float() - prosody.durations.float().log1p()).square() * symbol_mask).sum()
        / n_symbols,
        pitch=((p.pitch.float() - prosody.pitch).square() * voiced).sum() / voiced.sum().clamp(min=1),
        voicing=(voicing * frame_mask).sum() / n_frames,
        energy=((p.energy.float() - prosody.energy).square() * symbol_mask).sum() / n_symbols,
    )
