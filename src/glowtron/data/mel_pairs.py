"""Pairs of mels, the decoder's and the recording's, frame by frame in step: the data of a postnet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from glowtron.data.cache import Cache
from glowtron.data.dataset import speaker_index
from glowtron.data.manifest import Clip
from glowtron.data.precomputed_mels import PrecomputedMels
from glowtron.data.sampler import Key, generator_of


class MelPairs(NamedTuple):
    """Segments, or whole clips."""

    mel_before: Tensor
    """(B, M, T) by the decoder, before the postnet."""
    real: Tensor
    """(B, M, T) of the recording."""
    speaker: Tensor
    """(B,) int64."""


class MelPairDataset(Dataset[MelPairs]):
    """A random segment of a clip, one a clip and epoch; None for `segment_frames`: the whole clip.

    Clips shorter than a segment must have been left out.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        cache: Cache,
        mels: PrecomputedMels,
        *,
        speakers: Sequence[str],
        segment_frames: int | None,
        seed: int,
    ) -> None:
        self.speakers = [speaker_index(clip, speakers) for clip in clips]
        self.clips, self.cache, self.mels = list(clips), cache, mels
        self.segment_frames, self.seed = segment_frames, seed

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: Key) -> MelPairs:
        """The segment as a batch of one."""
        clip = self.clips[key.item]
        real = self.cache.entry(clip).mel  # (T, M)
        mel_before = self.mels.mel(clip, len(real))
        first, length = 0, len(real)
        if self.segment_frames is not None:
            rng = generator_of(self.seed, "frames", key.epoch, key.item)
            first, length = int(rng.integers(length - self.segment_frames + 1)), self.segment_frames

        def segment(mel: NDArray[np.float32]) -> Tensor:
            return torch.from_numpy(np.array(mel[first : first + length].T, np.float32))[None]

        return MelPairs(segment(mel_before), segment(real), torch.tensor([self.speakers[key.item]]))


def collate_mel_pairs(items: Sequence[MelPairs]) -> MelPairs:
    """Items of one length, together."""
    mel_before, real, speaker = (torch.cat(tensors) for tensors in zip(*items, strict=True))
    return MelPairs(mel_before, real, speaker)
