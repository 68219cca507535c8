"""The log of a run: metrics.jsonl, TensorBoard events, sounds, pictures, progress, speed, memory and power."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tqdm import tqdm

from glowtron.audio import Audio
from glowtron.files import write_atomic, write_text
from glowtron.machine import Power, peak_memory_gb


class Picture(NamedTuple):
    """A matrix to draw, such as a mel or an alignment, with row 0 at the bottom."""

    values: np.ndarray
    """(rows, columns)."""
    x: str
    y: str


class ValidationSamples(NamedTuple):
    """Output of the model for the same validation clips at each validation."""

    audio: Mapping[str, Audio]
    pictures: Mapping[str, Picture]
    metrics: Mapping[str, float]
    """Metrics of whole outputs, such as the share of sentences that stop by themselves."""


class Log:
    """Writes into a run folder; a context manager. In all processes but the first it is disabled, and silent."""

    def __init__(
        self,
        run: Path,
        first_step: int,
        max_steps: int,
        device: torch.device | None = None,
        *,
        enabled: bool = True,
        quiet: bool = False,
        stream: TextIO | None = None,
        every_s: float = 30.0,
    ) -> None:
        """Open the log of a run.

        Args:
            run: The run folder.
            first_step: Steps done before. Later lines in metrics.jsonl are of a run that was cut short, and dropped.
            max_steps: Steps of the whole run.
            device: Device of the model, whose memory and power are logged; None: the CPU.
            enabled: Whether to log at all.
            quiet: Write files, but print nothing on `stream`.
            stream: Where progress is printed; None: standard error.
            every_s: Seconds between lines of progress, if `stream` is not a terminal.
        """
        self.run = run
        self.enabled, self.quiet = enabled, quiet
        self.max_steps = max_steps
        self.stream = sys.stderr if stream is None else stream
        self.every_s = every_s
        self._printed_s = time.monotonic()
        self.device = device or torch.device("cpu")
        if not enabled:
            return
        self.power = Power(self.device)
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
        """Print a line."""
        if self.enabled and not self.quiet:
            self._bar.clear()
            print(line, file=self.stream, flush=True)
            self._bar.refresh()

    def step(self, step: int) -> None:
        """Count a finished step."""
        if self.enabled:
            self._bar.update(step - self._bar.n)

    def machine(self) -> dict[str, float]:
        """Peak memory in GB and, if it can be read, power in watts."""
        if not self.enabled:
            return {}
        return {"memory_gb": peak_memory_gb(self.device)} | self.power.read()

    def metrics(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Write a line of metrics.jsonl and the same to TensorBoard; print it now and then."""
        if not self.enabled:
            return
        line = {"step": step, "split": split, **{name: _rounded(value) for name, value in values.items()}}
        self._metrics.write(json.dumps(line) + "\n")
        self._metrics.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{split}/{name}", value, step)
        if split == "train":
            self._bar.set_postfix_str(f"loss {values['loss']:.4f}", refresh=False)
            if self._bar.disable and time.monotonic() - self._printed_s >= self.every_s:
                self._printed_s = time.monotonic()
                self.say(self._progress(step, values))
        else:
            self.say(f"step {step}, {split}: {_listed(values)}")

    def _progress(self, step: int, values: Mapping[str, float]) -> str:
        minutes_left = (self.max_steps - step) / values["steps_per_s"] / 60
        return f"step {step} of {self.max_steps}, {minutes_left:.0f} min left: {_listed(values)}"

    def samples(self, step: int, samples: ValidationSamples) -> None:
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


class Clock:
    """The time that a run takes over all its starts, and its throughput."""

    def __init__(self, spent: Mapping[str, float]) -> None:
        """Continue from `spent`, which is `self.spent` of the start before; empty for a new run."""
        self.spent = {"worked_s": 0.0, "waited_s": 0.0, "left_out_s": 0.0, "steps": 0.0, "amount": 0.0, **spent}
        """Seconds in steps, of these waiting for data, in validation and checkpoints; steps; samples or frames."""
        self._read = dict(self.spent)
        self._mark_s = time.perf_counter()

    def settle(self) -> None:
        """Count the time until now."""
        now_s = time.perf_counter()
        self.spent["worked_s"] += now_s - self._mark_s
        self._mark_s = now_s

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        start_s = time.perf_counter()
        yield
        self.spent["waited_s"] += time.perf_counter() - start_s

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Count the time inside as validation and checkpoints, not as a step."""
        self.settle()
        yield
        now_s = time.perf_counter()
        self.spent["left_out_s"] += now_s - self._mark_s
        self._mark_s = now_s

    def count(self, n_units: float) -> None:
        """Count a finished step on so many samples or frames, over all processes."""
        self.spent["steps"] += 1
        self.spent["amount"] += n_units

    @property
    def hours(self) -> float:
        """All time of the run, as last settled."""
        return (self.spent["worked_s"] + self.spent["left_out_s"]) / 3600

    def read(self, unit: str) -> dict[str, float]:
        """Steps and `unit`s a second since the last reading, and the share of time waited for data."""
        self.settle()
        metrics = throughput({name: value - self._read[name] for name, value in self.spent.items()}, unit)
        self._read = dict(self.spent)
        return metrics


def throughput(spent: Mapping[str, float], unit: str) -> dict[str, float]:
    """Steps and `unit`s a second of steps, and the share of it waited for data."""
    worked_s = max(spent["worked_s"], 1e-9)
    return {
        "steps_per_s": spent["steps"] / worked_s,
        f"{unit}_per_s": spent["amount"] / worked_s,
        "waiting_share": spent["waited_s"] / worked_s,
    }


def draw(picture: Picture) -> np.ndarray:
    """Pixels (height, width, 3) uint8 of a picture with axes and a colour scale."""
    figure = Figure(figsize=(8, 3.5), dpi=100)
    canvas = FigureCanvasAgg(figure)
    # Places are given: to find them, matplotlib would lay out all labels several times, in each validation.
    axes = figure.add_axes((0.08, 0.14, 0.80, 0.82))
    image = axes.imshow(picture.values, aspect="auto", origin="lower", interpolation="none")
    axes.set_xlabel(picture.x)
    axes.set_ylabel(picture.y)
    figure.colorbar(image, cax=figure.add_axes((0.90, 0.14, 0.02, 0.82)))
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _write_png(path: Path, pixels: np.ndarray) -> None:
    from matplotlib.image import imsave

    with write_atomic(path) as partial:
        imsave(partial, pixels, format="png")


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


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
