"""Speech while it is being computed: decoder, postnet, flow, correction and tempo each run as far as they can.

Nothing is faded into each other: every stage waits until it has seen as far ahead as it looks, so the joined pieces are
the whole sentence within rounding. The compact voice's flow and correction look some 170 frames ahead, two seconds, so
most of the wait for the first sound is computing these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glowtron.engines.cpu_tacotron2 import MelChunk
from glowtron.engines.cpu_waveglow import FastWaveGlow
from glowtron.models.mel_correction import MelCorrection
from glowtron.models.waveglow import draw_block
from glowtron.synthesis.silence import EDGE_S, fade, heard
from glowtron.synthesis.stretch import Stretcher

FIRST_FRAMES, MOST_FRAMES = 16, 128
"""Mel frames of a sentence's first piece of sound, and of its largest; each piece is twice the one before."""

Samples = NDArray[np.float32]


class Piece(NamedTuple):
    """Some of a sentence's mel."""

    mel: Tensor
    """(1, M, T)"""
    is_last: bool


class MelStream:
    """One sentence's mel without the silence around it, as `heard` cuts it from the whole, in growing pieces."""

    def __init__(
        self,
        ids: Tensor,
        frame_s: float,
        reduction_factor: int,
        *,
        silence: float,
        mel_behind: int,
        sound_behind: int,
    ) -> None:
        """ids: (N,) symbols; silence: what a mel holds that says nothing.

        mel_behind, sound_behind: frames by which the mel is behind the decoder, and the sound behind the mel. The first
        piece is just enough for some sound, and asked for at once, since nothing can be heard before.
        """
        self._ids, self._frame_s, self._r, self._silence = ids, frame_s, reduction_factor, silence
        self._behind = mel_behind
        self._n_frames, self._missing = FIRST_FRAMES, FIRST_FRAMES + sound_behind
        """Frames of the next piece, as they are counted for it, and those that it still wants."""
        self._n_settled = 0
        self._waiting: list[Tensor] = []
        """Settled frames (1, M, T) of the next piece."""
        self.mel = self.alignment = torch.zeros(0, 0)
        """(M, T) and (S, N) of all that came."""
        self.kept = slice(0, 0)
        """Steps that are kept."""
        self.stopped = self.said_nothing = False

    def n_steps(self) -> int:
        """How many decoder steps the next piece will take, if what they say is heard; never very few."""
        n_frames = self.kept.start * self._r + self._n_settled + self._missing + self._behind
        return max(-(-n_frames // self._r) - len(self.alignment), -(-FIRST_FRAMES // self._r))

    def push(self, chunk: MelChunk) -> Piece | None:
        """The next frames of the mel -> the next piece of the cut mel, where it is whole."""
        settled = self._settle(chunk)
        self._waiting.append(settled)
        self._missing -= settled.shape[2]
        if self._missing > 0 and not chunk.ended:
            return None
        piece = Piece(torch.cat(self._waiting, dim=2), chunk.ended)
        self._waiting = []
        self._missing = self._n_frames = min(2 * self._n_frames, MOST_FRAMES)
        return piece

    def _settle(self, chunk: MelChunk) -> Tensor:
        """What is settled of the cut mel: (1, M, T), T may be 0."""
        mel, alignment = chunk.mel[0], chunk.alignment[0]
        self.mel = torch.cat((self.mel, mel), dim=1) if self.mel.numel() else mel
        self.alignment = torch.cat((self.alignment, alignment)) if self.alignment.numel() else alignment
        self.stopped = chunk.stopped
        n_frames = self.mel.shape[1]
        if chunk.ended and n_frames == 0:
            self.said_nothing, self.kept = True, slice(0, 1)
            self.mel = mel.new_full((len(mel), 1), self._silence)
            return self.mel[None]
        n_steps = -(-n_frames // self._r) if chunk.ended else n_frames // self._r
        places = self.alignment[:n_steps].argmax(-1)
        self.kept = heard(
            self.mel[:, : n_steps * self._r], places, self._ids, self._frame_s * self._r, ended=chunk.ended
        )
        start = self.kept.start * self._r + self._n_settled
        settled = self.mel[None, :, start : max(self.kept.stop * self._r, start)]
        self._n_settled += settled.shape[2]
        return settled


class SoundStream:
    """One sentence's mel to its sound; each `push` gives the samples (L,) that are settled."""

    def __init__(
        self,
        waveglow: FastWaveGlow,
        correction: MelCorrection,
        generator: torch.Generator,
        *,
        sigma: float,
        rounds: int,
        rate: float,
        speaker: Tensor | None = None,
        fades: bool,
    ) -> None:
        """speaker: (1,), where the vocoder tells speakers apart. fades: whether the end fades out."""
        self._config, self._sigma, self._generator = waveglow.config, sigma, generator
        self._flow, self._correction = waveglow.stream(speaker), correction.stream(rounds)
        mel = waveglow.config.mel
        self._sample_rate = mel.sample_rate
        self._stretcher = None if rate == 1.0 else Stretcher(rate, mel.sample_rate)
        self._fades, self._n_fading = fades, round(EDGE_S * mel.sample_rate) if fades else 0
        self.frames_behind = (
            waveglow.receptive_frames[1] + correction.frames_after(rounds) + -(-self._n_fading // mel.hop_length)
        )
        """Mel frames by which the sound is behind the mel at most, at rate 1."""
        self._noise = torch.zeros(1, self._config.n_channels, 0)
        """Drawn and not yet used."""
        self._n_frames = self._n_groups = 0
        self._tail = torch.zeros(1, 0)
        """Sound that will be faded out if no more comes."""

    @torch.inference_mode()
    def push(self, mel: Tensor, last: bool) -> Samples:
        """The next frames (1, M, T) of the mel."""
        wave = self._correction.push(self._flow.push(self._sigma * self._draw(mel), mel, last), mel, last)
        wave = torch.cat((self._tail, wave), dim=1)
        if last:
            wave = fade(wave, self._sample_rate) if self._fades else wave
        else:
            n_settled = max(wave.shape[1] - self._n_fading, 0)
            wave, self._tail = wave[:, :n_settled], wave[:, n_settled:]
        samples: Samples = wave[0].numpy()
        return samples if self._stretcher is None else self._stretcher.push(samples, is_last=last)

    def _draw(self, mel: Tensor) -> Tensor:
        """Noise (1, C, G) of standard deviation 1 of the next frames, as `generate` draws it for the whole."""
        self._n_frames += mel.shape[2]
        n_groups = self._n_frames * self._config.mel.hop_length // self._config.n_channels - self._n_groups
        self._n_groups += n_groups
        while self._noise.shape[2] < n_groups:
            parts = draw_block(self._config, 1, self._generator, mel.device)
            self._noise = torch.cat((self._noise, torch.cat(parts[::-1], dim=1)), dim=2)
        noise, self._noise = self._noise[..., :n_groups], self._noise[..., n_groups:]
        return noise


def speak(chunks: Iterable[MelChunk], mel: MelStream, sound: SoundStream) -> Iterator[Samples]:
    """A sentence's samples (L,), L at least 1, while its mel comes."""
    for piece in map(mel.push, chunks):
        if piece is not None:
            samples = sound.push(*piece)
            if len(samples):
                yield samples


def sound(mel: Tensor, stream: SoundStream) -> Iterator[Samples]:
    """As `speak`, of a mel (1, M, T) that is there already.

    The first piece is longer: a full-size vocoder has not computed the next one by the time that 16 frames are heard.
    """
    start, n_frames, n_more = 0, 2 * FIRST_FRAMES, stream.frames_behind
    while start < mel.shape[2]:
        stop = start + n_frames + n_more
        samples = stream.push(mel[..., start:stop], stop >= mel.shape[2])
        if len(samples):
            yield samples
        start, n_frames, n_more = stop, min(2 * n_frames, MOST_FRAMES), 0
