"""Decoded clips and their mels on disk, so that training reads them as fast as memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.config import MelConfig, to_dict
from glowtron.data.manifest import Clip, over_clips, read_clip
from glowtron.data.pitch import pitch_contour
from glowtron.errors import InputError, reason
from glowtron.files import write_atomic
from glowtron.mel import log_mel

_VERSION = 1
"""Raised whenever what is stored changes meaning, so that entries of older programs are not taken up."""


class Entry(NamedTuple):
    """One clip, mapped from disk: only what is read is loaded."""

    wave: NDArray[np.int16]
    """(L,), full scale 32768."""
    mel: NDArray[np.float32]
    """(T, M), T = L // hop_length + 1."""


class Cache:
    """A folder with two files a clip: 16-bit audio at the mel's rate, and the log-mel of just that audio in float32.

    A third is made for models that learn pitch.

    Entries are named by a hash of the recording's path, size and time of change and of the mel's definition, so one
    folder serves any number of corpora and runs. A missing or damaged entry is made again. Each `Cache` looks at a
    recording once: one that changes under way counts from the next run on. Its old entry stays until the folder is
    deleted, which is always safe.
    """

    def __init__(self, folder: str | Path, mel: MelConfig) -> None:
        self.folder, self.mel = Path(folder), mel
        self._names: dict[Path, str] = {}

    def fill(self, clips: Sequence[Clip], progress: Callable[[int], None] | None = None) -> list[int]:
        """Make all missing entries and return each clip's length in mel frames.

        `progress` gets the number of clips done after each. Raises one InputError that names each clip that cannot be
        used, with its reason, or that says why the folder cannot be written.
        """
        try:
            return over_clips(clips, lambda clip: len(self._found_or_made(clip).mel), progress)
        except OSError as error:
            raise self._unwritable(error) from error

    def entry(self, clip: Clip) -> Entry:
        """The clip's entry, made first if it is missing. Raises InputError if it cannot be."""
        try:
            return self._found_or_made(clip)
        except OSError as error:
            raise self._unwritable(error) from error

    def pitch(self, clip: Clip) -> NDArray[np.float32]:
        """The clip's pitch contour (2, T), made first if it is missing: see `pitch_contour`."""
        entry = self.entry(clip)
        path = self.folder / f"{self._names[clip.audio]}.pitch.npy"
        try:
            found: NDArray[np.float32] = np.load(path, mmap_mode="r")
            if found.shape == (2, len(entry.mel)):
                return found
        except (OSError, ValueError, EOFError):  # Missing, or not what was written.
            pass
        made = pitch_contour(Audio(as_float(entry.wave), self.mel.sample_rate), len(entry.mel), self.mel)
        try:
            with write_atomic(path, shared=True) as partial, partial.open("wb") as file:
                np.save(file, made)
        except OSError as error:
            raise self._unwritable(error) from error
        return made

    def _found_or_made(self, clip: Clip) -> Entry:
        """As `entry`, but with Python's own error where the folder cannot be written, which is no fault of the clip."""
        # Naming costs as much as opening, so it is done once.
        name = self._names.get(clip.audio) or self._names.setdefault(clip.audio, self._name(clip.audio))
        wave_path, mel_path = self.folder / f"{name}.wave.npy", self.folder / f"{name}.mel.npy"
        try:
            return self._open(wave_path, mel_path)
        except (OSError, ValueError, EOFError):  # Missing, or not what was written: numpy raises any of these.
            self._make(clip, wave_path, mel_path)
        return self._open(wave_path, mel_path)

    def _name(self, audio: Path) -> str:
        try:
            status = audio.stat()
        except OSError as error:
            raise InputError(f"{audio}: cannot be read: {reason(error)}") from error
        recording = [str(audio.resolve()), status.st_size, status.st_mtime_ns]
        identity = [_VERSION, recording, to_dict(self.mel)]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]

    def _open(self, wave_path: Path, mel_path: Path) -> Entry:
        entry = Entry(np.load(wave_path, mmap_mode="r"), np.load(mel_path, mmap_mode="r"))
        expected = (len(entry.wave) // self.mel.hop_length + 1, self.mel.n_mels)
        if entry.wave.dtype != np.int16 or entry.mel.dtype != np.float32 or entry.mel.shape != expected:
            raise ValueError(f"{mel_path} is not what was written")
        return entry

    def _make(self, clip: Clip, wave_path: Path, mel_path: Path) -> None:
        wave = read_clip(clip, self.mel.sample_rate).pcm16()
        mel = log_mel(torch.from_numpy(as_float(wave))[None], self.mel)[0].T.contiguous().numpy()
        for path, array in ((wave_path, wave), (mel_path, mel)):
            with write_atomic(path, shared=True) as partial, partial.open("wb") as file:
                np.save(file, array)

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"{self.folder}: the cache cannot be written: {reason(error)}; make room or choose another")


def as_float(wave: NDArray[np.int16]) -> NDArray[np.float32]:
    """16-bit samples as float32 in [-1, 1)."""
    return wave.astype(np.float32) / np.float32(32768)
