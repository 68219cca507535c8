"""Datasets: segments of sound for the vocoder, texts with their mels for the acoustic model.

An item is a pure function of the seed and its `Key`, whatever process reads it and whatever was read before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from glowtron.data.cache import Cache, as_float
from glowtron.data.durations import Alignment, durations
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.data.sampler import Key, generator_of
from glowtron.errors import InputError
from glowtron.mel import log_mel


class VocoderBatch(NamedTuple):
    """Segments of sound."""

    wave: Tensor
    """(B, S), in [-1, 1]."""
    mel: Tensor
    """(B, M, S // hop_length + 1); frame t is centred at sample t * hop_length of the segment."""
    speaker: Tensor
    """(B,) int64."""


class VocoderDataset(Dataset[VocoderBatch]):
    """Random segments of clips, one a clip and epoch.

    A segment begins at the centre of a mel frame, and its mel is cut out of the whole clip's, so no reflected edge gets
    into it. A clip shorter than a segment is followed by silence. `dither` is the standard deviation of noise added to
    the audio, and not to what the mel is made of. `mels` takes the place of the recordings' own. `speakers` are the
    model's, in its order; without any, all are speaker 0. Raises InputError for a clip whose speaker is not listed.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        cache: Cache,
        *,
        segment_length: int,
        seed: int,
        dither: float = 0.0,
        mels: PrecomputedMels | None = None,
        speakers: Sequence[str] = (),
    ) -> None:
        self.clips, self.cache, self.mels = list(clips), cache, mels
        self.speakers = [speaker_index(clip, speakers) if speakers else 0 for clip in self.clips]
        self.segment_length, self.seed, self.dither = segment_length, seed, dither

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: Key) -> VocoderBatch:
        """The segment as a batch of one."""
        clip = self.clips[key.item]
        entry = self.cache.entry(clip)
        frames = entry.mel if self.mels is None else self.mels.mel(clip, len(entry.mel))  # (T, M)
        rng = generator_of(self.seed, "segment", key.epoch, key.item)
        hop, length = self.cache.mel.hop_length, self.segment_length
        spare = len(entry.wave) - length
        if spare >= 0:
            first = int(rng.integers(spare // hop + 1))  # Frame
            wave = torch.from_numpy(as_float(entry.wave[first * hop : first * hop + length]))
            mel = torch.from_numpy(np.array(frames[first : first + length // hop + 1].T, np.float32))
        else:
            wave = torch.from_numpy(np.pad(as_float(entry.wave), (0, -spare)))
            mel = log_mel(wave[None], self.cache.mel)[0]
            if self.mels is not None:  # The padding is silence in any case.
                mel[:, : len(frames)] = torch.from_numpy(np.array(frames.T, np.float32))
        if self.dither:
            wave = wave + self.dither * torch.from_numpy(rng.standard_normal(length, dtype=np.float32))
        return VocoderBatch(wave[None], mel[None], torch.tensor([self.speakers[key.item]]))


def collate_vocoder(items: Sequence[VocoderBatch]) -> VocoderBatch:
    """Items of one batch, together."""
    wave, mel, speaker = (torch.cat(parts) for parts in zip(*items, strict=True))
    return VocoderBatch(wave, mel, speaker)


class AcousticItem(NamedTuple):
    """One clip."""

    ids: Tensor
    """(N,) int64."""
    mel: Tensor
    """(T, M)."""
    speaker: int
    durations: Tensor | None
    """(N,) int64, frames a symbol lasts; their sum is T."""


class AcousticBatch(NamedTuple):
    """Clips padded to one length."""

    ids: Tensor
    """(B, N) int64, padded with 0."""
    id_lengths: Tensor
    """(B,) int64."""
    mel: Tensor
    """(B, M, T), padded with 0 as in the published training; T is a multiple of the reduction factor."""
    mel_lengths: Tensor
    """(B,) int64, without padding."""
    speaker: Tensor
    """(B,) int64."""
    durations: Tensor | None
    """(B, N) int64, padded with 0; rows sum to `mel_lengths`."""


class AcousticDataset(Dataset[AcousticItem]):
    """Texts as symbol ids, with the mels of their recordings, and optionally how long each symbol lasts.

    `encode` is the frontend's `ids`; `speakers` are the model's, in its order; `alignments` are by clip id. Raises
    InputError that names the clip: a speaker that is not listed, a text that leaves no symbols, an alignment that is
    missing or of other symbols.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        cache: Cache,
        *,
        encode: Callable[[str], list[int]],
        speakers: Sequence[str] = ("speaker",),
        alignments: Mapping[str, Alignment] | None = None,
    ) -> None:
        self.clips, self.cache = list(clips), cache
        self.ids = [encode(clip.text) for clip in self.clips]
        self.speakers = [speaker_index(clip, speakers) for clip in self.clips]
        self.alignments: list[Alignment] | None = None
        for clip, ids in zip(self.clips, self.ids, strict=True):
            if not ids:
                raise InputError(f"clip '{clip.id}': nothing of its text can be spoken: '{clip.text}'")
        if alignments is not None:
            self.alignments = [
                _alignment(clip, ids, alignments) for clip, ids in zip(self.clips, self.ids, strict=True)
            ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: Key) -> AcousticItem:
        clip = self.clips[key.item]
        mel = torch.from_numpy(np.array(self.cache.entry(clip).mel))
        lasting = None
        if self.alignments is not None:
            try:
                lasting = torch.tensor(durations(self.alignments[key.item], len(mel), self.cache.mel))
            except InputError as error:
                raise InputError(f"clip '{clip.id}': {error}") from error
        return AcousticItem(torch.tensor(self.ids[key.item]), mel, self.speakers[key.item], lasting)


def collate_acoustic(items: Sequence[AcousticItem], reduction_factor: int = 1) -> AcousticBatch:
    """Items of one batch, padded to the longest and on to a multiple of `reduction_factor` frames."""
    id_lengths = torch.tensor([len(item.ids) for item in items])
    mel_lengths = torch.tensor([len(item.mel) for item in items])
    n_ids = int(id_lengths.max())
    n_frames = -(-int(mel_lengths.max()) // reduction_factor) * reduction_factor
    mel = items[0].mel.new_zeros(len(items), n_frames, items[0].mel.shape[1])
    for row, item in zip(mel, items, strict=True):
        row[: len(item.mel)] = item.mel
    lasting = [item.durations for item in items if item.durations is not None]
    assert len(lasting) in (0, len(items)), "either all items have durations or none"
    return AcousticBatch(
        ids=_padded([item.ids for item in items], n_ids),
        id_lengths=id_lengths,
        mel=mel.transpose(1, 2).contiguous(),  # (B, T, M) -> (B, M, T)
        mel_lengths=mel_lengths,
        speaker=torch.tensor([item.speaker for item in items]),
        durations=_padded(lasting, n_ids) if lasting else None,
    )


def _padded(rows: Sequence[Tensor], length: int) -> Tensor:
    padded = rows[0].new_zeros(len(rows), length)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded


def speaker_index(clip: Clip, speakers: Sequence[str]) -> int:
    """The place of a clip's speaker among a model's. Raises InputError, naming the clip, if it has none."""
    if clip.speaker not in speakers:
        known = ", ".join(speakers)
        raise InputError(f"clip '{clip.id}': its speaker '{clip.speaker}' is not among the model's ({known})")
    return list(speakers).index(clip.speaker)


def _alignment(clip: Clip, ids: list[int], alignments: Mapping[str, Alignment]) -> Alignment:
    if clip.id not in alignments:
        raise InputError(f"clip '{clip.id}': has no alignment; align the corpus again or leave the clip out")
    alignment = alignments[clip.id]
    if list(alignment.symbols) != ids:
        raise InputError(
            f"clip '{clip.id}': its alignment has other symbols than the text frontend gives now; align the corpus "
            "again with the run's text settings"
        )
    return alignment
