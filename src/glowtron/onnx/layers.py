"""Layers that several of the models have, channel-major (B, C, T), from weights by the names that a voice stores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glowtron.onnx.graph import Graph, Value

Weights = Mapping[str, "NDArray[np.float32]"]


def convolve(
    graph: Graph, x: Value, weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None, dilation: int = 1
) -> Value:
    """A centred convolution: x (B, C, T), weight (out, in, kernel)."""
    reach = (weight.shape[2] - 1) // 2 * dilation
    biases = () if bias is None else (bias,)
    return graph.op("Conv", x, graph.weight(weight), *biases, pads=[reach, reach], dilations=[dilation])


def taps(matrix: NDArray[np.float32], kernel_size: int) -> NDArray[np.float32]:
    """The matrix (out, kernel * in) of the textbook's `Convolution` as a weight (out, in, kernel)."""
    return matrix.reshape(len(matrix), kernel_size, -1).transpose(0, 2, 1)


def linear(graph: Graph, x: Value, weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> Value:
    """X (..., in) times a weight (out, in)."""
    product = x @ graph.weight(weight).transpose(1, 0)
    return product if bias is None else product + bias


def layer_norm(graph: Graph, x: Value, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Value:
    """Over the last axis."""
    return graph.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=1e-5)


def bidirectional_lstm(graph: Graph, x: Value, lengths: Value, weights: Weights, prefix: str) -> Value:
    """X (B, N, C) of texts as long as `lengths` (B,) -> (B, N, 2 * H), zero behind each text.

    ONNX orders the gates input, output, forget, cell; torch input, forget, cell, output.
    """
    ways = ("", "_reverse")
    w, r = (np.stack([_reordered(weights[f"{prefix}.weight_{part}_l0{way}"]) for way in ways]) for part in ("ih", "hh"))
    b = np.stack(
        [
            np.concatenate([_reordered(weights[f"{prefix}.bias_{part}_l0{way}"]) for part in ("ih", "hh")])
            for way in ways
        ]
    )
    y = graph.op(
        "LSTM",
        x.transpose(1, 0, 2),
        graph.weight(w),
        graph.weight(r),
        b,
        lengths.to("int32"),
        direction="bidirectional",
        hidden_size=r.shape[2],
    )  # (N, 2, B, H)
    return y.transpose(2, 0, 1, 3).reshape(0, 0, -1)


def _reordered(gates: NDArray[np.float32]) -> NDArray[np.float32]:
    i, f, g, o = np.split(gates, 4)
    return np.concatenate([i, o, f, g])


def sequence_mask(graph: Graph, lengths: Value, n: Value) -> Value:
    """Lengths (B,) -> (B, N), true before each length."""
    return graph.arange(n) < lengths.unsqueeze(1)
