"""The ONNX file format, as far as graphs of ours need it: messages of onnx.proto3 in protobuf's wire format.

Written here because the format is small and fixed, while the package `onnx` would be a third of what a runtime without
torch weighs. The numbers are the fields' in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3; tests read what is
written with that package and let its checker judge it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

OPSET, IR_VERSION = 17, 8
"""Opset that onnxruntime 1.13 and all after it read; 17 is the first with LayerNormalization."""

DATA_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "float64": 11}
"""TensorProto.DataType by NumPy's names."""

Attribute: TypeAlias = "int | float | str | Sequence[int] | Sequence[float] | Sequence[str] | bytes"
"""Of a node; bytes are a whole graph."""

_VARINT, _FIXED32, _BYTES = 0, 5, 2
_FLOAT, _INT, _STRING, _GRAPH, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 5, 6, 7, 8


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # A negative number is its two's complement.
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED32) + struct.pack("<f", value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | _BYTES) + _varint(len(data)) + data


def tensor(name: str, array: NDArray[np.generic]) -> bytes:
    """A TensorProto."""
    dims = b"".join(_number(1, n) for n in array.shape)
    data = np.ascontiguousarray(array).tobytes()
    return dims + _number(2, DATA_TYPES[array.dtype.name]) + _bytes(8, name) + _bytes(9, data)


def value_info(name: str, dtype: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto. Dimensions that change have names."""
    dims = [_bytes(1, _number(1, n) if isinstance(n, int) else _bytes(2, n)) for n in shape]
    kind = _number(1, DATA_TYPES[dtype]) + _bytes(2, b"".join(dims))
    return _bytes(1, name) + _bytes(2, _bytes(1, kind))


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]) -> bytes:
    """A NodeProto; an input without a name is one that is left out."""
    parts = [_bytes(1, name) for name in inputs] + [_bytes(2, name) for name in outputs]
    parts += [_bytes(3, outputs[0]), _bytes(4, op)]
    parts += [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join(parts)


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, bytes):
        kind, data = _GRAPH, _bytes(6, value)
    elif isinstance(value, str):
        kind, data = _STRING, _bytes(4, value)
    elif isinstance(value, int):
        kind, data = _INT, _number(3, value)
    elif isinstance(value, float):
        kind, data = _FLOAT, _float(2, value)
    elif all(isinstance(one, str) for one in value):
        kind, data = _STRINGS, b"".join(_bytes(9, str(one)) for one in value)
    elif all(isinstance(one, int) for one in value):
        kind, data = _INTS, b"".join(_number(8, int(one)) for one in value)
    else:
        kind, data = _FLOATS, b"".join(_float(7, float(one)) for one in value)
    return _bytes(1, name) + data + _number(20, kind)


def graph(
    name: str, nodes: Iterable[bytes], initializers: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]
) -> bytes:
    """A GraphProto."""
    parts = [_bytes(1, one) for one in nodes]
    parts.append(_bytes(2, name))
    parts += [_bytes(5, one) for one in initializers]
    parts += [_bytes(11, one) for one in inputs]
    parts += [_bytes(12, one) for one in outputs]
    return b"".join(parts)


def model(graph: bytes, metadata: Mapping[str, str]) -> bytes:
    """A ModelProto: the contents of a file."""
    parts = [_number(1, IR_VERSION), _bytes(2, "glowtron"), _bytes(7, graph)]
    parts.append(_bytes(8, _bytes(1, "") + _number(2, OPSET)))
    parts += [_bytes(14, _bytes(1, key) + _bytes(2, value)) for key, value in metadata.items()]
    return b"".join(parts)
