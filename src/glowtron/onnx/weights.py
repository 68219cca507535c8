"""The weights of a voice folder as NumPy arrays, each made when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glowtron.errors import InputError
from glowtron.voice_folder import SCALE

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I8": "i1", "U8": "u1", "BOOL": "?"}


class StoredWeights(Mapping[str, "NDArray[np.float32]"]):
    """A safetensors file's tensors by name, in float32: half precision is widened, bytes are multiplied by scales."""

    def __init__(self, data: bytes, path: Path) -> None:
        """data: the contents of `path`. Raises InputError where they are no safetensors."""
        from safetensors import SafetensorError, deserialize

        try:
            self._stored: dict[str, dict[str, Any]] = dict(deserialize(data))  # type: ignore[no-untyped-call]
        except SafetensorError as error:
            raise InputError(f"{path}: is no safetensors file: {error}; fetch it again") from error
        self._path = path

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name not in self._stored:
            raise KeyError(name)
        array = np.ascontiguousarray(self._array(name), np.float32)
        if name + SCALE in self._stored:
            array = array * np.ascontiguousarray(self._array(name + SCALE), np.float32)
        return array

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._stored if not name.endswith(SCALE))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def n_weights(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(self._stored[name]["shape"]) for name in self)

    def _array(self, name: str) -> NDArray[np.generic]:
        stored = self._stored[name]
        dtype, shape, data = stored["dtype"], stored["shape"], stored["data"]
        if dtype == "BF16":  # The upper half of a float32.
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        if dtype not in _DTYPES:
            raise InputError(f"{self._path}: tensor {name} is of type {dtype}, which is not known here; convert it")
        return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
