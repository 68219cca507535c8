"""Mels of recordings that were computed before, such as GTA mels of an acoustic model: a file `id.npy` a clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glowtron.config import MelConfig
from glowtron.data.manifest import Clip
from glowtron.errors import InputError, reason
from glowtron.files import write_bytes


class PrecomputedMels:
    """A folder of log-mels (M, T) in floating point, frame t centred at sample t * hop_length of the recording."""

    def __init__(self, folder: str | Path, config: MelConfig) -> None:
        """Raises InputError if there is no such folder."""
        self.folder, self.config = Path(folder), config
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: is no folder of mels; make one with `glowtron mels`")

    def __contains__(self, clip: Clip) -> bool:
        return self._path(clip).is_file()

    def _path(self, clip: Clip) -> Path:
        return self.folder / f"{clip.id}.npy"

    def mel(self, clip: Clip, n_frames: int) -> NDArray[np.float32]:
        """The clip's mel (T, M), mapped from disk, of `n_frames` frames as its recording has.

        Raises InputError, naming the file, for one that is missing, damaged or of another shape.
        """
        path = self._path(clip)
        try:
            mel = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: cannot be read as a mel: {reason(error)}; make it again") from error
        if mel.shape != (self.config.n_mels, n_frames) or mel.dtype.kind != "f":
            raise InputError(
                f"{path}: is {mel.dtype} {mel.shape}; its recording asks for floats ({self.config.n_mels}, {n_frames})"
            )
        frames: NDArray[np.float32] = mel.T
        return frames

    def sha256(self, clips: Sequence[Clip]) -> str:
        """Hash of all the clips' files, in their order, so that a resumed run can check them."""
        digest = hashlib.sha256()
        for clip in clips:
            try:
                digest.update(self._path(clip).read_bytes())
            except OSError as error:
                raise InputError(f"{self._path(clip)}: cannot be read: {reason(error)}") from error
        return digest.hexdigest()


def write_mel(folder: Path, name: str, mel: NDArray[np.float32]) -> None:
    """Write a mel (M, T) as a file of a `PrecomputedMels` folder. Raises InputError if it cannot be written."""
    path = folder / f"{name}.npy"
    file = BytesIO()
    np.save(file, np.ascontiguousarray(mel, dtype=np.float32))
    write_bytes(path, file.getvalue(), shared=True)
