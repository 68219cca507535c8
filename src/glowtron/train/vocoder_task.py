"""Training of WaveGlow (Prenger et al. 2018): segments of recordings, with their negative log-likelihood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from glowtron.models.adversarial import adversarial_losses, idle
from glowtron.models.spectral_discriminator import SpectralDiscriminator, multi_resolution_stft_loss
from glowtron.models.waveglow import FlowOutput, WaveGlow, flow_loss
from glowtron.train.distributed import Shard
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


class LearntMels(ClipTask):
    """Shared by tasks of vocoders: the mels that they learn from, the recordings' own or given ones."""

    mels: PrecomputedMels | None

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


class VocoderTask(LearntMels):
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

    def make_model(self) -> WaveGlow | AdversarialWaveGlow:
        vocoder, sound = WaveGlow(self.config.vocoder), self.config.sound
        return vocoder if sound is None else AdversarialWaveGlow(vocoder, SpectralDiscriminator(sound.discriminator))

    @property
    def pretrained_part(self) -> nn.Module:
        """The flow; a discriminator begins anew."""
        return self.model.vocoder if isinstance(self.model, AdversarialWaveGlow) else self.model

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

    def validation_order(self) -> Iterable[list[Key]]:
        """The same segments of every clip each time."""
        keys = [Key(i, index) for index in range(len(self.validation_clips)) for i in range(SEGMENTS_A_CLIP)]
        size = self.config.training.batch_size
        return [keys[start : start + size] for start in range(0, len(keys), size)]

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
        model = model.vocoder if isinstance(model, AdversarialWaveGlow) else model
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
