"""DNSMOS (Reddy et al. 2021 and 2022): estimates of the mean opinion score, from 1 to 5, without a reference.

The package `speechmos` carries the networks; they are run here directly, since its own code wants a large audio
library to compute one spectrogram. Trained on noise suppression, DNSMOS hears noise well, wrong words not at all, and
P.808 hardly hears a vocoder's artefacts (2 and 60 iterations of Griffin-Lim are the same to it).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.evaluate.levels import RATE, Samples, levelled
from glowtron.evaluate.optional import folder_of, require
from glowtron.mel import mel_filters

_WINDOW = 144_160
"""Samples the networks hear at a time: 9.01 s."""
_P835_CURVES = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
"""Polynomials, highest power first, from the network's signal, background and overall to the scale of the listening
test (Reddy et al. 2022)."""


class DnsMos(NamedTuple):
    """Estimated mean opinion scores, each from 1 to 5. The last three are None where P.835 was not asked for."""

    p808: float
    """Overall quality as in a P.808 listening test; blind to level."""
    signal: float | None = None
    """Of the speech itself (P.835 SIG)."""
    background: float | None = None
    """Of what lies behind the speech (P.835 BAK)."""
    overall: float | None = None
    """Of both together (P.835 OVRL)."""


class DnsMosEstimator:
    """DNSMOS P.808 and P.835."""

    def __init__(self) -> None:
        runtime, folder = require("onnxruntime"), folder_of("speechmos") / "dnsmos_models"
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1  # The networks are tiny; more threads only wait for one another.

        def session(name: str) -> Any:
            return runtime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])

        self._p808 = session("model_v8.onnx")
        self._p835 = session("sig_bak_ovr.onnx")
        mel = MelConfig(sample_rate=RATE, n_fft=321, win_length=321, hop_length=160, n_mels=120, f_max=8000.0)
        self._filters = mel_filters(mel).numpy()

    def estimate(self, audio: Audio, *, p835: bool = True) -> DnsMos:
        """Means over windows of 9.01 s that start a second apart; P.835 takes ten times as long as P.808.

        A shorter recording is repeated until it fills a window, as in the published program. Raises InputError on
        audio without samples.
        """
        windows = _windows(audio)
        p808 = float(np.mean([self._overall(window) for window in windows]))
        if not p835:
            return DnsMos(p808)
        return DnsMos(p808, *np.mean([self._parts(window) for window in windows], axis=0).tolist())

    def _overall(self, samples: Samples) -> float:
        mel = _mel_db(samples[:-160], self._filters)
        return float(self._p808.run(None, {"input_1": mel[None]})[0][0, 0])

    def _parts(self, samples: Samples) -> list[float]:
        raw = self._p835.run(None, {"input_1": samples[None]})[0][0]
        return [float(np.polyval(curve, x)) for curve, x in zip(_P835_CURVES, raw, strict=True)]


def _windows(audio: Audio) -> list[Samples]:
    """Input windows of the networks, normalised to the common level of speech."""
    samples = levelled(audio)
    if len(samples) == 0:
        raise InputError("audio without a sample has no quality; give at least one")
    while len(samples) < _WINDOW:
        samples = np.concatenate([samples, samples])
    # Counted as the published program does, which leaves a last window out now and then.
    n_windows = int(len(samples) // RATE - _WINDOW / RATE) + 1
    return [samples[second * RATE : second * RATE + _WINDOW] for second in range(n_windows)]


def _mel_db(samples: Samples, filters: NDArray[np.float64]) -> NDArray[np.float32]:
    """Input of the P.808 network: (T, 120) mel power in dB under the loudest, 40 dB up, in units of 40 dB."""
    window = np.hanning(322)[:-1]
    padded = np.pad(samples, 160)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 321)[::160]  # (T, 321)
    power = np.square(np.abs(np.fft.rfft(frames * window, axis=1))) @ filters.T
    decibel = 10 * np.log10(np.maximum(power, 1e-10) / max(power.max(), 1e-10))
    scaled: NDArray[np.float32] = ((np.maximum(decibel, -80.0) + 40) / 40).astype(np.float32)
    return scaled
