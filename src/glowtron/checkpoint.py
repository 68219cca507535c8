"""A voice folder: `voice.json` and the weights of its models as safetensors. Nothing in it can run code.

    voice.json              what the voice is (`VoiceFile`), with the sha256 of the weights
    acoustic.safetensors    weights of the acoustic model
    vocoder.safetensors     weights of the vocoder, weight norm folded in

Either model may be missing. Weights may be stored in half precision; they are loaded as float32.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import torch
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from glowtron.config import (
    STRICT,
    AcousticConfig,
    FastSpeech2Config,
    MelConfig,
    VocoderConfig,
    VocodingConfig,
    WaveGlowConfig,
    from_dict,
    to_dict,
)
from glowtron.errors import InputError, reason
from glowtron.models.fastspeech2 import FastSpeech2
from glowtron.models.tacotron2 import DecodingOptions, Tacotron2
from glowtron.models.waveglow import WaveGlow

FORMAT_VERSION = 1
"""Goes up when older programs could not read a new folder."""

ACOUSTIC = "acoustic.safetensors"
VOCODER = "vocoder.safetensors"
SCALE = ".scale"
"""Added to the name of a matrix of int8: the scale of each of its rows."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VoiceFile:
    """What `voice.json` says."""

    format_version: int = FORMAT_VERSION
    """Of the folder's layout."""
    name: str
    description: str = ""
    """What the voice is, for people."""
    licence: str = ""
    """Of the weights, an SPDX identifier where there is one."""
    training_data: str = ""
    """What the weights were trained on, and its licence."""
    held_out: tuple[str, ...] = ()
    """Clips, as speaker/id, of that data that no model here has seen: what `glowtron evaluate` measures on."""
    acoustic: AcousticConfig | None = None
    """The acoustic model; None: the folder has none."""
    vocoder: VocoderConfig | None = None
    """The vocoder; None: the folder has none."""
    decoding: DecodingOptions = DecodingOptions()
    """How the acoustic model wants to be run."""
    attempts: int = 3
    """Takes of a sentence until one has no fault, before it is split; 0: one take, whatever its faults."""
    vocoder_of: str = ""
    """Name of a voice in the folder beside this one whose vocoder it speaks with, in place of one of its own."""
    vocoding: VocodingConfig = VocodingConfig()
    """How the vocoder wants to be run."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """How good the voice was measured to be."""
    sha256: dict[str, str] = field(default_factory=dict)
    """Of each file of weights, by its name; filled in by `save_voice`."""


@dataclasses.dataclass(frozen=True)
class StoredVoice:
    """A voice as a folder holds it: what `voice.json` says, and the models."""

    config: VoiceFile
    acoustic: Tacotron2 | FastSpeech2 | None = None
    vocoder: WaveGlow | None = None
    """None also where `config.vocoder` is Griffin-Lim, which has no weights."""

    @property
    def mel(self) -> MelConfig:
        """The mel that both models speak."""
        model = self.config.acoustic or self.config.vocoder
        assert model is not None, "a voice has at least one model"
        return model.mel

    @property
    def decoding(self) -> DecodingOptions:
        """How this acoustic model wants to be run."""
        return self.config.decoding


def check_same_mel(config: VoiceFile) -> None:
    """Raise InputError, naming fields and values, if what one model makes is not what the other reads."""
    if config.acoustic is None or config.vocoder is None:
        return
    acoustic, vocoder = to_dict(config.acoustic.mel), to_dict(config.vocoder.mel)
    differ = [f"mel.{name} ({acoustic[name]}, {vocoder[name]})" for name in acoustic if acoustic[name] != vocoder[name]]
    if differ:
        raise InputError(
            f"voice '{config.name}': acoustic and vocoder disagree on {', '.join(differ)}; "
            "retrain one or choose another vocoder"
        )


def check_same_speakers(config: VoiceFile) -> None:
    """Raise InputError, naming them, if some whom the acoustic model speaks as are unknown to the vocoder."""
    acoustic, vocoder = config.acoustic, config.vocoder
    if acoustic is None or not isinstance(vocoder, WaveGlowConfig) or vocoder.n_speakers == 1:
        return
    if unknown := [name for name in acoustic.speakers if name not in vocoder.speakers]:
        raise InputError(
            f"voice '{config.name}': the vocoder knows the speakers {', '.join(vocoder.speakers)}, and not "
            f"{', '.join(unknown)} of the acoustic model; train it with them, too, or choose another vocoder"
        )


def check_is_voice_or_empty(folder: Path) -> None:
    """Raise InputError if `folder` holds other things than a voice, so that nobody's files are touched by mistake."""
    try:
        foreign = folder.exists() and not (folder / "voice.json").exists() and any(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be a voice folder: {reason(error)}; choose another") from error
    if foreign:
        raise InputError(f"{folder}: is not empty and holds no voice; choose another folder")


def save_voice(voice: StoredVoice, folder: Path, *, dtype: torch.dtype = torch.float32) -> VoiceFile:
    """Write a voice folder, whole or not at all; the voice in one that is already there is replaced.

    dtype: how matrices are stored: float16 and bfloat16 halve the folder, int8 with a scale for each row quarters it;
    vectors, and what float16 cannot hold, stay float32. The models are left as they are. Returns the file as written,
    with its sha256. Raises InputError where the models' mel definitions or speakers disagree, nothing can be written,
    or the folder holds other things than a voice.
    """
    config = voice.config
    assert (voice.acoustic is None) == (config.acoustic is None), "a model and its configuration go together"
    assert (voice.vocoder is None) == (not isinstance(config.vocoder, WaveGlowConfig)), "a vocoder and its, too"
    check_same_mel(config)
    check_same_speakers(config)
    with _draft(folder) as draft:
        sha256 = {}
        for name, model in ((ACOUSTIC, voice.acoustic), (VOCODER, voice.vocoder)):
            if model is not None:
                data = save(_stored(model, dtype), metadata={"format": "pt"})
                (draft / name).write_bytes(data)
                sha256[name] = _sha256(data)
        config = replace(config, format_version=FORMAT_VERSION, vocoder_of="", sha256=sha256)
        text = json.dumps(to_dict(config), indent=2, ensure_ascii=False)
        (draft / "voice.json").write_text(text + "\n", encoding="utf-8")
    return config


def load_voice(folder: Path) -> StoredVoice:
    """Read a voice folder; models are on CPU, in float32 and evaluation mode.

    Raises InputError for a missing or damaged file, a folder written by a newer version, and mel definitions or
    speakers of acoustic model and vocoder that disagree.
    """
    config = read_voice_file(folder)
    if config.vocoder_of:
        base = load_voice(vocoder_folder(folder, config))
        if base.vocoder is None:
            raise InputError(f"{folder}: the voice '{config.vocoder_of}' has no WaveGlow to speak with")
        config = replace(config, vocoder=base.config.vocoder)
    check_same_mel(config)
    check_same_speakers(config)
    acoustic: Tacotron2 | FastSpeech2 | None = None
    vocoder = base.vocoder if config.vocoder_of else None
    if config.acoustic is not None:
        acoustic = new_acoustic(config.acoustic)
        _load(acoustic, folder, ACOUSTIC, config)
    if isinstance(config.vocoder, WaveGlowConfig) and vocoder is None:
        vocoder = WaveGlow(config.vocoder)
        vocoder.fold_weight_norm()
        _load(vocoder, folder, VOCODER, config)
    return StoredVoice(config, acoustic, vocoder)


def vocoder_folder(folder: Path, config: VoiceFile) -> Path:
    """The folder that holds the weights of a voice's vocoder. Raises InputError if `vocoder_of` leads elsewhere."""
    if not config.vocoder_of:
        return folder
    if Path(config.vocoder_of).name != config.vocoder_of or config.vocoder_of == folder.resolve().name:
        raise InputError(f"{folder}: vocoder_of '{config.vocoder_of}' is no name of a folder beside it")
    return folder.resolve().parent / config.vocoder_of


def new_acoustic(config: AcousticConfig) -> Tacotron2 | FastSpeech2:
    """An acoustic model of `config` with random weights."""
    if isinstance(config.model, FastSpeech2Config):
        return FastSpeech2(config.model, config.mel.n_mels)
    return Tacotron2(config.model, config.mel.n_mels)


def read_voice_file(folder: Path) -> VoiceFile:
    """Read `voice.json` alone. Raises InputError as `load_voice` does."""
    path = folder / "voice.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        missing = f"has no {path.name}" if folder.is_dir() else "does not exist"
        raise InputError(
            f"{folder}: {missing}; give a voice folder, which `glowtron import` or a training makes"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {reason(error)}; restore the file") from error
    version = value.get("format_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise InputError(f"{path}: has format version {version}, this program reads up to {FORMAT_VERSION}; update it")
    config: VoiceFile = from_dict(value, VoiceFile, str(path))
    if config.acoustic is None and config.vocoder is None:
        raise InputError(f"{path}: describes neither an acoustic model nor a vocoder; restore the file")
    return config


def _stored(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state of `model` as it goes to disk."""
    if isinstance(model, WaveGlow):
        model = copy.deepcopy(model)
        model.fold_weight_norm()
    stored: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        stored.update(_rounded(name, tensor.detach().cpu().contiguous(), dtype))
    return stored


def _rounded(name: str, tensor: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    # Vectors are few; among them are batch norm's variances, which may be tiny.
    if not tensor.is_floating_point() or tensor.dim() < 2:
        return {name: tensor}
    if dtype == torch.int8:
        scale = tensor.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        return {name: (tensor / scale).round().to(torch.int8), name + SCALE: scale}
    rounded = tensor.to(dtype)
    return {name: rounded if bool(rounded.isfinite().all()) else tensor}


def _restored(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `_rounded`, as far as that can be."""
    state: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if name + SCALE in stored:
            tensor = tensor * stored[name + SCALE]
        if not name.endswith(SCALE):
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
    return state


def _load(model: nn.Module, folder: Path, name: str, config: VoiceFile) -> None:
    """Fill `model` with the weights of a file, after checking that it is the one `voice.json` was written with."""
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}; restore the file") from error
    if _sha256(data) != config.sha256.get(name):
        raise InputError(f"{path}: is not the file that voice.json was written with (sha256 differs); fetch it again")
    try:
        state = load(data)
    except SafetensorError as error:
        raise InputError(f"{path}: is no safetensors file: {error}; fetch it again") from error
    state = _restored(state)
    _check_fits(model, state, path)
    model.load_state_dict(state)
    model.eval()


def _check_fits(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError naming the first tensors that do not fit the model that `voice.json` describes."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differ:
        name = differ[0]
        more = f" and {len(differ) - 1} more" if len(differ) > 1 else ""
        shapes = f"has {found.get(name, 'none')}, voice.json says {wanted.get(name, 'none')}"
        raise InputError(f"{path}: does not fit voice.json: tensor {name} {shapes}{more}; restore both files")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends well; it is gone otherwise.

    A new folder appears whole. In an old one `voice.json` is replaced last, so that no moment leaves wrong weights
    unnoticed; other files in it stay.
    """
    check_is_voice_or_empty(folder)
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    draft = (folder if folder.is_dir() else folder.absolute().parent) / f".partial-{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        yield draft
        if not folder.is_dir():
            draft.replace(folder)
            return
        for name in (ACOUSTIC, VOCODER, "voice.json"):
            if (draft / name).exists():
                (draft / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {reason(error)}; choose another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # a parent that has something in it by now stays
            for parent in made:
                parent.rmdir()
