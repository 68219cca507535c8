"""FastSpeech 2 as a graph: what `glowtron.models.fastspeech2` says, held to it by a test.

Letters: B batch, N symbols, T mel frames, M mel bands, C channels, Z noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from glowtron.config import FastSpeech2Config
from glowtron.onnx.graph import Graph, Value
from glowtron.onnx.layers import Weights, bidirectional_lstm, convolve, layer_norm, linear, sequence_mask
from glowtron.text.symbols import FIRST_SOUND

MEL_MEAN, MEL_SCALE = -5.5, 2.5
"""As in the textbook: the decoder predicts log-mels that are shifted and scaled by these."""


class Prosody(NamedTuple):
    """Changes of prosody, each (1, 1), or (1, N) of the symbols of a single text; float32.

    `config.ProsodyOptions` says what it means.
    """

    rate: Value
    pause: Value
    pitch: Value
    pitch_range: Value
    energy: Value


class PlanValues(NamedTuple):
    """A text with its prosody, ready to be decoded in whole or in pieces."""

    frames: Value
    """(B, C + 2, T)."""
    pitch: Value
    """(B, 1, T)."""
    voiced: Value
    """(B, 1, T)."""
    mask: Value
    """(B, 1, T)."""
    alignment: Value
    """(B, N, T), 1 where a frame is of a symbol."""


def prosody_inputs(graph: Graph) -> Prosody:
    """Inputs of the graph for all of it."""
    return Prosody(*(graph.input(name, "float32", ["one", f"n_{name}"]) for name in Prosody._fields))


def plan(
    graph: Graph,
    weights: Weights,
    config: FastSpeech2Config,
    ids: Value,
    lengths: Value,
    speaker: Value,
    prosody: Prosody,
    max_frames: Value,
) -> PlanValues:
    """`FastSpeech2.plan`: ids (B, N), lengths and speaker (B,), max_frames (1,) int64."""
    mask = sequence_mask(graph, lengths, ids.size(1)).to("float32").unsqueeze(2)  # (B, N, 1)
    encoded = _encode(graph, weights, config, ids, lengths, mask)
    encoded = encoded + graph.constant(weights["speaker.weight"]).gather(speaker).unsqueeze(1)
    each = (_predict(graph, weights, "duration", encoded, mask).exp() - 1.0).at_least(0.0) * mask.squeeze(2)
    each = each / prosody.rate
    each = graph.where(ids < FIRST_SOUND, each * prosody.pause, each)
    ends = each.cumsum(1).round().at_most(max_frames.to("float32"))  # (B, N)
    # A text lasts one frame at least. Whole numbers of this size are exact in float32.
    ends = graph.concat([ends.cut(1, 0, -1), ends.cut(1, -1).at_least(1.0)], 1)
    starts = ends.cut(1, 0, -1).pad(1, 2, before=1)
    energy = _predict(graph, weights, "energy", encoded, mask)
    energy = energy + prosody.energy * (math.log(10) / 20) / weights["energy_std"]
    symbols = encoded + linear(graph, energy.unsqueeze(2), weights["energy_in.weight"], weights["energy_in.bias"])
    frames, frame_mask, alignment = _expand(graph, symbols, starts, ends)
    pitch, voicing = _predict_pitch(graph, weights, config, frames, frame_mask)
    std = graph.constant(weights["pitch_std"]).gather(speaker).unsqueeze(1, 2)
    shift, spread = (_of_frames(graph, change, ids, alignment) for change in (prosody.pitch, prosody.pitch_range))
    pitch = pitch * spread + shift * (math.log(2) / 12) / std
    return PlanValues(frames, pitch, (voicing > 0.0).to("float32"), frame_mask, alignment)


def decode(
    graph: Graph,
    weights: Weights,
    config: FastSpeech2Config,
    frames: Value,
    pitch: Value,
    voiced: Value,
    mask: Value,
    noise: Value,
) -> Value:
    """`FastSpeech2.decode`: a plan, or some frames of one, and noise (B, Z, T) -> a mel (B, M, T)."""
    x = graph.concat([frames, pitch * voiced, voiced, noise], 1) * mask
    x = convolve(graph, x, weights["decoder_in.weight"], weights["decoder_in.bias"]) * mask
    x = _gated_layers(graph, weights, "decoder", config.decoder_dilations, x, mask)
    return convolve(graph, x, weights["mel_out.weight"], weights["mel_out.bias"]) * MEL_SCALE + MEL_MEAN


def _of_frames(graph: Graph, change: Value, ids: Value, alignment: Value) -> Value:
    """A change of symbols, or of all, as one of their frames: (B, 1, T)."""
    of_symbols = graph.op("Expand", change, graph.op("Shape", ids))  # (B, N)
    return of_symbols.unsqueeze(1) @ alignment


def _encode(
    graph: Graph, weights: Weights, config: FastSpeech2Config, ids: Value, lengths: Value, mask: Value
) -> Value:
    """(B, N) -> (B, N, C), zero behind each text."""
    x = graph.constant(weights["encoder.embedding.weight"]).gather(ids) * mask
    for i in range(config.encoder_layers):
        name = f"encoder.convolutions.{i}"
        y = convolve(graph, x.transpose(0, 2, 1), weights[f"{name}.weight"], weights[f"{name}.bias"])
        y = layer_norm(graph, y.transpose(0, 2, 1).relu(), *_norm(weights, f"encoder.norms.{i}"))
        x = x + y * mask
    return x + bidirectional_lstm(graph, x, lengths, weights, "encoder.lstm")


def _predict(graph: Graph, weights: Weights, name: str, x: Value, mask: Value) -> Value:
    """A `SymbolPredictor`: (B, N, C) -> (B, N)."""
    for i in range(2):
        layer = f"{name}.convolutions.{i}"
        y = convolve(graph, (x * mask).transpose(0, 2, 1), weights[f"{layer}.weight"], weights[f"{layer}.bias"])
        x = layer_norm(graph, y.transpose(0, 2, 1).relu(), *_norm(weights, f"{name}.norms.{i}"))
    return linear(graph, x, weights[f"{name}.out.weight"], weights[f"{name}.out.bias"]).squeeze(2)


def _norm(weights: Weights, name: str) -> tuple[np.ndarray, np.ndarray]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _expand(graph: Graph, symbols: Value, starts: Value, ends: Value) -> tuple[Value, Value, Value]:
    """The length regulator: symbols (B, N, C), whose first frames are `starts` and last ones before `ends` (B, N).

    A product with the alignment, 0 or 1 everywhere, repeats exactly. Returns frames (B, C + 2, T), their mask
    (B, 1, T) and the alignment (B, N, T).
    """
    n_frames = ends.cut(1, -1).max(0, keep=False)  # (1,)
    frame = graph.op("Range", 0.0, n_frames.squeeze(0), 1.0)  # (T,)
    alignment = ((frame >= starts.unsqueeze(2)) & (frame < ends.unsqueeze(2))).to("float32")
    mask = alignment.sum(1)
    first, lasts = (row.unsqueeze(1) @ alignment for row in (starts, ends - starts))  # (B, 1, T)
    place = (frame - first + 0.5) / lasts.at_least(1.0) * mask
    frames = graph.concat([symbols.transpose(0, 2, 1) @ alignment, place, (lasts + 1.0).log() * mask], 1)
    return frames, mask, alignment


def _predict_pitch(
    graph: Graph, weights: Weights, config: FastSpeech2Config, frames: Value, mask: Value
) -> tuple[Value, Value]:
    """(B, C + 2, T) -> pitch and voicing logits, (B, 1, T) each."""
    x = convolve(graph, frames, weights["pitch_in.weight"], weights["pitch_in.bias"]) * mask
    x = _gated_layers(graph, weights, "pitch_layers", config.pitch_dilations, x, mask)
    pitch, voicing = convolve(graph, x, weights["pitch_out.weight"], weights["pitch_out.bias"]).split([1, 1], 1)
    return pitch, voicing


def _gated_layers(
    graph: Graph, weights: Weights, name: str, dilations: tuple[int, ...], x: Value, mask: Value
) -> Value:
    """`GatedLayers`: (B, C, T), zero where the mask is."""
    for i, dilation in enumerate(dilations):
        gates, out = f"{name}.gates.{i}", f"{name}.outs.{i}"
        width = weights[f"{out}.weight"].shape[0]
        filtered, gated = convolve(graph, x, weights[f"{gates}.weight"], weights[f"{gates}.bias"], dilation).split(
            [width, width], 1
        )
        x = x + convolve(graph, filtered.tanh() * gated.sigmoid(), weights[f"{out}.weight"], weights[f"{out}.bias"])
        x = x * mask
    return x
