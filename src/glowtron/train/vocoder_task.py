"""Training of WaveGlow (Prenger et al. 2018): segments of recordings, with their negative log-likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glowtron.config import VocoderRun, WaveGlowConfig
from glowtron.data.dataset import VocoderBatch
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.mel import log_mel
from glowtron.models.adversarial import adversarial_losses, idle
from glowtron.models.spectral_discriminator import SpectralDiscriminator, multi_resolution_stft_loss
from glowtron.models.waveglow import FlowOutput, WaveGlow, flow_loss
from glowtron.train.distributed import Shard
from glowtron.train.init_from import InitFrom
from glowtron.train.log import ValidationSamples
from glowtron.train.segment_task import SegmentTask, read_clips
from glowtron.train.task import Batch, Corpora

SAMPLE_SIGMA = 0.6
"""Standard deviation of the noise that samples are made from (0.6 in the paper's released code)."""


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
    clips, cache = read_clips(corpora, config.vocoder)
    task = VocoderTask(config, clips, cache, PrecomputedMels(mels, config.vocoder.mel) if mels else None)
    task.init_from = init_from
    return task


class AdversarialWaveGlow(nn.Module):
    """A WaveGlow, and the discriminator that its sound is trained against, as one module with one optimizer."""

    def __init__(self, vocoder: WaveGlow, discriminator: SpectralDiscriminator) -> None:
        super().__init__()
        self.vocoder, self.discriminator = vocoder, discriminator

    def forward(
        self, batch: VocoderBatch, noise: Tensor | None, *, recompute: bool = False
    ) -> FlowOutput | SoundLosses:
        """Losses of the sound that the inverse pass makes of `noise` (B, C, G); without noise, the forward pass.

        One method for both, since several processes share gradients through the call of the whole module.
        """
        if noise is None:
            flow: FlowOutput = self.vocoder(batch.wave, batch.mel, batch.speaker, recompute=recompute)
            return flow
        mel_config = self.vocoder.config.mel
        fake: Tensor = self.vocoder.inverse(noise, batch.mel, batch.speaker).float()
        fake, real = fake[:, : batch.wave.shape[1]], batch.wave
        n_frames = fake.shape[1] // mel_config.hop_length
        # The last frames of a mel of a segment would see the reflected end.
        mels = [log_mel(wave.clamp(-1, 1), mel_config)[..., :n_frames] for wave in (fake, real)]
        between = adversarial_losses(self.discriminator, fake, real, kind="hinge")
        return SoundLosses(multi_resolution_stft_loss(fake, real), (mels[0] - mels[1]).abs().mean(), *between)


class SoundLosses(NamedTuple):
    """Of one batch, each a scalar."""

    stft: Tensor
    """Multi-resolution STFT loss."""
    mel_l1: Tensor
    """Mean absolute error of the log-mel."""
    d_loss: Tensor
    """Of the discriminator."""
    g_loss: Tensor
    """Of the flow, to be taken for a recording."""
    feature_matching: Tensor
    """Mean absolute difference of the discriminator's features."""


class VocoderTask(SegmentTask):
    """WaveGlow on segments of recordings."""

    config: VocoderRun

    @property
    def vocoder_config(self) -> WaveGlowConfig:
        return self.config.vocoder

    @property
    def segment_length(self) -> int:
        return self.config.segment_length

    def make_model(self) -> WaveGlow | AdversarialWaveGlow:
        vocoder, sound = WaveGlow(self.config.vocoder), self.config.sound
        return vocoder if sound is None else AdversarialWaveGlow(vocoder, SpectralDiscriminator(sound.discriminator))

    @property
    def pretrained_part(self) -> nn.Module:
        """The flow; a discriminator begins anew."""
        return self.model.vocoder if isinstance(self.model, AdversarialWaveGlow) else self.model

    def batches(self, first_step: int, shard: Shard) -> Iterator[Batch]:
        """As of all tasks; with a stage on sound the content also tells whether the step is of that stage."""
        sound, parts = self.config.sound, self.config.training.gradient_accumulation_steps
        for place, batch in enumerate(super().batches(first_step, shard)):
            if sound is None:
                yield batch
            else:
                on_sound = torch.tensor(first_step + place // parts >= sound.from_step)
                yield batch._replace(content=(batch.content, on_sound))

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Negative log-likelihood, in nats a sample without the Gaussian's constant; or the losses of the sound.

        A run with a stage on sound has no total in validation: that stage makes the likelihood worse and the sound
        better, so the newest checkpoint is exported.
        """
        config = self.config
        if config.sound is None:
            flow = model(*batch.content, recompute=config.activation_checkpointing)
            return {"loss": flow_loss(flow, config.sigma)}
        if not model.training:
            nll = flow_loss(model(batch.content, None), config.sigma)
            return {"nll": nll, **model(batch.content, self._noise(batch.content, generator))._asdict()}
        content, on_sound = batch.content
        if not on_sound:
            assert isinstance(self.model, AdversarialWaveGlow)
            nll = flow_loss(model(content, None, recompute=config.activation_checkpointing), config.sigma)
            return {"loss": nll + idle(self.model.discriminator)}
        return self._sound_losses(model(content, self._noise(content, generator)))

    def _noise(self, batch: VocoderBatch, generator: torch.Generator) -> Tensor:
        assert self.config.sound is not None
        n_batch, n_samples = batch.wave.shape
        n_channels = self.config.vocoder.n_channels
        shape = (n_batch, n_channels, -(-n_samples // n_channels))
        return self.config.sound.sigma * torch.randn(shape, generator=generator, device=batch.wave.device)

    def _sound_losses(self, parts: SoundLosses) -> dict[str, Tensor]:
        sound = self.config.sound
        assert sound is not None
        total = parts.d_loss + sound.stft_weight * parts.stft + sound.mel_weight * parts.mel_l1
        total = total + sound.adversarial_weight * parts.g_loss + sound.feature_weight * parts.feature_matching
        return {"loss": total, **parts._asdict()}

    def n_units(self, batch: Batch) -> int:
        content = batch.content if isinstance(batch.content, VocoderBatch) else batch.content[0]
        return int(content.wave.numel())

    def samples(self, model: nn.Module) -> ValidationSamples:
        """Validation clips, vocoded from their mels, and the distance of the result's mels from these."""
        vocoder = model.vocoder if isinstance(model, AdversarialWaveGlow) else model
        assert isinstance(vocoder, WaveGlow)
        device = next(vocoder.parameters()).device

        def vocode(mel: Tensor, speaker: Tensor) -> Tensor:
            generator = torch.Generator(device).manual_seed(0)
            return vocoder.generate(mel.to(device), SAMPLE_SIGMA, generator, speaker=speaker.to(device))

        return self.vocoded_samples(vocode)
