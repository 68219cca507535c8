"""LJSpeech made ready: what is written, and that no interruption changes a byte of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from served import md5, metadata, recording, serving, small_ljspeech, snapshot

from glowtron import log_mel
from glowtron.audio import read_audio
from glowtron.cli import main
from glowtron.config import MelConfig
from glowtron.data.ljspeech import prepare_ljspeech
from glowtron.data.manifest import read_manifest
from glowtron.data.splits import list_files, published_split
from glowtron.data.statistics import LJSPEECH, clock, statistics, table
from glowtron.errors import InputError

VAL, TEST = "LJ001-0110", "LJ001-0015"
IDS = [f"LJ001-{i:04}" for i in range(1, 21)] + [VAL]


@pytest.fixture(scope="module")
def archive():
    return small_ljspeech(IDS)


@pytest.fixture
def packed(archive, tmp_path):
    path = tmp_path / "packed" / "small.tar.bz2"
    path.parent.mkdir()
    path.write_bytes(archive)
    return path


def prepare(folder, packed, **more):
    return prepare_ljspeech(folder, archive=packed, md5=md5(packed.read_bytes()), partial=True, **more)


def refused(action, *said):
    with pytest.raises(InputError) as error:
        action()
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value), str(error.value)


def test_users_find_what_they_expect(packed, tmp_path):
    stages = {}
    made = prepare(tmp_path / "data", packed, progress=lambda stage, *done: stages.update({stage: done}))
    files = snapshot(tmp_path / "data")
    corpus = {"README", "metadata.csv", *(f"wavs/{i}.wav" for i in IDS), *(f"mels/{i}.npy" for i in IDS)}
    assert set(files) == {f"LJSpeech-1.1/{name}" for name in corpus} | {f"filelists/{n}" for n in made.lists} | {
        "statistics.md"
    }
    assert files["LJSpeech-1.1/metadata.csv"] == metadata(IDS)
    assert files[f"LJSpeech-1.1/wavs/{VAL}.wav"] == recording(20)
    assert stages["mels"] == (21, 21)
    assert {"checking the archive", "unpacking"} < set(stages)
    assert made.statistics.clips == 21
    assert made.statistics.total_s == pytest.approx(21 * 0.3)
    assert " 13,821 |" in files["statistics.md"].decode()


def test_mels_are_the_package_s_own_in_both_formats(packed, tmp_path):
    made = prepare(tmp_path / "data", packed)
    prepare(tmp_path / "data", packed, mels="pt")
    for clip in read_manifest(made.corpus):
        wave = torch.from_numpy(read_audio(clip.audio).samples)
        mel = log_mel(wave[None], MelConfig())[0]
        saved = np.load(made.corpus / "mels" / f"{clip.id}.npy")
        assert saved.dtype == np.float32
        assert saved.shape == (80, len(wave) // 256 + 1)
        torch.testing.assert_close(torch.from_numpy(saved), mel)
        assert torch.equal(torch.load(made.corpus / "mels" / f"{clip.id}.pt", weights_only=True), torch.tensor(saved))
    assert "mels/LJ001-0001.pt|Clip number 0.\n" in (tmp_path / "data/filelists/ljs_mel_text_filelist.txt").read_text()


def test_the_published_split_is_whole(shared):
    kept = published_split()
    assert {part: len(ids) for part, ids in kept.items()} == {"val": 100, "test": 500}
    assert not kept["val"] & kept["test"]
    ids = {line.split("|")[0] for line in shared("data/ljspeech/metadata_all.csv").read_text("utf-8").splitlines()}
    assert kept["val"] | kept["test"] < ids


def test_lists_of_all_of_ljspeech_have_the_published_names_and_sizes(shared, tmp_path):
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    transcripts = shared("data/ljspeech/metadata_all.csv").read_bytes()
    (folder / "metadata.csv").write_bytes(transcripts)
    for line in transcripts.decode().splitlines():
        (folder / "wavs" / f"{line.split('|')[0]}.wav").touch()
    clips = read_manifest(folder)
    lists = list_files(clips, ".npy")
    parts = {"train": 12_500, "val": 100, "test": 500}
    audio = parts | {f"train_subset_{n}": n for n in (64, 300, 625, 1250, 2500)}
    mels = parts | {f"train_subset_{n}": n for n in (625, 1250, 2500)}
    sizes = {f"ljs_audio_text_{part}_filelist.txt": n for part, n in audio.items()}
    sizes |= {f"ljs_mel_text_{part}_filelist.txt": n for part, n in mels.items()} | {
        "ljs_mel_text_filelist.txt": 13_100
    }
    assert {name: text.count("\n") for name, text in lists.items()} == sizes
    assert len(lists) == 15
    first = "LJSpeech-1.1/wavs/LJ022-0023.wav|The overwhelming majority of people in this country know how to sift the "
    assert first in lists["ljs_audio_text_val_filelist.txt"]
    assert "LJSpeech-1.1/mels/LJ045-0096.npy|Mrs. De Moh" in lists["ljs_mel_text_test_filelist.txt"]
    nested = [set(lists[f"ljs_audio_text_train_subset_{n}_filelist.txt"].splitlines()) for n in (64, 300, 625, 1250)]
    assert all(small < large for small, large in zip(nested, nested[1:], strict=False))
    # Words and characters are counted as LJSpeech's authors did, or nearly so.
    counted = statistics([clip.text for clip in clips], [1.0] * len(clips))
    assert counted.characters == pytest.approx(LJSPEECH.characters, rel=1e-5)
    assert (counted.words, counted.distinct_words) == (225_961, 13_771)


def test_running_twice_touches_nothing(packed, tmp_path):
    prepare(tmp_path / "data", packed)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    prepare(tmp_path / "data", packed)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_what_was_lost_or_changed_since_is_made_again(packed, tmp_path):
    corpus = prepare(tmp_path / "data", packed).corpus
    before = snapshot(tmp_path / "data")
    (corpus / "wavs" / f"{IDS[0]}.wav").unlink()
    (corpus / "mels" / f"{IDS[1]}.npy").unlink()
    (corpus / "mels" / f"{IDS[2]}.npy").write_bytes(b"half")
    os.utime(corpus / "wavs" / f"{IDS[3]}.wav")  # Newer than its mel, so its mel may be another's.
    (corpus / "mels" / f"{IDS[3]}.npy").write_bytes(before[f"LJSpeech-1.1/mels/{IDS[4]}.npy"])
    os.utime(corpus / "mels" / f"{IDS[3]}.npy", ns=(0, 0))
    (tmp_path / "data" / "filelists" / "ljs_audio_text_val_filelist.txt").write_text("edited")
    prepare(tmp_path / "data", packed)
    assert snapshot(tmp_path / "data") == before


def test_a_corpus_elsewhere_is_linked_and_never_written(packed, tmp_path):
    elsewhere = prepare(tmp_path / "one", packed).corpus
    before = snapshot(elsewhere)
    for _ in range(2):
        made = prepare_ljspeech(tmp_path / "two", source=elsewhere, partial=True, mels="pt")
    assert snapshot(elsewhere) == before
    assert (made.corpus / "wavs").is_symlink()
    assert len(list((made.corpus / "mels").glob("*.pt"))) == 21
    other = prepare(tmp_path / "three", packed).corpus
    refused(lambda: prepare_ljspeech(tmp_path / "two", source=other), "two/LJSpeech-1.1/wavs", "is there already")
    assert prepare_ljspeech(tmp_path / "three", source=other, partial=True).corpus == other


def test_a_part_is_refused_unless_it_is_meant(packed, tmp_path):
    digest = md5(packed.read_bytes())
    refused(lambda: prepare_ljspeech(tmp_path / "x", archive=packed, md5=digest), "21 clips", "13,100", "`partial`")
    assert not (tmp_path / "x" / "filelists").exists()


def test_faults_are_named(packed, tmp_path):
    x = tmp_path / "x"
    refused(lambda: prepare_ljspeech(x, archive=packed), "small.tar.bz2", "MD5", "`md5`")
    refused(lambda: prepare_ljspeech(x, archive=tmp_path / "gone"), "gone", "No such file")
    refused(lambda: prepare_ljspeech(x, archive=packed, source=x), "give one of them")
    refused(lambda: prepare_ljspeech(x, source=tmp_path / "gone"), "gone", "metadata.csv")
    corpus = prepare(tmp_path / "data", packed).corpus
    refused(lambda: prepare_ljspeech(corpus), "corpus itself", "folder above")
    (corpus / "wavs" / f"{IDS[0]}.wav").write_bytes(recording(0, rate=16_000))
    refused(lambda: prepare(tmp_path / "data", packed), IDS[0], "16000 Hz")


def test_a_table_sets_figures_side_by_side():
    here = statistics(["One two, two.", "Don't!"], [1.0, 3.0])
    text = table({"here": here, "published": LJSPEECH})
    assert len({len(line) for line in text.splitlines()}) == 1
    for part in ("23:55:17", "13,100", "6.57 s", "17.23", "1.11 s", "10.10 s", "2.00 s", "0:00:04"):
        assert part in text
    assert (here.words, here.distinct_words, here.characters) == (5, 4, 19)
    assert clock(3599.6) == "1:00:00"


class TestKilled:
    """A second process, killed in the middle of every stage, and the bytes that are there in the end."""

    @pytest.fixture(scope="class")
    def served(self):
        with serving(small_ljspeech(IDS * 1, seconds=2.0)) as server:
            yield server

    @pytest.fixture(scope="class")
    def expected(self, served, tmp_path_factory):
        folder = tmp_path_factory.mktemp("whole")
        prepare_ljspeech(folder, url=served.url, md5=md5(served.data), partial=True)
        return snapshot(folder)

    def start(self, served, folder):
        command = ["prepare", "ljspeech", folder, "--url", served.url, "--md5", md5(served.data), "--partial"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        code = [sys.executable, "-m", "glowtron"]
        return subprocess.Popen([*code, *map(str, command)], env=environment, stderr=subprocess.DEVNULL)

    def kill_when(self, served, folder, reached):
        process = self.start(served, folder)
        try:
            while process.poll() is None and not reached():
                time.sleep(0.001)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)  # 0: it was quicker than we could look.

    @pytest.mark.slow
    def test_it_ends_with_the_same_bytes(self, served, expected, tmp_path):
        folder = tmp_path / "data"
        corpus, part = folder / "LJSpeech-1.1", folder / "LJSpeech-1.1.tar.bz2.part"
        served.bytes_per_s = len(served.data)
        self.kill_when(served, folder, lambda: part.exists() and part.stat().st_size > len(served.data) // 4)
        assert 0 < part.stat().st_size < len(served.data)
        served.bytes_per_s = None
        served.asked.clear()
        self.kill_when(served, folder, lambda: len(list(corpus.glob("wavs/*.wav"))) >= 3)
        assert served.asked[0].startswith("bytes=")
        self.kill_when(served, folder, lambda: len(list(corpus.glob("mels/*.npy"))) >= 3)
        assert self.start(served, folder).wait() == 0
        assert len(served.asked) == 1, "a whole archive is not fetched again"
        assert snapshot(folder) == expected


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return exit_.value.code


def test_the_command(packed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--archive", packed, "--md5", md5(packed.read_bytes()), "--partial"]
    assert run("prepare", "ljspeech", "data", *given) == 0
    out = capsys.readouterr().out
    assert "data/LJSpeech-1.1: 21 clips with their mels\ndata/filelists: 15 lists; validation" in out
    assert "| published |" in out
    assert Path("data/statistics.md").read_text() in out
    assert run("prepare", "ljspeech", "data", *given, "--quiet") == 0
    assert run("prepare", "ljspeech", "other", "--archive", packed) == 2
    error = capsys.readouterr()
    assert error.out == ""
    assert error.err.count("\n") == 1
    assert run("prepare", "ljspeech", packed) == 2
    assert "is a file" in capsys.readouterr().err
