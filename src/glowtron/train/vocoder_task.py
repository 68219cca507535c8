"""Training of WaveGlow (Prenger et al. 2018): segments of recordings, with their negative log-likelihood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import VocoderRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import VocoderBatch, VocoderDataset, collate_vocoder, speaker_index
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.data.sampler import Key
from glowtron.mel import log_mel
from glowtron.models.waveglow import WaveGlow, flow_loss
from glowtron.train.init_from import InitFrom
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.task import Batch, ClipTask, Corpora

SEGMENTS_A_CLIP = 4
"""Segments of each validation clip, at places that never change, so that losses can be compared."""
SAMPLE_SIGMA = 0.6
"""Standard deviation of the noise that samples are made from (0.6 in the paper's released code)."""
SAMPLE_CLIPS = 3
"""Validation clips that are vocoded at each validation."""


def vocoder_task(
    config: VocoderRun, corpora: Corpora, *, mels: Path | None = None, init_from: InitFrom | None = None
) -> VocoderTask:
    """The task of a run of `config` on recordings.

    Args:
        config: The configuration of the run.
        corpora: The recordings; their texts are not needed.
        mels: Folder of mels to learn from in place of the recordings' own, such as GTA mels (see `glowtron mels`).
        init_from: Weights to fine-tune.

    Raises:
        InputError: Data that cannot be used, and speakers that the configuration does not name.
    """
    clips = corpora.clips(needs_text=False)
    if config.vocoder.speakers:
        for clip in clips:  # Before they are decoded, which takes time.
            speaker_index(clip, config.vocoder.speakers)
    cache = corpora.decode(clips, config.vocoder.mel)
    task = VocoderTask(config, clips, cache, PrecomputedMels(mels, config.vocoder.mel) if mels else None)
    task.init_from = init_from
    return task


class VocoderTask(ClipTask):
    """WaveGlow on segments of recordings.

    `mels` replaces the recordings' own mels, in validation too. Clips that have none there are left out.
    """

    unit = "samples"
    config: VocoderRun

    def __init__(
        self, config: VocoderRun, clips: Sequence[Clip], cache: Cache, mels: PrecomputedMels | None = None
    ) -> None:
        self.mels = mels
        super().__init__(config, clips, cache)

    def make_model(self) -> WaveGlow:
        return WaveGlow(self.config.vocoder)

    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> VocoderDataset:
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

    def collate(self, items: Sequence[VocoderBatch]) -> VocoderBatch:
        return collate_vocoder(items)

    def fault(self, clip: Clip) -> str:
        if self.mels is None:
            return ""
        if clip not in self.mels:
            return "no mel of it is given"
        self.mel(clip)  # A file that does not fit is named now, not after an hour.
        return ""

    def mel(self, clip: Clip) -> NDArray[np.float32]:
        """The mel (T, M) that the model learns from."""
        own = self.cache.entry(clip).mel
        return own if self.mels is None else self.mels.mel(clip, len(own))

    def data(self) -> Mapping[str, Any]:
        if self.mels is None:
            return super().data()
        digest = self.mels.sha256([*self.clips, *self.validation_clips])
        return {**super().data(), "left_out": self.left_out, "mels": digest}

    def validation_order(self) -> Iterable[list[Key]]:
        """The same segments of every clip each time."""
        keys = [Key(i, index) for index in range(len(self.validation_clips)) for i in range(SEGMENTS_A_CLIP)]
        size = self.config.training.batch_size
        return [keys[start : start + size] for start in range(0, len(keys), size)]

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative log-likelihood, in nats a sample without the Gaussian's constant."""
        wave, mel, speaker = batch.content
        flow = model(wave, mel, speaker, recompute=self.config.recompute_flows)
        return {"loss": flow_loss(flow, self.config.sigma)}

    def n_units(self, batch: Batch) -> int:
        return int(batch.content.wave.numel())

    def samples(self, model: nn.Module) -> ValidationSamples:
        """Validation clips, vocoded from their mels, and the distance of the result's mels from these."""
        assert isinstance(model, WaveGlow)
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        distances = []
        device = next(model.parameters()).device
        speakers = self.config.vocoder.speakers
        for clip in self.validation_clips[:SAMPLE_CLIPS]:
            speaker = torch.tensor([speaker_index(clip, speakers) if speakers else 0], device=device)
            mel = torch.tensor(np.array(self.mel(clip).T[None], np.float32), device=device)
            generator = torch.Generator(device).manual_seed(0)
            wave = model.generate(mel, SAMPLE_SIGMA, generator, speaker=speaker)
            again = log_mel(wave, self.cache.mel)[..., : mel.shape[-1]]
            distances.append((again - mel).abs().mean().item())
            audio[clip.id] = Audio(wave[0].cpu().numpy(), self.cache.mel.sample_rate)
            pictures[f"{clip.id}_real"] = Picture(mel[0].cpu().numpy(), "frame", "mel band")
            pictures[f"{clip.id}_vocoded"] = Picture(again[0].cpu().numpy(), "frame", "mel band")
        return ValidationSamples(audio, pictures, {"mel_l1": sum(distances) / max(1, len(distances))})
