"""Griffin-Lim as a graph: what `glowtron.models.griffin_lim` does, held to it by a test.

Letters: B batch, M mel bands, T mel frames, F frequencies, L samples.
"""

from __future__ import annotations

import math

import numpy as np

from glowtron.config import GriffinLimConfig
from glowtron.mel_filters import FLOOR, mel_filters
from glowtron.onnx.correction import Complex, Transform
from glowtron.onnx.graph import Graph, Value

INVERSION_ROUNDS = 40
"""As in the textbook: updates of the non-negative inversion of the mel."""


def generate(graph: Graph, config: GriffinLimConfig, mel: Value, turns: Value) -> Value:
    """Mel (B, M, T) and the phases to begin with, as parts of a turn (B, F, T + more) -> audio (B, L).

    A mel too short for the transform's reflected edge goes on in silence; `turns` has frames for that, and those that
    are not needed are left.
    """
    wanted = mel.size(2) * config.mel.hop_length
    missing = (config.mel.n_fft // 2 // config.mel.hop_length + 1 - mel.size(2)).at_least(0)
    padding = np.log(np.array(FLOOR, np.float32))
    mel = (mel - padding).pad(2, 3, after=missing) + padding
    n_frames = mel.size(2)
    n_samples = n_frames * config.mel.hop_length
    magnitude = _linear_magnitudes(graph, config, mel).transpose(0, 2, 1)  # (B, T, F)
    angle = turns.cut(2, 0, n_frames).transpose(0, 2, 1) * (2 * math.pi)
    transform = Transform(graph, config.mel)
    real, imaginary = magnitude * graph.op("Cos", angle), magnitude * graph.op("Sin", angle)
    body = graph.body("round")
    body.input("round", "int64", [])
    body.input("going", "bool", [])
    names = ("real", "imaginary", "previous_real", "previous_imaginary")
    parts = [body.input(name, "float32", ["B", "T", transform.n_bins]) for name in names]
    spectrum, previous = Complex(*parts[:2]), Complex(*parts[2:])
    inner = Transform(body, config.mel)
    wave = inner.inverse(spectrum, body.outer(n_samples), edge=True)
    consistent = Complex(*(part.cut(1, 0, body.outer(n_frames)) for part in inner.forward(wave)))
    ahead = Complex(*(now + (now - then) * config.momentum for now, then in zip(consistent, previous, strict=True)))
    length = (ahead.real * ahead.real + ahead.imaginary * ahead.imaginary).sqrt().at_least(1e-16)
    body.output("goes_on", body.constant(np.array(True)), [], "bool")
    for name, value in zip(
        names, (*(part * (body.outer(magnitude) / length) for part in ahead), *consistent), strict=True
    ):
        body.output(f"{name}_after", value, ["B", "T", transform.n_bins])
    zeros = magnitude * 0.0
    real, imaginary, *_ = graph.op_many(
        "Loop", 4, np.array(config.n_iterations), np.array(True), real, imaginary, zeros, zeros, body=body.proto()
    )
    return transform.inverse(Complex(real, imaginary), n_samples, edge=True).cut(1, 0, wanted)


def _linear_magnitudes(graph: Graph, config: GriffinLimConfig, mel: Value) -> Value:
    """`models.griffin_lim.linear_magnitudes`: (B, M, T) -> (B, F, T)."""
    filters = mel_filters(config.mel).astype(np.float32)  # (M, F)
    target = mel.exp()
    target = graph.where(target < 1.001 * FLOOR, 0.0, target)
    wanted = filters.T @ target
    magnitude = wanted / np.square(filters.sum(0)).clip(min=1e-12)[:, None]
    body = graph.body("update")
    body.input("update", "int64", [])
    body.input("goes", "bool", [])
    before = body.input("magnitude", "float32", ["B", filters.shape[1], "T"])
    body.output("goes_further", body.constant(np.array(True)), [], "bool")
    after = before * body.outer(wanted) / (filters.T @ (filters @ before)).at_least(1e-12)
    body.output("magnitude_after", after, ["B", filters.shape[1], "T"])
    return graph.op("Loop", np.array(INVERSION_ROUNDS), np.array(True), magnitude, body=body.proto())
