"""Shards of speech: a tar of pairs KEY.flac and KEY.json (WebDataset), or a Parquet file (Hugging Face datasets).

The same rows give the same bytes: nothing in a shard tells when or where it was made.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any, NamedTuple, Protocol

SHARDS = ("tar", "parquet")


class Spoken(NamedTuple):
    """A row's sound and what is known of it."""

    id: str
    data: bytes
    """A file's, in the job's format."""
    facts: dict[str, Any]
    """Numbers and texts alone."""


class ShardWriter(Protocol):
    """Writes one shard, row by row."""

    def add(self, spoken: Spoken) -> None:
        """The next row."""

    def close(self) -> None:
        """Finish the file."""


class TarShard:
    """Members in the order of rows."""

    def __init__(self, path: Path, suffix: str) -> None:
        self._tar = tarfile.TarFile(path, "w", format=tarfile.GNU_FORMAT)
        self._suffix = suffix

    def add(self, spoken: Spoken) -> None:
        """See `ShardWriter`."""
        text = json.dumps(spoken.facts, ensure_ascii=False).encode()
        for suffix, data in ((self._suffix, spoken.data), ("json", text)):
            member = tarfile.TarInfo(f"{spoken.id}.{suffix}")
            member.size, member.mode = len(data), 0o644
            self._tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        """See `ShardWriter`."""
        self._tar.close()


class ParquetShard:
    """Columns `audio` (bytes, path) and one for each fact, with what `datasets` reads as an `Audio` feature."""

    def __init__(self, path: Path, suffix: str, sample_rate: int) -> None:
        import pyarrow
        import pyarrow.parquet

        self._arrow, self._suffix, self._path = pyarrow, suffix, path
        text, number = pyarrow.string(), pyarrow.float64()
        audio = pyarrow.struct([("bytes", pyarrow.binary()), ("path", text)])
        names = [("audio", audio), ("id", text), ("text", text), ("normalized", text), ("phones", text)]
        names += [("speaker", text), ("seed", pyarrow.int64()), ("duration_s", number), ("faults", text)]
        features: dict[str, dict[str, str | int]] = {
            name: {"dtype": str(kind), "_type": "Value"} for name, kind in names if name != "audio"
        }
        features["audio"] = {"sampling_rate": sample_rate, "_type": "Audio"}
        told = json.dumps({"info": {"features": features}})
        self._schema = pyarrow.schema(names, metadata={"huggingface": told})
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="none")
        self._rows: list[dict[str, Any]] = []

    def add(self, spoken: Spoken) -> None:
        """See `ShardWriter`."""
        audio = {"bytes": spoken.data, "path": f"{spoken.id}.{self._suffix}"}
        facts = {**spoken.facts, "faults": "; ".join(spoken.facts["faults"])}
        self._rows.append({"audio": audio, **{name: facts[name] for name in self._schema.names if name != "audio"}})
        if len(self._rows) >= 100:
            self._flush()

    def close(self) -> None:
        """See `ShardWriter`."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def make_shard(kind: str, path: Path, suffix: str, sample_rate: int) -> ShardWriter:
    """A writer of one of `SHARDS`. suffix: of the sound's format."""
    return TarShard(path, suffix) if kind == "tar" else ParquetShard(path, suffix, sample_rate)
