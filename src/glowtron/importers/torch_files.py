"""Files written by `torch.save`, in both of its formats, read without `torch.load`: nothing in them is ever run.

Both formats come down to the same thing: one pickle that describes tensors, and records of raw numbers that it refers
to by key. `TorchFile` holds the description (read by `pickles`) and where in the file each record lies;
`TorchFile.tensor` checks a description against its record, then reads it. Records of tensors that nobody asks for (an
optimizer's) are not read.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from glowtron.errors import InputError, reason
from glowtron.importers import pickles
from glowtron.importers.pickles import Storage, View

MAX_PICKLE = 32 * 2**20
"""Bytes. A full-size WaveGlow object with its optimizer and source text takes under 1 MiB."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled magic number


class Record(NamedTuple):
    """Raw numbers in a file."""

    offset: int
    """First byte."""
    size: int
    """Bytes."""
    crc: int | None
    """CRC-32 of the bytes, where the format has it."""


class TorchFile:
    """A file written by `torch.save`: `content`, in which every tensor is a `View`, and the way to the numbers."""

    def __init__(self, path: Path) -> None:
        """Read the description. Raises InputError, naming the file, for anything but a sound checkpoint."""
        self.path = path
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the checkpoint file itself")
        try:
            with path.open("rb") as file:
                self.size = file.seek(0, 2)
                self.content, self.records = _open(file, self.size, str(path))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {reason(error)}") from error
        self._room = self.size  # bytes that tensors may still take; honest ones take no more than the file

    def tensor(self, view: View, name: str) -> Tensor:
        """The numbers of `view`, contiguous, in their stored type; `name` names it in errors.

        Raises InputError where the description does not fit its record: beyond the end, overlapping itself, damaged.
        """
        storage, source = view.storage, f"{self.path}: tensor {name}"
        dtype = _dtype(storage)
        record = self.records.get(storage.key)
        if record is None:
            raise InputError(f"{source}: the file has no record {storage.key!r:.40}; fetch the file again")
        if record.size != storage.numel * dtype.itemsize or storage.offset + storage.length > storage.numel:
            raise InputError(f"{source}: record {storage.key!r:.40} has another size than stated; fetch the file again")
        numel = math.prod(view.size)
        if not numel:
            raise InputError(f"{source}: is empty, as no weight is; the file is damaged")
        last = view.offset + sum((n - 1) * step for n, step in zip(view.size, view.stride, strict=True))
        if last >= storage.length:
            raise InputError(f"{source}: reaches beyond the numbers it is made of; the file is damaged")
        self._room -= numel * dtype.itemsize
        if numel > storage.length or self._room < 0:
            raise InputError(f"{source}: claims more numbers than the file holds; the file is damaged")
        if storage.dtype == "bool":
            raise InputError(f"{source}: is a tensor of truth values, which no weight is")
        numbers = torch.frombuffer(self._read(record, source), dtype=dtype)
        return numbers.as_strided(view.size, view.stride, storage.offset + view.offset).contiguous()

    def _read(self, record: Record, source: str) -> bytearray:
        data = bytearray(record.size)
        with self.path.open("rb") as file:
            file.seek(record.offset)
            if file.readinto(data) != record.size or record.crc not in (None, zlib.crc32(data)):
                raise InputError(f"{source}: is damaged (its checksum differs); fetch the file again")
        return data


def _dtype(storage: Storage) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, storage.dtype)
    return dtype


def _open(file: BinaryIO, size: int, source: str) -> tuple[Any, dict[str, Record]]:
    """Content and records of either format; or what else the file seems to be."""
    file.seek(0)
    start = file.read(512)
    if not start:
        raise InputError(f"{source}: is empty; fetch the file again")
    if start.startswith(b"PK"):
        return _open_zip(file, size, source)
    if start.startswith(_LEGACY_START):
        return _open_legacy(file, size, source)
    raise InputError(f"{source}: {_other_kind(file, start, source)}; expected a checkpoint written by torch.save")


def _other_kind(file: BinaryIO, start: bytes, source: str) -> str:
    """Likely kind of a file that is no checkpoint."""
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100 * 2**20:
        return "is a safetensors file"
    if start[257:262] == b"ustar":
        return "is a tar archive (torch before 0.1.10 wrote those, no published model is one)"
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        file.seek(0)
        pickles.read(file.read(MAX_PICKLE), source)  # to name what a hostile one asks for
        return "is a plain pickle"
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS; fetch the file itself with git lfs pull"
    if start[:2] == b"\x1f\x8b":
        return "is compressed by gzip; unpack it first"
    if b"pytorch" in start[:32] and start[:1] == b"\x08":
        return "is an ONNX graph"
    if start.lstrip()[:1] == b"<":
        return "is a web page, perhaps in place of a failed download"
    return "is no checkpoint" if b"\0" in start else "is a text file"


def _open_zip(file: BinaryIO, size: int, source: str) -> tuple[Any, dict[str, Record]]:
    """The format since torch 1.6: an uncompressed zip of NAME/data.pkl and NAME/data/KEY."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise InputError(f"{source}: is cut short or damaged ({error}); fetch the file again") from error
    names = [entry.orig_filename for entry in entries]
    if len(set(names)) != len(names):
        raise InputError(f"{source}: names the same record twice, as no torch.save does; refused")
    prefix = names[0].split("/")[0] + "/" if names else ""
    table = {name.removeprefix(prefix): entry for name, entry in zip(names, entries, strict=True)}
    if "data.pkl" not in table:
        raise InputError(f"{source}: is a zip archive without data.pkl; expected a checkpoint written by torch.save")
    if "constants.pkl" in table:
        raise InputError(f"{source}: is a TorchScript program, not a checkpoint; give the file it was made from")
    records = {name: _zip_record(file, size, entry, source) for name, entry in table.items()}
    if (order := records.get("byteorder")) and _bytes(file, order, source) != b"little":
        raise InputError(f"{source}: was written on a big-endian machine; save it again on a little-endian one")
    if records["data.pkl"].size > MAX_PICKLE:
        raise InputError(f"{source}: its data.pkl is over {MAX_PICKLE >> 20} MiB, more than any checkpoint needs")
    content = pickles.read(_bytes(file, records["data.pkl"], source), source).value
    return content, {name[5:]: record for name, record in records.items() if name.startswith("data/")}


def _zip_record(file: BinaryIO, size: int, entry: zipfile.ZipInfo, source: str) -> Record:
    """Place of an entry's bytes. They are stored as they are, so nothing can unpack to more than the file holds."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1:
        raise InputError(f"{source}: record {entry.filename!r:.60} is compressed or encrypted, as no torch.save does")
    file.seek(max(entry.header_offset, 0))
    header = file.read(30)
    if len(header) == 30 and header[:4] == b"PK\x03\x04":
        name_length, extra_length = struct.unpack("<HH", header[26:])
        offset = entry.header_offset + 30 + name_length + extra_length
        if entry.file_size == entry.compress_size and offset + entry.file_size <= size:
            return Record(offset, entry.file_size, entry.CRC)
    raise InputError(f"{source}: record {entry.filename!r:.60} is cut short or damaged; fetch the file again")


def _bytes(file: BinaryIO, record: Record, source: str) -> bytes:
    file.seek(record.offset)
    data = file.read(record.size)
    if zlib.crc32(data) != record.crc:
        raise InputError(f"{source}: is damaged (a checksum differs); fetch the file again")
    return data


def _open_legacy(file: BinaryIO, size: int, source: str) -> tuple[Any, dict[str, Record]]:
    """The format before torch 1.6: five pickles (magic, version, machine, content, keys), then the records."""
    position = 0
    parts = []
    for _ in range(5):
        file.seek(position)
        parts.append(pickles.read(file.read(MAX_PICKLE), source))
        position += parts[-1].length
    magic, protocol, machine, content, keys = (part.value for part in parts)
    if (magic, protocol) != (_LEGACY_MAGIC, _LEGACY_PROTOCOL) or not isinstance(keys, list):
        raise InputError(f"{source}: is no version of torch's old format that is known here")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise InputError(f"{source}: was written on a big-endian machine; save it again on a little-endian one")
    records: dict[str, Record] = {}
    for key in keys:
        storage = parts[3].storages.get(key) if isinstance(key, str) else None
        file.seek(position)
        count = int.from_bytes(file.read(8), "little")
        if storage is None or key in records or count != storage.numel:
            raise InputError(f"{source}: is cut short or damaged (record {key!r:.40}); fetch the file again")
        records[key] = Record(position + 8, count * _dtype(storage).itemsize, None)
        position += 8 + records[key].size
    if position > size:
        raise InputError(f"{source}: is cut short ({size} bytes of {position}); fetch the file again")
    return content, records
