"""Files appear whole or not at all; a lock keeps other processes out."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glowtron import files
from glowtron.errors import InputError

ON_WINDOWS = sys.platform == "win32"


def test_a_file_appears_with_the_folders_it_needs(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "a" / "b" / "c.bin", b"123")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"123"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.bin"]


@pytest.mark.parametrize("shared", [False, True])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail() -> None:
        with files.write_atomic(path, shared=shared) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    program = (
        "import os, signal, sys, pathlib\nfrom glowtron.files import write_atomic\n"
        "with write_atomic(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    if ON_WINDOWS:
        pytest.skip("Windows has no SIGKILL")
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL and not path.exists()
    files.write_text(path, "whole")
    assert os.listdir(tmp_path) == ["file"] and path.read_text() == "whole"


def test_a_full_disk_is_told_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"file: cannot be written: No space left on device; choose another --out"):
        files.write_text(path, "new", mend="choose another --out")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="make room or choose another folder"):
        files.write_bytes(tmp_path / "file" / "inside", b"")


def test_a_file_that_holds_the_same_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"same")
    os.utime(path, (1, 1))
    files.write_bytes(path, b"same")
    assert path.stat().st_mtime == 1
    files.write_bytes(path, b"some")
    assert path.stat().st_mtime != 1


@pytest.mark.skipif(ON_WINDOWS, reason="links need a privilege on Windows")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "file")
    files.write_text(link, "text")
    assert link.is_symlink() and (tmp_path / "there" / "file").read_text() == "text"


def test_json_comes_back_and_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"b": [1, "ü"]})
    assert files.read_json(path) == {"b": [1, "ü"]}
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, float("nan"))
    assert files.read_json(path) == {"b": [1, "ü"]}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", None])
def test_json_that_is_none_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: cannot be read as a report"):
        files.read_json(path, "a report")


def test_the_hash_is_that_of_all_bytes(tmp_path: Path) -> None:
    data = os.urandom(files.BLOCK + 7)
    (tmp_path / "file").write_bytes(data)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


_HOLDER = (
    "import sys, pathlib\nfrom glowtron.files import lock\nfolder = pathlib.Path(sys.argv[1])\n"
    "with lock(folder):\n    print('held', flush=True)\n    sys.stdin.read()\n    (folder / 'done').touch()\n"
)


def test_a_lock_keeps_another_process_out_until_it_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline().strip() == b"held"
        with pytest.raises(files.Locked), files.lock(tmp_path):
            pass
        with pytest.raises(InputError, match="somebody is at work"), files.hold(tmp_path, "somebody is at work"):
            pass
        holder.kill()
    with files.lock(tmp_path):
        pass


def test_a_waiting_lock_comes_after_the_other(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdout.readline()
        holder.stdin.close()  # It ends soon, and may have ended already.
        with files.lock(tmp_path, wait=True):
            assert (tmp_path / "done").exists()
