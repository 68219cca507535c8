"""The weights of a voice folder as NumPy arrays, each made when it is asked for.

The format is safetensors' (https://github.com/huggingface/safetensors#format): the length of a header, a header in JSON
that says where each tensor lies, and the tensors. It is read here, from the mapped file, since that library copies
every tensor.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.errors import InputError
from glowtron.voice_folder import SCALE

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I8": "i1", "U8": "u1", "BOOL": "?"}
_BFLOAT16 = "<u2"
"""The upper half of a float32, which NumPy has no type for."""
_LENGTH = 8
"""Bytes of the header's length."""


class _Stored(NamedTuple):
    """Place of a tensor in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """In the file."""


class StoredWeights(Mapping[str, "NDArray[np.float32]"]):
    """A safetensors file's tensors by name, in float32: half precision is widened, bytes are multiplied by scales."""

    def __init__(self, data: bytes | mmap.mmap, path: Path) -> None:
        """data: the contents of `path`. Raises InputError where they are no safetensors."""
        self._data, self._path = data, path
        try:
            self._stored = _read_header(data)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{path}: is no safetensors file: {error}; fetch it again") from error

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

    def __getstate__(self) -> dict[str, Any]:
        """A mapped file is sent by its contents, as it may be another by the time that they are needed."""
        return self.__dict__ | {"_data": bytes(self._data)}

    @property
    def n_weights(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(self._stored[name].shape) for name in self)

    def let_go(self) -> None:
        """Give the memory of a mapped file back; what is asked for again is read again."""
        if isinstance(self._data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)

    def _array(self, name: str) -> NDArray[np.generic]:
        dtype, shape, start = self._stored[name]
        stored = _BFLOAT16 if dtype == "BF16" else _DTYPES.get(dtype)
        if stored is None:
            raise InputError(f"{self._path}: tensor {name} is of type {dtype}, which is not known here; convert it")
        array = np.frombuffer(self._data, stored, math.prod(shape), start).reshape(shape)
        return (array.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else array


def _read_header(data: bytes | mmap.mmap) -> dict[str, _Stored]:
    """Places of the tensors. Raises ValueError, TypeError or KeyError that says what is wrong with the file."""
    tensors_start = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    if not _LENGTH < tensors_start <= len(data):
        raise ValueError("its header is longer than the file")
    header = json.loads(data[_LENGTH:tensors_start])
    stored = {}
    for name, tensor in header.items() if isinstance(header, dict) else ():
        if name == "__metadata__":
            continue
        dtype, shape = str(tensor["dtype"]), tuple(int(n) for n in tensor["shape"])
        start, stop = (tensors_start + int(place) for place in tensor["data_offsets"])
        known = _BFLOAT16 if dtype == "BF16" else _DTYPES.get(dtype)
        if not (min(shape, default=0) >= 0 and tensors_start <= start <= stop <= len(data)):
            raise ValueError(f"tensor {name} lies outside it")
        if known is not None and stop - start != math.prod(shape) * np.dtype(known).itemsize:
            raise ValueError(f"tensor {name} has another size than its shape says")
        stored[str(name)] = _Stored(dtype, shape, start)
    if not stored:
        raise ValueError("it has no tensors")
    return stored
