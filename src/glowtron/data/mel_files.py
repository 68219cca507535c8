"""Mels of recordings as files that other programs read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from glowtron.audio import read_header
from glowtron.config import MelConfig
from glowtron.data.download import Progress
from glowtron.data.manifest import Clip, over_clips, read_clip
from glowtron.errors import InputError
from glowtron.files import write_bytes
from glowtron.mel import log_mel

MelFormat = Literal["npy", "pt"]
"""`npy` as NVIDIA's tacotron2 reads mels, `pt` as its DeepLearningExamples do."""


def write_mels(clips: Sequence[Clip], folder: Path, kind: MelFormat, progress: Progress | None = None) -> list[float]:
    """Write the log-mel (M, T) float32 of each clip as `id.npy` or `id.pt`, unless it is there and newer than the clip.

    Returns the clips' lengths in seconds. `progress` gets the number of clips done and of all. Raises one InputError
    that names each clip that cannot be read or that is not at the mel's rate, which all of LJSpeech is.
    """
    config = MelConfig()

    def write(clip: Clip) -> float:
        header = read_header(clip.audio)
        if (header.sample_rate, header.n_channels) != (config.sample_rate, 1):
            raise InputError(
                f"{clip.audio}: is {header.conversion(config.sample_rate)}; LJSpeech's clips need no change"
            )
        path = folder / f"{clip.id}.{kind}"
        n_bytes = 4 * config.n_mels * (header.n_samples // config.hop_length + 1)
        if not _newer(path, clip.audio, n_bytes):
            wave = torch.from_numpy(read_clip(clip).samples)
            mel = log_mel(wave[None], config)[0]
            write_bytes(path, _encoded(mel, kind))
        return header.n_samples / header.sample_rate

    return over_clips(clips, write, lambda done: progress(done, len(clips)) if progress else None)


def _newer(path: Path, recording: Path, n_bytes: int) -> bool:
    """True if a file is newer than the recording and longer than `n_bytes`: its header and all values."""
    try:
        made = path.stat()
    except FileNotFoundError:
        return False
    return made.st_size > n_bytes and made.st_mtime_ns >= recording.stat().st_mtime_ns


def _encoded(mel: torch.Tensor, kind: MelFormat) -> bytes:
    out = io.BytesIO()
    if kind == "npy":
        np.save(out, mel.contiguous().numpy())
    else:
        torch.save(mel.contiguous().clone(), out)
    return out.getvalue()
