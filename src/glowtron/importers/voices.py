"""Published checkpoints become a voice folder.

Sizes are read off the tensors. What tensors do not tell is taken as published: the mel is `MelConfig`'s with as many
bands as the tensors have and the hop by which a pickled WaveGlow says it upsamples, and text goes through the `nvidia`
frontend.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import AcousticConfig, DecodingOptions, MelConfig, TextConfig, VoiceFile
from glowtron.errors import InputError, reason
from glowtron.importers.published import Published, read_published
from glowtron.importers.statistics import read_statistics
from glowtron.models import published_tacotron2, published_waveglow, published_wavenet
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.models.wavenet import WaveNet
from glowtron.text.symbol_list import in_order, read_symbol_list
from glowtron.text.symbols import SYMBOLS
from glowtron.voice_folder import check_is_voice_or_empty


def import_voice(
    files: list[Path],
    folder: Path,
    *,
    symbols: Path | None = None,
    frontend: Literal["nvidia", "basic"] = "nvidia",
    hparams: Path | None = None,
    statistics: Path | None = None,
) -> StoredVoice:
    """Make a voice folder of published checkpoints, or complete one with the model that it lacks.

    files: an acoustic model, a vocoder, or both in any order. symbols: the symbol list of weights that were trained
    with others than the published 148 (`glowtron.text.symbol_list`). frontend: how text is cleaned for them, `nvidia`
    as in English, `basic` hardly. hparams: the hyperparameters of a WaveNet, JSON; statistics: mean and
    scale of the mels that it was trained on (`glowtron.importers.statistics`); both are looked for beside the
    checkpoint, too. Raises InputError, and leaves everything as it was, for a file that is damaged,
    hostile or no published model, for two of a kind, for models that do not fit together, for symbols that are not as
    many as the weights', and for a folder that already has such a model or holds other things.
    """
    if not files:
        raise InputError("nothing to import; give the checkpoint of an acoustic model, of a vocoder, or of each")
    listed = read_symbol_list(symbols) if symbols else ()
    if frontend == "basic" and not listed:
        raise InputError("frontend 'basic' reads text by a symbol list; give symbols")
    voice = _existing(folder)
    sources: dict[str, Path] = {}
    for path in files:
        published = read_published(path)
        is_acoustic = published.kind == "tacotron2"
        is_wavenet = published.kind == "wavenet"
        part = "acoustic model" if is_acoustic else "WaveNet" if is_wavenet else "vocoder"
        if part in sources:
            raise InputError(f"{sources[part]} and {path}: both hold the {part} of a voice; give one of each kind")
        sources[part] = path
        there = voice.config.acoustic if is_acoustic else voice.config.wavenet if is_wavenet else voice.config.vocoder
        if there is not None:
            raise InputError(f"{folder}: has its {part} already; choose another folder for {path}")
        with _named(path):
            if is_acoustic:
                voice = _with_acoustic(voice, published, listed, frontend)
            elif is_wavenet:
                voice = _with_wavenet(
                    voice, published, _beside(path, hparams, _HPARAMS), _beside(path, statistics, _STATISTICS)
                )
            else:
                voice = _with_vocoder(voice, published)
        description = f"{voice.config.description} {part[0].upper()}{part[1:]}: {_origin(published, path)}.".strip()
        voice = replace(voice, config=replace(voice.config, description=description))
    if listed and "acoustic model" not in sources:
        raise InputError("a symbol list belongs to an acoustic model; none is among the files")
    save_voice(voice, folder)
    return voice


def _existing(folder: Path) -> StoredVoice:
    """The voice in `folder`, or one without models."""
    check_is_voice_or_empty(folder)
    if (folder / "voice.json").exists():
        return load_voice(folder)
    return StoredVoice(VoiceFile(name=folder.absolute().name))


def _with_acoustic(
    voice: StoredVoice, published: Published, listed: tuple[str, ...], frontend: Literal["nvidia", "basic"]
) -> StoredVoice:
    state = dict(published.state)
    _check_finite(published)
    n_symbols = published_tacotron2.config_from_published(state).n_symbols
    if listed and len(listed) != n_symbols:
        raise InputError(f"reads {n_symbols} symbols, and the symbol list has {len(listed)}")
    if not listed and n_symbols != len(SYMBOLS):
        raise InputError(
            f"reads {n_symbols} symbols, not the {len(SYMBOLS)} published ones; give the list it was trained with "
            "(symbols: one on each line, in the order of their ids)"
        )
    text = TextConfig(frontend="nvidia")
    if listed:
        symbols, order = in_order(listed)
        text = TextConfig(frontend=frontend, symbols=symbols)
        rows = state["embedding.weight"]
        state["embedding.weight"] = torch.stack([rows[i] if i is not None else rows[0] for i in order])
    config = AcousticConfig(
        model=published_tacotron2.config_from_published(state),
        text=text,
        mel=MelConfig(n_mels=published_tacotron2.n_mels_from_published(state)),
    )
    weights = published_tacotron2.from_published(state)
    model = Tacotron2(config.tacotron2, config.mel.n_mels)
    model.load_state_dict(weights)
    decoding = _decoding(published)
    return replace(voice, config=replace(voice.config, acoustic=config, decoding=decoding), acoustic=model.eval())


def _decoding(published: Published) -> DecodingOptions:
    """Decoding options of the program that wrote a Tacotron 2.

    DeepLearningExamples, whose files hold epoch and config, leaves the frame out that asked to stop.
    """
    if "epoch" not in published.extras:
        return DecodingOptions()
    told = published.extras.get("config")
    told = told if isinstance(told, dict) else {}
    limit, threshold = told.get("max_decoder_steps"), told.get("gate_threshold")
    options = DecodingOptions(keep_stop_frame=False)
    if isinstance(limit, int) and limit > 0:
        options = replace(options, max_frames=limit)
    if isinstance(threshold, float) and 0 < threshold < 1:
        options = replace(options, stop_threshold=threshold)
    return options


def _with_vocoder(voice: StoredVoice, published: Published) -> StoredVoice:
    _check_finite(published)
    hop_length = published.extras.get("attributes", {}).get("upsample.stride", MelConfig().hop_length)
    config = published_waveglow.config_from_published(
        published.state, alternate_halves=published.kind == "waveglow_old", hop_length=hop_length
    )
    weights = published_waveglow.from_published(published.state, hop_length=hop_length)
    model = WaveGlow(config)
    model.load_state_dict(weights)
    return replace(voice, config=replace(voice.config, vocoder=config), vocoder=model.eval())


def _check_finite(published: Published) -> None:
    for name, tensor in published.state.items():
        # The extremes carry any NaN or infinity, and take one pass over the weights where isfinite takes several.
        if not all(math.isfinite(extreme.item()) for extreme in tensor.aminmax()):
            raise InputError(f"tensor {name} has values that are no numbers; the weights are damaged, take others")


_HPARAMS = ("hparams.json",)
_STATISTICS = ("meanvar.joblib", "meanvar.npz")
_MOST_HPARAMS = 2**20
"""Bytes; published ones take 2 KiB."""


def _beside(checkpoint: Path, given: Path | None, names: tuple[str, ...]) -> Path | None:
    """The file that was given or, where none was, the first of these names beside the checkpoint."""
    if given is not None:
        return given
    own = [checkpoint.with_suffix(".json"), checkpoint.with_name(f"{checkpoint.stem}_hparams.json")]
    candidates = [*(own if names == _HPARAMS else []), *(checkpoint.with_name(name) for name in names)]
    return next((path for path in candidates if path.is_file()), None)


def _read_hparams(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        if path.stat().st_size > _MOST_HPARAMS:
            raise ValueError("it is too large")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as hyperparameters: {reason(error)}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: hyperparameters are a JSON object, this is {type(value).__name__}")
    return value


def _with_wavenet(
    voice: StoredVoice, published: Published, hparams: Path | None, statistics: Path | None
) -> StoredVoice:
    _check_finite(published)
    told, old = _read_hparams(hparams), published_wavenet.is_2018(published.state)
    config = published_wavenet.config_from_published(published.state, told)
    weights = published_wavenet.from_published(published.state, config)
    measured = None if statistics is None or old else read_statistics(statistics)
    mean, scale = published_wavenet.standardisation(told, config.mel.n_mels, measured, old=old)
    model = WaveNet(config)
    model.load_state_dict({**weights, "mel_mean": mean, "mel_scale": scale})
    return replace(voice, config=replace(voice.config, wavenet=config), wavenet=model.eval())


def _origin(published: Published, path: Path) -> str:
    """Origin of weights in words."""
    for unit in ("iteration", "epoch"):
        if isinstance(count := published.extras.get(unit), int):
            return f"published weights {path.name}, {unit} {count}"
    return f"published weights {path.name}"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors inside say which file they are about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except RuntimeError as error:  # torch's word for shapes that cannot be joined or loaded
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: its tensors do not fit together: {reason}; fetch the file again") from error
