"""Whole runs for tests: from a configuration and data to a run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glowtron.config import AcousticRun, FastSpeech2Run, RunConfig, VocoderRun
from glowtron.train.acoustic_task import acoustic_task
from glowtron.train.fastspeech2_task import fastspeech2_task
from glowtron.train.init_from import InitFrom
from glowtron.train.loop import Outcome, train
from glowtron.train.postnet_task import postnet_task
from glowtron.train.task import Corpora
from glowtron.train.vocoder_task import vocoder_task


def run_training(
    config: RunConfig,
    data: Sequence[tuple[str, Path]],
    run: Path,
    *,
    cache: Path | None = None,
    init_from: Path | None = None,
    reinit: Sequence[str] = (),
    device: str = "auto",
    quiet: bool = False,
    **options: Any,
) -> Outcome:
    """Train what `config` describes; `options` are those of its kind of task."""
    corpora = Corpora(data, cache or run / "cache")
    start = InitFrom(init_from, reinit) if init_from is not None else None
    if isinstance(config, AcousticRun):
        task = acoustic_task(config, corpora, init_from=start, **options)
    elif isinstance(config, FastSpeech2Run):
        task = fastspeech2_task(config, corpora, init_from=start, **options)
    elif isinstance(config, VocoderRun):
        task = vocoder_task(config, corpora, init_from=start, **options)
    else:
        task = postnet_task(config, corpora, acoustic=init_from, **options)
    return train(task, run, device=device, quiet=quiet)
