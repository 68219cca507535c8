"""The texts of a bulk job: lines of text, JSON lines, or Parquet, read shard by shard and never as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError, reason

FORMATS = (".txt", ".jsonl", ".parquet")
OF_A_ROW = ("speaker", "rate", "pitch", "pitch_range", "energy", "seed")
"""Options that a row may have for itself."""

_TEXTS, _KINDS = ("text", "id"), {field.name: str(field.type) for field in fields(SynthesisOptions)}


class Row(NamedTuple):
    """A text to speak."""

    place: int
    """From 0, in the order of the input."""
    id: str
    """The input's own, or its place in nine figures."""
    text: str
    options: dict[str, Any]
    """The row's own values for the options of `OF_A_ROW`."""


class BadRow(NamedTuple):
    """A row that cannot be read."""

    place: int
    reason: str


class Stretch(NamedTuple):
    """A run of rows in the input, and where it begins."""

    first: int
    """Place of its first row."""
    n_rows: int
    offset: int
    """Byte of the file at which the first row begins; 0 in Parquet."""


def find_stretches(path: Path, rows_each: int) -> list[Stretch]:
    """The input in stretches of `rows_each` rows, found in one pass. Raises InputError if it cannot be read."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: texts are {', '.join(FORMATS)} files; give one of these a suffix")
    try:
        if path.suffix.lower() == ".parquet":
            n_rows = _parquet(path).metadata.num_rows
            return [Stretch(first, min(rows_each, n_rows - first), 0) for first in range(0, n_rows, rows_each)]
        found: list[Stretch] = []
        offset = n_rows = first_offset = 0
        with path.open("rb") as file:
            for line in file:
                if n_rows % rows_each == 0:
                    first_offset = offset
                offset += len(line)
                n_rows += 1
                if n_rows % rows_each == 0:
                    found.append(Stretch(n_rows - rows_each, rows_each, first_offset))
        if n_rows % rows_each:
            found.append(Stretch(n_rows - n_rows % rows_each, n_rows % rows_each, first_offset))
        return found
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error


def read_stretch(path: Path, stretch: Stretch) -> Iterator[Row | BadRow]:
    """The rows of a stretch; what cannot be one is given with the reason."""
    values = _parquet_rows(path, stretch) if path.suffix.lower() == ".parquet" else _lines(path, stretch)
    for place, value in enumerate(values, stretch.first):
        try:
            yield _row(place, value)
        except InputError as error:
            yield BadRow(place, str(error))


def _lines(path: Path, stretch: Stretch) -> Iterator[dict[str, Any] | InputError]:
    with path.open("rb") as file:
        file.seek(stretch.offset)
        for _ in range(stretch.n_rows):
            try:
                line = file.readline().decode("utf-8").rstrip("\r\n").removeprefix("\ufeff")
                value = json.loads(line) if path.suffix.lower() == ".jsonl" else {"text": line}
            except (ValueError, RecursionError) as error:
                yield InputError(f"is not UTF-8 text or JSON: {str(error)[:100]}")
                continue
            yield value if isinstance(value, dict) else InputError("is no JSON object")


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"{path}: Parquet takes pip install 'glowtron[bulk]'") from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: is no Parquet file: {str(error)[:100]}") from error


def _parquet_rows(path: Path, stretch: Stretch) -> Iterator[dict[str, Any]]:
    file = _parquet(path)
    columns = [name for name in (*_TEXTS, *OF_A_ROW) if name in file.schema_arrow.names]
    place = 0
    for group in range(file.num_row_groups):
        n = file.metadata.row_group(group).num_rows
        if place + n > stretch.first and place < stretch.first + stretch.n_rows:
            table = file.read_row_group(group, columns=columns)
            first = max(stretch.first - place, 0)
            last = min(stretch.first + stretch.n_rows - place, n)
            yield from table.slice(first, last - first).to_pylist()
        place += n


def _row(place: int, value: dict[str, Any] | InputError) -> Row:
    if isinstance(value, InputError):
        raise value
    text, id = value.get("text"), value.get("id")
    if not isinstance(text, str):
        raise InputError("has no text")
    if id is None:
        id = f"{place:09}"
    if not isinstance(id, str | int) or isinstance(id, bool):
        raise InputError("id must be a text or a whole number")
    id = str(id)
    if not id or len(id) > 200 or any(character in id for character in '/\\\0."<>|:*?\n\r\t'):
        raise InputError(f"id {id[:40]!r} cannot be the name of a file; leave out stops, slashes and quotes")
    options = {name: value[name] for name in OF_A_ROW if value.get(name) is not None}
    return Row(place, id, text, options)
