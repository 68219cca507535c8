"""What a run tells while it trains: metrics.jsonl, TensorBoard events, sounds, pictures, and how long it will take."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tqdm import tqdm

from glowtron.audio import Audio
from glowtron.files import write_atomic, write_text


class Picture(NamedTuple):
    """A matrix to look at, such as a mel or an alignment; row 0 is drawn at the bottom."""

    values: np.ndarray
    """(rows, columns)."""
    x: str
    y: str


class Samples(NamedTuple):
    """What a model makes of the same held-out material each time it is asked."""

    audio: Mapping[str, Audio]
    pictures: Mapping[str, Picture]
    metrics: Mapping[str, float]
    """Figures that only whole sounds give, such as a share of sentences that stop by themselves."""


class Log:
    """Writes into a run folder. Use as a context manager; a disabled one (other processes than the first) is silent."""

    def __init__(
        self,
        run: Path,
        first_step: int,
        max_steps: int,
        *,
        enabled: bool = True,
        quiet: bool = False,
        stream: TextIO | None = None,
        every_s: float = 30.0,
    ) -> None:
        """`first_step`: steps done before; later lines of metrics.jsonl are of a run cut short, and dropped.

        `quiet`: all is written, but nothing is said on `stream` (default: standard error). Where that is no terminal,
        a line of progress comes every `every_s` seconds.
        """
        self.run = run
        self.enabled, self.quiet = enabled, quiet
        self.max_steps = max_steps
        self.stream = sys.stderr if stream is None else stream
        self.every_s = every_s
        self._said_s = time.monotonic()
        if not enabled:
            return
        from torch.utils.tensorboard import SummaryWriter

        _drop_after(run / "metrics.jsonl", first_step)
        self._metrics = (run / "metrics.jsonl").open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run), purge_step=first_step + 1)
        shown = self.stream.isatty() and not quiet
        self._bar = tqdm(
            total=max_steps, initial=first_step, unit="step", file=self.stream, disable=not shown, dynamic_ncols=True
        )

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self.enabled:
            self._bar.close()
            self._metrics.close()
            self._board.close()

    def say(self, line: str) -> None:
        """A line for the person who watches."""
        if self.enabled and not self.quiet:
            self._bar.clear()
            print(line, file=self.stream, flush=True)
            self._bar.refresh()

    def step(self, step: int) -> None:
        """Count a finished step."""
        if self.enabled:
            self._bar.update(step - self._bar.n)

    def metrics(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl, the same to TensorBoard, and now and then to the person who watches."""
        if not self.enabled:
            return
        line = {"step": step, "split": split, **{name: _rounded(value) for name, value in values.items()}}
        self._metrics.write(json.dumps(line) + "\n")
        self._metrics.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", value, step)
        if split == "train":
            self._bar.set_postfix_str(f"loss {values['loss']:.4f}", refresh=False)
            if self._bar.disable and time.monotonic() - self._said_s >= self.every_s:
                self._said_s = time.monotonic()
                self.say(self._progress(step, values))
        else:
            told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
            self.say(f"step {step}, {split}: {told}")

    def _progress(self, step: int, values: Mapping[str, float]) -> str:
        left_min = (self.max_steps - step) / values["steps_per_s"] / 60
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        return f"step {step} of {self.max_steps}, {left_min:.0f} min left: {told}"

    def samples(self, step: int, samples: Samples) -> None:
        """Write sounds and pictures into `samples/step-.../` and to TensorBoard."""
        if not self.enabled:
            return
        folder = self.run / "samples" / f"step-{step:07d}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, audio in samples.audio.items():
            audio.write(folder / f"{name}.wav")
            wave = np.clip(np.asarray(audio.samples), -1, 1)[None]
            self._board.add_audio(name, wave, step, audio.sample_rate)
        for name, picture in samples.pictures.items():
            pixels = draw(picture)
            _write_png(folder / f"{name}.png", pixels)
            self._board.add_image(name, pixels, step, dataformats="HWC")
        self._board.flush()


def draw(picture: Picture) -> np.ndarray:
    """Pixels (height, width, 3) uint8 of a picture with axes and a colour scale."""
    figure = Figure(figsize=(8, 3.5), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(picture.values, aspect="auto", origin="lower", interpolation="none")
    axes.set_xlabel(picture.x)
    axes.set_ylabel(picture.y)
    figure.colorbar(image)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _write_png(path: Path, pixels: np.ndarray) -> None:
    from matplotlib.image import imsave

    with write_atomic(path) as partial:
        imsave(partial, pixels, format="png")


def _rounded(value: float) -> float:
    """Nine digits: enough to tell any two float32 apart, and lines stay readable."""
    return float(f"{value:.9g}")


def _drop_after(path: Path, step: int) -> None:
    """Drop metrics of later steps, and a last line cut short by a killed run."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            later = json.loads(line)["step"] > step
        except (ValueError, TypeError, KeyError):
            continue
        if not later:
            kept.append(line + "\n")
    write_text(path, "".join(kept))
