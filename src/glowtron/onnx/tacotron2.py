"""Tacotron 2 as a graph, the decoder's loop inside: what `glowtron.models.tacotron2` says, held to it by a test.

Letters: B batch, N symbols, T mel frames, S decoder steps, r frames a step, M mel bands, C channels, P prenet channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.config import Tacotron2Config
from glowtron.onnx.graph import Graph, Value
from glowtron.onnx.layers import Weights, bidirectional_lstm, convolve, linear, sequence_mask, taps
from glowtron.text.symbols import FIRST_SOUND

if TYPE_CHECKING:
    from glowtron.config import DecodingOptions

REACH = 4
"""As in the textbook: symbols ahead that the monotonic attention may go on to."""


class MemoryValues(NamedTuple):
    """An encoded text, as the decoder attends to it."""

    values: Value
    """(B, N, C)."""
    keys: Value
    """(B, N, E) as queries are compared with it."""
    ids: Value
    """(B, N)."""
    lengths: Value
    """(B,)."""


class StateValues(NamedTuple):
    """All that one decoder step hands to the next."""

    frame: Value
    """(B, M) the last one."""
    attention_h: Value
    attention_c: Value
    decoder_h: Value
    decoder_c: Value
    context: Value
    """(B, C)."""
    weights: Value
    """(B, N)."""
    cumulative: Value
    """(B, N)."""
    survival: Value
    """(B,) probability of still being at this symbol; only the monotonic attention uses it."""
    n_steps: Value
    """(B,) int64, steps of each text so far."""
    active: Value
    """(B,) whether it has not ended."""


STATE_TYPES = ("float32",) * 9 + ("int64", "bool")


class DecodedValues(NamedTuple):
    """Results of some decoder steps."""

    frames: Value
    """(B, S * r, M) before the postnet."""
    alignment: Value
    """(B, S, N)."""
    state: StateValues


def encode(
    graph: Graph, weights: Weights, config: Tacotron2Config, ids: Value, lengths: Value, speaker: Value | None
) -> MemoryValues:
    """`Tacotron2.encode`: ids (B, N), lengths and speaker (B,)."""
    mask = sequence_mask(graph, lengths, ids.size(1)).to("float32").unsqueeze(2) if config.mask_padding else None
    x = graph.constant(weights["embedding.weight"]).gather(ids)
    x = (x if mask is None else x * mask).transpose(0, 2, 1)
    for i in range(config.encoder_layers):
        x = _normed(graph, weights, "encoder", i, config.encoder_kernel, x, mask).relu()
    values = bidirectional_lstm(graph, x.transpose(0, 2, 1), lengths, weights, "encoder.lstm")
    if config.n_speakers > 1:
        assert speaker is not None, "a model of several speakers needs `speaker`"
        values = values + graph.constant(weights["speaker.weight"]).gather(speaker).unsqueeze(1)
    return MemoryValues(values, linear(graph, values, weights["attention.key.weight"]), ids, lengths)


def start(graph: Graph, config: Tacotron2Config, n_mels: int, memory: MemoryValues) -> StateValues:
    """The state before the first step."""
    n_texts, n_symbols = memory.ids.size(0), memory.ids.size(1)
    ones = graph.full([n_texts], 1.0)

    def zeros(width: int | Value) -> Value:
        return graph.full([n_texts, width], 0.0)

    return StateValues(
        frame=zeros(n_mels),
        attention_h=zeros(config.attention_rnn_channels),
        attention_c=zeros(config.attention_rnn_channels),
        decoder_h=zeros(config.decoder_rnn_channels),
        decoder_c=zeros(config.decoder_rnn_channels),
        context=zeros(config.encoder_channels),
        weights=zeros(n_symbols),
        cumulative=zeros(n_symbols),
        survival=ones,
        n_steps=(ones - 1.0).to("int64"),
        active=ones > 0.0,
    )


def state_shapes(config: Tacotron2Config, n_mels: int) -> dict[str, list[int | str]]:
    """Of each part of the state, by its name."""
    widths: dict[str, int | str] = {
        "frame": n_mels,
        "attention_h": config.attention_rnn_channels,
        "attention_c": config.attention_rnn_channels,
        "decoder_h": config.decoder_rnn_channels,
        "decoder_c": config.decoder_rnn_channels,
        "context": config.encoder_channels,
        "weights": "N",
        "cumulative": "N",
    }
    return {name: ["B", widths[name]] if name in widths else ["B"] for name in StateValues._fields}


def state_inputs(graph: Graph, config: Tacotron2Config, n_mels: int, suffix: str = "") -> StateValues:
    """Inputs of the graph for a state in the middle of texts."""
    shapes = state_shapes(config, n_mels).items()
    return StateValues(
        *(graph.input(name + suffix, dtype, shape) for (name, shape), dtype in zip(shapes, STATE_TYPES, strict=True))
    )


def state_outputs(graph: Graph, config: Tacotron2Config, n_mels: int, state: StateValues, suffix: str = "") -> None:
    """Outputs of the graph for a state in the middle of texts."""
    shapes = state_shapes(config, n_mels).items()
    for (name, shape), dtype, value in zip(shapes, STATE_TYPES, state, strict=True):
        graph.output(name + suffix, value, shape, dtype)


def advance(
    graph: Graph,
    weights: Weights,
    config: Tacotron2Config,
    n_mels: int,
    memory: MemoryValues,
    state: StateValues,
    keep: Value,
    options: DecodingOptions,
) -> DecodedValues:
    """Decode until all texts have ended, or as many steps as there is noise for.

    keep: (S, 2, B, P) dropout masks of the prenet, divided by their mean.
    """
    longest = graph.where(memory.ids < FIRST_SOUND, float(options.max_dwell), float(options.max_sound_dwell))
    max_dwell = longest.at_most(float(options.max_dwell)) * (1 / config.reduction_factor)
    mask = sequence_mask(graph, memory.lengths, memory.ids.size(1))
    body = graph.body("step")
    i = body.input("step", "int64", [])
    body.input("going", "bool", [])
    inner = state_inputs(body, config, n_mels, "_before")
    step = _Step(body, weights, config, n_mels, MemoryValues(*map(body.outer, memory)), options)
    frames, after = step(inner, body.outer(keep).gather(i), body.outer(mask), body.outer(max_dwell))
    body.output("goes_on", after.active.to("float32").max(0, keep=False) > 0.0, [], "bool")
    state_outputs(body, config, n_mels, after, "_after")
    body.output("frames_of_step", frames, ["B", config.reduction_factor * n_mels])
    body.output("weights_of_step", after.weights, ["B", "N"])
    *carried, each, alignment = graph.op_many(
        "Loop", len(state) + 2, keep.size(0).squeeze(0), np.array(True), *state, body=body.proto()
    )
    n_frames = config.reduction_factor * n_mels
    frames = each.transpose(1, 0, 2).reshape(0, -1, n_frames)  # (S, B, r * M) -> (B, S, r * M)
    frames = graph.op("Reshape", frames, graph.concat([frames.size(0), np.array([-1, n_mels])], 0))
    return DecodedValues(frames, alignment.transpose(1, 0, 2), StateValues(*carried))


class _Step:
    """One decoder step, in the body of the loop."""

    def __init__(
        self,
        graph: Graph,
        weights: Weights,
        config: Tacotron2Config,
        n_mels: int,
        memory: MemoryValues,
        options: DecodingOptions,
    ) -> None:
        self._graph, self._weights, self._config, self._n_mels = graph, weights, config, n_mels
        self._memory, self._options = memory, options

    def __call__(self, state: StateValues, keep: Value, mask: Value, max_dwell: Value) -> tuple[Value, StateValues]:
        """Frames (B, r * M) and the next state. keep: (2, B, P); mask, max_dwell: (B, N)."""
        graph, weights = self._graph, self._weights
        squeezed = state.frame
        for layer in range(2):
            squeezed = linear(graph, squeezed, weights[f"prenet.layers.{layer}.weight"]).relu() * keep.gather(layer)
        x = graph.concat([squeezed, state.context], 1)
        attention_h, attention_c = self._lstm_cell("attention_rnn", x, state.attention_h, state.attention_c)
        attended = self._attend(attention_h, state, mask)
        survival = state.survival
        if self._options.monotonic:
            attended, survival = self._move_on(attended, state, mask, max_dwell)
        context = (attended.unsqueeze(1) @ self._memory.values).squeeze(1)
        x = graph.concat([attention_h, context], 1)
        decoder_h, decoder_c = self._lstm_cell("decoder_rnn", x, state.decoder_h, state.decoder_c)
        decoded = graph.concat([decoder_h, context], 1)
        frames = linear(graph, decoded, weights["projection.weight"], weights["projection.bias"])
        stop = linear(graph, decoded, weights["stop.weight"], weights["stop.bias"]).sigmoid().squeeze(1)
        cumulative = state.cumulative + attended
        if self._options.monotonic:
            ends, survival = self._finish(stop, attended, cumulative, survival, max_dwell)
        else:
            ends = stop > float(self._options.stop_threshold)
        after = StateValues(
            frames.cut(1, -self._n_mels),
            attention_h,
            attention_c,
            decoder_h,
            decoder_c,
            context,
            attended,
            cumulative,
            survival,
            state.n_steps + state.active.to("int64"),
            state.active & ~ends,
        )
        return frames, after

    def _lstm_cell(self, name: str, x: Value, h: Value, c: Value) -> tuple[Value, Value]:
        """`nn.LSTMCell`: gates in the order input, forget, cell, output."""
        weights = self._weights
        both = np.concatenate([weights[f"{name}.weight_ih"], weights[f"{name}.weight_hh"]], axis=1)
        gates = linear(
            self._graph,
            self._graph.concat([x, h], 1),
            both,
            weights[f"{name}.bias_ih"] + weights[f"{name}.bias_hh"],
        )
        enters, stays, new, leaves = gates.split([both.shape[0] // 4] * 4, 1)
        c = stays.sigmoid() * c + enters.sigmoid() * new.tanh()
        return leaves.sigmoid() * c.tanh(), c

    def _attend(self, query: Value, state: StateValues, mask: Value) -> Value:
        """Location-sensitive attention: query (B, H) -> weights (B, N)."""
        graph, weights = self._graph, self._weights
        history = graph.concat([state.weights.unsqueeze(1), state.cumulative.unsqueeze(1)], 1)  # (B, 2, N)
        # The location's convolution and the product after it are one convolution.
        filters = taps(weights["attention.location.weight"], self._config.location_kernel)
        located = np.einsum("ef,fck->eck", weights["attention.location_dense.weight"], filters)
        features = convolve(graph, history, located).transpose(0, 2, 1)  # (B, N, E)
        features = features + linear(graph, query, weights["attention.query.weight"]).unsqueeze(1) + self._memory.keys
        energies = linear(graph, features.tanh(), weights["attention.energy.weight"]).squeeze(2)
        return graph.where(mask, energies, float("-inf")).softmax()

    def _move_on(self, proposed: Value, state: StateValues, mask: Value, max_dwell: Value) -> tuple[Value, Value]:
        """`models.monotonic.move_on`: the attention stays at its symbol or goes on to one of the next few."""
        graph = self._graph
        positions = graph.arange(mask.size(1))
        begun = state.weights.sum(1) > 0.0  # (B, 1)
        current = state.weights.argmax(1)
        at = positions.equals(current)
        here = self._at(proposed, at)
        window = (positions > current) & (positions <= current + REACH) & mask
        ahead = (proposed * window.to("float32")).sum(1)
        survival = state.survival.unsqueeze(1) * here / (here + ahead).at_least(1e-9)
        dwelt = self._at(state.cumulative - max_dwell, at) >= 0.0
        leaves = begun & ((survival < 0.5) | dwelt) & (window.to("float32").max(1) > 0.0)
        target = graph.where(window, proposed + 1e-9, -1.0).argmax(1)
        current = graph.where(leaves, target, current)
        survival = graph.where(leaves | ~begun, 1.0, survival)
        return positions.equals(current).to("float32"), survival.squeeze(1)

    def _finish(
        self, stop: Value, attended: Value, cumulative: Value, survival: Value, max_dwell: Value
    ) -> tuple[Value, Value]:
        """`models.monotonic.finish`: whether it ends here, at the last symbol, and the new survival."""
        graph = self._graph
        current = attended.argmax(1)  # (B, 1)
        at_last = current.squeeze(1) >= self._memory.lengths - 1
        survival = graph.where(at_last, survival * (1.0 - stop), survival)
        at = graph.arange(attended.size(1)).equals(current)
        dwelt = self._at(cumulative - max_dwell, at).squeeze(1) >= 0.0
        return at_last & ((survival < 0.5) | dwelt), survival

    def _at(self, x: Value, at: Value) -> Value:
        """(B, N) where one of each row is marked -> (B, 1)."""
        return self._graph.where(at, x, 0.0).sum(1)


def refine(graph: Graph, weights: Weights, config: Tacotron2Config, before: Value, mask: Value | None) -> Value:
    """Frames (B, T, M), and their mask (B, T, 1) where padding is kept out -> (B, M, T) with the postnet's addition."""
    x = before = before.transpose(0, 2, 1)
    if mask is not None:
        x = before = before * mask.transpose(0, 2, 1)
    last = config.postnet_layers - 1
    for i in range(config.postnet_layers):
        x = _normed(graph, weights, "postnet", i, config.postnet_kernel, x, mask)
        x = x if i == last else x.tanh()
    return before + x


def whole_mel(
    graph: Graph,
    weights: Weights,
    config: Tacotron2Config,
    decoded: DecodedValues,
    options: DecodingOptions,
    max_frames: Value,
) -> tuple[Value, Value]:
    """The same as `models.decode.assemble` for all steps: mels (B, M, T), zero behind each end, and lengths (B,)."""
    r = config.reduction_factor
    n_steps = decoded.state.n_steps
    if not options.keep_stop_frame:
        n_steps = n_steps - (~decoded.state.active).to("int64")
    lengths = (n_steps * r).at_most(max_frames)
    n_frames = decoded.frames.size(1)
    mask = sequence_mask(graph, lengths, n_frames).to("float32").unsqueeze(2)
    mel = refine(graph, weights, config, decoded.frames, mask if config.mask_padding else None)
    return (mel * mask.transpose(0, 2, 1)).cut(2, 0, lengths.max(0)), lengths


def _normed(graph: Graph, weights: Weights, name: str, i: int, kernel_size: int, x: Value, mask: Value | None) -> Value:
    """A convolution (B, C, T) with its batch normalisation folded in; zero where the mask (B, T, 1) is."""
    weight, bias = _folded(weights, f"{name}.convolutions.{i}", f"{name}.norms.{i}")
    y = convolve(graph, x, taps(weight, kernel_size), bias)
    return y if mask is None else y * mask.transpose(0, 2, 1)


def _folded(weights: Weights, convolution: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + np.float32(1e-5))
    shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain
    return weights[f"{convolution}.weight"] * gain[:, None], weights[f"{convolution}.bias"] * gain + shift
