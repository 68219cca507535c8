"""Unpacking, of good archives and of bad ones."""

import tarfile

import pytest
from served import metadata, recording, small_ljspeech, snapshot, tar

from glowtron.data.archive import unpack
from glowtron.errors import InputError

IDS = ["LJ001-0001", "LJ001-0002", "LJ001-0003"]


def unpacked(tmp_path, data):
    (tmp_path / "archive").write_bytes(data)
    unpack(tmp_path / "archive", tmp_path / "corpus")
    return snapshot(tmp_path / "corpus")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_come_out_as_they_went_in(tmp_path, mode):
    files = unpacked(tmp_path, tar([("./x/metadata.csv", metadata(IDS)), ("./x/wavs/a.wav", recording(0))], mode))
    assert files == {"metadata.csv": metadata(IDS), "wavs/a.wav": recording(0)}


def test_what_is_not_needed_is_passed_over(tmp_path):
    folder = tarfile.TarInfo("x/wavs")
    folder.type = tarfile.DIRTYPE
    odd = ["x/wavs/.a.wav", "x/wavs/deep/a.wav", "x/run.sh", "wavs/a.wav", "metadata.csv/x", "x/wavs/a.sh", "README"]
    files = [(folder, b""), ("x/metadata.csv", b"a|b\n"), ("x/README", b"r"), *((name, b"odd") for name in odd)]
    assert unpacked(tmp_path, tar(files)) == {"metadata.csv": b"a|b\n", "README": b"r"}


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        "../outside.wav",
        "x/../../outside.wav",
        "x/wavs/../../../outside.wav",
        "/tmp/outside.wav",
        link("x/wavs", "/tmp"),
        link("x/wavs/a.wav", "../../../outside.wav"),
        link("x/wavs/a.wav", "/etc/passwd", tarfile.LNKTYPE),
        link("x/wavs/a.wav", "", tarfile.FIFOTYPE),
        link("x/wavs/a.wav", "", tarfile.CHRTYPE),
    ],
)
def test_nothing_leads_out_of_the_folder(tmp_path, member):
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    with pytest.raises(InputError, match="do not trust it"):
        unpacked(place, tar([(member, b"sound"), ("x/metadata.csv", b"a|b\n")]))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["archive"]


def test_transcripts_come_last(tmp_path):
    data = small_ljspeech(IDS)
    with pytest.raises(InputError, match="get the archive again"):
        unpacked(tmp_path, data[: len(data) * 2 // 3])
    assert "metadata.csv" not in snapshot(tmp_path / "corpus")
    assert set(unpacked(tmp_path, data)) == {"metadata.csv", "README", *(f"wavs/{name}.wav" for name in IDS)}


def test_files_already_there_stay_and_damaged_ones_are_mended(tmp_path):
    files = unpacked(tmp_path, small_ljspeech(IDS))
    kept, damaged, lost = (tmp_path / "corpus" / "wavs" / f"{name}.wav" for name in IDS)
    before = kept.stat()
    damaged.write_bytes(b"half")
    lost.unlink()
    assert unpacked(tmp_path, small_ljspeech(IDS)) == files
    assert kept.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("data", [b"", b"no archive", b"BZh91AY&SY" + b"x" * 100, tar([("x/README", b"r")])])
def test_what_is_no_archive_of_a_corpus_is_said(tmp_path, data):
    with pytest.raises(InputError, match="archive") as error:
        unpacked(tmp_path, data)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("corpus/metadata.csv"))


def test_a_missing_archive_is_said(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        unpack(tmp_path / "gone", tmp_path / "corpus")
