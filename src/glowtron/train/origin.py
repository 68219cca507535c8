"""Weights that a run begins with: those of a voice, or of another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glowtron.checkpoint import ACOUSTIC, VOCODER, load_voice
from glowtron.config import AcousticConfig, AcousticRun, VocoderRun, WaveGlowConfig, to_dict
from glowtron.errors import InputError, nearest
from glowtron.files import sha256
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.train import checkpoints
from glowtron.train.export import load_run
from glowtron.train.run_folder import differences

_SPEAKERS = "speaker.weight"
"""Both models' table with a row a speaker, where there are several."""
_MOST_NAMED = 6


class Source(NamedTuple):
    """A model that is there already."""

    config: AcousticConfig | WaveGlowConfig
    model: Tacotron2 | WaveGlow
    """On CPU, in evaluation mode."""
    files: list[Path]
    """Its weights."""


def read_source(folder: Path, kind: str) -> Source:
    """The model of a kind, `acoustic` or `vocoder`, in a voice's folder or a run's: its best, averaged if it has that.

    Raises InputError if there is none.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file; make a voice folder of it first: glowtron import {folder} -o FOLDER")
    if not (folder / "voice.json").exists():
        trained = load_run(folder)
        if isinstance(trained.config, VocoderRun) != (kind == "vocoder"):
            raise InputError(f"{folder}: is a run of kind '{trained.config.type}'; a {kind} model needs one of its own")
        checkpoint = checkpoints.folder(folder, trained.step)
        files = [path for name in ("model", "average") if (path := checkpoint / f"{name}.safetensors").exists()]
        config = trained.config.vocoder if isinstance(trained.config, VocoderRun) else trained.config.acoustic
        return Source(config, trained.model, files)
    voice = load_voice(folder)
    if kind == "acoustic" and isinstance(voice.acoustic, Tacotron2) and voice.config.acoustic is not None:
        return Source(voice.config.acoustic, voice.acoustic, [folder / ACOUSTIC])
    if kind == "vocoder" and voice.vocoder is not None and isinstance(voice.config.vocoder, WaveGlowConfig):
        return Source(voice.config.vocoder, voice.vocoder, [folder / VOCODER])
    raise InputError(f"{folder}: this voice has no {kind} model with weights; give one that has")


def begin(
    model: nn.Module, config: AcousticRun | VocoderRun, folder: Path, reset: Sequence[str] = ()
) -> dict[str, Any]:
    """Give `model`, a new one of `config`, the weights of the model in a voice's folder or a run's.

    reset: prefixes of names, whole words of them (`attention`, `encoder.lstm`), of what stays as it was made. Speakers
    keep their row of the embedding by name; new ones begin as the mean of the known. Returns what was loaded from
    where, as JSON values. Raises InputError for a source that cannot be read, for a prefix of nothing, and for tensors
    that do not fit and are not reset.
    """
    source = read_source(folder, config.type)
    fresh = model.state_dict()
    theirs = _unfolded(source).state_dict()
    for prefix in reset:
        if not any(_under(name, [prefix]) for name in (*fresh, *theirs)):
            raise InputError(f"--reset {prefix}: names no part of the model{nearest(prefix, _parts(fresh))}")
    told = _seat_speakers(theirs, fresh, source.config.speakers, _described(config).speakers)
    kept = {name: tensor for name, tensor in theirs.items() if not _under(name, reset)}
    _check_fits(folder, kept, {name: tensor for name, tensor in fresh.items() if not _under(name, reset)})
    model.load_state_dict({**fresh, **kept})
    then, now = to_dict(source.config), to_dict(_described(config))
    return {
        "source": str(folder),
        "sha256": {path.relative_to(folder).as_posix(): sha256(path) for path in source.files},
        "loaded": len(kept),
        "fresh": sorted(name for name in fresh if name not in kept),
        **told,
        "differences": differences(then, now),
    }


def _described(config: AcousticRun | VocoderRun) -> AcousticConfig | WaveGlowConfig:
    return config.vocoder if isinstance(config, VocoderRun) else config.acoustic


def _unfolded(source: Source) -> nn.Module:
    """The model in the form in which it trains: a voice's vocoder has its weight norm folded in."""
    if not isinstance(source.model, WaveGlow):
        return source.model
    assert isinstance(source.config, WaveGlowConfig)
    with torch.random.fork_rng(devices=[]):
        model = WaveGlow(source.config)
    model.load_state_dict(source.model.state_dict())
    return model


def _seat_speakers(
    theirs: dict[str, Tensor], fresh: Mapping[str, Tensor], then: Sequence[str], now: Sequence[str]
) -> dict[str, Any]:
    """Make the table of speakers in `theirs` one of the speakers `now`, or do without; says who is known."""
    table = theirs.pop(_SPEAKERS, None)
    wanted = fresh.get(_SPEAKERS)
    known = [name for name in now if name in then]

    def row(name: str) -> Tensor:
        assert table is not None
        return table[list(then).index(name)] if name in then else table.mean(0)

    if wanted is None and table is not None:
        _fold(theirs, row(now[0]) if now else table.mean(0))  # A vocoder need not know whom it hears.
    elif wanted is not None and table is None:
        # Where there was one speaker nothing was added, and zeros add nothing.
        theirs[_SPEAKERS] = torch.zeros_like(wanted)
    elif table is not None:
        theirs[_SPEAKERS] = torch.stack([row(name) for name in now])
    return {"speakers_known": known, "speakers_new": [name for name in now if name not in then]}


def _fold(theirs: dict[str, Tensor], row: Tensor) -> None:
    """Give the layers that read the sum of something and `row`, which is no longer added, the bias that it was.

    Of a Tacotron 2 these read encoded texts: attention weights have the sum 1, so this changes nothing but the
    attention itself, whose keys have no bias, and the first step, which has read nothing yet. Of a WaveGlow they read
    the conditioning, and nothing changes but the scale of a lapped transform at the very ends of a sound, beyond which
    there is nothing to add to.
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


def _check_fits(folder: Path, theirs: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    faults = []
    for name in sorted(theirs.keys() | wanted.keys()):
        there, here = (str(tuple(part[name].shape)) if name in part else "none" for part in (theirs, wanted))
        if there != here:
            faults.append(f"{name} ({there} there, {here} here)")
    if faults:
        more = f" and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
        raise InputError(
            f"{folder}: {len(faults)} tensors do not fit: {', '.join(faults[:_MOST_NAMED])}{more}; give the "
            "configuration that it was made with, or leave these parts out with --reset"
        )


def _under(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _parts(state: Mapping[str, Tensor]) -> list[str]:
    return sorted({name.split(".")[0] for name in state})
