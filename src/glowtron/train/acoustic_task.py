"""Training of Tacotron 2: texts and their recordings' mels in, squared errors out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import AcousticRun, GriffinLimConfig
from glowtron.data.cache import Cache
from glowtron.data.dataset import AcousticBatch, AcousticDataset, collate_acoustic
from glowtron.data.durations import Alignment
from glowtron.data.manifest import Clip, split
from glowtron.data.sampler import FixedOrder
from glowtron.models.griffin_lim import GriffinLim
from glowtron.models.tacotron2 import DecodingOptions, Tacotron2
from glowtron.models.tacotron2_loss import attention_loss, guide_loss, loss, symbols_of_steps
from glowtron.text.frontend import make_frontend
from glowtron.text.lexicon import read_pronunciations
from glowtron.train.batches import Batch, Share, batches, training_batches
from glowtron.train.log import Picture, Samples
from glowtron.train.schedule import step_seed
from glowtron.train.vocoder_task import describe

SAMPLE_CLIPS = 6
"""Held-out texts spoken at each validation."""
HELD_OUT_BATCH = 8
"""Clips a batch in validation, whatever it is in training, so that losses can be compared between runs."""
TAUGHT_EVERY = 4
"""Decoder steps between those in which the attention is taught while all steps run at once; the rest would cost more
than they teach."""


def acoustic_losses(
    config: AcousticRun, model: nn.Module, batch: AcousticBatch, generator: torch.Generator
) -> dict[str, Tensor]:
    """Squared error of both mels, cross-entropy of the stop logit, and what teaches the attention."""
    r = config.acoustic.tacotron2.reduction_factor
    n_steps = -(-batch.mel_lengths // r)
    symbols = None
    if batch.durations is not None:
        symbols = symbols_of_steps(batch.durations, batch.mel.shape[2] // r, r)
    at_once = (
        symbols is not None
        and torch.rand((), generator=generator, device=generator.device).item() < config.forced_share
    )
    output = model(
        batch.ids,
        batch.id_lengths,
        batch.mel,
        batch.mel_lengths,
        speaker=batch.speaker if config.acoustic.model.n_speakers > 1 else None,
        symbols=symbols if at_once else None,
        every=TAUGHT_EVERY,
        generator=generator,
    )
    parts = loss(output, batch.mel, batch.mel_lengths, count_padding=config.count_padding)
    values = {"mel_before": parts.mel_before, "mel": parts.mel, "stop": parts.stop}
    total = parts.total
    if symbols is not None:
        every = TAUGHT_EVERY if at_once else 1
        values["attention"] = attention_loss(output.alignment, symbols[:, ::every], -(-n_steps // every))
    elif config.guide == "diagonal":
        values["attention"] = guide_loss(output.alignment, batch.id_lengths, n_steps)
    if "attention" in values:
        total = total + config.guide_weight * values["attention"]
    return {"loss": total, **values}


class AcousticTask:
    """Tacotron 2 with its data; filling the cache first names each clip that cannot be used.

    `alignments` are needed where `guide` is measured; `lexicon` holds the user's own pronunciations.
    """

    unit = "mel_frames"

    def __init__(
        self,
        config: AcousticRun,
        clips: Sequence[Clip],
        cache: Cache,
        alignments: Mapping[str, Alignment] | None = None,
        lexicon: Path | None = None,
    ) -> None:
        assert (config.guide == "measured") == (alignments is not None), "measured guidance and alignments go together"
        self.config = config
        self.alignments = alignments
        training = config.training
        self.cache = cache
        self.encode = make_frontend(config.acoustic.text, lexicon).ids
        self.lexicon = {} if lexicon is None else read_pronunciations(lexicon)
        clips, held_out = split(clips, training.validation_clips, training.seed)
        self.left_out: dict[str, str] = {}
        self.clips, self.held_out_clips = self._usable(clips), self._usable(held_out)
        self.dataset = self._dataset(self.clips)
        self.lengths = [len(cache.entry(clip).mel) for clip in self.clips]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(training.seed, "weights"))
            self.model: nn.Module = Tacotron2(config.acoustic.tacotron2, config.acoustic.mel.n_mels)

    def _usable(self, clips: Sequence[Clip]) -> list[Clip]:
        kept = []
        for clip in clips:
            length_s = len(self.cache.entry(clip).wave) / self.cache.mel.sample_rate
            if length_s > self.config.max_clip_s:
                self.left_out[clip.id] = f"{length_s:.1f} s is over max_clip_s {self.config.max_clip_s:g}"
            elif self.alignments is not None and clip.id not in self.alignments:
                self.left_out[clip.id] = "it could not be aligned"
            else:
                kept.append(clip)
        return kept

    def _dataset(self, clips: Sequence[Clip]) -> AcousticDataset:
        return AcousticDataset(
            clips,
            self.cache,
            encode=self.encode,
            speakers=self.config.acoustic.speakers,
            alignments=self.alignments,
        )

    @property
    def collate(self) -> Any:
        """How items become a batch."""
        return partial(collate_acoustic, reduction_factor=self.config.acoustic.tacotron2.reduction_factor)

    @property
    def n_items(self) -> int:
        """Clips of training: an epoch."""
        return len(self.clips)

    def data(self) -> Mapping[str, Any]:
        """Names of the clips, why some are left out, and the user's own pronunciations."""
        told = {**describe(self.clips, self.held_out_clips), "left_out": self.left_out}
        words = {word: " ".join(phones) for word, phones in self.lexicon.items()}
        return {**told, "lexicon": words} if words else told

    def batches(self, first_step: int, share: Share) -> Iterable[Batch]:
        """Clips of like length, `batch_size` a step over all processes."""
        return training_batches(
            self.dataset, self.clips, self.collate, self.config.training, first_step, share, self.lengths
        )

    def held_out(self) -> Iterable[Batch]:
        """All held-out clips, those of like length together."""
        clips = sorted(self.held_out_clips, key=lambda clip: len(self.cache.entry(clip).mel))
        order = FixedOrder(len(clips), HELD_OUT_BATCH)
        return batches(self._dataset(clips), clips, order, self.collate)

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """See `acoustic_losses`."""
        return acoustic_losses(self.config, model, batch.content, generator)

    def amount(self, batch: Batch) -> int:
        """Mel frames."""
        return int(batch.content.mel_lengths.sum())

    def samples(self, model: nn.Module) -> Samples:
        """Held-out texts spoken freely: sound by Griffin-Lim, mels, alignments, and how many ended by themselves."""
        assert isinstance(model, Tacotron2)
        device = next(model.parameters()).device
        clips = self.held_out_clips[:: max(1, len(self.held_out_clips) // SAMPLE_CLIPS)][:SAMPLE_CLIPS]
        if not clips:
            return Samples({}, {}, {})
        items = [self.encode(clip.text) for clip in clips]
        lengths = torch.tensor([len(ids) for ids in items], device=device)
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(item) for item in items], batch_first=True).to(device)
        speakers = self.config.acoustic.speakers
        speaker = torch.tensor([speakers.index(clip.speaker) for clip in clips], device=device)
        spoken = model.generate(
            ids,
            lengths,
            DecodingOptions(max_frames=1000, monotonic=self.config.guide == "measured"),
            [torch.Generator(device).manual_seed(i) for i in range(len(clips))],
            speaker=speaker if len(speakers) > 1 else None,
        )
        vocoder = GriffinLim(GriffinLimConfig(mel=self.config.acoustic.mel, n_iterations=30))
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        for row, clip in enumerate(clips):
            mel = spoken.mel[row, :, : int(spoken.mel_lengths[row])].cpu()
            if mel.shape[1] > 1:
                wave = vocoder.generate(mel[None], generator=torch.Generator().manual_seed(0))
                audio[clip.id] = Audio(wave[0].numpy(), self.cache.mel.sample_rate)
                pictures[f"{clip.id}_mel"] = Picture(mel.numpy(), "frame", "mel band")
            steps = -(-int(spoken.mel_lengths[row]) // self.config.acoustic.tacotron2.reduction_factor)
            alignment = spoken.alignment[row, :steps, : int(lengths[row])].cpu().numpy()
            pictures[f"{clip.id}_alignment"] = Picture(alignment.T, "decoder step", "symbol")
        return Samples(audio, pictures, {"stopped_share": spoken.stopped.float().mean().item()})
