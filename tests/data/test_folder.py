"""A folder of recordings made into a corpus, as a whole."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from recorded import record, untidy
from served import snapshot

from glowtron.audio import Audio
from glowtron.data.corpus_report import CorpusReport, KeptClip, LeftOut
from glowtron.data.folder import prepare_folder
from glowtron.data.manifest import read_manifest
from glowtron.data.pictures import draw
from glowtron.data.quality import Examined, Rules
from glowtron.data.recordings import find_recordings
from glowtron.errors import InputError


@pytest.fixture
def recordings(tmp_path):
    return untidy(tmp_path / "recordings")


@pytest.fixture(autouse=True)
def quickly_drawn(monkeypatch):
    """Pictures take long; those that are looked at are drawn by `draw` itself."""
    monkeypatch.setattr("glowtron.data.pictures.draw", lambda report: b"picture")


def prepare(source, out, rules=None, **more):
    return prepare_folder(source, find_recordings(source, **more), out, rules or Rules())


def refused(action, *said):
    with pytest.raises(InputError) as error:
        action()
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value), str(error.value)


def test_every_recording_is_a_clip_or_has_a_reason(recordings, tmp_path):
    out = tmp_path / "corpus"
    report = prepare(recordings, out)
    assert [clip.id for clip in report.kept] == ["r0", "r1", "r2"]
    assert {one.name: one.reason for one in report.left_out} == {
        "silent.wav": "silent",
        "untold.wav": "untranscribed",
        "dots.wav": "untranscribed",
        "bars.wav": "unusable text",
        "loud.wav": "clipped",
        "long.flac": "too long",
        "brief.ogg": "too short",
        "broken.mp3": "unreadable",
    }
    assert set(snapshot(out)) == {
        "metadata.csv", "wavs/r0.wav", "wavs/r1.wav", "wavs/r2.wav", "report.json", "report.md", "report.png"
    }  # fmt: skip
    assert (out / "report.png").read_bytes() == b"picture"
    assert draw(report).startswith(b"\x89PNG")
    written = json.loads((out / "report.json").read_text("utf-8"))
    assert [clip["source"] for clip in written["kept"]] == ["r0.wav", "r1.wav", "r2.wav"]
    assert written["rules"]["loudness"] == -23.0
    assert len(written["left_out"]) == 8
    text = (out / "report.md").read_text("utf-8")
    assert "3 of 11 make clips" in text
    for one in report.left_out:
        assert f"- {one.name}: {one.reason}" in text


def test_the_corpus_is_read_as_it_is(recordings, tmp_path):
    report = prepare(recordings, tmp_path / "corpus")
    clips = read_manifest(tmp_path / "corpus")
    assert [clip.text for clip in clips] == [f"This is number {i}." for i in range(3)]
    for clip, kept in zip(clips, report.kept, strict=True):
        info = soundfile.info(clip.audio)
        assert (info.samplerate, info.channels, info.subtype) == (22_050, 1, "PCM_16")
        assert info.duration == pytest.approx(kept.seconds, abs=1e-3)
        assert kept.seconds == pytest.approx(kept.recorded_s - 2.0 + 0.3, abs=0.05)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda s: s[0] != "."
)


@given(texts=st.dictionaries(NAMES, st.text(max_size=20).filter(lambda s: "|" not in s), min_size=1, max_size=4))
def test_whatever_recordings_are_called_and_say_the_corpus_is_read_again(texts):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        place = Path(name)
        (place / "in").mkdir()
        for stem, text in texts.items():
            (place / "in" / f"{stem}.wav").write_bytes(b"")
            (place / "in" / f"{stem}.txt").write_bytes(text.encode())
        sound = Audio(np.full(9000, 0.1, np.float32), 22_050)
        patch.setattr("glowtron.data.folder.examine", lambda *_: Examined(sound, 1.0, 48_000, -30.0, 7.0, False))
        try:
            report = prepare(place / "in", place / "out")
        except InputError as error:  # Two names that are one in a list, or no text at all.
            assert "would be clip" in str(error) or "none of" in str(error)
            return
        clips = read_manifest(place / "out")
        assert [(clip.id, clip.text) for clip in clips] == [(clip.id, clip.text) for clip in report.kept]
        told = {normalize("NFC", " ".join(text.removeprefix("\ufeff").split())) for text in texts.values()}
        assert {clip.text for clip in clips} <= told
        assert len(report.kept) + len(report.left_out) == len(texts)


def test_a_normalised_text_is_kept_beside_the_raw_one(tmp_path):
    record(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "metadata.csv").write_text("a|No. 1|Number one\n")
    prepare(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "metadata.csv").read_text() == "a|No. 1|Number one\n"


def test_running_twice_touches_nothing(recordings, tmp_path):
    out = tmp_path / "corpus"
    prepare(recordings, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    prepare(recordings, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_speakers_have_a_folder_each_and_a_list_of_all(tmp_path):
    for speaker in ("ann", "bob"):
        for i in range(2):
            record(tmp_path / "in" / speaker / f"{i}.wav", text=f"{speaker} says {i}.", seed=i)
    out = tmp_path / "out"
    report = prepare(tmp_path / "in", out)
    assert report.speakers == ["ann", "bob"]
    assert list(report.figures()) == ["all", "ann", "bob"]
    assert [group["clips"] for group in report.figures().values()] == [4, 2, 2]
    assert [clip.id for clip in read_manifest(out / "bob")] == ["bob-0", "bob-1"]
    clips = read_manifest(out / "clips.txt")
    assert [(clip.id, clip.speaker, clip.text) for clip in clips][1:3] == [
        ("ann-1", "ann", "ann says 1."),
        ("bob-0", "bob", "bob says 0."),
    ]
    for path in (tmp_path / "in" / "bob").iterdir():  # One speaker is left, and no trace of the other's.
        path.unlink()
    (tmp_path / "in" / "bob").rmdir()
    prepare(tmp_path / "in", out)
    assert [str(path) for path in sorted(snapshot(out))] == [
        "metadata.csv", "report.json", "report.md", "report.png", "wavs/0.wav", "wavs/1.wav"
    ]  # fmt: skip


def test_recordings_without_text_are_no_second_speaker(tmp_path):
    record(tmp_path / "in" / "ann" / "1.wav", text="One.")
    record(tmp_path / "in" / "loose.wav")
    assert prepare(tmp_path / "in", tmp_path / "out").speakers == ["ann"]
    assert [clip.id for clip in read_manifest(tmp_path / "out")] == ["1"]


@pytest.mark.parametrize("name", ["../up", "a/b", ".x", "a=b"])
def test_speakers_that_cannot_name_a_folder_are_refused(tmp_path, name):
    for clip in ("a", "b"):
        record(tmp_path / "in" / f"{clip}.wav")
    (tmp_path / "in" / "list.txt").write_text(f"a.wav|One|{name}\nb.wav|Two|bob\n")
    refused(
        lambda: prepare(tmp_path / "in", tmp_path / "deep" / "out", transcript=tmp_path / "in" / "list.txt"), repr(name)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_an_earlier_run_left_goes_and_what_is_not_ours_stays(recordings, tmp_path):
    out = tmp_path / "corpus"
    prepare(recordings, out)
    (out / "alignments.jsonl").write_text("mine")
    for name in ("wavs/mine.wav", "other/wavs/r1.wav", "other/metadata.csv"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"mine")
    (out / "wavs" / ".r1.wav.partial").write_bytes(b"half")
    record(recordings / "r1.wav", level=0.0)
    prepare(recordings, out)
    names = set(snapshot(out))
    mine = {"wavs/mine.wav", "other/wavs/r1.wav", "other/metadata.csv", "alignments.jsonl"}
    assert {"wavs/r0.wav", "wavs/r2.wav", *mine} < names
    assert not {"wavs/r1.wav", "wavs/.r1.wav.partial"} & names


def test_a_report_cannot_name_files_elsewhere(recordings, tmp_path):
    precious = tmp_path / "precious.wav"
    precious.write_bytes(b"mine")
    out = tmp_path / "corpus"
    prepare(recordings, out)
    report = json.loads((out / "report.json").read_text("utf-8"))
    report["owned"] += ["../precious.wav", str(precious)]
    (out / "report.json").write_text(json.dumps(report))
    prepare(recordings, out)
    assert precious.read_bytes() == b"mine"


def test_foreign_folders_are_not_written_to(recordings, tmp_path):
    foreign = tmp_path / "foreign"
    record(foreign / "wavs" / "precious.wav")
    for report in (None, "{}", '{"kind": "other"}', "[]", "no JSON"):
        if report is not None:
            (foreign / "report.json").write_text(report)
        before = snapshot(foreign)
        refused(lambda: prepare(recordings, foreign), "foreign", "other files")
        assert snapshot(foreign) == before
    for out in (recordings, recordings / "in", recordings.parent):
        refused(lambda out=out: prepare(recordings, out), "apart")


def test_where_nothing_can_be_used_nothing_is_left_or_lost(recordings, tmp_path):
    record(tmp_path / "in" / "a.wav", level=0.0, text="One.")
    record(tmp_path / "in" / "b.wav")
    refused(lambda: prepare(tmp_path / "in", tmp_path / "out"), "none of 2", "1 silent", "1 untranscribed", "b.wav")
    assert not list((tmp_path / "out").iterdir())
    prepare(recordings, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    refused(lambda: prepare(tmp_path / "in", tmp_path / "out"), "none of 2")
    assert snapshot(tmp_path / "out") == before


def test_a_full_disk_is_said_at_once(recordings, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", lambda path, data: full(path, data) if path.suffix == ".partial" else None)
    refused(lambda: prepare(recordings, tmp_path / "out"), "out", "No space left")
    monkeypatch.undo()
    prepare(recordings, tmp_path / "out")
    prepare(recordings, tmp_path / "whole")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def kept(i=0, text="Twenty letters long.", **more):
    figures = {"seconds": 2.0, "recorded_s": 3.0, "recorded_rate": 48_000, "loudness": -30.0, "gain_db": 7.0}
    name = f"c{i}"
    values = {"id": name, "speaker": "ann", "file": f"wavs/{name}.wav", "source": f"{name}.wav", "raw": text}
    return KeptClip(**{**values, "text": text, **figures, "limited": False, **more})


def test_clips_that_may_be_wrong_are_pointed_at():
    usual = [kept(i) for i in range(10)]
    fast, slow = kept(10, "Twenty letters long." * 3), kept(11, "Too few.")
    quiet, dull = kept(12, gain_db=31.0), kept(13, recorded_rate=8000)
    report = CorpusReport(Rules(), (*usual, fast, slow, quiet, dull), ())
    assert report.doubts() == {
        "c10": "30.0 characters a second, where ann's median is 10.0: is that its text?",
        "c11": "4.0 characters a second, where ann's median is 10.0: is that its text?",
        "c12": "very quiet: raised by 31 dB, and its background with it",
        "c13": "recorded at 8000 Hz: there is nothing over 4000 Hz",
    }
    assert "listen to them" in report.markdown([])
    assert CorpusReport(Rules(), (*usual[:5], fast), ()).doubts() == {}


def test_names_cannot_break_the_report():
    left_out = LeftOut("[a](b)|`c`*", "ann", "silent", "<b>")
    report = CorpusReport(Rules(), (kept(text="$x_1$ 日本 \u2028 \\ `"), kept(1, speaker="all|$a$")), (left_out,))
    text = report.markdown(["report.png"])
    assert r"- \[a\](b)\|\`c\`\*: silent: \<b\>" in text
    assert "U+2028 1" in text
    assert draw(report).startswith(b"\x89PNG")  # Warnings of letters that the font lacks would be errors here.


def test_a_crowd_has_a_picture_too():
    clips = tuple(kept(i, speaker=f"s{i % 20}", text=chr(0x3042 + i % 60)) for i in range(200))
    assert draw(CorpusReport(Rules(), clips, ())).startswith(b"\x89PNG")


def test_without_matplotlib_there_is_no_picture(recordings, tmp_path, monkeypatch):
    from glowtron.data import folder

    monkeypatch.setattr(folder, "find_spec", lambda name: None)
    prepare(recordings, tmp_path / "out")
    assert not (tmp_path / "out" / "report.png").exists()
    assert "png" not in (tmp_path / "out" / "report.md").read_text()


class Killed(BaseException):
    """Ends a run as nothing else does."""


def test_killed_at_any_write_and_started_again_it_ends_with_the_same_bytes(tmp_path, monkeypatch):
    """Also where the recordings changed in between, and over an earlier corpus."""
    for i in range(3):
        record(tmp_path / "in" / f"{i}.wav", 0.6, text=f"Number {i}.", seed=i)
    prepare(tmp_path / "in", tmp_path / "first")
    for path in (tmp_path / "in").glob("0.*"):
        path.unlink()
    record(tmp_path / "in" / "3.wav", 0.6, text="Number 3.", seed=3)
    prepare(tmp_path / "in", tmp_path / "whole")
    replace, write, unlink = Path.replace, Path.write_bytes, Path.unlink
    done, killed_at = 0, 0

    def counted(action, after=lambda path: None):
        def act(path, *arguments, **more):
            nonlocal done
            done += 1
            if done == killed_at:
                after(path)
            if killed_at and done >= killed_at:  # Nothing is done any more by a process that is no more.
                raise Killed
            return action(path, *arguments, **more)

        return act

    for killed_at in range(1, 100):
        out, done = tmp_path / f"out{killed_at}", 0
        shutil.copytree(tmp_path / "first", out)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", counted(replace))
            patch.setattr(Path, "unlink", counted(unlink))
            patch.setattr(Path, "write_bytes", counted(write, lambda path: write(path, b"half")))
            try:
                prepare(tmp_path / "in", out)
                break
            except Killed:
                pass
        prepare(tmp_path / "in", out)
        assert snapshot(out) == snapshot(tmp_path / "whole"), killed_at
    assert killed_at > 15
