"""Training of Tacotron 2 (Shen et al. 2018): texts and the mels of their recordings, with squared errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import AcousticRun, DecodingOptions, GriffinLimConfig
from glowtron.data.cache import Cache
from glowtron.data.dataset import AcousticBatch, AcousticDataset, AcousticItem, collate_acoustic
from glowtron.data.durations import Alignment, read_alignments_of
from glowtron.data.manifest import Clip
from glowtron.data.sampler import Key
from glowtron.errors import InputError
from glowtron.models.griffin_lim import GriffinLim
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.tacotron2_loss import attention_loss, guided_attention_loss, loss, symbols_of_steps
from glowtron.text.frontend import make_frontend
from glowtron.text.lexicon import read_pronunciations
from glowtron.train.init_from import InitFrom
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.task import Batch, ClipTask, Corpora

SAMPLE_CLIPS = 6
"""Validation texts that are synthesized at each validation."""
VALIDATION_BATCH = 8
"""Clips in a batch of validation, whatever it is in training, so that losses can be compared between runs."""
TAUGHT_EVERY = 4
"""With forced alignments, the attention is trained on one in so many decoder steps; more would cost more than they
teach."""


def acoustic_losses(
    config: AcousticRun, model: nn.Module, batch: AcousticBatch, generator: torch.Generator
) -> dict[str, Tensor]:
    """Squared error of both mels, cross-entropy of the stop logit, and the attention's own loss."""
    r = config.acoustic.tacotron2.reduction_factor
    n_steps = -(-batch.mel_lengths // r)
    symbols = None
    if batch.durations is not None:
        symbols = symbols_of_steps(batch.durations, batch.mel.shape[2] // r, r)
    at_once = (
        symbols is not None
        and torch.rand((), generator=generator, device=generator.device).item() < config.forced_alignment_share
    )
    output = model(
        batch.ids,
        batch.id_lengths,
        batch.mel,
        batch.mel_lengths,
        speaker=batch.speaker if config.acoustic.tacotron2.n_speakers > 1 else None,
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
    elif config.attention_supervision == "guided":
        values["attention"] = guided_attention_loss(output.alignment, batch.id_lengths, n_steps)
    if "attention" in values:
        total = total + config.attention_loss_weight * values["attention"]
    return {"loss": total, **values}


def acoustic_task(
    config: AcousticRun,
    corpora: Corpora,
    *,
    alignments: Sequence[Path | tuple[str, Path]] = (),
    lexicon: Path | None = None,
    init_from: InitFrom | None = None,
) -> AcousticTask:
    """The task of a run of `config` on recordings.

    Args:
        config: The configuration of the run.
        corpora: The recordings.
        alignments: Files of forced alignments, for an attention that is supervised by them (see `glowtron align`). A
            pair of a speaker's name and a file holds those of that speaker's clips.
        lexicon: The user's own pronunciations, the same as the alignments were made with.
        init_from: Weights to fine-tune.

    Raises:
        InputError: Data that cannot be used, and alignments that are missing or would not be used.
    """
    if config.monotonic and not alignments:
        raise InputError(
            "attention_supervision 'forced_alignment' needs alignments; make them with `glowtron align` and give "
            "`alignments`"
        )
    if alignments and not config.monotonic:
        raise InputError(
            f"alignments teach nothing with attention_supervision '{config.attention_supervision}'; give "
            "`attention_supervision=forced_alignment`, too"
        )
    clips = corpora.clips()
    forced = read_alignments_of(clips, alignments) if config.monotonic else None
    cache = corpora.decode(clips, config.acoustic.mel)
    task = AcousticTask(config, clips, cache, forced, lexicon)
    task.init_from = init_from
    return task


class AcousticTask(ClipTask):
    """Tacotron 2 on texts and the mels of their recordings.

    `alignments` are needed where the attention is supervised by them. `lexicon` holds the user's own pronunciations.
    """

    unit = "mel_frames"
    config: AcousticRun

    def __init__(
        self,
        config: AcousticRun,
        clips: Sequence[Clip],
        cache: Cache,
        alignments: Mapping[str, Alignment] | None = None,
        lexicon: Path | None = None,
    ) -> None:
        assert config.monotonic == (alignments is not None), "forced alignments are for the supervision by them"
        self.alignments = alignments
        self.encode = make_frontend(config.acoustic.text, lexicon).ids
        self.lexicon = {} if lexicon is None else read_pronunciations(lexicon)
        super().__init__(config, clips, cache)

    def make_model(self) -> Tacotron2:
        return Tacotron2(self.config.acoustic.tacotron2, self.config.acoustic.mel.n_mels)

    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> AcousticDataset:
        speakers = self.config.acoustic.speakers
        return AcousticDataset(clips, self.cache, encode=self.encode, speakers=speakers, alignments=self.alignments)

    def collate(self, items: Sequence[AcousticItem]) -> AcousticBatch:
        return collate_acoustic(items, self.config.acoustic.tacotron2.reduction_factor)

    def fault(self, clip: Clip) -> str:
        length_s = len(self.cache.entry(clip).wave) / self.cache.mel.sample_rate
        if length_s > self.config.max_clip_s:
            return f"{length_s:.1f} s is over max_clip_s {self.config.max_clip_s:g}"
        if self.alignments is not None and clip.id not in self.alignments:
            return "it could not be aligned"
        return ""

    def lengths(self) -> list[int]:
        return [self.n_frames(clip) for clip in self.clips]

    def n_frames(self, clip: Clip) -> int:
        """Mel frames of a clip."""
        return len(self.cache.entry(clip).mel)

    def data(self) -> Mapping[str, Any]:
        words = {word: " ".join(phones) for word, phones in self.lexicon.items()}
        return {**super().data(), "left_out": self.left_out, **({"lexicon": words} if words else {})}

    def validation_order(self) -> Iterable[list[Key]]:
        """All clips, those of like length together."""
        lengths = [self.n_frames(clip) for clip in self.validation_clips]
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        batches = range(0, len(order), VALIDATION_BATCH)
        return [[Key(0, item) for item in order[start : start + VALIDATION_BATCH]] for start in batches]

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        return acoustic_losses(self.config, model, batch.content, generator)

    def n_units(self, batch: Batch) -> int:
        return int(batch.content.mel_lengths.sum())

    def samples(self, model: nn.Module) -> ValidationSamples:
        """Synthesis of validation texts: sound by Griffin-Lim, mels, alignments, and the share that stopped."""
        assert isinstance(model, Tacotron2)
        device = next(model.parameters()).device
        clips = self.validation_clips[:: max(1, len(self.validation_clips) // SAMPLE_CLIPS)][:SAMPLE_CLIPS]
        if not clips:
            return ValidationSamples({}, {}, {})
        items = [self.encode(clip.text) for clip in clips]
        lengths = torch.tensor([len(ids) for ids in items], device=device)
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(item) for item in items], batch_first=True).to(device)
        speakers = self.config.acoustic.speakers
        speaker = torch.tensor([speakers.index(clip.speaker) for clip in clips], device=device)
        output = model.generate(
            ids,
            lengths,
            DecodingOptions(max_frames=1000, monotonic=self.config.monotonic),
            [torch.Generator(device).manual_seed(i) for i in range(len(clips))],
            speaker=speaker if len(speakers) > 1 else None,
        )
        vocoder = GriffinLim(GriffinLimConfig(mel=self.config.acoustic.mel, n_iterations=30))
        audio: dict[str, Audio] = {}
        pictures: dict[str, Picture] = {}
        for row, clip in enumerate(clips):
            mel = output.mel[row, :, : int(output.mel_lengths[row])].cpu()
            if mel.shape[1] > 1:
                wave = vocoder.generate(mel[None], generator=torch.Generator().manual_seed(0))
                audio[clip.id] = Audio(wave[0].numpy(), self.cache.mel.sample_rate)
                pictures[f"{clip.id}_mel"] = Picture(mel.numpy(), "frame", "mel band")
            steps = -(-int(output.mel_lengths[row]) // self.config.acoustic.tacotron2.reduction_factor)
            alignment = output.alignment[row, :steps, : int(lengths[row])].cpu().numpy()
            pictures[f"{clip.id}_alignment"] = Picture(alignment.T, "decoder step", "symbol")
        return ValidationSamples(audio, pictures, {"stopped_share": output.stopped.float().mean().item()})
