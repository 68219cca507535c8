"""A training run from start to end: `glowtron train` as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glowtron.config import AcousticRun, VocoderRun
from glowtron.data.cache import Cache
from glowtron.data.durations import read_alignments
from glowtron.data.manifest import Clip, read_manifest
from glowtron.errors import InputError
from glowtron.train.acoustic_task import AcousticTask
from glowtron.train.loop import Outcome, Task, train
from glowtron.train.vocoder_task import VocoderTask


def run_training(
    config: AcousticRun | VocoderRun,
    data: Sequence[tuple[str, Path]],
    run: Path,
    *,
    alignments: Sequence[Path] = (),
    cache: Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Outcome:
    """Train what `config` describes on `data`, pairs of a speaker's name and a folder in LJSpeech's layout.

    An existing run folder is gone on with. `alignments` are files that say when each symbol of a clip is heard, for an
    acoustic model with `guide` measured. `cache` keeps decoded clips and mels (default: `cache/` in the run folder)
    and may be shared by runs. Raises InputError for what the user can mend: clips that cannot be read are named here,
    before anything is trained.
    """
    if not data:
        raise InputError("give at least one --data folder")
    clips = [clip for speaker, folder in data for clip in read_manifest(folder, speaker)]
    _require_distinct(clips)
    task = make_task(config, clips, Path(cache or run / "cache"), alignments)
    return train(task, run, device=device, quiet=quiet)


def make_task(
    config: AcousticRun | VocoderRun, clips: Sequence[Clip], cache: Path, alignments: Sequence[Path] = ()
) -> Task:
    """The model and data of a run."""
    if isinstance(config, VocoderRun):
        if alignments:
            raise InputError("--alignments is for acoustic models; a vocoder learns from sound alone")
        return VocoderTask(config, clips, Cache(cache, config.vocoder.mel))
    measured = {name: one for path in alignments for name, one in read_alignments(path).items()}
    return AcousticTask(config, clips, Cache(cache, config.acoustic.mel), measured or None)


def _require_distinct(clips: Sequence[Clip]) -> None:
    seen: dict[str, str] = {}
    for clip in clips:
        if clip.id in seen:
            raise InputError(f"clip id '{clip.id}' is in the data of {seen[clip.id]} and of {clip.speaker}; rename one")
        seen[clip.id] = clip.speaker
