"""The published weights of Tacotron 2, as the tensors of ours.

NVIDIA's tacotron2 and the Tacotron2 case of its DeepLearningExamples name their tensors alike. Every size can be read
off the tensors; what they compute is what `glowtron.models.tacotron2` computes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from glowtron.config import Tacotron2Config
from glowtron.errors import InputError
from glowtron.models.convolution import matrix_from_taps, taps_from_matrix

Layout = dict[str, tuple[str, tuple[int, ...]]]
"""Our name of each tensor, to its published name and shape."""

_ROWS = "decoder.linear_projection.linear_layer.bias"


def config_from_published(state: dict[str, Tensor]) -> Tacotron2Config:
    """Sizes, read off the published tensors; dropouts are the published ones, which are the defaults.

    Raises InputError naming the first tensor that is missing or of the wrong number of dimensions.
    """

    def size(name: str, *wanted: int) -> tuple[int, ...]:
        shape = state[name].shape if name in state else None
        if shape is None or len(shape) <= max(wanted):
            found = "missing" if shape is None else f"of shape {tuple(shape)}"
            raise InputError(f"no whole Tacotron 2: tensor {name} is {found}; fetch the file again")
        return tuple(shape[i] for i in wanted)

    n_symbols, embedding = size("embedding.weight", 0, 1)
    encoder, encoder_kernel = size("encoder.convolutions.0.0.conv.weight", 0, 2)
    (prenet,) = size("decoder.prenet.layers.0.linear_layer.weight", 0)
    (attention_rnn,) = size("decoder.attention_rnn.weight_hh", 1)
    (attention,) = size("decoder.attention_layer.query_layer.linear_layer.weight", 0)
    filters, location_kernel = size("decoder.attention_layer.location_layer.location_conv.conv.weight", 0, 2)
    (decoder_rnn,) = size("decoder.decoder_rnn.weight_hh", 1)
    postnet, postnet_kernel = size("postnet.convolutions.0.0.conv.weight", 0, 2)
    return Tacotron2Config(
        n_symbols=n_symbols,
        embedding_channels=embedding,
        encoder_channels=encoder,
        encoder_layers=_count(state, "encoder.convolutions"),
        encoder_kernel=encoder_kernel,
        prenet_channels=prenet,
        attention_rnn_channels=attention_rnn,
        attention_channels=attention,
        location_filters=filters,
        location_kernel=location_kernel,
        decoder_rnn_channels=decoder_rnn,
        postnet_channels=postnet,
        postnet_layers=_count(state, "postnet.convolutions"),
        postnet_kernel=postnet_kernel,
    )


def n_mels_from_published(state: dict[str, Tensor]) -> int:
    """Mel bands. Raises InputError for weights that make several frames a step, whose prenet sees all of them."""
    postnet, rows = state.get("postnet.convolutions.0.0.conv.weight"), state.get(_ROWS)
    if postnet is None or rows is None or postnet.dim() != 3:
        raise InputError(f"no whole Tacotron 2: tensor {_ROWS} or the postnet is missing; fetch the file again")
    n_mels = postnet.shape[1]
    if rows.numel() > n_mels and rows.numel() % n_mels == 0:
        raise InputError(f"makes {rows.numel() // n_mels} frames a step; only weights that make one can be read")
    return n_mels


def from_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under our names and in our shapes, for `Tacotron2.load_state_dict`.

    Raises InputError naming the first few tensors that are missing, unknown or of another shape than the rest implies.
    """
    layout = published_layout(config_from_published(state), n_mels_from_published(state))
    ours, missing, misshapen = {}, [], []
    for name, (published, shape) in layout.items():
        tensor = state.get(published)
        if tensor is None and name.endswith("num_batches_tracked"):
            tensor = torch.zeros(shape, dtype=torch.int64)  # torch before 0.4.1 had none, and inference needs none
        if tensor is None:
            missing.append(published)
        elif tensor.shape != shape:
            misshapen.append(f"{published} {tuple(tensor.shape)} instead of {shape}")
        else:
            ours[name] = matrix_from_taps(tensor) if tensor.dim() == 3 else tensor
    unknown = sorted(set(state) - {published for published, _ in layout.values()})
    for fault, found in (("is missing", missing), ("has unknown", unknown), ("has misshapen", misshapen)):
        if found:
            shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
            raise InputError(f"no whole Tacotron 2: {fault} tensors: {shown}; fetch the file again")
    return ours


def to_published(ours: Mapping[str, Tensor], config: Tacotron2Config, n_mels: int) -> dict[str, Tensor]:
    """Our tensors under the published names and in their shapes and order; undoes `from_published`.

    `ours` may be a part of a model's tensors, or others that are shaped alike, such as an optimizer's moments.
    """
    state = {
        published: taps_from_matrix(ours[name], shape[2]) if len(shape) == 3 else ours[name]
        for name, (published, shape) in published_layout(config, n_mels).items()
        if name in ours
    }
    return {name: state[name] for name in sorted(state, key=_published_place)}


_PUBLISHED_ORDER = (
    "embedding",
    "encoder.convolutions",
    "encoder.lstm",
    "decoder.prenet",
    "decoder.attention_rnn",
    "decoder.attention_layer.query_layer",
    "decoder.attention_layer.memory_layer",
    "decoder.attention_layer.v",
    "decoder.attention_layer.location_layer",
    "decoder.decoder_rnn",
    "decoder.linear_projection",
    "decoder.gate_layer",
    "postnet",
)
"""Modules in the order of their making, in which an optimizer of the published programs numbers parameters. Within a
module ours has the same order."""


def _published_place(name: str) -> int:
    return next(place for place, module in enumerate(_PUBLISHED_ORDER) if name.startswith(f"{module}."))


def published_layout(config: Tacotron2Config, n_mels: int) -> Layout:
    """Our name of each tensor, to its published name and shape."""
    embedding = ("embedding.weight", (config.n_symbols, config.embedding_channels))
    return {
        "embedding.weight": embedding,
        **_convolutions(config, n_mels),
        **_cells(config),
        **_products(config, n_mels),
    }


def _convolutions(config: Tacotron2Config, n_mels: int) -> Layout:
    """Encoder and postnet, with batch norm; and the attention's filters."""
    location = "decoder.attention_layer.location_layer.location_conv.conv.weight"
    layout: Layout = {"attention.location.weight": (location, (config.location_filters, 2, config.location_kernel))}
    encoder = [config.embedding_channels] + [config.encoder_channels] * config.encoder_layers
    postnet = [n_mels] + [config.postnet_channels] * (config.postnet_layers - 1) + [n_mels]
    for part, widths, kernel in (
        ("encoder", encoder, config.encoder_kernel),
        ("postnet", postnet, config.postnet_kernel),
    ):
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layer = f"{part}.convolutions.{i}"
            layout[f"{layer}.weight"] = (f"{layer}.0.conv.weight", (n_out, n_in, kernel))
            layout[f"{layer}.bias"] = (f"{layer}.0.conv.bias", (n_out,))
            for field in ("weight", "bias", "running_mean", "running_var"):
                layout[f"{part}.norms.{i}.{field}"] = (f"{layer}.1.{field}", (n_out,))
            layout[f"{part}.norms.{i}.num_batches_tracked"] = (f"{layer}.1.num_batches_tracked", ())
    return layout


def _cells(config: Tacotron2Config) -> Layout:
    """The LSTMs."""
    encoder = config.encoder_channels
    layout: Layout = {}
    for name, published, suffix, n_in, width in (
        ("encoder.lstm", "encoder.lstm", "_l0", encoder, encoder // 2),
        ("encoder.lstm", "encoder.lstm", "_l0_reverse", encoder, encoder // 2),
        ("attention_rnn", "decoder.attention_rnn", "", config.prenet_channels + encoder, config.attention_rnn_channels),
        (
            "decoder_rnn",
            "decoder.decoder_rnn",
            "",
            config.attention_rnn_channels + encoder,
            config.decoder_rnn_channels,
        ),
    ):
        shapes = {"weight_ih": (4 * width, n_in), "weight_hh": (4 * width, width), "bias_ih": (4 * width,)}
        for field, shape in {**shapes, "bias_hh": shapes["bias_ih"]}.items():
            layout[f"{name}.{field}{suffix}"] = (f"{published}.{field}{suffix}", shape)
    return layout


def _products(config: Tacotron2Config, n_mels: int) -> Layout:
    """Prenet, attention and projections."""
    decoded, compared = config.decoder_rnn_channels + config.encoder_channels, config.attention_channels
    layout: Layout = {}
    for name, published, n_in, n_out in (
        ("prenet.layers.0", "prenet.layers.0", n_mels, config.prenet_channels),
        ("prenet.layers.1", "prenet.layers.1", config.prenet_channels, config.prenet_channels),
        ("attention.query", "attention_layer.query_layer", config.attention_rnn_channels, compared),
        ("attention.key", "attention_layer.memory_layer", config.encoder_channels, compared),
        (
            "attention.location_dense",
            "attention_layer.location_layer.location_dense",
            config.location_filters,
            compared,
        ),
        ("attention.energy", "attention_layer.v", compared, 1),
        ("projection", "linear_projection", decoded, n_mels),
        ("stop", "gate_layer", decoded, 1),
    ):
        layout[f"{name}.weight"] = (f"decoder.{published}.linear_layer.weight", (n_out, n_in))
        if name in ("projection", "stop"):
            layout[f"{name}.bias"] = (f"decoder.{published}.linear_layer.bias", (n_out,))
    return layout


def _count(state: dict[str, Tensor], prefix: str) -> int:
    """Layers numbered from 0 under `prefix`, by the highest number; a layer left out in between shows as missing."""
    # No sound state numbers its layers higher than it has tensors.
    sound = {str(number): number for number in range(len(state))}
    numbers = (name.removeprefix(f"{prefix}.").split(".")[0] for name in state if name.startswith(f"{prefix}."))
    return max((sound[number] + 1 for number in numbers if number in sound), default=0)
