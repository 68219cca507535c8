"""Training of WaveGlow: segments of recordings in, negative log-likelihood out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import VocoderRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import VocoderDataset, collate_vocoder, speaker_index
from glowtron.data.given_mels import GivenMels
from glowtron.data.manifest import Clip, split
from glowtron.data.sampler import Key
from glowtron.mel import log_mel
from glowtron.models.waveglow import WaveGlow, flow_loss
from glowtron.train.batches import Batch, Share, batches, training_batches
from glowtron.train.log import Picture, Samples
from glowtron.train.schedule import step_seed

SEGMENTS_A_CLIP = 4
"""Of each held-out clip, at places that never change, so that validation losses can be compared."""
SAMPLE_SIGMA = 0.6
"""Standard deviation of the noise that samples are made from (0.6 in the paper's released code)."""
SAMPLE_CLIPS = 3
"""Held-out clips vocoded at each validation."""


class VocoderTask:
    """WaveGlow with its data; filling the cache first names each clip that cannot be used.

    `mels` takes the place of the recordings' own, in validation too; clips that have none there are left out.
    """

    unit = "samples"

    def __init__(self, config: VocoderRun, clips: Sequence[Clip], cache: Cache, mels: GivenMels | None = None) -> None:
        self.config = config
        training = config.training
        self.cache, self.mels = cache, mels
        self.left_out: dict[str, str] = {}
        clips, held_out = split(clips, training.validation_clips, training.seed)
        self.clips, self.held_out_clips = self._usable(clips), self._usable(held_out)
        self.dataset = self._dataset(self.clips)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(training.seed, "weights"))
            self.model: nn.Module = WaveGlow(config.vocoder)

    def _usable(self, clips: Sequence[Clip]) -> list[Clip]:
        if self.mels is None:
            return list(clips)
        self.left_out |= {clip.id: "no mel of it is given" for clip in clips if clip not in self.mels}
        kept = [clip for clip in clips if clip in self.mels]
        for clip in kept:  # A file that does not fit is named now, not after an hour.
            self._mel(clip)
        return kept

    def _mel(self, clip: Clip) -> NDArray[np.float32]:
        """(T, M)."""
        own = self.cache.entry(clip).mel
        return own if self.mels is None else self.mels.mel(clip, len(own))

    def _dataset(self, clips: Sequence[Clip]) -> VocoderDataset:
        config = self.config
        return VocoderDataset(
            clips,
            self.cache,
            segment_length=config.segment_length,
            seed=config.training.seed,
            dither=config.dither,
            mels=self.mels,
            speakers=config.vocoder.speakers,
        )

    @property
    def n_items(self) -> int:
        """Clips of training: an epoch."""
        return len(self.clips)

    def data(self) -> Mapping[str, Any]:
        """Names of the clips, and which mels stand for theirs."""
        told = describe(self.clips, self.held_out_clips)
        if self.mels is None:
            return told
        return {**told, "left_out": self.left_out, "mels": self.mels.sha256([*self.clips, *self.held_out_clips])}

    def batches(self, first_step: int, share: Share) -> Iterable[Batch]:
        """Random segments, `batch_size` a step over all processes."""
        return training_batches(self.dataset, self.clips, collate_vocoder, self.config.training, first_step, share)

    def held_out(self) -> Iterable[Batch]:
        """The same segments of the held-out clips every time."""
        keys = [Key(i, index) for index in range(len(self.held_out_clips)) for i in range(SEGMENTS_A_CLIP)]
        size = self.config.training.batch_size
        order = [keys[start : start + size] for start in range(0, len(keys), size)]
        return batches(self._dataset(self.held_out_clips), self.held_out_clips, order, collate_vocoder)

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative log-likelihood, in nats a sample without the Gaussian's constant."""
        wave, mel, speaker = batch.content
        flow = model(wave, mel, speaker, recompute=self.config.recompute_flows)
        return {"loss": flow_loss(flow, self.config.sigma)}

    def amount(self, batch: Batch) -> int:
        """Samples."""
        return int(batch.content.wave.numel())

    def samples(self, model: nn.Module) -> Samples:
        """Held-out clips, vocoded from their mels, and how far the mels of the result are from these."""
        assert isinstance(model, WaveGlow)
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        distances = []
        device = next(model.parameters()).device
        speakers = self.config.vocoder.speakers
        for clip in self.held_out_clips[:SAMPLE_CLIPS]:
            speaker = torch.tensor([speaker_index(clip, speakers) if speakers else 0], device=device)
            mel = torch.tensor(np.array(self._mel(clip).T[None], np.float32), device=device)
            generator = torch.Generator(device).manual_seed(0)
            wave = model.generate(mel, SAMPLE_SIGMA, generator, speaker=speaker)
            again = log_mel(wave, self.cache.mel)[..., : mel.shape[-1]]
            distances.append((again - mel).abs().mean().item())
            audio[clip.id] = Audio(wave[0].cpu().numpy(), self.cache.mel.sample_rate)
            pictures[f"{clip.id}_real"] = Picture(mel[0].cpu().numpy(), "frame", "mel band")
            pictures[f"{clip.id}_vocoded"] = Picture(again[0].cpu().numpy(), "frame", "mel band")
        return Samples(audio, pictures, {"mel_l1": sum(distances) / max(1, len(distances))})


def describe(clips: Sequence[Clip], held_out: Sequence[Clip]) -> dict[str, Any]:
    """What a run learns from, for its folder: clips by speaker, those kept out by name."""
    return {
        "clips": {speaker: sum(c.speaker == speaker for c in clips) for speaker in sorted({c.speaker for c in clips})},
        "held_out": [f"{clip.speaker}/{clip.id}" for clip in held_out],
    }
