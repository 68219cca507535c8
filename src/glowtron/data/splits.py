"""The lists of clips that users of LJSpeech expect: who is in them, and how they are written.

Validation and test are the 100 and 500 clips of the published split, kept here by their ids; training is all others.
Order and subsets are this project's own: every list is in the order of `metadata.csv`, and a subset of n holds the n
training clips whose SHA-256 of the id is lowest, so that each holds all smaller ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from glowtron.data.manifest import Clip

AUDIO_SUBSETS = (64, 300, 625, 1250, 2500)
"""Sizes of the training lists' parts that name recordings."""
MEL_SUBSETS = (625, 1250, 2500)
"""Sizes of those that name mels."""


def published_split() -> dict[str, frozenset[str]]:
    """Ids of the clips kept for `val` (100) and `test` (500)."""
    ids: dict[str, list[str]] = {"val": [], "test": []}
    for line in (files("glowtron.data") / "ljspeech_split.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            part, chapter, *numbers = line.split()
            ids[part] += [f"LJ{chapter}-{number}" for number in numbers]
    return {part: frozenset(names) for part, names in ids.items()}


def list_files(clips: Sequence[Clip], mel_suffix: str) -> dict[str, str]:
    """Content of the 15 list files, lines of `path|text`, by their names.

    Paths begin with the corpus's folder, as the published programs are used to: `LJSpeech-1.1/wavs/LJ001-0001.wav`.
    Where the corpus lacks clips, lists lack them too.
    """
    kept = published_split()
    parts = {part: [clip for clip in clips if clip.id in kept[part]] for part in ("val", "test")}
    parts["train"] = [clip for clip in clips if not any(clip.id in ids for ids in kept.values())]
    ranked = sorted(parts["train"], key=lambda clip: hashlib.sha256(clip.id.encode()).digest())
    for n in AUDIO_SUBSETS:
        chosen = {clip.id for clip in ranked[:n]}
        parts[f"train_subset_{n}"] = [clip for clip in parts["train"] if clip.id in chosen]
    subsets_of_mels = {f"train_subset_{n}" for n in MEL_SUBSETS}
    audio = {f"ljs_audio_text_{part}_filelist.txt": _lines(chosen) for part, chosen in parts.items()}
    mels = {
        f"ljs_mel_text_{part}_filelist.txt": _lines(chosen, mel_suffix)
        for part, chosen in parts.items()
        if not part.startswith("train_subset") or part in subsets_of_mels
    }
    return audio | {"ljs_mel_text_filelist.txt": _lines(clips, mel_suffix)} | mels


def _lines(clips: Sequence[Clip], mel_suffix: str | None = None) -> str:
    return "".join(
        f"LJSpeech-1.1/{f'mels/{clip.id}{mel_suffix}' if mel_suffix else f'wavs/{clip.audio.name}'}|{clip.text}\n"
        for clip in clips
    )
