"""Ctrl-C and SIGTERM, kept until the loop has finished its step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator


class Interruption:
    """Notes SIGINT and SIGTERM while it is entered; a second one acts as usual, for a step that hangs."""

    def __init__(self) -> None:
        self.name = ""
        """Of the signal that came; empty: none did."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        # Only the main thread may set handlers; a loop run in another one leaves signals to its owner.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def seen(self, accelerator: Accelerator) -> bool:
        """Whether a signal came to any process, so that all stop after the same step."""
        if accelerator.num_processes == 1:
            return bool(self.name)
        flag = torch.tensor(float(bool(self.name)), device=accelerator.device)
        return bool(accelerator.reduce(flag, reduction="sum").item() > 0)
