"""Training of FastSpeech 2 (Ren et al. 2021): texts with measured prosody, and segments of their mels.

The mel's absolute error teaches a mean of all mels that could have been recorded, which is blurred. After some steps a
discriminator joins, from which the model learns to make one of them (docs/adr/0019).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import FastSpeech2Run, GriffinLimConfig
from glowtron.data.cache import Cache
from glowtron.data.durations import Alignment, read_alignments_of
from glowtron.data.manifest import Clip
from glowtron.data.prosody import ProsodyBatch, ProsodyDataset, ProsodyItem, ProsodyStatistics, collate_prosody
from glowtron.data.sampler import FixedOrder, Key
from glowtron.errors import InputError
from glowtron.mel import FLOOR
from glowtron.models.adversarial import AdversarialLosses, adversarial_losses, idle
from glowtron.models.fastspeech2 import FastSpeech2, FastSpeech2Loss, Prosody, loss
from glowtron.models.griffin_lim import GriffinLim
from glowtron.models.patch_discriminator import PatchDiscriminator
from glowtron.text.frontend import make_frontend
from glowtron.text.lexicon import read_pronunciations
from glowtron.train.distributed import Shard
from glowtron.train.init_from import InitFrom
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.task import Batch, ClipTask, Corpora

SAMPLE_CLIPS = 4
"""Validation texts that are synthesised at each validation."""
VALIDATION_BATCH = 8
"""Clips in a batch of validation, whatever it is in training, so that losses can be compared between runs."""


def fastspeech2_task(
    config: FastSpeech2Run,
    corpora: Corpora,
    *,
    alignments: Sequence[Path | tuple[str, Path]],
    lexicon: Path | None = None,
    init_from: InitFrom | None = None,
) -> FastSpeech2Task:
    """The task of a run of `config` on recordings.

    Args:
        config: The configuration of the run.
        corpora: The recordings.
        alignments: Files of forced alignments, as in `acoustic_task`, which give the durations.
        lexicon: The user's own pronunciations, the same as the alignments were made with.
        init_from: Weights to fine-tune.

    Raises:
        InputError: Data that cannot be used, and missing alignments.
    """
    if not alignments:
        raise InputError("durations are learnt from alignments; make them with `glowtron align` and give `alignments`")
    clips = corpora.clips()
    forced = read_alignments_of(clips, alignments)
    task = FastSpeech2Task(config, clips, corpora.decode(clips, config.acoustic.mel), forced, lexicon)
    task.init_from = init_from
    return task


class AdversarialFastSpeech2(nn.Module):
    """An acoustic model, and the discriminator that it learns against, as one module with one optimizer."""

    def __init__(self, acoustic: FastSpeech2, discriminator: PatchDiscriminator | None) -> None:
        super().__init__()
        self.acoustic, self.discriminator = acoustic, discriminator

    def forward(
        self, batch: ProsodyBatch, noise: Tensor, adversarial: bool
    ) -> tuple[FastSpeech2Loss, AdversarialLosses | None]:
        """Losses of a batch; those between the two networks where `adversarial`."""
        prosody = Prosody(batch.durations, batch.pitch, batch.voiced, batch.energy)
        n_frames = batch.mel.shape[2]
        output = self.acoustic(
            batch.ids, batch.id_lengths, prosody, batch.speaker, noise, window=(batch.first, n_frames)
        )
        losses = loss(output, batch.mel, prosody, batch.id_lengths, batch.frame_mask)
        if not adversarial or self.discriminator is None:
            return losses, None
        # Padding is silence to the discriminator, on both sides.
        mask = batch.frame_mask[:, None] > 0
        fake, real = (mel.where(mask, mel.new_tensor(math.log(FLOOR))) for mel in (output.mel.float(), batch.mel))
        speakers = (batch.speaker,) if self.acoustic.config.n_speakers > 1 else ()
        return losses, adversarial_losses(self.discriminator, fake.transpose(1, 2), real.transpose(1, 2), *speakers)


class FastSpeech2Task(ClipTask):
    """FastSpeech 2 on texts with measured durations, pitch and energy."""

    unit = "mel_frames"
    config: FastSpeech2Run

    def __init__(
        self,
        config: FastSpeech2Run,
        clips: Sequence[Clip],
        cache: Cache,
        alignments: Mapping[str, Alignment],
        lexicon: Path | None = None,
    ) -> None:
        self.alignments = alignments
        self.encode = make_frontend(config.acoustic.text, lexicon).ids
        self.lexicon = {} if lexicon is None else read_pronunciations(lexicon)
        self.statistics: ProsodyStatistics | None = None
        super().__init__(config, clips, cache)

    def make_model(self) -> AdversarialFastSpeech2:
        model, n_mels, adversarial = self.config.acoustic.fastspeech2, self.cache.mel.n_mels, self.config.adversarial
        acoustic = FastSpeech2(model, n_mels)
        assert self.statistics is not None
        for name, value in self.statistics._asdict().items():
            acoustic.get_buffer(name).copy_(torch.tensor(value))
        if adversarial is None:
            return AdversarialFastSpeech2(acoustic, None)
        return AdversarialFastSpeech2(acoustic, PatchDiscriminator(adversarial.discriminator, n_mels, model.n_speakers))

    @property
    def pretrained_part(self) -> nn.Module:
        """The acoustic model; a discriminator begins anew."""
        assert isinstance(self.model, AdversarialFastSpeech2)
        return self.model.acoustic

    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> ProsodyDataset:
        dataset = ProsodyDataset(
            clips,
            self.cache,
            encode=self.encode,
            speakers=self.config.acoustic.speakers,
            alignments=self.alignments,
            segment_frames=None if validation else self.config.segment_frames,
            seed=self.config.training.seed,
            statistics=self.statistics,
        )
        self.statistics = dataset.statistics
        return dataset

    def collate(self, items: Sequence[ProsodyItem]) -> ProsodyBatch:
        return collate_prosody(items)

    def fault(self, clip: Clip) -> str:
        length_s = len(self.cache.entry(clip).wave) / self.cache.mel.sample_rate
        if length_s > self.config.max_clip_s:
            return f"{length_s:.1f} s is over max_clip_s {self.config.max_clip_s:g}"
        return "" if clip.id in self.alignments else "it could not be aligned"

    def data(self) -> Mapping[str, Any]:
        words = {word: " ".join(phones) for word, phones in self.lexicon.items()}
        return {**super().data(), "left_out": self.left_out, **({"lexicon": words} if words else {})}

    def batches(self, first_step: int, shard: Shard) -> Iterator[Batch]:
        """As of all tasks; the content also tells whether the discriminator has joined by that step."""
        adversarial, parts = self.config.adversarial, self.config.training.gradient_accumulation_steps
        for place, batch in enumerate(super().batches(first_step, shard)):
            step = first_step + place // parts
            joined = adversarial is not None and step >= adversarial.from_step
            yield batch._replace(content=(batch.content, torch.tensor(joined)))

    def validation_batches(self) -> Iterable[Batch]:
        batches = super().validation_batches()
        return (batch._replace(content=(batch.content, torch.tensor(False))) for batch in batches)

    def validation_order(self) -> Iterable[list[Key]]:
        return FixedOrder(len(self.validation_clips), VALIDATION_BATCH)

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Errors of the mel and of what is predicted, and those between the networks once the discriminator is there.

        A validation has no total once there is a discriminator: a sharp mel has a larger absolute error than a blurred
        one, and its scores say nothing by themselves. So the newest checkpoint is exported.
        """
        content, joined = batch.content
        noise_shape = (len(content.ids), self.config.acoustic.fastspeech2.noise_channels, content.mel.shape[2])
        noise = torch.randn(noise_shape, generator=generator, device=generator.device)
        parts, between = model(content, noise, bool(joined))
        values = {**parts._asdict()}
        total = parts.total
        adversarial = self.config.adversarial
        if between is not None:
            assert adversarial is not None
            values |= between._asdict()
            total = total + between.d_loss + adversarial.weight * between.g_loss
            total = total + adversarial.feature_weight * between.feature_matching
        elif adversarial is not None:
            assert isinstance(self.model, AdversarialFastSpeech2) and self.model.discriminator is not None
            total = total + idle(self.model.discriminator)
        if not model.training and adversarial is not None:
            return values
        return {"loss": total, **values}

    def n_units(self, batch: Batch) -> int:
        return int(batch.content[0].frame_mask.sum())

    def samples(self, model: nn.Module) -> ValidationSamples:
        """Validation texts with predicted prosody: sound by Griffin-Lim, mels beside the recordings', and lengths."""
        assert isinstance(model, AdversarialFastSpeech2)
        device = next(model.parameters()).device
        clips = self.validation_clips[:: max(1, len(self.validation_clips) // SAMPLE_CLIPS)][:SAMPLE_CLIPS]
        speakers = self.config.acoustic.speakers
        vocode = partial(GriffinLim(GriffinLimConfig(mel=self.cache.mel, n_iterations=30)).generate)
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        shares = []
        for place, clip in enumerate(clips):
            ids = torch.tensor([self.encode(clip.text)], device=device)
            speaker = torch.tensor([speakers.index(clip.speaker)], device=device)
            generator = torch.Generator(device).manual_seed(place)
            mel, _ = model.acoustic.generate(ids, torch.tensor([ids.shape[1]]), speaker, [generator])
            mel, real = mel[0].float().cpu(), torch.tensor(self.cache.entry(clip).mel.T)
            shares.append(mel.shape[1] / real.shape[1])
            wave = vocode(mel[None], generator=torch.Generator().manual_seed(0))
            audio[clip.id] = Audio(wave[0].numpy(), self.cache.mel.sample_rate)
            pictures[f"{clip.id}_mel"] = Picture(mel.numpy(), "frame", "mel band")
            pictures[f"{clip.id}_recorded"] = Picture(real.numpy(), "frame", "mel band")
        return ValidationSamples(audio, pictures, {"length_share": sum(shares) / max(1, len(shares))})
