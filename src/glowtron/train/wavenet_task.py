"""Training of WaveNet: each sample of a segment of a recording, given those before it and the mel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import WaveNetRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import VocoderBatch, VocoderDataset, collate_vocoder, speaker_index
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.data.sampler import Key
from glowtron.engines.cpu_wavenet import FastWaveNet, find_kernel
from glowtron.mel import log_mel
from glowtron.models.wavenet import WaveNet, wavenet_nll
from glowtron.train.init_from import InitFrom
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.task import Batch, Corpora
from glowtron.train.vocoder_task import SAMPLE_CLIPS, SEGMENTS_A_CLIP, LearntMels

STATISTICS_CLIPS = 200
"""Clips at most whose mels the standardisation is measured on."""
SAMPLE_FRAMES = 86
"""Mel frames of each validation clip that are vocoded at each validation: about a second."""


def wavenet_task(
    config: WaveNetRun, corpora: Corpora, *, mels: Path | None = None, init_from: InitFrom | None = None
) -> WaveNetTask:
    """The task of a run of `config` on recordings, as `vocoder_task` is that of a WaveGlow's."""
    clips = corpora.clips(needs_text=False)
    if config.wavenet.speakers:
        for clip in clips:
            speaker_index(clip, config.wavenet.speakers)
    cache = corpora.decode(clips, config.wavenet.mel)
    task = WaveNetTask(config, clips, cache, PrecomputedMels(mels, config.wavenet.mel) if mels else None)
    task.init_from = init_from
    return task


class WaveNetTask(LearntMels):
    """WaveNet on segments of recordings. `mels` replaces the recordings' own, in validation too."""

    unit = "samples"
    config: WaveNetRun
    model: WaveNet

    def __init__(
        self, config: WaveNetRun, clips: Sequence[Clip], cache: Cache, mels: PrecomputedMels | None = None
    ) -> None:
        self.mels = mels
        super().__init__(config, clips, cache)
        mean, scale = self._statistics()
        self.model.mel_mean.copy_(mean)
        self.model.mel_scale.copy_(scale)

    def make_model(self) -> WaveNet:
        return WaveNet(self.config.wavenet)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each band over training clips, spread evenly over all."""
        step = -(-len(self.clips) // STATISTICS_CLIPS)
        frames = np.concatenate([np.asarray(self.mel(clip), np.float64) for clip in self.clips[:: max(step, 1)]])
        return torch.tensor(frames.mean(0)), torch.tensor(frames.std(0).clip(min=1e-3))

    @property
    def margin(self) -> int:
        """Frames before and after those that are learnt: their conditioning's context, or the sound before them."""
        return max(self.config.wavenet.context_frames, 1)

    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> VocoderDataset:
        config = self.config
        return VocoderDataset(
            clips,
            self.cache,
            segment_length=(config.segment_frames + 2 * self.margin) * config.wavenet.mel.hop_length,
            seed=config.training.seed,
            dither=config.dither,
            mels=self.mels,
            speakers=config.wavenet.speakers,
        )

    def collate(self, items: Sequence[VocoderBatch]) -> VocoderBatch:
        return collate_vocoder(items)

    def validation_order(self) -> Iterable[list[Key]]:
        """The same segments of every clip each time."""
        keys = [Key(i, index) for index in range(len(self.validation_clips)) for i in range(SEGMENTS_A_CLIP)]
        size = self.config.training.batch_size
        return [keys[start : start + size] for start in range(0, len(keys), size)]

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative log-likelihood, in nats a sample; of the signal, whose scale decides how large it is."""
        content: VocoderBatch = batch.content
        config, hop, margin = self.config.wavenet, self.config.wavenet.mel.hop_length, self.margin
        n_frames = self.config.segment_frames
        with torch.no_grad():  # From the frame before the segment on, which gives the sample before the first.
            start = margin - 1
            wave = content.wave[:, start * hop : (margin + n_frames) * hop]
            signal = self.model.to_signal(wave, content.mel[:, :, start : margin + n_frames + 1])
        context = config.context_frames
        mel = content.mel[:, :, margin - context : margin + n_frames + context]
        # As in generation: the sample before and the conditioning of the sample itself tell of it.
        outputs = model(signal[:, hop - 1 : -1], mel, content.speaker if config.speakers else None, from_mel=True)
        return {"loss": wavenet_nll(config, outputs, signal[:, hop:]).mean()}

    def n_units(self, batch: Batch) -> int:
        return len(batch.content.wave) * self.config.segment_frames * self.config.wavenet.mel.hop_length

    def samples(self, model: nn.Module) -> ValidationSamples:
        """The beginnings of validation clips, vocoded from their mels, and the distance of the result's mels."""
        assert isinstance(model, WaveNet)
        kernel = find_kernel().kernel
        if kernel is None:  # Minutes a second of sound.
            return ValidationSamples({}, {}, {})
        textbook = WaveNet(model.config)
        textbook.load_state_dict(model.state_dict())
        engine, speakers = FastWaveNet(textbook.eval(), kernel, "fp32"), model.config.speakers
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        distances = []
        for clip in self.validation_clips[:SAMPLE_CLIPS]:
            speaker = torch.tensor([speaker_index(clip, speakers)]) if speakers else None
            mel = torch.tensor(np.array(self.mel(clip).T[None, :, :SAMPLE_FRAMES], np.float32))
            wave = engine.generate(mel, generator=torch.Generator().manual_seed(0), speaker=speaker)
            again = log_mel(wave, self.cache.mel)[..., : mel.shape[-1]]
            distances.append((again - mel).abs().mean().item())
            audio[clip.id] = Audio(wave[0].numpy(), self.cache.mel.sample_rate)
            pictures[f"{clip.id}_real"] = Picture(mel[0].numpy(), "frame", "mel band")
            pictures[f"{clip.id}_vocoded"] = Picture(again[0].numpy(), "frame", "mel band")
        return ValidationSamples(audio, pictures, {"mel_l1": sum(distances) / max(1, len(distances))})
