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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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
from glowtron.models.convolution import WeightNormConv
from glowtron.models.waveglow import WN, WaveGlow
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

Model = TypeVar("Model", bound=nn.Module)
NETS = "wavenets."
"""Prefix of the names of tensors of WaveGlow's WNs; the number of the flow follows."""


@dataclasses.dataclass(frozen=True)
class StoredVoice:
    """A voice as a folder holds it: what `voice.json` says, and the models."""

    config: VoiceFile
    acoustic: Tacotron2 | FastSpeech2 | None = None
    vocoder: WaveGlow | None = None
    """None also where `config.vocoder` is Griffin-Lim, which has no weights, or a WaveNet."""
    wavenet: WaveNet | None = None
    """That of `config.wavenet`, or of `config.vocoder` where it is one."""
    stored_vocoder: StoredWaveGlow | None = None
    """The graph, if it was asked for and is smaller than the model, which is None then."""

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


def load_voice(folder: Path, *, stored_vocoder: bool = False) -> StoredVoice:
    """Read a voice folder; models are on CPU, in float32 and evaluation mode.

    stored_vocoder: a WaveGlow in int8 may stay as it is stored.

    Raises InputError for a missing or damaged file, a folder written by a newer version, and mel definitions or
    speakers of acoustic model and vocoder that disagree.
    """
    config = read_voice(folder)
    acoustic: Tacotron2 | FastSpeech2 | None = None
    vocoder: WaveGlow | None = None
    stored: StoredWaveGlow | None = None
    if config.acoustic is not None:
        with _Undrawn():
            acoustic = new_acoustic(config.acoustic)
        _fill(acoustic, _read(folder, ACOUSTIC, config), folder / ACOUSTIC)
    if isinstance(config.vocoder, WaveGlowConfig):
        source = vocoder_folder(folder, config)
        weights = _read(source, VOCODER, read_voice_file(source))
        stored = StoredWaveGlow(config.vocoder, weights, source / VOCODER)
        if not stored_vocoder or not any(name.endswith(SCALE) for name in weights):
            vocoder, stored = stored.whole(), None
    wavenet: WaveNet | None = None
    if (sizes := wavenet_config(config)) is not None:
        from glowtron.models.wavenet import WaveNet

        with _Undrawn():
            wavenet = _folded_unfilled(WaveNet(sizes))
        _fill(wavenet, _read(folder, wavenet_file(config), config), folder / wavenet_file(config))
    return StoredVoice(config, acoustic, vocoder, wavenet, stored)


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


class _Undrawn(TorchFunctionMode):
    """Within it new models are not given random weights, which take time to draw and are replaced by a file's."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("uniform_", "normal_", "kaiming_uniform_"):
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


class StoredWaveGlow:
    """The weights of a WaveGlow as a file holds them: in int8 they take a quarter of the memory of the model."""

    def __init__(self, config: WaveGlowConfig, weights: Mapping[str, Tensor], path: Path) -> None:
        """Raises InputError if they do not fit."""
        self._config, self._weights, self._path = config, weights, path
        _check_fits(self._unfilled().state_dict(), weights, path)

    @property
    def n_parameters(self) -> int:
        """As of the model."""
        return sum(tensor.numel() for name, tensor in self._weights.items() if not name.endswith(SCALE))

    def whole(self) -> WaveGlow:
        """The model."""
        model = self._unfilled()
        _fill(model, self._weights, self._path)
        return model

    def net_by_net(self) -> WaveGlow:
        """The same for an engine that lays out one WN after the other: each is made when it is asked for."""
        model = self._unfilled()
        model.wavenets = _NetsOnDemand([partial(self._net, model, k) for k in range(len(model.wavenets))])
        rest = {name: tensor for name, tensor in self._weights.items() if not name.startswith(NETS)}
        _fill(model, rest, self._path)
        return model

    def _unfilled(self) -> WaveGlow:
        with _Undrawn():
            return _folded_unfilled(WaveGlow(self._config))

    def _net(self, model: WaveGlow, k: int) -> WN:
        n_channels, prefix = model.channels[k], f"{NETS}{k}."
        with _Undrawn():
            net = WN(n_channels // 2, n_channels, model.analysis.n_conditioning, self._config.wavenet)
        weights = {name[len(prefix) :]: each for name, each in self._weights.items() if name.startswith(prefix)}
        _fill(_folded_unfilled(net), weights, self._path)
        return net


class _NetsOnDemand(nn.ModuleList):
    """WNs that are made each time that they are asked for, so that no two need be in memory.

    To fill and to empty those of one model takes 25 MB more of duet: what is freed is not what is allocated next.
    """

    def __init__(self, make: Sequence[Callable[[], WN]]) -> None:
        super().__init__()
        self._make = tuple(make)

    def __len__(self) -> int:
        return len(self._make)

    def __getitem__(self, k: Any) -> Any:
        return self._make[k]()


def _folded_unfilled(model: Model) -> Model:
    for module in model.modules():
        if isinstance(module, WeightNormConv):
            module.fold_unfilled()
    return model


def _read(folder: Path, name: str, config: VoiceFile) -> dict[str, Tensor]:
    """The weights of a file as they are stored, after checking that it is the one `voice.json` was written with."""
    data = read_weights(folder, name, config)
    try:
        stored: dict[str, Tensor] = load(data)
    except SafetensorError as error:
        raise InputError(f"{folder / name}: is no safetensors file: {error}; fetch it again") from error
    return stored


def _fill(model: nn.Module, stored: Mapping[str, Tensor], path: Path) -> None:
    """Fill `model` with the weights of the file `path`, and set it to evaluation mode."""
    state = model.state_dict()
    _check_fits(state, stored, path)
    for name, tensor in state.items():
        # In place: in int8 a file is a quarter of the model, and no other copy of that is made.
        if name + SCALE in stored:
            tensor.copy_(stored[name]).mul_(stored[name + SCALE])
        else:
            tensor.copy_(stored[name])
    model.eval()


def _check_fits(state: Mapping[str, Tensor], stored: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError naming the first tensors that do not fit the model that `voice.json` describes."""
    wanted = {name: tuple(tensor.shape) for name, tensor in state.items()}
    found = {name: tuple(tensor.shape) for name, tensor in stored.items() if not name.endswith(SCALE)}
    differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differ:
        name = differ[0]
        more = f" and {len(differ) - 1} more" if len(differ) > 1 else ""
        shapes = f"has {found.get(name, 'none')}, voice.json says {wanted.get(name, 'none')}"
        raise InputError(f"{path}: does not fit voice.json: tensor {name} {shapes}{more}; restore both files")
