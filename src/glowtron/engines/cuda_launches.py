"""Fewer launches: operations that a compiler fuses, and sequences of them that are recorded and replayed.

A GPU computes a small operation in less time than it takes to ask for it. So operations are fused by `torch.compile`,
and what is left of them is recorded once as a CUDA graph for each shape. Either may fail, by the machine's software or
its age, and neither is trusted unseen: what it gives first is compared with what the function gives. Whatever fails is
left out, is warned of once, and is told by `why`.
"""

from __future__ import annotations

import importlib.util
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from glowtron.engines.cuda_info import Card

Tensors: TypeAlias = tuple[Tensor, ...]
Function: TypeAlias = Callable[..., Tensors]
Recorder: TypeAlias = Callable[[Callable[..., Tensors], Tensors], Callable[..., Tensors]]
"""Takes a function of tensors and the first of its inputs; returns what does the same for others of their shapes."""

MOST_RECORDINGS = 64
"""Shapes whose recordings are kept; the one that was not used for longest is forgotten."""
_DIFFERENCE, _FLOOR = 0.05, 0.01
"""Relative difference, and difference of values of about 1, up to which rounding is believed to be the reason."""


class Launches(NamedTuple):
    """Ways to reduce a model's kernel launches."""

    backend: str | Callable[..., Any] | None
    """Of `torch.compile`; None: nothing is fused."""
    recorder: Recorder | None
    """None: nothing is recorded."""
    why_not: str = ""
    """Why something is None."""


def find_launches(device: torch.device, card: Card) -> Launches:
    """Finds those that this machine has for a CUDA device. TORCH_COMPILE_DISABLE=1 leaves the compiler out."""
    if os.environ.get("TORCH_COMPILE_DISABLE") == "1":
        return Launches(None, CudaGraphs(device), "TORCH_COMPILE_DISABLE is 1")
    if importlib.util.find_spec("triton") is None:
        return Launches(None, CudaGraphs(device), "Triton is not installed")
    if card.capability < (7, 0):
        return Launches(None, CudaGraphs(device), f"Triton knows no card as old as {card.name}")
    return Launches("inductor", CudaGraphs(device))


class Fused:
    """A pure function whose operations become few; it stays as it is where that fails."""

    def __init__(self, function: Function, launches: Launches) -> None:
        """function: of tensors, sizes and modules, to a flat tuple of tensors."""
        self._function, self._compiled, self._is_checked = function, None, False
        self.why = f"not compiled: {launches.why_not}"
        if launches.backend is not None:
            # Sizes stay open, or each length would be compiled anew.
            self._compiled = torch.compile(function, backend=launches.backend, dynamic=True, fullgraph=True)
            self.why = "compiled"

    def __call__(self, *arguments: Any) -> Tensors:
        """Returns the function's results."""
        if self._compiled is None:
            return self._function(*arguments)
        try:
            found: Tensors = self._compiled(*arguments)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # A compiler's faults are of any kind; the function's own are raised just below.
            return self._give_up(_line(error), arguments)
        if not self._is_checked:
            wanted = self._function(*arguments)
            if not agree(found, wanted):
                return self._give_up("it gave another result than the model", arguments)
            self._is_checked = True
        return found

    def _give_up(self, reason: str, arguments: tuple[Any, ...]) -> Tensors:
        self._compiled, self.why = None, f"not compiled: {reason}"
        result = self._function(*arguments)
        warnings.warn(f"slower than it could be, {self.why}", RuntimeWarning, stacklevel=4)
        return result


class Recorded:
    """A pure function of tensors, recorded once for each shape; it is called as it is where that fails.

    Calls from several threads take turns; they have to be on one stream, as torch's are unless it is told otherwise.
    """

    def __init__(self, function: Function, launches: Launches) -> None:
        """function: of something hashable and tensors, to a flat tuple of tensors."""
        self._function, self._recorder = function, launches.recorder
        self.why = "not recorded" if self._recorder is None else "recorded"
        self._recordings: OrderedDict[Hashable, Callable[..., Tensors]] = OrderedDict()
        self._turn = threading.Lock()

    def __call__(self, fixed: Hashable, *inputs: Tensor) -> Tensors:
        """Returns the function's results, as copies."""
        if self._recorder is None:
            return self._function(fixed, *inputs)
        key = (fixed, tuple((tensor.shape, tensor.dtype) for tensor in inputs))
        with self._turn:
            if key not in self._recordings:
                return self._record(key, fixed, inputs)
            self._recordings.move_to_end(key)
            return self._recordings[key](*inputs)

    def _record(self, key: Hashable, fixed: Hashable, inputs: Tensors) -> Tensors:
        """The first call with inputs of these shapes."""
        wanted = self._function(fixed, *inputs)  # Here what is fused is compiled, and its own errors are raised.
        if self._recorder is None:
            return wanted
        try:
            replay = self._recorder(lambda *tensors: self._function(fixed, *tensors), inputs)
            reason = "" if agree(replay(*inputs), wanted) else "its replay gave another result"
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # As all errors of CUDA are.
            reason = _line(error)
        if reason:
            self._recorder, self.why = None, f"not recorded: {reason}"
            self._recordings.clear()
            warnings.warn(f"slower than it could be, {self.why}", RuntimeWarning, stacklevel=4)
            return wanted
        self._recordings[key] = replay
        if len(self._recordings) > MOST_RECORDINGS:
            self._recordings.popitem(last=False)
        return wanted


class CudaGraphs:
    """Records functions as CUDA graphs, which share one pool of memory: only one of them is replayed at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool: Any = None

    def __call__(self, function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
        """See `Recorder`."""
        with torch.cuda.device(self._device):
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            places = tuple(tensor.clone() for tensor in inputs)
            # Libraries set themselves up at their first use, which may not be recorded.
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                function(*places)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                outputs = function(*places)

        def replay(*new: Tensor) -> Tensors:
            with torch.cuda.device(self._device):
                for place, tensor in zip(places, new, strict=True):
                    place.copy_(tensor)
                graph.replay()
                return tuple(output.clone() for output in outputs)

        return replay


def agree(found: Iterable[Tensor], wanted: Iterable[Tensor]) -> bool:
    """True if two results are the same but for rounding."""
    for ours, theirs in zip(found, wanted, strict=True):
        difference, size = (ours.double() - theirs.double()).norm(), theirs.double().norm()
        if not bool(difference <= _DIFFERENCE * size + _FLOOR * theirs.numel() ** 0.5):
            return False
    return True


def bucket(size: int, smallest: int) -> int:
    """The next of few sizes, four to a doubling, so that one recording serves many lengths."""
    step = max(smallest, 1 << max(size - 1, 1).bit_length() - 1) // 4
    return max(smallest, -(-size // max(step, 1)) * max(step, 1))


def _line(error: BaseException) -> str:
    """Its kind and the first line of what it says; of what a compiler's own error wraps, where it wraps one."""
    error = getattr(error, "inner_exception", error)
    text = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
