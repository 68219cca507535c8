"""LJSpeech's archive, unpacked file by file, so that an interrupted run goes on with the next one."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from glowtron.data.download import Progress
from glowtron.data.manifest import SUFFIXES
from glowtron.errors import InputError, reason
from glowtron.files import write_bytes

METADATA = "metadata.csv"

_LARGEST = 1 << 28
"""Bytes of one file; LJSpeech's largest, its transcripts, has under 3 million."""


def unpack(archive: Path, folder: Path, progress: Progress | None = None) -> None:
    """Unpack `README`, `metadata.csv` and `wavs/` out of a tar archive's one top folder into `folder`.

    Files that are there already stay, and `metadata.csv` comes last, so where it is, all is. No file is ever written
    under a path that the archive chose: whatever is none of these is passed over, and a link, a device or a name that
    leads out of the archive's folder is refused. `progress` gets the archive's bytes read and all of
    them. Raises InputError if the archive is damaged, holds other things or cannot be read, and if the folder cannot be
    written.
    """
    metadata = None
    try:
        with archive.open("rb") as file, tarfile.open(fileobj=file, mode="r|*") as tar:
            size = archive.stat().st_size
            for member in tar:
                if progress is not None:
                    progress(file.tell(), size)
                name = _place(member, archive)
                content = tar.extractfile(member) if name else None
                if content is None or name is None:
                    continue
                data = content.read()
                if name == METADATA:
                    metadata = data
                else:
                    write_bytes(folder / name, data)
    except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{archive}: cannot be unpacked: {reason(error)}; get the archive again") from error
    if metadata is None:
        raise InputError(f"{archive}: holds no {METADATA}; give the archive of LJSpeech")
    write_bytes(folder / METADATA, metadata)


def _place(member: tarfile.TarInfo, archive: Path) -> str | None:
    """Path of a member in the corpus; None if it is not needed. Raises InputError for an unsafe one."""
    parts = PurePosixPath(member.name).parts
    usual = (member.isfile() or member.isdir()) and member.size <= _LARGEST
    if member.name.startswith("/") or ".." in parts or not usual:
        raise InputError(f"{archive}: holds '{member.name}', which no archive of recordings needs; do not trust it")
    if not member.isfile():
        return None
    if parts[1:] in (("README",), (METADATA,)):
        return parts[1]
    sound = len(parts) == 3 and parts[1] == "wavs" and not parts[2].startswith(".")
    return f"wavs/{parts[2]}" if sound and PurePosixPath(parts[2]).suffix in SUFFIXES else None
