"""Clips with measured durations, pitch and energy, for an acoustic model that predicts them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from glowtron.data.cache import Cache
from glowtron.data.dataset import AcousticDataset
from glowtron.data.durations import Alignment
from glowtron.data.manifest import Clip
from glowtron.data.sampler import Key, generator_of

SMALLEST_STD = 1e-3
"""A standard deviation under this, as of a monotone, counts as this."""


class ProsodyStatistics(NamedTuple):
    """Means and deviations that normalise pitch and energy."""

    pitch_mean: tuple[float, ...]
    """Of log F0 in voiced frames, for each speaker."""
    pitch_std: tuple[float, ...]
    """The same."""
    energy_mean: float
    """Of symbols' mean log-mels, over all speakers."""
    energy_std: float
    """The same."""


class ProsodyItem(NamedTuple):
    """One clip: its whole text, and a segment of its frames."""

    ids: Tensor
    """(N,) int64."""
    durations: Tensor
    """(N,) int64, frames of the whole clip."""
    energy: Tensor
    """(N,) normalised."""
    mel: Tensor
    """(M, S)."""
    pitch: Tensor
    """(S,) normalised log F0."""
    voiced: Tensor
    """(S,) 1 or 0."""
    first: int
    """The segment's first frame in the clip."""
    speaker: int


class ProsodyBatch(NamedTuple):
    """Clips padded to one length."""

    ids: Tensor
    """(B, N) int64, padded with 0."""
    id_lengths: Tensor
    """(B,) int64."""
    durations: Tensor
    """(B, N) int64, frames of whole clips, padded with 0."""
    energy: Tensor
    """(B, N)."""
    mel: Tensor
    """(B, M, S)."""
    frame_mask: Tensor
    """(B, S) 1 for real frames."""
    pitch: Tensor
    """(B, S)."""
    voiced: Tensor
    """(B, S)."""
    first: Tensor
    """(B,) int64, the first frame of each segment in its clip."""
    speaker: Tensor
    """(B,) int64."""


class ProsodyDataset(Dataset[ProsodyItem]):
    """Texts with measured prosody, and a random segment of each mel; None: the whole.

    Errors as of `AcousticDataset`. Without `statistics` they are measured on these clips, which reads all of them.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        cache: Cache,
        *,
        encode: Callable[[str], list[int]],
        speakers: Sequence[str],
        alignments: Mapping[str, Alignment],
        segment_frames: int | None,
        seed: int,
        statistics: ProsodyStatistics | None = None,
    ) -> None:
        self._texts = AcousticDataset(clips, cache, encode=encode, speakers=speakers, alignments=alignments)
        self._segment_frames, self._seed = segment_frames, seed
        self.statistics = statistics or measure_statistics(self._texts, len(speakers))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, key: Key) -> ProsodyItem:
        text, statistics = self._texts[key], self.statistics
        assert text.durations is not None
        log_f0, voiced = self._texts.cache.pitch(self._texts.clips[key.item])
        pitch = (log_f0 - statistics.pitch_mean[text.speaker]) / statistics.pitch_std[text.speaker]
        energy = (symbol_energy(text.mel.numpy(), text.durations.numpy()) - statistics.energy_mean) / (
            statistics.energy_std
        )
        n_frames, first = len(text.mel), 0
        length = self._segment_frames or n_frames
        if n_frames > length:
            rng = generator_of(self._seed, "segment", key.epoch, key.item)
            first = int(rng.integers(n_frames - length + 1))
        segment = slice(first, first + length)
        return ProsodyItem(
            text.ids,
            text.durations,
            torch.from_numpy(energy.astype(np.float32)),
            text.mel[segment].T,
            torch.from_numpy(np.array(pitch[segment], np.float32)),
            torch.from_numpy(np.array(voiced[segment], np.float32)),
            first,
            text.speaker,
        )


def symbol_energy(mel: NDArray[np.float32], durations: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean log-mel of each symbol's frames, (N,); a symbol without frames has that of the frame where it would be.

    mel: (T, M); durations: (N,), whose sum is T.
    """
    level = mel.mean(axis=1, dtype=np.float64)  # (T,)
    ends = np.cumsum(durations)
    starts = ends - durations
    sums = np.concatenate([[0.0], np.cumsum(level)])
    means = (sums[ends] - sums[starts]) / np.maximum(durations, 1)
    energy: NDArray[np.float64] = np.where(durations > 0, means, level[np.minimum(starts, len(level) - 1)])
    return energy


def measure_statistics(texts: AcousticDataset, n_speakers: int) -> ProsodyStatistics:
    """Means and standard deviations over all clips; 0 and 1 for a speaker of whom no frame is voiced."""
    pitch: list[list[NDArray[np.float32]]] = [[] for _ in range(n_speakers)]
    energy = []
    for index, clip in enumerate(texts.clips):
        text = texts[Key(0, index)]
        assert text.durations is not None
        log_f0, voiced = texts.cache.pitch(clip)
        pitch[text.speaker].append(log_f0[voiced > 0])
        energy.append(symbol_energy(text.mel.numpy(), text.durations.numpy()))
    tracks = [np.concatenate([np.zeros(0, np.float32), *tracks]) for tracks in pitch]
    levels = np.concatenate(energy)
    return ProsodyStatistics(
        tuple(float(track.mean()) if len(track) else 0.0 for track in tracks),
        tuple(max(float(track.std()), SMALLEST_STD) if len(track) else 1.0 for track in tracks),
        float(levels.mean()),
        max(float(levels.std()), SMALLEST_STD),
    )


def collate_prosody(items: Sequence[ProsodyItem], segment_frames: int | None = None) -> ProsodyBatch:
    """Items of one batch, padded to the longest text, and to `segment_frames` or else the longest segment."""
    lengths = torch.tensor([item.mel.shape[1] for item in items])
    n_frames = segment_frames or int(lengths.max())

    def frames(name: str) -> Tensor:
        rows = [getattr(item, name) for item in items]
        return torch.stack([torch.nn.functional.pad(row, (0, n_frames - row.shape[-1])) for row in rows])

    def symbols(name: str) -> Tensor:
        return pad_sequence([getattr(item, name) for item in items], batch_first=True)

    return ProsodyBatch(
        ids=symbols("ids"),
        id_lengths=torch.tensor([len(item.ids) for item in items]),
        durations=symbols("durations"),
        energy=symbols("energy"),
        mel=frames("mel"),
        frame_mask=(torch.arange(n_frames) < lengths[:, None]).float(),
        pitch=frames("pitch"),
        voiced=frames("voiced"),
        first=torch.tensor([item.first for item in items]),
        speaker=torch.tensor([item.speaker for item in items]),
    )
