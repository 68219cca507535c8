"""Mels that an acoustic model makes of recordings it is shown frame by frame: what its vocoder should learn from.

A vocoder trained on recordings' mels hears sharper ones than it will be given (Shen et al. 2018, sec. 3.3, train on the
model's own, for that reason). Teacher forcing keeps these in step with the recording, so that they can be learnt from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from glowtron.checkpoint import load_voice
from glowtron.config import AcousticConfig
from glowtron.data.cache import Cache
from glowtron.data.dataset import AcousticBatch, AcousticDataset, collate_acoustic
from glowtron.data.durations import read_alignments
from glowtron.data.given_mels import write_mel
from glowtron.data.manifest import Clip, read_manifest, require_distinct
from glowtron.data.sampler import Key
from glowtron.errors import InputError
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.tacotron2_loss import symbols_of_steps
from glowtron.text.frontend import make_frontend
from glowtron.train.export import load_run
from glowtron.train.schedule import step_seed

_BATCH = 8
"""Clips at a time, of like length."""


class ForcedMels(NamedTuple):
    """What became of the clips."""

    written: int
    left_out: dict[str, str]
    """Why the others have none, by clip id."""


def load_acoustic(source: Path) -> tuple[AcousticConfig, Tacotron2]:
    """The acoustic model of a run's or a voice's folder. Raises InputError if it has none."""
    if (source / "voice.json").exists():
        voice = load_voice(source)
        if voice.config.acoustic is None or voice.acoustic is None:
            raise InputError(f"{source}: has no acoustic model; give a voice or a run that has one")
        return voice.config.acoustic, voice.acoustic
    trained = load_run(source)
    if not isinstance(trained.model, Tacotron2):
        raise InputError(f"{source}: is the run of a vocoder; give that of an acoustic model")
    assert trained.config.type == "acoustic"
    return trained.config.acoustic, trained.model


def write_forced_mels(
    source: Path,
    data: Sequence[tuple[str, Path]],
    folder: Path,
    *,
    alignments: Sequence[Path] = (),
    cache: Path | None = None,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ForcedMels:
    """Write a mel (M, T) of each clip, as long as the recording's own, into `folder` as `id.npy`.

    source: a run or a voice; data and cache: as in `run_training` (`cache/` in `folder` by default). With `alignments`
    the decoder reads where they say, and clips that have none are left out; else where its own attention looks. Prenet
    dropout is drawn as in speaking, of a fixed seed. `progress` is told how many clips of how many are done. Raises
    InputError for what the user can mend.
    """
    config, model = load_acoustic(source)
    model = model.to(device or torch.device("cpu"))
    clips = _clips(data, config.speakers)
    measured = {name: one for path in alignments for name, one in read_alignments(path).items()} if alignments else None
    left_out = {} if measured is None else {c.id: "it could not be aligned" for c in clips if c.id not in measured}
    clips = [clip for clip in clips if clip.id not in left_out]
    if not clips:
        raise InputError("none of the clips has an alignment; give the --alignments of this data")
    decoded = Cache(cache or folder / "cache", config.mel)
    decoded.fill(clips)
    clips.sort(key=lambda clip: len(decoded.entry(clip).mel))
    dataset = AcousticDataset(
        clips, decoded, encode=make_frontend(config.text).ids, speakers=config.speakers, alignments=measured
    )
    for start in range(0, len(clips), _BATCH):
        together = clips[start : start + _BATCH]
        items = [dataset[Key(0, start + i)] for i in range(len(together))]
        batch = collate_acoustic(items, reduction_factor=config.model.reduction_factor)
        for clip, mel, length in zip(together, _forced(model, batch, start), batch.mel_lengths.tolist(), strict=True):
            write_mel(folder, clip.id, mel[:, :length].numpy())
        if progress is not None:
            progress(start + len(together), len(clips))
    return ForcedMels(len(clips), left_out)


@torch.inference_mode()
def _forced(model: Tacotron2, batch: AcousticBatch, place: int) -> Tensor:
    """(B, M, T) on CPU."""
    device = next(model.parameters()).device
    batch = send_to_device(batch, device)
    r = model.config.reduction_factor
    symbols = None
    if batch.durations is not None:
        symbols = symbols_of_steps(batch.durations, batch.mel.shape[2] // r, r)
    output = model(
        batch.ids,
        batch.id_lengths,
        batch.mel,
        batch.mel_lengths,
        speaker=batch.speaker if model.config.n_speakers > 1 else None,
        symbols=symbols,
        generator=torch.Generator(device).manual_seed(step_seed(0, "forced", place)),
    )
    mel: Tensor = output.mel.float().cpu()
    return mel


def _clips(data: Sequence[tuple[str, Path]], speakers: Sequence[str]) -> list[Clip]:
    if not data:
        raise InputError("give at least one --data folder")
    clips = [clip for speaker, folder in data for clip in read_manifest(folder, speaker)]
    require_distinct(clips)
    # A voice of one speaker has no use for its name, nor has who gives a folder without one.
    return [clip._replace(speaker=speakers[0]) for clip in clips] if len(speakers) == 1 else clips
