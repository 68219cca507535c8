"""The published weights of WaveGlow, as the tensors of ours.

NVIDIA's waveglow (2018 to 2020) and the Tacotron 2 case of its DeepLearningExamples lay out the same function in three
ways: residual and skip in one layer or two, conditioning in one layer or one for each. Ours has the fused form, so the
others' tensors are laid one under the other; weight norm is a norm for each output, which fusing outputs leaves alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from glowtron.config import GroupingConfig, MelConfig, WaveGlowConfig, WNConfig
from glowtron.errors import InputError
from glowtron.models.convolution import matrix_from_taps, taps_from_matrix
from glowtron.models.waveglow import WaveGlow


def config_from_published(
    state: dict[str, Tensor], *, alternate_halves: bool = False, hop_length: int = 256
) -> WaveGlowConfig:
    """Sizes, read off the published tensors.

    The tensors do not tell `alternate_halves` (the model published before the first release, class `glow_old`) nor
    the upsampling's stride, which is `hop_length`. Raises InputError naming the first tensor that is missing.
    """
    in_layer = _rows(_named(state, "WN.0.in_layers.0"))
    n_mels, _, upsample_kernel = _at(state, "upsample.weight", 3).shape
    channels = [
        len(_at(state, f"convinv.{k}.conv.weight", 3)) for k in range(_count(state, r"convinv\.(\d+)\.conv\.weight"))
    ]
    if not channels:
        raise InputError("no whole WaveGlow: tensor convinv.0.conv.weight is missing; fetch the file again")
    n_layers = _count(state, r"WN\.0\.in_layers\.(\d+)\.")
    fewer = [k for k, n in enumerate(channels) if n != channels[0]]
    return WaveGlowConfig(
        mel=MelConfig(n_mels=n_mels, hop_length=hop_length),
        analysis=GroupingConfig(group_size=channels[0], upsample_kernel=upsample_kernel),
        n_flows=len(channels),
        early_every=fewer[0] if fewer else len(channels),
        early_size=channels[0] - channels[fewer[0]] if fewer else 0,
        alternate_halves=alternate_halves,
        wavenet=WNConfig(
            n_layers=n_layers,
            n_channels=in_layer.shape[1],
            kernel_size=in_layer.shape[2],
            dilation_cycle=n_layers,  # published dilations never start again
        ),
    )


def from_published(state: dict[str, Tensor], *, hop_length: int = 256) -> dict[str, Tensor]:
    """The published tensors, with weight norm or without, under our names and in our shapes.

    Raises InputError naming the first few tensors that are missing, unknown or of another shape than the rest implies.
    """
    config = config_from_published(state, hop_length=hop_length)
    unused = dict(state)
    ours: dict[str, Tensor] = {}

    def move(name: str, *published: str) -> None:
        """Lay published layers one under the other as our layer `name`."""
        layers = [_named(unused, layer) for layer in published]
        if any(layer.keys() != layers[0].keys() for layer in layers):
            raise InputError(f"no whole WaveGlow: {' and '.join(published)} are stored in different ways")
        for kind in layers[0]:
            ours[f"{name}.{kind}"] = torch.cat([_matrix(layer[kind]) for layer in layers])
        for layer in published:
            for kind in layers[0]:
                del unused[f"{layer}.{kind}"]

    # (in, out, sample) -> rows (group, band out, sample in the group), columns (frame, band in)
    weight, group_size = _at(unused, "upsample.weight", 3), config.n_channels
    weight = weight.unflatten(2, (-1, hop_length // group_size, group_size)).permute(3, 1, 4, 2, 0)
    ours["analysis.upsample.weight"] = weight.flatten(3).flatten(0, 2)
    ours["analysis.bias"] = _at(unused, "upsample.bias", 1)
    del unused["upsample.weight"], unused["upsample.bias"]
    n_layers = config.wavenet.n_layers
    for k in range(config.n_flows):
        ours[f"mixing.{k}"] = _at(unused, f"convinv.{k}.conv.weight", 3).squeeze(2)
        del unused[f"convinv.{k}.conv.weight"]
        theirs, net = f"WN.{k}", f"wavenets.{k}"
        move(f"{net}.start", f"{theirs}.start")
        move(f"{net}.end", f"{theirs}.end")
        in_one = any(name.startswith(f"{theirs}.cond_layer.") for name in unused)
        conditions = [f"{theirs}.cond_layers.{i}" for i in range(n_layers)]
        move(f"{net}.condition", *([f"{theirs}.cond_layer"] if in_one else conditions))
        for i in range(n_layers):
            move(f"{net}.dilated.{i}", f"{theirs}.in_layers.{i}")
            fused = any(name.startswith(f"{theirs}.res_skip_layers.{i}.") for name in unused)
            split = ["res_layers", "skip_layers"] if i < n_layers - 1 else ["skip_layers"]
            move(f"{net}.res_skip.{i}", *(f"{theirs}.{kind}.{i}" for kind in (["res_skip_layers"] if fused else split)))
    if unused:
        raise InputError(f"no WaveGlow that is known: unknown tensors {', '.join(sorted(unused)[:4])}")
    _check_shapes(ours, config)
    return ours


def to_published(
    ours: Mapping[str, Tensor], config: WaveGlowConfig, *, condition_by_layer: bool = False
) -> dict[str, Tensor]:
    """Our tensors under the published names and in their shapes and order; undoes `from_published`.

    `ours` are a model's tensors, or others that are shaped alike, such as an optimizer's moments, of a model on grouped
    samples and without speakers. condition_by_layer: one conditioning layer for each gated one, as
    DeepLearningExamples has them, in place of a single one.
    """
    assert isinstance(config.analysis, GroupingConfig), "published networks take grouped samples"
    n_mels, group_size, hop_length = config.mel.n_mels, config.analysis.group_size, config.mel.hop_length
    n_layers, kernel_size = config.wavenet.n_layers, config.wavenet.kernel_size
    # rows (group, band out, sample in the group), columns (frame, band in) -> (in, out, sample)
    rows = ours["analysis.upsample.weight"].unflatten(0, (hop_length // group_size, n_mels, group_size))
    rows = rows.unflatten(3, (-1, n_mels)).permute(4, 1, 3, 0, 2)
    state = {"upsample.weight": rows.flatten(2).contiguous(), "upsample.bias": ours["analysis.bias"]}

    def move(published: str, name: str, kernel: int = 1, part: slice = slice(None)) -> None:
        """Give a layer's tensors, or some rows of them, their published name."""
        for kind in ("weight", "bias") if f"{name}.weight" in ours else ("bias", "weight_g", "weight_v"):
            tensor = ours[f"{name}.{kind}"][part]
            is_norm = kind == "weight_g"
            state[f"{published}.{kind}"] = (
                tensor if kind == "bias" else taps_from_matrix(tensor, 1 if is_norm else kernel)
            )

    for k in range(config.n_flows):
        theirs, net = f"WN.{k}", f"wavenets.{k}"
        for i in range(n_layers):
            move(f"{theirs}.in_layers.{i}", f"{net}.dilated.{i}", kernel_size)
        for i in range(n_layers):
            move(f"{theirs}.res_skip_layers.{i}", f"{net}.res_skip.{i}")
        width = 2 * config.wavenet.n_channels
        for i in range(n_layers if condition_by_layer else 0):
            move(f"{theirs}.cond_layers.{i}", f"{net}.condition", part=slice(i * width, (i + 1) * width))
        move(f"{theirs}.start", f"{net}.start")
        move(f"{theirs}.end", f"{net}.end")
        if not condition_by_layer:
            move(f"{theirs}.cond_layer", f"{net}.condition")
    return state | {f"convinv.{k}.conv.weight": ours[f"mixing.{k}"][..., None] for k in range(config.n_flows)}


def _check_shapes(ours: dict[str, Tensor], config: WaveGlowConfig) -> None:
    """Raise InputError for tensors that do not fit the sizes that the first layers have."""
    with torch.device("meta"):
        wanted = WaveGlow(replace(config, mixing="permutation")).state_dict()
    for name, tensor in ours.items():
        # Weights without weight norm have the shape of the weight under it.
        like = wanted.get(name, wanted.get(f"{name}_v"))
        if like is None or tensor.shape != like.shape:
            found = f"{tuple(tensor.shape)}, expected {None if like is None else tuple(like.shape)}"
            raise InputError(f"no whole WaveGlow: what makes {name} has shape {found}; fetch the file again")


def _named(state: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """The tensors of one published layer by kind: bias, and weight_g and weight_v or weight."""
    kinds = ["bias", "weight"] if f"{layer}.weight" in state else ["bias", "weight_g", "weight_v"]
    return {kind: _at(state, f"{layer}.{kind}", 1 if kind == "bias" else 3) for kind in kinds}


def _rows(layer: dict[str, Tensor]) -> Tensor:
    return layer["weight"] if "weight" in layer else layer["weight_v"]


def _matrix(tensor: Tensor) -> Tensor:
    """(out, in, kernel) -> (out, kernel * in); biases stay."""
    return tensor if tensor.dim() == 1 else matrix_from_taps(tensor)


def _at(state: dict[str, Tensor], name: str, n_dims: int) -> Tensor:
    if name not in state or state[name].dim() != n_dims:
        found = f"of shape {tuple(state[name].shape)}" if name in state else "missing"
        raise InputError(f"no whole WaveGlow: tensor {name} is {found}; fetch the file again")
    return state[name]


def _count(state: dict[str, Tensor], pattern: str) -> int:
    """One more than the largest number that `pattern` finds in the names."""
    found = [int(match[1]) for match in (re.match(pattern, name) for name in state) if match]
    return max(found, default=-1) + 1
