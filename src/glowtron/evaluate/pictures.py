"""Pictures for the report: where the attention went, and mels side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glowtron.config import MelConfig
from glowtron.evaluate.optional import require
from glowtron.files import write_atomic
from glowtron.mel import FLOOR


def draw_alignment(path: Path, alignment: NDArray[np.float32], title: str) -> None:
    """Draw an alignment (S, N): decoder steps to the right, symbols upwards. Writes a PNG, whole or not at all."""
    figure = require("matplotlib.figure").Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(alignment.T, origin="lower", aspect="auto", interpolation="nearest", vmin=0, vmax=1)
    axes.set(xlabel="decoder step", ylabel="symbol", title=_short(title))
    _save(figure, path)


def draw_mels(path: Path, mels: Mapping[str, NDArray[np.float32]], config: MelConfig, title: str) -> None:
    """Draw log-mels (M, T) by name, one over the other on one time axis and one scale of colours. Writes a PNG."""
    figure = require("matplotlib.figure").Figure(figsize=(10, 2.2 * len(mels)), layout="constrained")
    low, high = math.log(FLOOR), max(float(mel.max()) for mel in mels.values())
    frame_s = config.hop_length / config.sample_rate
    rows = figure.subplots(len(mels), sharex=True, squeeze=False)[:, 0]
    for axes, (name, mel) in zip(rows, mels.items(), strict=True):
        extent = (0, mel.shape[1] * frame_s, 0, mel.shape[0])
        axes.imshow(mel, origin="lower", aspect="auto", vmin=low, vmax=high, extent=extent)
        axes.set(ylabel="mel band", title=name)
    rows[-1].set(xlabel="seconds", xlim=(0, max(mel.shape[1] for mel in mels.values()) * frame_s))
    figure.suptitle(_short(title))
    _save(figure, path)


def _short(text: str) -> str:
    # A dollar sign would begin a formula.
    return (text if len(text) <= 90 else text[:89] + "…").replace("$", r"\$")


def _save(figure: Any, path: Path) -> None:
    with write_atomic(path) as partial:
        figure.savefig(partial, format="png", dpi=100)
