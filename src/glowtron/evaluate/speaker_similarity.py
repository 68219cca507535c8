"""Speaker similarity: whether a voice sounds like its reader, by embeddings of speakers.

The embeddings are those of Wan et al. 2018 (GE2E): three LSTM layers over 1.6 s of a 40-band mel, as trained and
published in the package `Resemblyzer`, whose weights are read here as data. Similarity is the cosine between two
embeddings. Recordings of one reader give about 0.9, readers of one sex about 0.6 to 0.8: so a figure is read beside
what the reader's own recordings and another reader's give. It hears timbre and pitch range, and recording conditions
with them; it does not hear melody or words. Here long silences are cut by their level, where the published program
asks a detector of voice: figures are comparable among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glowtron.audio import Audio
from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.evaluate.levels import RATE, Samples, at_16_khz, frame_power, is_speech
from glowtron.evaluate.optional import folder_of
from glowtron.mel import mel_filters

_MEL = MelConfig(sample_rate=RATE, n_fft=400, win_length=400, hop_length=160, n_mels=40, f_max=8000.0)
_WINDOW, _STEP = 160, 77
"""Mel frames of one embedding, and between two: 1.6 and 0.77 s."""
_FRAME, _SILENT_DB, _KEPT = 480, 40.0, 6
"""Samples of a frame in which silence is looked for, its depth, and silent frames kept beside speech."""
_LEVEL = 10 ** (-30 / 20)
"""Root mean square of what the network hears."""

Embedding = NDArray[np.float32]


class SpeakerEncoder:
    """Turns recordings into embeddings of unit length."""

    def __init__(self) -> None:
        """Raises InputError if the package `Resemblyzer` is not installed."""
        weights = torch.load(folder_of("resemblyzer") / "pretrained.pt", map_location="cpu", weights_only=True)
        self._lstm = nn.LSTM(_MEL.n_mels, 256, num_layers=3, batch_first=True)
        self._linear = nn.Linear(256, 256)
        for name, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            state = weights["model_state"].items()
            module.load_state_dict({key[len(name) :]: value for key, value in state if key.startswith(name)})
        self._filters = mel_filters(_MEL).numpy()

    @torch.inference_mode()
    def embed(self, audio: Audio) -> Embedding:
        """Embedding (256,) of one recording: the mean over windows of 1.6 s. Raises InputError without speech."""
        samples = _without_silence(at_16_khz(audio))
        if len(samples) == 0:
            raise InputError("a recording without speech has no speaker; give one that holds some")
        mel = torch.from_numpy(self._mel(samples * np.float32(_LEVEL / np.sqrt(np.mean(np.square(samples))))))
        starts = range(0, max(1, len(mel) - _WINDOW + 1), _STEP)
        mel = nn.functional.pad(mel, (0, 0, 0, max(0, _WINDOW - len(mel))))
        windows = torch.stack([mel[start : start + _WINDOW] for start in starts])
        hidden = self._lstm(windows)[1][0][-1]
        embeddings = nn.functional.normalize(torch.relu(self._linear(hidden)), dim=1)
        return unit(embeddings.mean(dim=0).numpy())

    def _mel(self, samples: Samples) -> NDArray[np.float32]:
        """Power mel (T, 40), not logarithmic."""
        padded = np.pad(samples, _MEL.n_fft // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _MEL.n_fft)[:: _MEL.hop_length]
        power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_MEL.n_fft + 1)[:-1], axis=1)))
        mel: NDArray[np.float32] = (power @ self._filters.T).astype(np.float32)
        return mel


def embed_all(encoder: SpeakerEncoder, audios: Sequence[Audio]) -> list[Embedding]:
    """Embeddings of those of `audios` that hold speech."""
    return [encoder.embed(audio) for audio in audios if has_speech(audio)]


def has_speech(audio: Audio) -> bool:
    """True if `SpeakerEncoder.embed` finds speech in a recording."""
    return len(_without_silence(at_16_khz(audio))) > 0


def centroid(embeddings: Sequence[Embedding]) -> Embedding:
    """The speaker's embedding (256,): the mean of those of the recordings, of unit length."""
    return unit(np.mean(embeddings, axis=0))


def similarities(embeddings: Sequence[Embedding], speaker: Embedding) -> list[float]:
    """Cosine between each recording's embedding and a speaker's."""
    return [float(embedding @ speaker) for embedding in embeddings]


def own_similarities(embeddings: Sequence[Embedding]) -> list[float]:
    """Cosine between each recording's embedding and the centroid of all others; none for fewer than two."""
    if len(embeddings) < 2:
        return []
    whole = np.sum(embeddings, axis=0)
    return [float(embedding @ unit(whole - embedding)) for embedding in embeddings]


def unit(vector: NDArray[np.float32]) -> Embedding:
    """The vector at length 1; all zero stays so."""
    scaled: Embedding = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return scaled


def _without_silence(samples: Samples) -> Samples:
    """Speech and up to 0.18 s of silence beside it."""
    speech = is_speech(frame_power(samples, _FRAME), _SILENT_DB)
    kept = np.convolve(speech, np.ones(2 * _KEPT + 1))[_KEPT : _KEPT + len(speech)] > 0
    mask = np.repeat(kept, _FRAME)
    return samples[: len(mask)][mask[: len(samples)]]
