"""Pickles put together opcode by opcode, and files of torch's two formats around them."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


class Name(NamedTuple):
    """A GLOBAL: `module name`."""

    name: str


class Call(NamedTuple):
    """A name, called."""

    name: str
    arguments: tuple[Any, ...]


class Object(NamedTuple):
    """An object of a class, with its attributes."""

    name: str
    state: Any


class Outside(NamedTuple):
    """A persistent id."""

    identity: Any


class Raw(NamedTuple):
    """Opcodes as they are."""

    opcodes: bytes


def opcodes(value: Any) -> bytes:
    """What pushes `value` on the unpickler's stack."""
    match value:
        case Raw(code):
            return code
        case Name(name):
            return b"c" + name.replace(" ", "\n").encode() + b"\n"
        case Call(name, arguments):
            return opcodes(Name(name)) + opcodes(tuple(arguments)) + b"R"
        case Object(name, state):
            return opcodes(Name(name)) + b")\x81" + opcodes(state) + b"b"
        case Outside(identity):
            return opcodes(identity) + b"Q"
        case tuple():
            return b"(" + b"".join(map(opcodes, value)) + b"t"
        case list():
            return b"](" + b"".join(map(opcodes, value)) + b"e"
        case dict():
            return b"}(" + b"".join(opcodes(key) + opcodes(item) for key, item in value.items()) + b"u"
        case _:
            return pickle.dumps(value, 2)[2:-1]


def program(value: Any) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def storage(key: str, numel: int, kind: str = "Float", *view: Any) -> Outside:
    return Outside(("storage", Name(f"torch {kind}Storage"), key, "cpu", numel, *view))


def tensor(store: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Call:
    hooks = Call("collections OrderedDict", ())
    return Call("torch._utils _rebuild_tensor_v2", (store, offset, size, stride, False, hooks, *rest))


def write_zip(path: Path, content: bytes, records: dict[str, bytes], **others: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        for key, data in records.items():
            archive.writestr(f"archive/data/{key}", data)
        for name, data in others.items():
            archive.writestr(f"archive/{name.replace('_pkl', '.pkl')}", data)
    return path


def write_legacy(path: Path, content: bytes, records: dict[str, bytes], width: int = 4, keys: Any = None) -> Path:
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, MACHINE)]
    parts += [content, pickle.dumps(list(records) if keys is None else keys, 2)]
    parts += [struct.pack("<q", len(data) // width) + data for data in records.values()]
    path.write_bytes(b"".join(parts))
    return path


WRITERS = {"zip": write_zip, "legacy": write_legacy}


def numbers(*values: float, dtype: torch.dtype = torch.float32) -> bytes:
    return bytes(torch.tensor(values, dtype=dtype).view(torch.uint8).tolist())
