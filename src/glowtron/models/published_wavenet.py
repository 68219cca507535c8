"""The published weights of WaveNet (r9y9's wavenet_vocoder of 2018 to 2020; ESPnet's packages) as the tensors of ours.

Two layouts are told by their names: `upsample_conv.*` is the program of 2018, whose weights the WaveGlow paper's page
has, `upsample_net.*` that of 2019 and later. Sizes are read off the tensors. What tensors do not tell is taken from the
hyperparameters beside them (`hparams.json`), or as in the published presets: dilations start again after 6 layers (10
for mu-law codes), 30 outputs are ten logistic distributions, 2 a Gaussian, and 256 codes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from glowtron.config import MelConfig, PlainSignalConfig, WaveNetConfig
from glowtron.errors import InputError
from glowtron.models.convolution import matrix_from_taps
from glowtron.models.wavenet import WaveNet

LOG_SCALE_MIN_2018 = math.log(1e-14)


def is_2018(state: Mapping[str, Tensor]) -> bool:
    """True if the tensors have the layout of 2018."""
    return any(name.startswith("upsample_conv.") for name in state)


def config_from_published(state: Mapping[str, Tensor], hparams: Mapping[str, Any] | None = None) -> WaveNetConfig:
    """Sizes and meaning. Raises InputError naming the first tensor that is missing, or the value that cannot be."""
    told = dict(hparams or {})
    old = is_2018(state)
    first, dilated = _weight(state, "first_conv"), _weight(state, "conv_layers.0.conv")
    n_outputs, skip_channels, _ = _weight(state, "last_conv_layers.3").shape
    n_layers = _count(state, r"conv_layers\.(\d+)\.conv\.")
    codes = first.shape[1] > 1
    if codes and first.shape[1] != n_outputs:
        raise InputError(f"no whole WaveNet: it reads {first.shape[1]} codes and tells {n_outputs}; fetch it again")
    n_mels = _weight(state, "conv_layers.0.conv1x1c").shape[1]
    stacks = _number(told, "stacks", n_layers // (10 if codes and n_layers % 10 == 0 else min(6, n_layers)) or 1)
    if n_layers % stacks:
        raise InputError(f"stacks {stacks} does not divide its {n_layers} layers; correct the hyperparameters")
    scales = told.get("upsample_scales") or dict(told.get("upsample_params") or {}).get("upsample_scales")
    scales = tuple(scales or _scales(state, old))
    if any(type(scale) is not int for scale in scales):
        raise InputError(f"upsample_scales must be whole numbers, got {scales!r:.60}; correct the hyperparameters")
    context = 0 if old else (_at(state, "upsample_net.conv_in.weight", 3).shape[2] - 1) // 2
    n_speakers = len(state["embed_speakers.weight"]) if "embed_speakers.weight" in state else 0
    return WaveNetConfig(
        mel=_mel(told, n_mels, math.prod(scales), old),
        layout="2018" if old else "2020",
        n_layers=n_layers,
        dilation_cycle=n_layers // stacks,
        kernel_size=dilated.shape[2],
        residual_channels=len(first),
        gate_channels=len(dilated),
        skip_channels=skip_channels,
        output=_output(told, codes, n_outputs),
        n_mixtures=1 if codes else max(n_outputs // 3, 1),
        n_levels=n_outputs if codes else int(_number(told, "quantize_channels", 65_536)),
        log_scale_min=float(_number(told, "log_scale_min", LOG_SCALE_MIN_2018 if old else -16.0)),
        upsample_scales=scales,
        context_frames=context,
        dropout=_dropout(told),
        signal=_signal(told, old),
        speakers=tuple(f"speaker{i}" for i in range(n_speakers)),
        speaker_channels=state["embed_speakers.weight"].shape[1] if n_speakers else 16,
    )


def _mel(told: Mapping[str, Any], n_mels: int, hop_length: int, old: bool) -> MelConfig:
    """The mel of those programs in natural log, which the standardisation turns into theirs (`standardisation`)."""
    n_fft = int(_number(told, "fft_size", 1024))
    window = int(_number(told, "win_length", n_fft))
    return MelConfig(
        sample_rate=int(_number(told, "sample_rate", 22_050)),
        n_fft=n_fft,
        win_length=n_fft if old else window,
        hop_length=hop_length,
        n_mels=n_mels,
        f_min=float(_number(told, "fmin", 125)),
        f_max=float(_number(told, "fmax", 7600)),
        # In 2018 the lowest level becomes 0 of a range that is cut off there.
        floor=10 ** ((_reference(told) + _lowest(told)) / 20) if old else 1e-10,
        framing="lws" if old else "centred",
    )


def _lowest(told: Mapping[str, Any]) -> float:
    return float(_number(told, "min_level_db", -100))


def _reference(told: Mapping[str, Any]) -> float:
    return float(_number(told, "ref_level_db", 20))


def standardisation(
    hparams: Mapping[str, Any] | None, n_mels: int, statistics: tuple[Tensor, Tensor] | None, *, old: bool
) -> tuple[Tensor, Tensor]:
    """`mel_mean` and `mel_scale` that make of a natural log-mel what the network was trained on.

    statistics: mean and scale of each band (layout of 2020). In 2018 decibels from the lowest level to 0 become 0 to 1.
    """
    told = dict(hparams or {})
    if old:
        decibels = 20 / math.log(10)
        lowest = _lowest(told)
        mean = torch.full((n_mels,), (_reference(told) + lowest) / decibels)
        return mean, torch.full((n_mels,), -lowest / decibels)
    if statistics is None:
        raise InputError(
            "these weights read mels that were standardised over their training data; give the mean and scale of that, "
            "the file meanvar.joblib of their dump (statistics)"
        )
    mean, scale = statistics
    if len(mean) != n_mels or len(scale) != n_mels:
        raise InputError(f"the statistics are of {len(mean)} mel bands, the weights of {n_mels}; give theirs")
    if not bool((scale > 0).all() and scale.isfinite().all() and mean.isfinite().all()):
        raise InputError("the statistics hold numbers that no mean and no scale can be; fetch the file again")
    return mean.float() * math.log(10), scale.float() * math.log(10)


def from_published(state: Mapping[str, Tensor], config: WaveNetConfig) -> dict[str, Tensor]:
    """The published tensors, with weight norm or without, under our names and in our shapes; without standardisation.

    Raises InputError naming the first few tensors that are missing, unknown or of another shape than the rest implies.
    """
    unused = dict(state)
    ours: dict[str, Tensor] = {}

    def move(name: str, theirs: str) -> None:
        found = [key for key in unused if key.rpartition(".")[0] == theirs]
        if not found:
            raise InputError(f"no whole WaveNet: tensor {theirs}.weight is missing; fetch the file again")
        for key in found:
            ours[f"{name}.{key.rpartition('.')[2]}"] = _matrix(unused.pop(key))

    move("first", "first_conv")
    for i in range(config.n_layers):
        layer = f"conv_layers.{i}"
        move(f"layers.{i}.dilated", f"{layer}.conv")
        move(f"layers.{i}.condition", f"{layer}.conv1x1c")
        move(f"layers.{i}.skip", f"{layer}.conv1x1_skip")
        move(f"layers.{i}.residual", f"{layer}.conv1x1_out")
        if config.speakers:
            move(f"layers.{i}.speaker", f"{layer}.conv1x1g")
    for kind in ("weight", "weight_g", "weight_v", "bias"):  # The last layer computes it and nothing reads it.
        ours.pop(f"layers.{config.n_layers - 1}.residual.{kind}", None)
    move("last.0", "last_conv_layers.1")
    move("last.1", "last_conv_layers.3")
    if config.speakers:
        ours["speaker.weight"] = unused.pop("embed_speakers.weight")
    for i in range(len(config.upsample_scales)):
        if config.layout == "2018":
            for kind in ("bias", "weight_g", "weight_v", "weight"):
                if (name := f"upsample_conv.{2 * i}.{kind}") in unused:
                    ours[f"upsampling.layers.{i}.{kind}"] = unused.pop(name)
            _split_norm(ours, f"upsampling.layers.{i}")
        else:
            for kind in ("weight_g", "weight_v", "weight"):
                if (name := f"upsample_net.upsample.up_layers.{2 * i + 1}.{kind}") in unused:
                    ours[f"upsampling.smooth.{i}.{kind}"] = unused.pop(name).reshape(1, -1)
    if config.layout == "2020":
        ours["upsampling.mix.weight"] = matrix_from_taps(_at(unused, "upsample_net.conv_in.weight", 3))
        del unused["upsample_net.conv_in.weight"]
    if unused:
        raise InputError(f"no WaveNet that is known: unknown tensors {', '.join(sorted(unused)[:4])}")
    _check_shapes(ours, config)
    return ours


def _split_norm(ours: dict[str, Tensor], name: str) -> None:
    """Give a transposed convolution without weight norm the norm that it has."""
    if f"{name}.weight" in ours:
        weight = ours.pop(f"{name}.weight")
        ours[f"{name}.weight_v"], ours[f"{name}.weight_g"] = weight, weight.norm().reshape(1, 1, 1, 1)


def _check_shapes(ours: Mapping[str, Tensor], config: WaveNetConfig) -> None:
    """Raise InputError for tensors that are missing or do not fit the sizes that the first layers have."""
    with torch.device("meta"):
        wanted = WaveNet(config).state_dict()
    for name, tensor in ours.items():
        like = wanted.get(name, wanted.get(f"{name}_v"))
        if like is None or tensor.shape != like.shape:
            found = f"{tuple(tensor.shape)}, expected {None if like is None else tuple(like.shape)}"
            raise InputError(f"no whole WaveNet: what makes {name} has shape {found}; fetch the file again")
    for name in wanted:
        folded = re.sub(r"weight_[gv]$", "weight", name)
        if name not in ours and folded not in ours and not name.startswith("mel_"):
            raise InputError(f"no whole WaveNet: what makes {name} is missing; fetch the file again")


def _output(told: Mapping[str, Any], codes: bool, n_outputs: int) -> Literal["logistic", "gaussian", "softmax"]:
    if codes:
        return "softmax"
    if told.get("input_type", "raw") != "raw":
        raise InputError(f"reads input_type {told['input_type']!r:.30}; only raw samples and mulaw-quantize are read")
    if n_outputs == 2 or told.get("output_distribution") == "Normal":
        return "gaussian"
    if n_outputs % 3:
        raise InputError(f"no WaveNet that is known: {n_outputs} outputs are neither a mixture, a Gaussian nor codes")
    return "logistic"


def _signal(told: Mapping[str, Any], old: bool) -> PlainSignalConfig:
    if old:
        return PlainSignalConfig()
    emphasised = told.get("preprocess", "preemphasis") == "preemphasis"
    gain = float(_number(told, "global_gain_scale", 0.55))
    return PlainSignalConfig(gain=gain, pre_emphasis=0.85 if emphasised else 0.0)


def _dropout(told: Mapping[str, Any]) -> float:
    # The presets say 1 - 0.95, whose last bits are of no use.
    return round(float(_number(told, "dropout", 0.0)), 6)


def _number(told: Mapping[str, Any], name: str, default: float) -> Any:
    value = told.get(name)
    if value is None or (name == "win_length" and value == -1):
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} must be a number, got {value!r:.40}; correct the hyperparameters")
    if name in ("stacks", "fft_size", "win_length", "sample_rate", "quantize_channels") and not 0 < value < 2**24:
        raise InputError(f"{name} cannot be {value!r:.40}; correct the hyperparameters")
    return value


def _scales(state: Mapping[str, Tensor], old: bool) -> tuple[int, ...]:
    pattern = r"upsample_conv\.(\d+)\.weight" if old else r"upsample_net\.upsample\.up_layers\.(\d+)\.weight"
    places = sorted({int(match[1]) for match in (re.match(pattern, name) for name in state) if match})
    found = [_weight(state, f"upsample_conv.{i}" if old else f"upsample_net.upsample.up_layers.{i}", 4) for i in places]
    return tuple(weight.shape[3] if old else (weight.shape[3] - 1) // 2 for weight in found)


def _weight(state: Mapping[str, Tensor], layer: str, n_dims: int = 3) -> Tensor:
    return _at(state, f"{layer}.weight" if f"{layer}.weight" in state else f"{layer}.weight_v", n_dims)


def _matrix(tensor: Tensor) -> Tensor:
    """(out, in, kernel) -> (out, kernel * in), norms (out, 1); biases stay."""
    return tensor if tensor.dim() != 3 else matrix_from_taps(tensor)


def _at(state: Mapping[str, Tensor], name: str, n_dims: int) -> Tensor:
    if name not in state or state[name].dim() != n_dims:
        found = f"of shape {tuple(state[name].shape)}" if name in state else "missing"
        raise InputError(f"no whole WaveNet: tensor {name} is {found}; fetch the file again")
    return state[name]


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    found = [int(match[1]) for match in (re.match(pattern, name) for name in state) if match]
    return max(found, default=-1) + 1
