"""A training run from start to end: `glowtron train` as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glowtron.config import AcousticRun, VocoderRun
from glowtron.data.cache import Cache
from glowtron.data.manifest import Clip, read_manifest
from glowtron.errors import InputError
from glowtron.train.loop import Outcome, Task, train
from glowtron.train.vocoder_task import VocoderTask


def run_training(
    config: AcousticRun | VocoderRun,
    data: Sequence[tuple[str, Path]],
    run: Path,
    *,
    cache: Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Outcome:
    """Train what `config` describes on `data`, pairs of a speaker's name and a folder in LJSpeech's layout.

    An existing run folder is gone on with. `cache` keeps decoded clips and mels (default: `cache/` in the run folder)
    and may be shared by runs. Raises InputError for what the user can mend: clips that cannot be read are named here,
    before anything is trained.
    """
    if not data:
        raise InputError("give at least one --data folder")
    clips = [clip for speaker, folder in data for clip in read_manifest(folder, speaker)]
    _require_distinct(clips)
    return train(make_task(config, clips, cache or run / "cache"), run, device=device, quiet=quiet)


def make_task(config: AcousticRun | VocoderRun, clips: Sequence[Clip], cache: Path) -> Task:
    """The model and data of a run."""
    if isinstance(config, VocoderRun):
        return VocoderTask(config, clips, Cache(cache, config.vocoder.mel))
    raise NotImplementedError


def _require_distinct(clips: Sequence[Clip]) -> None:
    seen: dict[str, str] = {}
    for clip in clips:
        if clip.id in seen:
            raise InputError(f"clip id '{clip.id}' is in the data of {seen[clip.id]} and of {clip.speaker}; rename one")
        seen[clip.id] = clip.speaker
