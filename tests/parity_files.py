"""The published checkpoints of `tests/parity`, which are stored in one archive."""

import tarfile
from pathlib import Path

PARITY = Path(__file__).resolve().parent / "parity"


def unpack_checkpoints(folder: Path) -> None:
    """Write them into an existing folder."""
    with tarfile.open(PARITY / "checkpoints.tar.xz") as archive:
        for member in archive.getmembers():
            data = archive.extractfile(member)
            assert data is not None
            (folder / member.name).write_bytes(data.read())
