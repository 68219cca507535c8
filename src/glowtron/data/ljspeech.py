"""LJSpeech made ready for training: fetched, unpacked, checked, with the mels and list files that its users expect.

Every step finds by itself what an earlier run has done, whatever ended it, and every file is written whole; so running
again, once or often, ends with the same bytes as running once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glowtron.data.archive import METADATA, unpack
from glowtron.data.download import download, md5_of
from glowtron.data.manifest import Clip, read_manifest
from glowtron.data.splits import list_files, published_split
from glowtron.data.statistics import LJSPEECH, Statistics, statistics, table
from glowtron.errors import InputError, reason
from glowtron.files import hold, write_bytes

if TYPE_CHECKING:
    from glowtron.data.mel_files import MelFormat

NAME = "LJSpeech-1.1"
URL = "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2"
MD5 = "c4763be9595ddfa79c2fc6eaeb3b6c8e"

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much (0: not known) is."""


class Prepared(NamedTuple):
    """The result of preparing the corpus."""

    corpus: Path
    """The folder in LJSpeech's layout."""
    lists: dict[str, int]
    """Lines of each list file."""
    statistics: Statistics


def prepare_ljspeech(
    folder: Path,
    *,
    archive: Path | None = None,
    source: Path | None = None,
    url: str = URL,
    md5: str = MD5,
    partial: bool = False,
    mels: MelFormat = "npy",
    progress: Progress = lambda stage, done, total: None,
) -> Prepared:
    """Make `LJSpeech-1.1/` with mels, `filelists/` and `statistics.md` in `folder`.

    The recordings are those already there; else those of `source`, a folder in LJSpeech's layout, which is linked to
    and never written; else of `archive`; else of the archive fetched from `url`. `md5` is the archive's. A corpus of
    other than 13,100 clips is refused, or with `partial` taken as it is. Raises InputError for what the user can mend.
    """
    if archive is not None and source is not None:
        raise InputError("an archive and a source are given; give one of them")
    if (folder / METADATA).exists():
        raise InputError(
            f"{folder}: is a corpus itself; give the folder above it if it is called {NAME}, or another one and "
            f"`source` {folder}"
        )
    corpus = folder / NAME
    with hold(folder, "another process is at work there; wait for it, or choose another folder"):
        if source is not None:
            _link(source, corpus)
        elif not _whole(corpus):
            if archive is None:
                archive = _fetched(folder, url, md5, progress)
            elif (found := md5_of(archive, lambda *done: progress("checking the archive", *done))) != md5:
                raise InputError(
                    f"{archive}: its MD5 is {found}, not {md5}; get it again, or give `md5` {found} if this is the one "
                    "that is meant"
                )
            unpack(archive, corpus, lambda *done: progress("unpacking", *done))
        clips = read_manifest(corpus)
        if not partial:
            _require_all(clips, corpus)
        # Only now, since loading torch takes longer than anything said above.
        from glowtron.data.mel_files import write_mels

        seconds = write_mels(clips, corpus / "mels", mels, lambda *done: progress("mels", *done))
        lists = list_files(clips, f".{mels}")
        for name, text in lists.items():
            write_bytes(folder / "filelists" / name, text.encode())
        result = Prepared(
            corpus,
            {name: text.count("\n") for name, text in lists.items()},
            statistics([clip.text for clip in clips], seconds),
        )
        write_bytes(folder / "statistics.md", beside_published(result.statistics).encode())
    return result


def beside_published(here: Statistics) -> str:
    """A table of what has been counted and of what LJSpeech's authors have published."""
    return table({"here": here, "published": LJSPEECH})


def _whole(corpus: Path) -> bool:
    """True if the corpus has a recording for each transcript."""
    if not (corpus / METADATA).is_file():
        return False
    try:
        read_manifest(corpus)
    except InputError:  # Of an archive that was unpacked and has lost files since: unpacking brings them back.
        return False
    return True


def _fetched(folder: Path, url: str, md5: str, progress: Progress) -> Path:
    """The archive, already there or downloaded."""
    target = folder / f"{NAME}.tar.bz2"
    if target.exists() and md5_of(target, lambda *done: progress("checking the archive", *done)) == md5:
        return target
    download(url, target, md5=md5, progress=lambda *done: progress("downloading", *done))
    return target


def _link(source: Path, corpus: Path) -> None:
    """Make `corpus` show the recordings of `source` under the usual names."""
    read_manifest(source)  # Which says what is wrong with it.
    if source.resolve() == corpus.resolve():
        return
    wavs, target = corpus / "wavs", (source / "wavs").resolve()
    try:
        corpus.mkdir(parents=True, exist_ok=True)
        if not wavs.exists() and not wavs.is_symlink():
            wavs.symlink_to(target, target_is_directory=True)
        if wavs.resolve() != target:
            raise InputError(f"{wavs}: is there already; leave `source` out to use it, or choose another folder")
        for name in ("README", METADATA):
            if (source / name).is_file():
                write_bytes(corpus / name, (source / name).read_bytes())
    except OSError as error:
        raise InputError(f"{corpus}: cannot be made of {source}: {reason(error)}") from error


def _require_all(clips: list[Clip], corpus: Path) -> None:
    ids = {clip.id for clip in clips}
    lacking = frozenset[str]().union(*published_split().values()) - ids
    if len(clips) != LJSPEECH.clips or lacking:
        raise InputError(
            f"{corpus}: holds {len(clips):,} clips, LJSpeech 1.1 has {LJSPEECH.clips:,}; complete it, or give "
            "`partial` to go on with what is there"
        )
