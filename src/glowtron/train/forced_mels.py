"""Mels that an acoustic model makes in step with recordings: what its vocoder and its postnet should learn from.

A vocoder trained on recordings' mels hears sharper ones than it will be given (Shen et al. 2018, sec. 3.3, train on the
model's own, for that reason). Teacher forcing, or reading where the recording was read, keeps them in step with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate.utils import send_to_device
from torch import Tensor

from glowtron.checkpoint import load_voice
from glowtron.config import AcousticConfig, PostnetRun, VocoderRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import AcousticBatch, AcousticDataset, collate_acoustic
from glowtron.data.durations import read_alignments
from glowtron.data.given_mels import write_mel
from glowtron.data.manifest import Clip, read_corpora
from glowtron.data.sampler import Key
from glowtron.errors import InputError
from glowtron.models.following import follow
from glowtron.models.tacotron2 import Tacotron2, Tacotron2Output, real
from glowtron.models.tacotron2_loss import symbols_of_steps
from glowtron.text.frontend import make_frontend
from glowtron.train.export import load_run
from glowtron.train.schedule import step_seed

_BATCH = 16
"""Clips at a time, of like length."""


class ForcedMels(NamedTuple):
    """What became of the clips."""

    written: int
    left_out: dict[str, str]
    """Why the others have none, by clip id."""


class Acoustic(NamedTuple):
    """An acoustic model that has been trained."""

    config: AcousticConfig
    model: Tacotron2
    """On CPU, in float32 and evaluation mode."""
    monotonic: bool
    """Whether it speaks with monotonic attention."""


def load_acoustic(source: Path) -> Acoustic:
    """The acoustic model of a run's or a voice's folder. Raises InputError if it has none."""
    if (source / "voice.json").exists():
        voice = load_voice(source)
        if voice.config.acoustic is None or not isinstance(voice.acoustic, Tacotron2):
            raise InputError(f"{source}: has no Tacotron 2; give a voice or a run that has one")
        return Acoustic(voice.config.acoustic, voice.acoustic.eval(), voice.config.decoding.monotonic)
    trained = load_run(source)
    if not isinstance(trained.model, Tacotron2):
        raise InputError(f"{source}: is the run of a vocoder; give that of an acoustic model")
    assert not isinstance(trained.config, VocoderRun)
    config = trained.config
    monotonic = config.monotonic if isinstance(config, PostnetRun) else config.guide == "measured"
    return Acoustic(config.acoustic, trained.model, monotonic)


def write_forced_mels(
    source: Path,
    data: Sequence[tuple[str, Path]],
    folder: Path,
    *,
    root: Path | None = None,
    alignments: Sequence[Path] = (),
    lexicon: Path | None = None,
    free: bool = False,
    refined: bool = True,
    cache: Path | None = None,
    device: torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ForcedMels:
    """Write a mel (M, T) of each clip, as long as the recording's own, into `folder` as `id.npy`.

    source: a run or a voice; data, root, lexicon and cache: as in `run_training` (`cache/` in `folder` by default).
    With `alignments` the decoder reads where they say, and clips that have none are left out; else where its own
    attention looks. `free`: it hears itself, not the recording, as in speaking; this needs alignments. Without
    `refined` the mels are those before the postnet. Prenet dropout is drawn as in speaking, of a fixed seed. `progress`
    is told how many clips of how many are done. Raises InputError for what the user can mend.
    """
    if free and not alignments:
        raise InputError("--free needs --alignments, or the mels would not keep step with the recordings")
    config, model, _ = load_acoustic(source)
    model = model.to(device or torch.device("cpu"))
    clips = _clips(data, root, config.speakers)
    measured = {name: one for path in alignments for name, one in read_alignments(path).items()} if alignments else None
    left_out = {} if measured is None else {c.id: "it could not be aligned" for c in clips if c.id not in measured}
    clips = [clip for clip in clips if clip.id not in left_out]
    if not clips:
        raise InputError("none of the clips has an alignment; give the --alignments of this data")
    decoded = Cache(cache or folder / "cache", config.mel)
    decoded.fill(clips)
    clips.sort(key=lambda clip: len(decoded.entry(clip).mel))
    encode = make_frontend(config.text, lexicon).ids
    dataset = AcousticDataset(clips, decoded, encode=encode, speakers=config.speakers, alignments=measured)
    for start in range(0, len(clips), _BATCH):
        together = clips[start : start + _BATCH]
        items = [dataset[Key(0, start + i)] for i in range(len(together))]
        batch = collate_acoustic(items, reduction_factor=config.tacotron2.reduction_factor)
        mels = _mels(model, batch, start, free, refined)
        for clip, mel, length in zip(together, mels, batch.mel_lengths.tolist(), strict=True):
            write_mel(folder, clip.id, mel[:, :length].numpy())
        if progress is not None:
            progress(start + len(together), len(clips))
    return ForcedMels(len(clips), left_out)


@torch.inference_mode()
def _mels(model: Tacotron2, batch: AcousticBatch, place: int, free: bool, refined: bool) -> Tensor:
    """(B, M, T) on CPU."""
    device = next(model.parameters()).device
    batch = send_to_device(batch, device)
    r = model.config.reduction_factor
    symbols = None
    if batch.durations is not None:
        symbols = symbols_of_steps(batch.durations, batch.mel.shape[2] // r, r)
    speaker = batch.speaker if model.config.n_speakers > 1 else None
    generator = torch.Generator(device).manual_seed(step_seed(0, "forced", place))
    if free:
        assert symbols is not None
        before = follow(model, batch.ids, batch.id_lengths, symbols, speaker=speaker, generator=generator)
        mel = model.refine(before, real(batch.mel_lengths, before.shape[1])) if refined else before
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
    return (output.mel if refined else output.mel_before).float().cpu()


def _clips(data: Sequence[tuple[str, Path]], root: Path | None, speakers: Sequence[str]) -> list[Clip]:
    if not data:
        raise InputError("give at least one --data")
    clips = read_corpora(data, root)
    # A voice of one speaker has no use for its name, nor has who gives a folder without one.
    return [clip._replace(speaker=speakers[0]) for clip in clips] if len(speakers) == 1 else clips
