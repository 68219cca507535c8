"""Lines and files of NVIDIA's dllogger, as DeepLearningExamples and FlagPerf's WaveGlow write them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from glowtron.errors import InputError, reason

UNITS: dict[str, str | None] = {
    "run_time": "s",
    "train_loss": None,
    "val_loss": None,
    "train_items_per_sec": "items/s",
    "val_items_per_sec": "items/s",
    "train_iter_time": "s",
    "train_epoch_time": "s",
}
"""Units of figures, by name."""


class DllLogger:
    """Prints `DLL time - step name : value unit` and writes the same as JSON lines; silent where it is disabled."""

    def __init__(self, path: Path, *, enabled: bool) -> None:
        """Begin a new file at `path`. Raises InputError if it cannot be written."""
        self.enabled = enabled
        self._start_s = time.time()
        if not enabled:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {reason(error)}") from error
        for name, unit in UNITS.items():
            self._write({"type": "METADATA", "metric": name, "metadata": {"unit": unit}})

    def __enter__(self) -> DllLogger:
        return self

    def __exit__(self, *_: object) -> None:
        if self.enabled:
            self._file.close()

    def log(self, step: tuple[int, ...] | str, values: Mapping[str, Any]) -> None:
        """Log figures of a step: (), (epoch,), (epoch, iteration), or a word such as PARAMETER."""
        if not self.enabled:
            return
        now = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
        for name, value in values.items():
            unit = UNITS.get(name, "")
            print(f"DLL {now} - {step} {name} : {value} {unit}", flush=True)
        told = step if isinstance(step, str) else list(step)
        self._write({"type": "LOG", "step": told, "data": dict(values)})

    def _write(self, content: Mapping[str, Any]) -> None:
        now = time.time()
        line = {
            "timestamp": f"{now:.6f}",
            "datetime": str(datetime.fromtimestamp(now)),
            "elapsedtime": f"{now - self._start_s:.6f}",
            **content,
        }
        self._file.write(f"DLLL {json.dumps(line)}\n")
        self._file.flush()
