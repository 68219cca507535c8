"""Training of WaveNet: each sample of a segment of a recording, given those before it and the mel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glowtron.config import WaveNetConfig, WaveNetRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import VocoderBatch
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.engines.cpu_wavenet import FastWaveNet, find_kernel
from glowtron.models.wavenet import WaveNet, wavenet_nll
from glowtron.train.init_from import InitFrom
from glowtron.train.log import ValidationSamples
from glowtron.train.segment_task import SegmentTask, read_clips
from glowtron.train.task import Batch, Corpora

STATISTICS_CLIPS = 200
"""Clips at most whose mels the standardisation is measured on."""
SAMPLE_FRAMES = 86
"""Mel frames of each validation clip that are vocoded at each validation: about a second."""


def wavenet_task(
    config: WaveNetRun, corpora: Corpora, *, mels: Path | None = None, init_from: InitFrom | None = None
) -> WaveNetTask:
    """The task of a run of `config` on recordings, as `vocoder_task` is that of a WaveGlow's."""
    clips, cache = read_clips(corpora, config.wavenet)
    task = WaveNetTask(config, clips, cache, PrecomputedMels(mels, config.wavenet.mel) if mels else None)
    task.init_from = init_from
    return task


class WaveNetTask(SegmentTask):
    """WaveNet on segments of recordings."""

    config: WaveNetRun
    model: WaveNet

    def __init__(
        self, config: WaveNetRun, clips: Sequence[Clip], cache: Cache, mels: PrecomputedMels | None = None
    ) -> None:
        super().__init__(config, clips, cache, mels)
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
    def vocoder_config(self) -> WaveNetConfig:
        return self.config.wavenet

    @property
    def margin(self) -> int:
        """Frames before and after those that are learnt: their conditioning's context, or the sound before them."""
        return max(self.config.wavenet.context_frames, 1)

    @property
    def segment_length(self) -> int:
        return (self.config.segment_frames + 2 * self.margin) * self.config.wavenet.mel.hop_length

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
        engine = FastWaveNet(textbook.eval(), kernel, "fp32")

        def vocode(mel: Tensor, speaker: Tensor) -> Tensor:
            generator = torch.Generator().manual_seed(0)
            return engine.generate(mel, generator=generator, speaker=speaker if model.config.speakers else None)

        return self.vocoded_samples(vocode, SAMPLE_FRAMES)
