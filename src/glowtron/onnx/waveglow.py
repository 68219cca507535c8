"""WaveGlow as a graph, from noise to audio: what `WaveGlow.inverse` does, held to it by a test.

The whole is cut where the runtime needs it: conditioning, each flow, and what makes samples of the last flow's output.

Letters: B batch, G groups of samples, C channels, K conditioning channels, M mel bands, T mel frames, L samples.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glowtron.config import GroupingConfig, WaveGlowConfig
from glowtron.errors import InputError
from glowtron.onnx.graph import Graph, Value
from glowtron.onnx.layers import Weights, convolve, taps

MEL_MEAN, MEL_SPREAD = -5.5, 2.5
"""As in the textbook: what the lapped kind's conditioning is normalised by."""


def schedule(config: WaveGlowConfig) -> tuple[list[int], list[int]]:
    """Channels that leave early before each flow (Prenger et al. 2018, sec. 2.2), and those that it still has."""
    early = [config.early_size if k and k % config.early_every == 0 else 0 for k in range(config.n_flows)]
    return early, [config.n_channels - sum(early[: k + 1]) for k in range(config.n_flows)]


def generate(
    graph: Graph, weights: Weights, config: WaveGlowConfig, z: Value, mel: Value, speaker: Value | None
) -> Value:
    """Noise (B, C, G), already scaled, and mel (B, M, T) -> audio (B, L)."""
    conditioning = condition(graph, weights, config, mel, z.size(2), speaker)
    early, channels = schedule(config)
    start = config.n_channels - channels[-1]
    x = z.cut(1, start)
    for k in reversed(range(config.n_flows)):
        x = flow(graph, weights, config, k, x, conditioning)
        if early[k]:
            x = graph.concat([z.cut(1, start - early[k], start), x], 1)
        start -= early[k]
    return synthesise(graph, weights, config, x, conditioning)


def condition(
    graph: Graph, weights: Weights, config: WaveGlowConfig, mel: Value, n_groups: Value, speaker: Value | None
) -> Value:
    """The conditioning of all flows: mel (B, M, T), n_groups (1,) and speaker (B,) -> (B, K, G)."""
    if isinstance(config.analysis, GroupingConfig):
        conditioning = _upsample(graph, weights, config, config.analysis, mel, n_groups)
    else:
        conditioning = _interpolate(graph, config, mel, n_groups)
    if config.n_speakers > 1:
        assert speaker is not None, "a model of several speakers needs `speaker`"
        conditioning = conditioning + graph.constant(weights["speaker.weight"]).gather(speaker).unsqueeze(2)
    return conditioning


def _upsample(
    graph: Graph, weights: Weights, config: WaveGlowConfig, analysis: GroupingConfig, mel: Value, n_groups: Value
) -> Value:
    """`Squeeze.condition`: a transposed convolution, as the product of a hop's last frames with one matrix."""
    hop, n_mels, size = config.mel.hop_length, config.mel.n_mels, analysis.group_size
    n_frames = analysis.upsample_kernel // hop
    # Columns are (frame, newest first, band); as a convolution the earliest frame is first.
    matrix = weights["analysis.upsample.weight"].reshape(-1, n_frames, n_mels).transpose(0, 2, 1)[:, :, ::-1]
    hops = graph.op("Conv", mel.pad(2, 3, before=n_frames - 1), graph.weight(np.ascontiguousarray(matrix)))
    # (B, hop / size * M * size, T): rows are (group in the hop, band, sample in the group).
    groups = hops.reshape(0, hop // size, n_mels * size, -1).transpose(0, 2, 3, 1).reshape(0, n_mels * size, -1)
    bias = np.repeat(weights["analysis.bias"], size)[:, None]
    return groups.cut(2, 0, n_groups) + bias


def _interpolate(graph: Graph, config: WaveGlowConfig, mel: Value, n_groups: Value) -> Value:
    """`MdctFrontEnd.condition`: the mel, normalised, at the middle of each block."""
    last = mel.size(2) - 1
    middle = graph.arange(n_groups).to("float32") + 0.5
    frame = (middle * (config.n_channels / config.mel.hop_length)).at_most(last.to("float32"))
    left = frame.floor().to("int64")
    mel = (mel - MEL_MEAN) * (1 / MEL_SPREAD)
    before, after = mel.gather(left, 2), mel.gather((left + 1).at_most(last), 2)
    return before + (after - before) * (frame - left.to("float32"))


def flow(graph: Graph, weights: Weights, config: WaveGlowConfig, k: int, x: Value, conditioning: Value) -> Value:
    """Flow k from noise to audio: (B, C_k, G), conditioning (B, K, G) -> (B, C_k, G)."""
    half = schedule(config)[1][k] // 2
    first, second = x.split([half, half], 1)
    swapped = config.alternate_halves and k % 2 == 1
    kept, changed = (second, first) if swapped else (first, second)
    shift, log_s = _wavenet(graph, weights, config, f"wavenets.{k}", kept, conditioning).split([half, half], 1)
    changed = (changed - shift) * (-log_s).exp()
    x = graph.concat([changed, kept] if swapped else [kept, changed], 1)
    return graph.op("Conv", x, graph.constant(unmixing(weights[f"mixing.{k}"])[:, :, None]))


def unmixing(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse of a 1x1 convolution. Raises InputError for a matrix that has no inverse."""
    try:
        inverse = np.linalg.inv(matrix.astype(np.float64))
    except np.linalg.LinAlgError:
        inverse = np.full_like(matrix, np.nan)
    if not np.isfinite(inverse).all():
        raise InputError("waveglow: a 1x1 convolution of its weights has no inverse; they are damaged, take others")
    return inverse.astype(np.float32)


def _wavenet(graph: Graph, weights: Weights, config: WaveGlowConfig, name: str, x: Value, conditioning: Value) -> Value:
    """`WN`: (B, C_k / 2, G), (B, K, G) -> (B, C_k, G)."""
    net = config.wavenet
    width, n_layers = net.n_channels, net.n_layers

    def layer(part: str, y: Value, kernel_size: int = 1, dilation: int = 1) -> Value:
        weight = taps(weights[f"{name}.{part}.weight"], kernel_size)
        return convolve(graph, y, weight, weights[f"{name}.{part}.bias"], dilation)

    hidden = layer("start", x)
    conditions = layer("condition", conditioning).split([2 * width] * n_layers, 1)
    skip: Value | None = None
    for i in range(n_layers):
        gates = layer(f"dilated.{i}", hidden, net.kernel_size, 2 ** (i % net.dilation_cycle)) + conditions[i]
        filtered, gate = gates.split([width, width], 1)
        out = layer(f"res_skip.{i}", filtered.tanh() * gate.sigmoid())
        if i < n_layers - 1:
            residual, out = out.split([width, width], 1)
            hidden = hidden + residual
        skip = out if skip is None else skip + out
    assert skip is not None
    return layer("end", skip)


def synthesise(graph: Graph, weights: Weights, config: WaveGlowConfig, x: Value, conditioning: Value) -> Value:
    """The last flow's output (B, C, G) and conditioning (B, K, G) -> audio (B, L)."""
    if isinstance(config.analysis, GroupingConfig):
        return x.transpose(0, 2, 1).reshape(0, -1)
    hidden = conditioning
    for name in ("scale.0", "scale.1"):
        hidden = _three_taps(graph, weights, f"analysis.{name}", hidden)
        hidden = hidden * hidden.sigmoid()
    coefficients = x * _three_taps(graph, weights, "analysis.scale_out", hidden).exp()
    return _inverse_mdct(graph, config.n_channels, coefficients)


def _three_taps(graph: Graph, weights: Weights, name: str, x: Value) -> Value:
    return convolve(graph, x, taps(weights[f"{name}.weight"], 3), weights[f"{name}.bias"])


def _inverse_mdct(graph: Graph, hop: int, coefficients: Value) -> Value:
    """`Mdct.inverse`: coefficients (B, N, G) -> samples (B, G * N)."""
    n, half = np.arange(hop) + 0.5, hop // 2
    basis = (math.sqrt(2 / hop) * np.cos(np.outer(n, n) * (math.pi / hop))).astype(np.float32)
    angle = (hop / 2 + n[:half]) * (math.pi / (2 * hop))
    near, far = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
    blocks = coefficients.transpose(0, 2, 1) @ basis  # (B, G, N)
    starts, ends = blocks.cut(2, 0, half), blocks.cut(2, half)
    after, before = starts.cut(1, 1), ends.cut(1, 0, -1).flip(2)
    first = graph.concat([starts.cut(1, 0, 1), near * after - far * before], 1)
    second = graph.concat([(near * before + far * after).flip(2), ends.cut(1, -1)], 1)
    return graph.concat([first, second], 2).reshape(0, -1)
