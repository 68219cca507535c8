"""Fetching a file: whole, in parts, from servers that fail."""

import pytest
from served import md5, serving

from glowtron.data.download import download
from glowtron.errors import InputError

DATA = bytes(range(256)) * 4000


@pytest.fixture
def server():
    with serving(DATA) as server:
        yield server


def fetch(server, folder, **more):
    target = folder / "file.bin"
    download(server.url, target, md5=md5(DATA), pause_s=0.0, **more)
    return target


def refused(action, *said):
    with pytest.raises(InputError) as error:
        action()
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value)


def test_a_file_comes_whole_and_tells_how_far_it_is(server, tmp_path):
    told = []
    target = fetch(server, tmp_path / "new", progress=lambda *done: told.append(done))
    assert target.read_bytes() == DATA
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert told[-1] == (len(DATA), len(DATA))
    assert server.asked == [None]


def test_what_has_come_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(DATA[:1000])
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.asked == ["bytes=1000-"]


def test_broken_connections_are_made_again_from_where_they_broke(server, tmp_path):
    server.cut_after = [5000, 0, 300_000, 7]
    server.statuses = [503]
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.asked[-1] == "bytes=305007-"


def test_a_server_without_ranges_sends_all(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.bin.part").write_bytes(DATA[:1000])
    assert fetch(server, tmp_path).read_bytes() == DATA


def test_a_whole_part_is_only_renamed(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(DATA)
    assert fetch(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("size", [10, len(DATA), len(DATA) + 1])
def test_the_part_of_another_file_is_found_out(server, tmp_path, size):
    (tmp_path / "file.bin.part").write_bytes(b"x" * size)
    if size > len(DATA):  # The server has nothing after it, so it is dropped.
        assert fetch(server, tmp_path).read_bytes() == DATA
    else:
        refused(lambda: fetch(server, tmp_path), "MD5", "deleted")
        assert not list(tmp_path.iterdir())
        assert fetch(server, tmp_path).read_bytes() == DATA


def test_giving_up_keeps_what_has_come(server, tmp_path):
    server.cut_after = [1000]
    server.statuses = []
    server.cut_after += [0] * 5
    refused(lambda: fetch(server, tmp_path), server.url, "closed early", "goes on after 1000 bytes")
    assert (tmp_path / "file.bin.part").read_bytes() == DATA[:1000]
    assert fetch(server, tmp_path).read_bytes() == DATA


def test_what_cannot_be_fetched_is_said(server, tmp_path):
    server.statuses = [404]
    refused(lambda: fetch(server, tmp_path), "404")
    for url in ("file:///etc/hostname", "ftp://somewhere/x", "nonsense"):
        refused(lambda url=url: download(url, tmp_path / "x", md5=""), url, "https://")
    refused(lambda: download("http://127.0.0.1:1/x", tmp_path / "x", md5="", pause_s=0.0), "refused")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    refused(lambda: fetch(server, tmp_path / "file"), "cannot be written")
