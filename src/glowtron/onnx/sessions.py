"""Graphs ready to run by onnxruntime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glowtron.errors import InputError
from glowtron.onnx.graph import Graph

if TYPE_CHECKING:
    import onnxruntime


def require_onnxruntime() -> None:
    """Raise InputError if onnxruntime is not installed."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise InputError("the runtime onnx needs onnxruntime; pip install 'glowtron[onnx]'") from error


class Session:
    """A graph that runs on a CPU; threads may share it."""

    def __init__(self, graph: Graph, n_threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.log_severity_level = 3
        # An arena keeps the most that any graph ever needed, for each of a dozen graphs.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        # Threads that wait by turning in circles take the time of others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            graph.model(), options, providers=["CPUExecutionProvider"]
        )
        # It keeps the file for providers that are chosen later, which never happens here: as much again as the weights.
        self._session._model_bytes = None
        self._weights = graph.weights

    def __call__(self, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """All outputs, in order."""
        outputs: list[NDArray[Any]] = self._session.run(None, inputs | self._weights)
        return outputs


def usable_threads(is_small: bool) -> int:
    """Number of a model's threads: the user's OMP_NUM_THREADS, or one to a small model, all cores to a large one."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if is_small:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scalar(value: float) -> NDArray[np.float32]:
    """A number as graphs take it: (1,)."""
    return np.array([value], np.float32)
