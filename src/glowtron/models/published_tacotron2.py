"""The published weights of Tacotron 2, as the tensors of ours.

NVIDIA's tacotron2 and the Tacotron2 case of its DeepLearningExamples name their tensors alike. Every size can be read
off the tensors; what they compute is what `glowtron.models.tacotron2` computes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glowtron.config import Tacotron2Config
from glowtron.errors import InputError
from glowtron.models.convolution import matrix_from_taps
from glowtron.models.tacotron2 import Tacotron2

_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


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
    rows = state.get("decoder.linear_projection.linear_layer.bias")
    bands = state.get("decoder.prenet.layers.0.linear_layer.weight")
    last = state.get(f"postnet.convolutions.{_count(state, 'postnet.convolutions') - 1}.0.conv.bias")
    if rows is None or bands is None or last is None or bands.dim() != 2:
        raise InputError("no whole Tacotron 2: the mel projection, prenet or postnet is missing; fetch the file again")
    if not rows.numel() == bands.shape[1] == last.numel():
        raise InputError(
            f"makes {rows.numel()} values a step for {last.numel()} mel bands; only one frame a step can be read"
        )
    return rows.numel()


def from_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under our names and in our shapes, for `Tacotron2.load_state_dict`.

    Raises InputError naming the first few tensors that are missing, unknown or of another shape than the rest implies.
    """
    config = config_from_published(state)
    with torch.device("meta"):
        expected = Tacotron2(config, n_mels_from_published(state)).state_dict()
    ours = {}
    missing, misshapen = [], []
    names = published_names(config)
    for name, published in names.items():
        if published not in state:
            if not name.endswith("num_batches_tracked"):  # torch before 0.4.1 had none, and inference needs none
                missing.append(published)
            ours[name] = torch.zeros((), dtype=torch.int64)
            continue
        tensor = state[published]
        ours[name] = matrix_from_taps(tensor) if tensor.dim() == 3 else tensor
        if ours[name].shape != expected[name].shape:
            misshapen.append(f"{published} {tuple(tensor.shape)}")
    unknown = sorted(set(state) - set(names.values()))
    for fault, found in (("is missing", missing), ("has unknown", unknown), ("has misshapen", misshapen)):
        if found:
            shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
            raise InputError(f"no whole Tacotron 2: {fault} tensors: {shown}; fetch the file again")
    return ours


def published_names(config: Tacotron2Config) -> dict[str, str]:
    """Our names of all tensors to the published ones."""
    names = {"embedding.weight": "embedding.weight"}
    for part, count in (("encoder", config.encoder_layers), ("postnet", config.postnet_layers)):
        for i in range(count):
            for field in ("weight", "bias"):
                names[f"{part}.convolutions.{i}.{field}"] = f"{part}.convolutions.{i}.0.conv.{field}"
            for field in _NORM:
                names[f"{part}.norms.{i}.{field}"] = f"{part}.convolutions.{i}.1.{field}"
    for field in _LSTM:
        for direction in ("", "_reverse"):
            names[f"encoder.lstm.{field}_l0{direction}"] = f"encoder.lstm.{field}_l0{direction}"
        names[f"attention_rnn.{field}"] = f"decoder.attention_rnn.{field}"
        names[f"decoder_rnn.{field}"] = f"decoder.decoder_rnn.{field}"
    for i in range(2):
        names[f"prenet.layers.{i}.weight"] = f"decoder.prenet.layers.{i}.linear_layer.weight"
    attention = "decoder.attention_layer."
    names["attention.query.weight"] = attention + "query_layer.linear_layer.weight"
    names["attention.key.weight"] = attention + "memory_layer.linear_layer.weight"
    names["attention.energy.weight"] = attention + "v.linear_layer.weight"
    names["attention.location.weight"] = attention + "location_layer.location_conv.conv.weight"
    names["attention.location_dense.weight"] = attention + "location_layer.location_dense.linear_layer.weight"
    for field in ("weight", "bias"):
        names[f"projection.{field}"] = f"decoder.linear_projection.linear_layer.{field}"
        names[f"stop.{field}"] = f"decoder.gate_layer.linear_layer.{field}"
    return names


def _count(state: dict[str, Tensor], prefix: str) -> int:
    """Layers numbered from 0 under `prefix`."""
    n = 0
    while f"{prefix}.{n}.0.conv.weight" in state:
        n += 1
    return n
