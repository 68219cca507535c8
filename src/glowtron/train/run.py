"""A training run from start to end: `glowtron train` as a function."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from glowtron.config import AcousticRun, PostnetRun, RunConfig, VocoderRun
from glowtron.data.cache import Cache
from glowtron.data.dataset import speaker_index
from glowtron.data.durations import Alignment, read_alignments
from glowtron.data.given_mels import GivenMels
from glowtron.data.manifest import read_corpora
from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.acoustic_task import AcousticTask
from glowtron.train.forced_mels import load_acoustic
from glowtron.train.loop import Outcome, train
from glowtron.train.origin import begin
from glowtron.train.postnet_task import PostnetTask
from glowtron.train.processes import meet
from glowtron.train.run_folder import in_turn
from glowtron.train.state import Stops, Task
from glowtron.train.vocoder_task import VocoderTask


def run_training(
    config: RunConfig,
    data: Sequence[tuple[str, Path]],
    run: Path,
    *,
    root: Path | None = None,
    alignments: Sequence[Path] = (),
    lexicon: Path | None = None,
    mels: Path | None = None,
    base: Path | None = None,
    reset: Sequence[str] = (),
    stops: Stops | None = None,
    cache: Path | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Outcome:
    """Train what `config` describes on `data`, pairs of a speaker's name and a folder in LJSpeech's layout or a list.

    `root` is where the paths in lists begin. An existing run folder is gone on with. `alignments` are files that say
    when each symbol of a clip is heard, for an acoustic model with `guide` measured; `lexicon` holds the user's own
    pronunciations, the same as these were made with. `mels` is a folder of mels that a
    vocoder learns from in place of the recordings' own, or a postnet as what the decoder of `base` made. `base` is a
    run or a voice: a new run begins with the weights there, but for the parts under `reset`; one that is gone on with
    has its own. `stops` may end a run before its schedule does. `cache` keeps decoded clips and mels (default: `cache/`
    in the run folder) and may be shared by runs. Raises InputError for what the user can mend: clips that cannot be
    read are named here, before anything is trained.
    """
    if not data:
        raise InputError("give at least one --data")
    meet(device)
    clips = read_corpora(data, root, needs_text=not isinstance(config, VocoderRun))
    if isinstance(config, VocoderRun) and config.vocoder.speakers:
        for clip in clips:  # Before they are read.
            speaker_index(clip, config.vocoder.speakers)
    measured = _measured(config, alignments)
    acoustic = None
    if isinstance(config, PostnetRun):
        if base is None or mels is None:
            raise InputError("a postnet needs --from, its acoustic model, and --mels, what that makes (glowtron mels)")
        source = load_acoustic(base)
        acoustic = source.model
        config = replace(config, acoustic=source.config, monotonic=source.monotonic)
    if reset and (base is None or isinstance(config, PostnetRun)):
        raise InputError("--reset says what of --from an acoustic model or a vocoder does not take over; give that too")
    mel = config.vocoder.mel if isinstance(config, VocoderRun) else config.acoustic.mel
    if lexicon is not None and not isinstance(config, AcousticRun):
        raise InputError(f"--lexicon is for acoustic models; a {config.type} reads no text")
    if mels is not None and isinstance(config, AcousticRun):
        raise InputError("--mels is for vocoders and postnets; an acoustic model learns the recordings' own")
    decoded = Cache(cache or run / "cache", mel)
    shown = not quiet and sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"  # torchrun starts many of us.
    bar = tqdm(total=len(clips), unit="clip", desc="reading", disable=not shown, leave=False)
    with bar, in_turn(decoded.folder):
        decoded.fill(clips, lambda done: bar.update(done - bar.n))
    given = GivenMels(mels, mel) if mels is not None else None
    task: Task
    if isinstance(config, VocoderRun):
        task = VocoderTask(config, clips, decoded, given)
    elif isinstance(config, PostnetRun):
        assert given is not None and acoustic is not None
        task = PostnetTask(config, clips, decoded, given, acoustic)
    else:
        task = AcousticTask(config, clips, decoded, measured, lexicon)
    origin = None
    if base is not None and not isinstance(config, PostnetRun) and not checkpoints.steps(run):
        origin = begin(task.model, config, base, reset)
    return train(task, run, stops=stops, origin=origin, device=device, quiet=quiet)


def _measured(config: RunConfig, paths: Sequence[Path]) -> dict[str, Alignment] | None:
    """All measured alignments, by clip id; None where the run uses none."""
    if not isinstance(config, AcousticRun):
        if paths:
            raise InputError(f"--alignments is for acoustic models; a {config.type} needs none")
        return None
    if config.guide == "measured" and not paths:
        raise InputError("guide 'measured' needs --alignments; make them with `glowtron align`")
    if config.guide != "measured" and paths:
        raise InputError(f"--alignments teach nothing with guide '{config.guide}'; give --set guide=measured too")
    return {name: one for path in paths for name, one in read_alignments(path).items()} if paths else None
