"""Adversarial training of a postnet: mels from the decoder's free running in, mels like recordings out.

Teacher forcing shows the decoder recorded frames, and squared error asks it for a mean. In free running its mels are
smoother, and the postnet has never seen such mels. Here it learns from them. Forced alignments keep them in step with
the recordings, and a discriminator shows where they still differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glowtron.config import PostnetRun
from glowtron.data.cache import Cache
from glowtron.data.manifest import Clip
from glowtron.data.mel_pairs import MelPairDataset, MelPairs, collate_mel_pairs
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.models.adversarial import adversarial_losses
from glowtron.models.patch_discriminator import PatchDiscriminator
from glowtron.models.tacotron2 import Tacotron2
from glowtron.train.gta import load_acoustic
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.task import Batch, ClipTask, Corpora

SAMPLE_CLIPS = 4
"""Validation clips shown at each validation."""


class PostnetLosses(NamedTuple):
    """Losses of one batch, each a scalar: those of `AdversarialLosses`, by least squares, and one more."""

    d_loss: Tensor
    """Of the discriminator."""
    g_loss: Tensor
    """Of the postnet, the generator."""
    feature_matching: Tensor
    """Mean absolute difference of the discriminator's features of fake and real mels."""
    reconstruction: Tensor
    """Mean absolute difference of the mels themselves."""


class AdversarialPostnet(nn.Module):
    """An acoustic model of which only the postnet is trained, and its discriminator.

    Both are one module with one loss, so the training loop needs no second optimizer.
    """

    def __init__(self, acoustic: Tacotron2, discriminator: PatchDiscriminator) -> None:
        super().__init__()
        self.acoustic, self.discriminator = acoustic, discriminator
        self.acoustic.requires_grad_(False)
        self.acoustic.postnet.requires_grad_(True)

    def refine(self, mel: Tensor) -> Tensor:
        """(B, M, T) before the postnet -> (B, M, T) after it, without padding."""
        x = mel.transpose(1, 2)
        refined: Tensor = x + self.acoustic.postnet(x, None).float()
        return refined.transpose(1, 2)

    def forward(self, mel_before: Tensor, real: Tensor, speaker: Tensor) -> PostnetLosses:
        """mel_before: (B, M, T) before the postnet; real: (B, M, T) of the recordings; speaker: (B,).

        Each loss has a gradient for its own network only, so the sum of all can be minimised at once.
        """
        real, fake = real.transpose(1, 2), self.refine(mel_before).transpose(1, 2)
        between = adversarial_losses(self.discriminator, fake, real, speaker)
        return PostnetLosses(*between, (fake - real).abs().mean())


def postnet_task(config: PostnetRun, corpora: Corpora, *, acoustic: Path, mels: Path) -> PostnetTask:
    """The task of a run of `config` on recordings.

    Args:
        config: The configuration of the run. What it says of the acoustic model is replaced by that model's own.
        corpora: The recordings.
        acoustic: Run or voice folder of the acoustic model whose postnet is trained.
        mels: Folder of mels of its decoder, in free running and before the postnet (see `glowtron mels`).

    Raises:
        InputError: Data or a model that cannot be used.
    """
    clips = corpora.clips()
    source = load_acoustic(acoustic)
    config = replace(config, acoustic=source.config, monotonic=source.monotonic)
    cache = corpora.decode(clips, config.acoustic.mel)
    return PostnetTask(config, clips, cache, PrecomputedMels(mels, config.acoustic.mel), source.model)


class PostnetTask(ClipTask):
    """The postnet of `acoustic` on `mels` of its decoder.

    Clips that have no mel there, or are shorter than a segment, are left out.
    """

    unit = "mel_frames"
    config: PostnetRun

    def __init__(
        self, config: PostnetRun, clips: Sequence[Clip], cache: Cache, mels: PrecomputedMels, acoustic: Tacotron2
    ) -> None:
        self.mels, self.acoustic = mels, acoustic
        super().__init__(config, clips, cache)

    def make_model(self) -> AdversarialPostnet:
        n_mels, n_speakers = self.acoustic.n_mels, self.acoustic.config.n_speakers
        discriminator = PatchDiscriminator(self.config.discriminator, n_mels, n_speakers)
        return AdversarialPostnet(self.acoustic, discriminator)

    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> MelPairDataset:
        return MelPairDataset(
            clips,
            self.cache,
            self.mels,
            speakers=self.config.acoustic.speakers,
            segment_frames=None if validation else self.config.segment_frames,  # Whole clips in validation.
            seed=self.config.training.seed,
        )

    def collate(self, items: Sequence[MelPairs]) -> MelPairs:
        return collate_mel_pairs(items)

    def fault(self, clip: Clip) -> str:
        n_frames = len(self.cache.entry(clip).mel)
        if clip not in self.mels:
            return f"{self.mels.folder} has no mel of it"
        if n_frames < self.config.segment_frames:
            return f"its {n_frames} frames are fewer than segment_frames"
        self.mels.mel(clip, n_frames)  # A file that does not fit is named now, not after an hour.
        return ""

    def data(self) -> Mapping[str, Any]:
        digest = self.mels.sha256([*self.clips, *self.validation_clips])
        return {**super().data(), "left_out": self.left_out, "mels": digest}

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The adversarial losses in training; a comparison of the mels in validation.

        Losses of a discriminator do not measure quality, so in validation there is none, no checkpoint counts as the
        best, and the newest is exported. `movement` is the mean change from frame to frame, fake against real, and
        `spread` the mean standard deviation of the bands: 1 is right, and smooth mels are below.
        """
        mel_before, real, speaker = batch.content
        if not model.training:
            assert isinstance(model, AdversarialPostnet)
            return _compare(model.refine(mel_before), real)
        losses = model(mel_before, real, speaker)
        total = (
            losses.d_loss
            + losses.g_loss
            + self.config.feature_weight * losses.feature_matching
            + self.config.reconstruction_weight * losses.reconstruction
        )
        return {"loss": total, **losses._asdict()}

    def n_units(self, batch: Batch) -> int:
        batch_size, _, n_frames = batch.content.real.shape
        return int(batch_size * n_frames)

    def samples(self, model: nn.Module) -> ValidationSamples:
        """Mels of validation clips before and after the postnet, and the recordings'."""
        assert isinstance(model, AdversarialPostnet)
        device = next(model.parameters()).device
        clips = self.validation_clips[:: max(1, len(self.validation_clips) // SAMPLE_CLIPS)][:SAMPLE_CLIPS]
        pictures: dict[str, Picture] = {}
        for clip in clips:
            real = self.cache.entry(clip).mel
            before = torch.tensor(self.mels.mel(clip, len(real)).T[None])
            after = model.refine(before.to(device)).cpu()
            for name, mel in (("before", before[0]), ("after", after[0]), ("real", torch.tensor(real.T))):
                pictures[f"{clip.id}_{name}"] = Picture(mel.numpy(), "frame", "mel band")
        return ValidationSamples({}, pictures, {})


def _compare(fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """(B, M, T) each."""

    def movement(mel: Tensor) -> Tensor:
        return mel.diff(dim=2).abs().mean()

    def spread(mel: Tensor) -> Tensor:
        return mel.std(dim=2).mean()

    return {
        "mel_l1": (fake - real).abs().mean(),
        "mel_squared": (fake - real).square().mean(),
        "movement": movement(fake) / movement(real),
        "spread": spread(fake) / spread(real),
    }
