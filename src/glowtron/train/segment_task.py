"""Shared by the tasks that train a vocoder on segments of recordings, with their own mels or with given ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glowtron.audio import Audio
from glowtron.config import VocoderRun, WaveGlowConfig, WaveNetConfig, WaveNetRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import VocoderBatch, VocoderDataset, collate_vocoder, speaker_index
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.data.sampler import Key
from glowtron.mel import log_mel
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.task import ClipTask, Corpora

SEGMENTS_A_CLIP = 4
"""Segments of each validation clip, at places that never change, so that losses can be compared."""
SAMPLE_CLIPS = 3
"""Validation clips that are vocoded at each validation."""


def read_clips(corpora: Corpora, vocoder: WaveGlowConfig | WaveNetConfig) -> tuple[list[Clip], Cache]:
    """The recordings, without their texts, and their decoded sound and mels.

    Raises InputError for data that cannot be used, and for speakers that the configuration does not name.
    """
    clips = corpora.clips(needs_text=False)
    if vocoder.speakers:
        for clip in clips:  # Before they are decoded, which takes time.
            speaker_index(clip, vocoder.speakers)
    return clips, corpora.decode(clips, vocoder.mel)


class SegmentTask(ClipTask):
    """A vocoder on segments of recordings.

    `mels` replaces the recordings' own mels, in validation too. Clips that have none there are left out.
    """

    unit = "samples"
    config: VocoderRun | WaveNetRun

    def __init__(
        self,
        config: VocoderRun | WaveNetRun,
        clips: Sequence[Clip],
        cache: Cache,
        mels: PrecomputedMels | None = None,
    ) -> None:
        self.mels = mels
        super().__init__(config, clips, cache)

    @property
    @abstractmethod
    def vocoder_config(self) -> WaveGlowConfig | WaveNetConfig:
        """The shape of the model."""

    @property
    @abstractmethod
    def segment_length(self) -> int:
        """Samples of a segment of the dataset."""

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

    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> VocoderDataset:
        return VocoderDataset(
            clips,
            self.cache,
            segment_length=self.segment_length,
            seed=self.config.training.seed,
            dither=self.config.dither,
            mels=self.mels,
            speakers=self.vocoder_config.speakers,
        )

    def collate(self, items: Sequence[VocoderBatch]) -> VocoderBatch:
        return collate_vocoder(items)

    def validation_order(self) -> Iterable[list[Key]]:
        """The same segments of every clip each time."""
        keys = [Key(i, index) for index in range(len(self.validation_clips)) for i in range(SEGMENTS_A_CLIP)]
        size = self.config.training.batch_size
        return [keys[start : start + size] for start in range(0, len(keys), size)]

    def vocoded_samples(
        self, vocode: Callable[[Tensor, Tensor], Tensor], max_frames: int | None = None
    ) -> ValidationSamples:
        """Validation clips, vocoded from their mels, and the mean distance of the result's mels from these.

        Args:
            vocode: Makes sound (1, S) of a mel (1, M, T) and a speaker (1,).
            max_frames: Frames of each clip, from its beginning; None: all.
        """
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        distances = []
        speakers = self.vocoder_config.speakers
        for clip in self.validation_clips[:SAMPLE_CLIPS]:
            speaker = torch.tensor([speaker_index(clip, speakers) if speakers else 0])
            mel = torch.tensor(np.array(self.mel(clip).T[None, :, :max_frames], np.float32))
            wave = vocode(mel, speaker).cpu()
            again = log_mel(wave, self.cache.mel)[..., : mel.shape[-1]]
            distances.append((again - mel).abs().mean().item())
            audio[clip.id] = Audio(wave[0].numpy(), self.cache.mel.sample_rate)
            pictures[f"{clip.id}_real"] = Picture(mel[0].numpy(), "frame", "mel band")
            pictures[f"{clip.id}_vocoded"] = Picture(again[0].numpy(), "frame", "mel band")
        return ValidationSamples(audio, pictures, {"mel_l1": sum(distances) / max(1, len(distances))})
