"""Mel correction as a graph: what `glowtron.models.mel_correction` does to a whole sound, held to it by a test.

onnxruntime has no fast Fourier transform on real numbers. A transform of n_fft = P * Q points is done in two products
with matrices of P and of Q (Cooley & Tukey 1965), a fifth of the work of one with n_fft.

Letters: B batch, F frames of the transform, L samples, M mel bands, T mel frames.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.config import MelConfig
from glowtron.mel_filters import FLOOR, mel_filters
from glowtron.onnx.graph import Graph, Value

MOMENTUM = 0.9
MAX_LOG_GAIN = 3.0
"""Both as in the textbook."""


class Complex(NamedTuple):
    """A complex tensor as its two parts."""

    real: Value
    imaginary: Value


def hann_window(config: MelConfig) -> NDArray[np.float32]:
    """The periodic Hann window, centred under n_fft points."""
    window = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(config.win_length) / config.win_length)
    around = config.n_fft - config.win_length
    return np.pad(window, (around // 2, around - around // 2)).astype(np.float32)


def spread(filters: NDArray[np.float64]) -> NDArray[np.float32]:
    """(M, bins): a frequency follows the bands over it; one outside all bands stays as it is."""
    return np.ascontiguousarray(filters / filters.sum(0).clip(min=1e-8)).astype(np.float32)


class Transform:
    """The short-time Fourier transform of a graph, as `torch.stft` centres and reflects it, and its inverse."""

    def __init__(self, graph: Graph, config: MelConfig, window: NDArray[np.float32] | None = None) -> None:
        self._graph, self._hop, self._n = graph, config.hop_length, config.n_fft
        self.n_bins = self._n // 2 + 1
        self._window = hann_window(config) if window is None else window
        # The factor nearest to the root, so that both products are small.
        self._p = max(p for p in range(1, math.isqrt(self._n) + 1) if self._n % p == 0)
        self._q = self._n // self._p
        self._n_pieces = -(-self._n // self._hop)

    def forward(self, wave: Value) -> Complex:
        """(B, L) -> (B, F, bins), F = L // hop + 1; L is over n_fft // 2."""
        half, n_bins = self._n // 2, self.n_bins
        edge = self._graph.concat([wave.cut(1, 1, half + 1).flip(1), wave, wave.cut(1, -half - 1, -1).flip(1)], 1)
        frames = self._frames(edge) * self._window
        # x[Q p + q] -> X[k1 + P k2]: transforms of P over p, a turn, transforms of Q over q.
        p, q = self._p, self._q
        by_q = frames.reshape(0, 0, p, q).transpose(0, 1, 3, 2)  # (B, F, Q, P)
        turned = self._turn(Complex(by_q @ _cosines(p), by_q @ _sines(p)), -1.0)
        turned = Complex(*(part.transpose(0, 1, 3, 2) for part in turned))  # (B, F, P, Q)
        cosines, sines = _cosines(q), _sines(q)
        real = turned.real @ cosines - turned.imaginary @ sines
        imaginary = turned.real @ sines + turned.imaginary @ cosines
        return Complex(*(part.transpose(0, 1, 3, 2).reshape(0, 0, -1).cut(2, 0, n_bins) for part in (real, imaginary)))

    def inverse(self, spectrum: Complex, n_samples: Value, *, edge: bool = False) -> Value:
        """(B, F, bins) -> (B, L), each sample divided by the windows' squares over it; n_samples (1,).

        edge: whether what no frame reaches is silence, as in `torch.istft`.
        """
        graph, half = self._graph, self._n // 2
        frames = self._inverse_frames(spectrum) * self._window
        sums = self._overlap_add(frames)
        ones = graph.full([1, spectrum.real.size(1), 1], 1.0)
        squares = self._overlap_add(ones * np.square(self._window))
        if edge:
            sums, squares = (part.pad(1, 2, after=self._n) for part in (sums, squares))
            squares = squares.at_least(1e-11)
        stop = n_samples + half
        return sums.cut(1, half, stop) / squares.cut(1, half, stop)

    def _inverse_frames(self, spectrum: Complex) -> Value:
        """(B, F, bins) -> real frames (B, F, n_fft)."""
        p, q, n = self._p, self._q, self._n
        stop = n - self.n_bins + 1
        whole = Complex(
            self._graph.concat([spectrum.real, spectrum.real.cut(2, 1, stop).flip(2)], 2),
            self._graph.concat([spectrum.imaginary, -spectrum.imaginary.cut(2, 1, stop).flip(2)], 2),
        )
        # X[k1 + P k2] -> x[Q p + q], every step of `forward` undone.
        by_k1 = Complex(*(part.reshape(0, 0, q, p).transpose(0, 1, 3, 2) for part in whole))  # (B, F, P, Q)
        cosines, sines = _cosines(q), _sines(q)
        by_q = Complex(by_k1.real @ cosines + by_k1.imaginary @ sines, by_k1.imaginary @ cosines - by_k1.real @ sines)
        turned = self._turn(Complex(*(part.transpose(0, 1, 3, 2) for part in by_q)), 1.0)  # (B, F, Q, P)
        frames = (turned.real @ _cosines(p) + turned.imaginary @ _sines(p)) * (1 / n)
        return frames.transpose(0, 1, 3, 2).reshape(0, 0, -1)

    def _turn(self, x: Complex, direction: float) -> Complex:
        """(B, F, Q, P), each turned by its q * k1 parts of a whole turn of n_fft."""
        angle = 2 * math.pi * np.outer(np.arange(self._q), np.arange(self._p)) / self._n
        cosine, sine = np.cos(angle).astype(np.float32), (direction * np.sin(angle)).astype(np.float32)
        return Complex(x.real * cosine - x.imaginary * sine, x.real * sine + x.imaginary * cosine)

    def _frames(self, wave: Value) -> Value:
        """(B, L) -> (B, F, n_fft), each `hop` after the one before."""
        hop, n = self._hop, self._n
        n_frames = (wave.size(1) - n) / hop + 1
        # Whole hops, of which each frame has so many.
        whole = wave.pad(1, 2, after=self._n_pieces * hop).cut(1, 0, (n_frames + (self._n_pieces - 1)) * hop)
        hops = whole.reshape(0, -1, hop)
        pieces = [hops.cut(1, i, n_frames + i) for i in range(self._n_pieces)]
        return self._graph.concat(pieces, 2).cut(2, 0, n)

    def _overlap_add(self, frames: Value) -> Value:
        """(B, F, n_fft) -> their sum (B, (F + pieces - 1) * hop)."""
        hop, n_pieces = self._hop, self._n_pieces
        frames = frames.pad(2, 3, after=n_pieces * hop - self._n) if n_pieces * hop > self._n else frames
        total: Value | None = None
        for i in range(n_pieces):
            piece = frames.cut(2, i * hop, (i + 1) * hop).pad(1, 3, before=i, after=n_pieces - 1 - i)
            total = piece if total is None else total + piece
        assert total is not None
        return total.reshape(0, -1)


def _cosines(n: int) -> NDArray[np.float32]:
    return np.cos(2 * math.pi * np.outer(np.arange(n), np.arange(n)) / n).astype(np.float32)


def _sines(n: int) -> NDArray[np.float32]:
    return -np.sin(2 * math.pi * np.outer(np.arange(n), np.arange(n)) / n).astype(np.float32)


def correct(graph: Graph, config: MelConfig, wave: Value, mel: Value, rounds: int) -> Value:
    """Sound (B, T * hop) made of the log-mel (B, M, T), brought back to it in so many rounds.

    A sound that is too short for the transform's reflected edge stays as it is.
    """
    if rounds == 0:
        return wave
    filters = mel_filters(config)
    n_samples = wave.size(1)
    # A short sound goes through with silence behind it, and comes out as it went in.
    missing = (config.n_fft // 2 + 1 - n_samples).at_least(0)
    padded = n_samples + missing
    original, wave = wave, wave.pad(1, 2, after=missing)
    target = mel.transpose(0, 2, 1)  # (B, T, M)
    body = graph.body("correction")
    body.input("round", "int64", [])
    body.input("going", "bool", [])
    before, now = (body.input(name, "float32", ["B", "L"]) for name in ("before", "now"))
    transform = Transform(body, config)
    spectrum = transform.forward(now + (now - before) * MOMENTUM)
    found = (spectrum.real * spectrum.real + spectrum.imaginary * spectrum.imaginary).sqrt() @ filters.T.astype(
        np.float32
    )
    wanted = body.outer(target)
    n_target = wanted.size(1).at_most(found.size(1))
    error = wanted.cut(1, 0, n_target) - found.cut(1, 0, n_target).at_least(FLOOR).log()
    gain = (error.at_least(-MAX_LOG_GAIN).at_most(MAX_LOG_GAIN) @ spread(filters)).exp()
    # The frames behind the mel's last one have no target of their own.
    one = np.array([1])
    behind = body.op("Expand", gain.cut(1, -1), body.concat([one, found.size(1) - n_target, one], 0))
    gain = body.concat([gain, behind], 1)
    body.output("goes_on", body.constant(np.array(True)), [], "bool")
    body.output("before_after", now, ["B", "L"])
    after = transform.inverse(Complex(*(part * gain for part in spectrum)), body.outer(padded))
    body.output("now_after", after, ["B", "L"])
    _, corrected = graph.op_many("Loop", 2, np.array(rounds), np.array(True), wave, wave, body=body.proto())
    return graph.where(missing > 0, original, corrected.cut(1, 0, n_samples))
