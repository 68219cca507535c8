"""Warm start and fine-tuning: a new run begins with the weights of a voice or of another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glowtron.checkpoint import load_voice, wavenet_config, wavenet_file
from glowtron.config import (
    AcousticConfig,
    AcousticRun,
    FastSpeech2Run,
    RunConfig,
    VocoderRun,
    WaveGlowConfig,
    WaveNetConfig,
    WaveNetRun,
    to_dict,
)
from glowtron.errors import InputError, nearest
from glowtron.files import sha256
from glowtron.models.fastspeech2 import FastSpeech2
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.models.wavenet import WaveNet
from glowtron.train import checkpoints
from glowtron.train.export import load_run
from glowtron.train.run_dir import differences
from glowtron.voice_folder import ACOUSTIC, VOCODER, read_voice_file, vocoder_folder

_SPEAKERS = "speaker.weight"
"""Both models' table with a row a speaker, where there are several."""
_MOST_NAMED = 6


class Source(NamedTuple):
    """A model that is there already."""

    config: AcousticConfig | WaveGlowConfig | WaveNetConfig
    model: Tacotron2 | FastSpeech2 | WaveGlow | WaveNet
    """On CPU, in evaluation mode."""
    files: list[Path]
    """Its weights."""


def read_source(folder: Path, kind: str) -> Source:
    """The model of a kind (`acoustic`, `fastspeech2`, `vocoder`) in a voice's folder or a run's: its best, averaged.

    Raises InputError if there is none.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file; make a voice folder of it first: glowtron import {folder} -o FOLDER")
    if not (folder / "voice.json").exists():
        trained = load_run(folder)
        if _kind(trained.model) != kind:
            raise InputError(f"{folder}: is a run of kind '{trained.config.type}'; a {kind} model needs one of its own")
        checkpoint = checkpoints.folder(folder, trained.step)
        files = [path for name in ("model", "average") if (path := checkpoint / f"{name}.safetensors").exists()]
        return Source(_model_config(trained.config), trained.model, files)
    voice = load_voice(folder)
    if voice.acoustic is not None and _kind(voice.acoustic) == kind and voice.config.acoustic is not None:
        return Source(voice.config.acoustic, voice.acoustic, [folder / ACOUSTIC])
    if kind == "vocoder" and voice.vocoder is not None and isinstance(voice.config.vocoder, WaveGlowConfig):
        return Source(voice.config.vocoder, voice.vocoder, [vocoder_folder(folder, read_voice_file(folder)) / VOCODER])
    sizes = wavenet_config(voice.config)
    if kind == "wavenet" and voice.wavenet is not None and sizes is not None:
        return Source(sizes, voice.wavenet, [folder / wavenet_file(voice.config)])
    raise InputError(f"{folder}: this voice has no {kind} model with weights; give one that has")


def _kind(model: nn.Module) -> str:
    """The kind of run that trains such a model."""
    kinds = {Tacotron2: "acoustic", FastSpeech2: "fastspeech2", WaveGlow: "vocoder", WaveNet: "wavenet"}
    return next(kind for type_, kind in kinds.items() if isinstance(model, type_))


class InitFrom(NamedTuple):
    """The weights that a new run begins with. A run that goes on has its own."""

    folder: Path
    """A voice's folder or a run's."""
    reinit: Sequence[str] = ()
    """Prefixes of parameter names (`attention`, `encoder.lstm`), for parts that begin with random weights instead."""

    def apply(self, model: nn.Module, config: RunConfig) -> dict[str, Any]:
        """Load the weights into `model`, a new one of `config`, and return a description of what was loaded.

        Speakers keep their row of the embedding by name; new ones begin with the mean of the known. Raises InputError
        for a source that cannot be read, for a prefix of nothing, and for tensors of other shapes, unless they are
        under `reinit`.
        """
        assert isinstance(config, AcousticRun | FastSpeech2Run | VocoderRun | WaveNetRun)
        source = read_source(self.folder, config.type)
        fresh = model.state_dict()
        theirs = _unfolded(source).state_dict()
        if isinstance(model, FastSpeech2):  # What it is trained on decides what is normalised by.
            theirs |= dict(model.named_buffers())
        for prefix in self.reinit:
            if not any(_under(name, [prefix]) for name in (*fresh, *theirs)):
                raise InputError(f"reinit {prefix}: names no part of the model{nearest(prefix, _parts(fresh))}")
        speakers = _map_speakers(theirs, fresh, source.config.speakers, _model_config(config).speakers)
        kept = {name: tensor for name, tensor in theirs.items() if not _under(name, self.reinit)}
        new = {name: tensor for name, tensor in fresh.items() if not _under(name, self.reinit)}
        _check_shapes(self.folder, kept, new)
        model.load_state_dict({**fresh, **kept})
        then, now = to_dict(source.config), to_dict(_model_config(config))
        return {
            "source": str(self.folder),
            "sha256": {path.relative_to(self.folder).as_posix(): sha256(path) for path in source.files},
            "loaded": len(kept),
            "fresh": sorted(name for name in fresh if name not in kept),
            **speakers,
            "differences": differences(then, now),
        }


def _model_config(config: RunConfig) -> AcousticConfig | WaveGlowConfig | WaveNetConfig:
    if isinstance(config, VocoderRun):
        return config.vocoder
    return config.wavenet if isinstance(config, WaveNetRun) else config.acoustic


def _unfolded(source: Source) -> nn.Module:
    """The model with the parameters that are trained: a voice's vocoder has its weight norm folded into its weights."""
    if isinstance(source.model, WaveNet):
        assert isinstance(source.config, WaveNetConfig)
        with torch.random.fork_rng(devices=[]):
            wavenet = WaveNet(source.config)
        wavenet.load_state_dict(source.model.state_dict())
        return wavenet
    if not isinstance(source.model, WaveGlow):
        return source.model
    assert isinstance(source.config, WaveGlowConfig)
    with torch.random.fork_rng(devices=[]):
        model = WaveGlow(source.config)
    model.load_state_dict(source.model.state_dict())
    return model


def _map_speakers(
    theirs: dict[str, Tensor], fresh: Mapping[str, Tensor], then: Sequence[str], now: Sequence[str]
) -> dict[str, Any]:
    """Change the speaker embedding in `theirs` to one of the speakers `now`, or to none. Returns who is known."""
    table = theirs.pop(_SPEAKERS, None)
    wanted = fresh.get(_SPEAKERS)
    known = [name for name in now if name in then]

    def row(name: str) -> Tensor:
        assert table is not None
        return table[list(then).index(name)] if name in then else table.mean(0)

    if wanted is None and table is not None:
        _fold(theirs, row(now[0]) if now else table.mean(0))  # A vocoder of one speaker, or of any.
    elif wanted is not None and table is None:
        # A model of one speaker adds no embedding, and zeros add nothing.
        theirs[_SPEAKERS] = torch.zeros_like(wanted)
    elif table is not None:
        theirs[_SPEAKERS] = torch.stack([row(name) for name in now])
    return {"speakers_known": known, "speakers_new": [name for name in now if name not in then]}


def _fold(theirs: dict[str, Tensor], row: Tensor) -> None:
    """Add the speaker's `row`, which the model no longer adds to its input, to the biases of the layers after it.

    In a Tacotron 2 these layers read the attention context. Attention weights sum to 1, so nothing changes but the
    attention itself, whose keys have no bias, and the first step, whose context is zero. In a WaveGlow they read the
    conditioning, and nothing changes but the scale of an MDCT at the very ends of a sound, where the input is padded.
    """
    for reader in ("attention_rnn.{}_ih", "decoder_rnn.{}_ih", "projection.{}", "stop.{}"):
        if (name := reader.format("weight")) in theirs:
            theirs[reader.format("bias")] = theirs[reader.format("bias")] + theirs[name][:, -len(row) :] @ row
    for name in [name for name in theirs if name.endswith(".condition.bias")]:
        v, g = (theirs[name.removesuffix("bias") + kind] for kind in ("weight_v", "weight_g"))
        theirs[name] = theirs[name] + (g * v / v.norm(dim=1, keepdim=True)) @ row
    if (name := "analysis.scale.0.weight") in theirs:  # Each tap of a convolution reads it.
        taps = theirs[name].unflatten(1, (-1, len(row)))
        theirs["analysis.scale.0.bias"] = theirs["analysis.scale.0.bias"] + (taps @ row).sum(1)


def _check_shapes(folder: Path, theirs: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    faults = []
    for name in sorted(theirs.keys() | wanted.keys()):
        there, here = (str(tuple(part[name].shape)) if name in part else "none" for part in (theirs, wanted))
        if there != here:
            faults.append(f"{name} ({there} there, {here} here)")
    if faults:
        more = f" and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise InputError(
            f"{folder}: {len(faults)} tensors do not fit: {', '.join(faults[:_MOST_NAMED])}{more}; give the "
            "configuration that it was made with, or begin these parts anew with `reinit`"
        )


def _under(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _parts(state: Mapping[str, Tensor]) -> list[str]:
    return sorted({name.split(".")[0] for name in state})
