"""Export: from run folders to a voice folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from glowtron import config as configuration
from glowtron.checkpoint import StoredVoice, load_voice, new_acoustic, save_voice
from glowtron.config import (
    AcousticRun,
    DecodingOptions,
    FastSpeech2Run,
    LappedConfig,
    RunConfig,
    VocoderRun,
    VocodingConfig,
    VoiceFile,
    WaveNetRun,
    run_class,
)
from glowtron.errors import InputError, reason
from glowtron.models.fastspeech2 import FastSpeech2
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.models.wavenet import WaveNet
from glowtron.train import checkpoints

LAPPED_VOCODING = VocodingConfig(sigma=0.25, correction=16)
"""The best settings for a flow on an MDCT (docs/adr/0005)."""


class Trained(NamedTuple):
    """The trained model of a run."""

    config: RunConfig
    model: Tacotron2 | FastSpeech2 | WaveGlow | WaveNet
    """On CPU, in float32 and evaluation mode; with the EMA of the weights if there is one."""
    step: int
    data: dict[str, Any]
    """The content of the run's `data.json`."""
    metrics: dict[str, float]
    """Metrics of the validation of these very weights; empty if there was none."""


def load_run(run: Path, step: int | None = None) -> Trained:
    """Read a run's model, after `step` steps or else from its best checkpoint by validation loss, or else its newest.

    Raises InputError if the folder holds no run or no such checkpoint.
    """
    config, data = read_config(run), _read_json(run / "data.json")
    saved = checkpoints.steps(run)
    if not saved:
        raise InputError(f"{run}: holds no checkpoint yet; train on, or stop the training with Ctrl-C to have one")
    if step is None:
        step = checkpoints.best(run) or saved[-1]
    elif step not in saved:
        raise InputError(f"{run}: holds no checkpoint of step {step}; it has {', '.join(map(str, saved))}")
    checkpoint = checkpoints.folder(run, step)
    state = checkpoints.read_tensors(checkpoint, "model")
    if config.training.ema_decay:
        state.update(checkpoints.read_tensors(checkpoint, "average"))
    model = _new_model(config)
    if prefix := _model_prefix(config):  # The rest is a discriminator, which is no longer needed.
        state = {name.removeprefix(prefix): weight for name, weight in state.items() if name.startswith(prefix)}
    model.load_state_dict(state)
    return Trained(config, model.eval(), step, data, _validation(run, step))


def _new_model(config: RunConfig) -> Tacotron2 | FastSpeech2 | WaveGlow | WaveNet:
    if isinstance(config, VocoderRun):
        return WaveGlow(config.vocoder)
    return WaveNet(config.wavenet) if isinstance(config, WaveNetRun) else new_acoustic(config.acoustic)


def _model_prefix(config: RunConfig) -> str:
    """The beginning of its parameters' names where the model was trained beside a discriminator; else empty."""
    if isinstance(config, VocoderRun):
        return "" if config.sound is None else "vocoder."
    return "" if isinstance(config, AcousticRun | WaveNetRun) else "acoustic."


def export(sources: Sequence[Path], folder: Path, *, name: str | None = None, store: str = "float16") -> VoiceFile:
    """Write a voice folder from one run of an acoustic model, one of a vocoder, or one of each.

    Among `sources` may be a voice's folder, which gives the model that no run does. name: of the voice (default: the
    folder's); store: `dtype` of `save_voice`, by its name. Raises InputError as `load_run`, `load_voice` and
    `save_voice` do, for two runs of one kind, and for a voice that has nothing to give.
    """
    bases = [source for source in sources if (source / "voice.json").exists()]
    trained: dict[str, Trained] = {}
    for run in sources:
        if run in bases:
            continue
        one = load_run(run)
        kind = one.config.type if isinstance(one.config, VocoderRun | WaveNetRun) else "acoustic"
        if kind in trained:
            raise InputError(f"{run}: is a second run of kind '{kind}'; a voice has one of each")
        trained[kind] = one
    if not trained:
        raise InputError(f"{bases[0]}: is a voice already; give the folder of a training run too")
    voice = StoredVoice(
        VoiceFile(
            name=name or folder.resolve().name,
            held_out=_held_out([one.data for one in trained.values()]),
            training_data="; ".join(f"{kind}: {_told(one.data)}" for kind, one in sorted(trained.items())),
            metrics={kind: {"steps": one.step, "validation": one.metrics} for kind, one in sorted(trained.items())},
        )
    )
    for one in trained.values():
        voice = _with(voice, one)
    for base in bases:
        voice = _completed(voice, base)
    return save_voice(voice, folder, dtype=getattr(torch, store))


def _with(voice: StoredVoice, trained: Trained) -> StoredVoice:
    """The voice with a run's model in it."""
    config, model = trained.config, trained.model
    if isinstance(config, VocoderRun):
        assert isinstance(model, WaveGlow)
        lapped = isinstance(config.vocoder.analysis, LappedConfig)
        vocoding = LAPPED_VOCODING if lapped else VocodingConfig()
        return replace(voice, config=replace(voice.config, vocoder=config.vocoder, vocoding=vocoding), vocoder=model)
    if isinstance(config, WaveNetRun):
        assert isinstance(model, WaveNet)
        return replace(voice, config=replace(voice.config, wavenet=config.wavenet), wavenet=model)
    assert not isinstance(model, WaveGlow | WaveNet)
    if isinstance(config, FastSpeech2Run):  # Its alignment only moves forward, and is trimmed and streamed as such.
        decoding = DecodingOptions(monotonic=True)
        return replace(voice, config=replace(voice.config, acoustic=config.acoustic, decoding=decoding), acoustic=model)
    # Attention that was supervised by forced alignments works best with monotonic decoding.
    decoding = DecodingOptions(monotonic=config.monotonic)
    return replace(voice, config=replace(voice.config, acoustic=config.acoustic, decoding=decoding), acoustic=model)


def _completed(voice: StoredVoice, folder: Path) -> StoredVoice:
    """The voice with the model that it lacks and the voice in `folder` has."""
    base, mine = load_voice(folder), voice.config
    theirs, config, taken = base.config, voice.config, []
    if mine.acoustic is None and theirs.acoustic is not None:
        config = replace(config, acoustic=theirs.acoustic, decoding=theirs.decoding, attempts=theirs.attempts)
        voice = replace(voice, acoustic=base.acoustic)
        taken.append("acoustic")
    # A WaveNet alone joins both models of a voice; any other run is given the one model that it lacks.
    if mine.vocoder is None and theirs.vocoder is not None and (not taken or mine.wavenet is not None):
        config = replace(config, vocoder=theirs.vocoder, vocoding=theirs.vocoding)
        voice = replace(voice, vocoder=base.vocoder)
        taken.append("vocoder")
    if taken:
        kind = " and ".join(taken)
    else:
        raise InputError(f"{folder}: this voice has no model that the other folders lack; leave it out")
    # A voice that was trained on other recordings has kept none of these; one that shares some has seen the rest.
    shared = tuple(clip for clip in mine.held_out if clip in theirs.held_out)
    told = f"{mine.training_data}; {kind}: of {theirs.name}" + (
        f" ({theirs.training_data})" * bool(theirs.training_data)
    )
    return replace(voice, config=replace(config, held_out=shared or mine.held_out, training_data=told))


def read_config(run: Path) -> RunConfig:
    """The configuration a run folder was begun with. Raises InputError if it is no run folder."""
    path = run / "config.json"
    value = _read_json(path)
    kind = run_class(str(value.get("type")))
    if kind is None:
        raise InputError(f"{path}: is not the configuration of a training run; give the folder of one")
    config: RunConfig = configuration.from_dict(value, kind, str(path))
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({reason(error)}); give the folder of a training run") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: is not what a training run writes; give the folder of one")
    return value


def _validation(run: Path, step: int) -> dict[str, float]:
    """Figures of the last validation at `step`, from metrics.jsonl."""
    path = run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in reversed(lines):
        try:
            record = json.loads(line)
            if (record.pop("step"), record.pop("split")) == (step, "validation"):
                return dict(record)
        except (ValueError, TypeError, KeyError):  # The last line of a run that was killed, or is writing just now.
            continue
    return {}


def _held_out(data: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Clips that all of the runs kept out of training, in the order of the first."""
    first, *others = [run.get("held_out", []) for run in data]
    return tuple(clip for clip in first if all(clip in other for other in others))


def _told(data: dict[str, Any]) -> str:
    return ", ".join(f"{count} clips of {speaker}" for speaker, count in data.get("clips", {}).items())
