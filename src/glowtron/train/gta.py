"""Ground-truth-aligned (GTA) mels: an acoustic model's own, in step with recordings, to train its vocoder and postnet.

A vocoder trained on recordings' mels sees sharper ones than it gets in synthesis, so Shen et al. (2018, sec. 3.3) train
it on the model's own. Teacher forcing, or attention by forced alignments, keeps these in step with the recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from glowtron.checkpoint import load_voice
from glowtron.config import AcousticConfig, FastSpeech2Run, VocoderRun, WaveNetRun
from glowtron.data.dataset import AcousticBatch, AcousticDataset, collate_acoustic
from glowtron.data.durations import read_alignments_of
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import write_mel
from glowtron.data.prosody import ProsodyBatch, ProsodyDataset, ProsodyStatistics, collate_prosody
from glowtron.data.sampler import Key
from glowtron.errors import InputError
from glowtron.models.fastspeech2 import FastSpeech2, Prosody, draw_noise
from glowtron.models.gta import synthesize_aligned
from glowtron.models.tacotron2 import Tacotron2, Tacotron2Output, sequence_mask
from glowtron.models.tacotron2_loss import symbols_of_steps
from glowtron.models.waveglow import WaveGlow
from glowtron.models.wavenet import WaveNet
from glowtron.text.frontend import make_frontend
from glowtron.train.export import load_run
from glowtron.train.schedule import step_seed
from glowtron.train.task import Corpora

_BATCH = 16
"""Clips at a time, of like length."""


class GtaMels(NamedTuple):
    """The result for all clips."""

    written: int
    left_out: dict[str, str]
    """Why the others have no mel, by clip id."""


class Acoustic(NamedTuple):
    """A trained acoustic model."""

    config: AcousticConfig
    model: Tacotron2
    """On CPU, in float32 and evaluation mode."""
    monotonic: bool
    """True if it synthesizes with monotonic attention."""


def load_acoustic(source: Path) -> Acoustic:
    """The acoustic model of a run's or a voice's folder. Raises InputError if it has none."""
    if (source / "voice.json").exists():
        voice = load_voice(source)
        if voice.config.acoustic is None or not isinstance(voice.acoustic, Tacotron2):
            raise InputError(f"{source}: has no Tacotron 2; give a voice or a run that has one")
        return Acoustic(voice.config.acoustic, voice.acoustic.eval(), voice.config.decoding.monotonic)
    trained = load_run(source)
    if not isinstance(trained.model, Tacotron2):
        raise InputError(f"{source}: is the run of a {trained.config.type}; give that of a Tacotron 2")
    assert not isinstance(trained.config, VocoderRun | WaveNetRun | FastSpeech2Run)
    config = trained.config
    return Acoustic(config.acoustic, trained.model, config.monotonic)


def statistics_of(model: FastSpeech2) -> ProsodyStatistics:
    """The statistics that a model was trained with."""
    return ProsodyStatistics(
        tuple(model.pitch_mean.tolist()),
        tuple(model.pitch_std.tolist()),
        model.energy_mean.item(),
        model.energy_std.item(),
    )


def _load(source: Path) -> tuple[AcousticConfig, Tacotron2 | FastSpeech2]:
    """The acoustic model of either kind of a run's or a voice's folder. Raises InputError if it has none."""
    if (source / "voice.json").exists():
        voice = load_voice(source)
        if voice.config.acoustic is None or voice.acoustic is None:
            raise InputError(f"{source}: has no acoustic model; give a voice or a run that has one")
        return voice.config.acoustic, voice.acoustic
    trained = load_run(source)
    if isinstance(trained.config, VocoderRun | WaveNetRun):
        raise InputError(f"{source}: is the run of a vocoder; give that of an acoustic model")
    assert not isinstance(trained.model, WaveGlow | WaveNet)
    return trained.config.acoustic, trained.model


def write_gta_mels(
    source: Path,
    corpora: Corpora,
    folder: Path,
    *,
    alignments: Sequence[Path | tuple[str, Path]] = (),
    lexicon: Path | None = None,
    free_running: bool = False,
    before_postnet: bool = False,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GtaMels:
    """Write a mel (M, T) of each clip, as long as the recording's own, into `folder` as `id.npy`.

    Prenet dropout is drawn as in synthesis, from a fixed seed. A FastSpeech 2 gets the recording's durations, pitch and
    energy, which keep its mels in step.

    Args:
        source: A run or a voice.
        corpora: The recordings.
        folder: Where the mels go.
        alignments: Files of forced alignments, as in `acoustic_task`, which the decoder then attends by; clips without
            one are left out. If there are no files, the model's own attention is used.
        lexicon: The user's own pronunciations.
        free_running: The decoder gets its own frames, not the recording's, as in synthesis. This needs alignments.
        before_postnet: Write the mels before the postnet.
        device: Device of the model.
        progress: Is called with the number of clips done, and of all.

    Raises:
        InputError: A model, data or alignments that cannot be used.
    """
    if free_running and not alignments:
        raise InputError(
            "free running needs alignments, or the mels would drift from the recordings; give `alignments`"
        )
    config, model = _load(source)
    if isinstance(model, FastSpeech2) and (not alignments or free_running or before_postnet):
        raise InputError(
            f"{source}: a FastSpeech 2 needs alignments, and has neither frames of its own to hear nor a postnet"
        )
    model = model.to(device or torch.device("cpu"))
    clips = corpora.clips()
    forced = read_alignments_of(clips, alignments) if alignments else None
    left_out = {} if forced is None else {c.id: "it could not be aligned" for c in clips if c.id not in forced}
    clips = [clip for clip in clips if clip.id not in left_out]
    if not clips:
        raise InputError("none of the clips has an alignment; give the `alignments` of this data")
    cache = corpora.decode(clips, config.mel)
    clips = _with_speakers(clips, config.speakers)
    clips.sort(key=lambda clip: len(cache.entry(clip).mel))
    encode = make_frontend(config.text, lexicon).ids
    if isinstance(model, FastSpeech2):
        assert forced is not None
        whole = ProsodyDataset(
            clips,
            cache,
            encode=encode,
            speakers=config.speakers,
            alignments=forced,
            segment_frames=None,
            seed=0,
            statistics=statistics_of(model),
        )
        for place, clip in enumerate(clips):
            write_mel(folder, clip.id, _fastspeech2_mel(model, collate_prosody([whole[Key(0, place)]]), place).numpy())
            if progress is not None:
                progress(place + 1, len(clips))
        return GtaMels(len(clips), left_out)
    dataset = AcousticDataset(clips, cache, encode=encode, speakers=config.speakers, alignments=forced)
    for start in range(0, len(clips), _BATCH):
        together = clips[start : start + _BATCH]
        items = [dataset[Key(0, start + i)] for i in range(len(together))]
        batch = collate_acoustic(items, reduction_factor=config.tacotron2.reduction_factor)
        mels = _mels(model, batch, start, free_running, before_postnet)
        for clip, mel, length in zip(together, mels, batch.mel_lengths.tolist(), strict=True):
            write_mel(folder, clip.id, mel[:, :length].numpy())
        if progress is not None:
            progress(start + len(together), len(clips))
    return GtaMels(len(clips), left_out)


@torch.inference_mode()
def _fastspeech2_mel(model: FastSpeech2, batch: ProsodyBatch, place: int) -> Tensor:
    """(M, T) on CPU, of one clip with measured prosody."""
    device = next(model.parameters()).device
    batch = send_to_device(batch, device)
    generator = torch.Generator(device).manual_seed(step_seed(0, "forced", place))
    noise = draw_noise(model.config, batch.durations.sum(1), [generator])
    prosody = Prosody(batch.durations, batch.pitch, batch.voiced, batch.energy)
    mel: Tensor = model(batch.ids, batch.id_lengths, prosody, batch.speaker, noise).mel
    return mel[0].float().cpu()


@torch.inference_mode()
def _mels(model: Tacotron2, batch: AcousticBatch, place: int, free_running: bool, before_postnet: bool) -> Tensor:
    """(B, M, T) on CPU."""
    device = next(model.parameters()).device
    batch = send_to_device(batch, device)
    r = model.config.reduction_factor
    symbols = None
    if batch.durations is not None:
        symbols = symbols_of_steps(batch.durations, batch.mel.shape[2] // r, r)
    speaker = batch.speaker if model.config.n_speakers > 1 else None
    generator = torch.Generator(device).manual_seed(step_seed(0, "forced", place))
    if free_running:
        assert symbols is not None
        before = synthesize_aligned(model, batch.ids, batch.id_lengths, symbols, speaker=speaker, generator=generator)
        mel = before if before_postnet else model.refine(before, sequence_mask(batch.mel_lengths, before.shape[1]))
        return mel.transpose(1, 2).float().cpu()
    output: Tacotron2Output = model(
        batch.ids,
        batch.id_lengths,
        batch.mel,
        batch.mel_lengths,
        speaker=speaker,
        symbols=symbols,
        generator=generator,
    )
    return (output.mel_before if before_postnet else output.mel).float().cpu()


def _with_speakers(clips: list[Clip], speakers: Sequence[str]) -> list[Clip]:
    """The clips, whose speaker's name does not matter to a model of one speaker."""
    return [clip._replace(speaker=speakers[0]) for clip in clips] if len(speakers) == 1 else clips
