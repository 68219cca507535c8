"""A voice folder: `voice.json` and the weights of its models as safetensors. Nothing in it can run code.

    voice.json              what the voice is (`VoiceFile`), with the sha256 of the weights
    acoustic.safetensors    weights of the acoustic model
    vocoder.safetensors     weights of the vocoder, weight norm folded in
    wavenet.safetensors     weights of a second vocoder, a WaveNet

Each model may be missing. Weights may be stored in half precision; they are loaded as float32.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from glowtron.config import (
    AcousticConfig,
    DecodingOptions,
    FastSpeech2Config,
    MelConfig,
    VoiceFile,
    WaveGlowConfig,
    WaveNetConfig,
)
from glowtron.errors import InputError
from glowtron.models.waveglow import WaveGlow
from glowtron.voice_folder import (
    ACOUSTIC,
    SCALE,
    VOCODER,
    WAVENET,
    read_voice,
    read_voice_file,
    read_weights,
    vocoder_folder,
    write_voice,
)

if TYPE_CHECKING:
    from glowtron.models.fastspeech2 import FastSpeech2
    from glowtron.models.tacotron2 import Tacotron2
    from glowtron.models.wavenet import WaveNet


@dataclasses.dataclass(frozen=True)
class StoredVoice:
    """A voice as a folder holds it: what `voice.json` says, and the models."""

    config: VoiceFile
    acoustic: Tacotron2 | FastSpeech2 | None = None
    vocoder: WaveGlow | None = None
    """None also where `config.vocoder` is Griffin-Lim, which has no weights, or a WaveNet."""
    wavenet: WaveNet | None = None
    """That of `config.wavenet`, or of `config.vocoder` where it is one."""

    @property
    def mel(self) -> MelConfig:
        """The mel that both models speak."""
        return self.config.mel

    @property
    def decoding(self) -> DecodingOptions:
        """Decoding options of this acoustic model."""
        return self.config.decoding


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
    assert (voice.wavenet is None) == (wavenet_config(config) is None), "and a WaveNet and its"
    models = ((ACOUSTIC, voice.acoustic), (VOCODER, voice.vocoder), (wavenet_file(config), voice.wavenet))
    files = {
        name: save(_stored(model, dtype), metadata={"format": "pt"}) for name, model in models if model is not None
    }
    return write_voice(config, files, folder)


def load_voice(folder: Path) -> StoredVoice:
    """Read a voice folder; models are on CPU, in float32 and evaluation mode.

    Raises InputError for a missing or damaged file, a folder written by a newer version, and mel definitions or
    speakers of acoustic model and vocoder that disagree.
    """
    config = read_voice(folder)
    acoustic: Tacotron2 | FastSpeech2 | None = None
    vocoder: WaveGlow | None = None
    if config.acoustic is not None:
        acoustic = new_acoustic(config.acoustic)
        _load(acoustic, folder, ACOUSTIC, config)
    if isinstance(config.vocoder, WaveGlowConfig):
        vocoder = WaveGlow(config.vocoder)
        vocoder.fold_weight_norm()
        source = vocoder_folder(folder, config)
        _load(vocoder, source, VOCODER, read_voice_file(source))
    wavenet: WaveNet | None = None
    if (sizes := wavenet_config(config)) is not None:
        from glowtron.models.wavenet import WaveNet

        wavenet = WaveNet(sizes)
        wavenet.fold_weight_norm()
        _load(wavenet, folder, wavenet_file(config), config)
    return StoredVoice(config, acoustic, vocoder, wavenet)


def wavenet_config(config: VoiceFile) -> WaveNetConfig | None:
    """Sizes of a voice's WaveNet, whether it is its vocoder or its second one; None: it has none."""
    return config.vocoder if isinstance(config.vocoder, WaveNetConfig) else config.wavenet


def wavenet_file(config: VoiceFile) -> str:
    """Name of the file of its weights."""
    return VOCODER if isinstance(config.vocoder, WaveNetConfig) else WAVENET


def new_acoustic(config: AcousticConfig) -> Tacotron2 | FastSpeech2:
    """An acoustic model of `config` with random weights."""
    # A voice loads the modules of its own models only.
    if isinstance(config.model, FastSpeech2Config):
        from glowtron.models.fastspeech2 import FastSpeech2

        return FastSpeech2(config.model, config.mel.n_mels)
    from glowtron.models.tacotron2 import Tacotron2

    return Tacotron2(config.model, config.mel.n_mels)


def _stored(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state of `model` as it goes to disk."""
    fold = "fold_weight_norm"  # Vocoders have it.
    if hasattr(model, fold):
        model = copy.deepcopy(model)
        getattr(model, fold)()
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
    path, data = folder / name, read_weights(folder, name, config)
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
