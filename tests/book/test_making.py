"""Books spoken: their chapters, what players show of them, and what is left when they are stopped."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import epubs
import numpy as np
import pytest
import soundfile

from glowtron import Voice
from glowtron.book.book import Book, Chapter
from glowtron.book.making import Output, make_book, select
from glowtron.book.speaking import SILENCE_S
from glowtron.cli import main
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError
from glowtron.files import lock

av = pytest.importorskip("av", reason="needs the extra book")

BOOK = Book(
    "A Book",
    "Ann",
    (
        Chapter("One", "One.\n\nIt was a quiet morning. Nobody spoke."),
        Chapter("Two & \u00e9", "Two. " + "A word. " * 20),
        Chapter("Three", "Three.\n\nThe end."),
    ),
    language="en",
    cover=epubs.picture(),
)
RATE = 22_050


@pytest.fixture(scope="module")
def voice(tiny_voice: Path) -> Voice:
    return Voice.load(tiny_voice, device="cpu", precision="fp32")


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_m4b_has_its_chapters_cover_and_tags_and_says_what_the_voice_says(voice, tmp_path, workers):
    output = Output(tmp_path / "book.m4b", subtitles="json")
    length_s = make_book(voice, BOOK, output, SynthesisOptions(), workers=workers)
    said = [voice.say(chapter.text).samples for chapter in BOOK.chapters]
    lengths = [len(samples) + round(SILENCE_S * RATE) for samples in said]
    assert length_s == sum(lengths) / RATE
    with av.open(str(output.path)) as container:
        assert container.metadata["title"] == "A Book"
        assert container.metadata["artist"] == "Ann"
        assert container.metadata["genre"] == "Audiobook"
        assert container.metadata["major_brand"] == "M4B "
        marks = container.chapters()
        assert [mark["metadata"]["title"] for mark in marks] == ["One", "Two & \u00e9", "Three"]
        starts = [mark["start"] * mark["time_base"] for mark in marks]
        np.testing.assert_allclose([float(start) for start in starts], np.cumsum([0, *lengths[:-1]]) / RATE, atol=1e-3)
        (picture,) = [packet for packet in container.demux(video=0) if packet.size]
        assert bytes(picture) == BOOK.cover
    sound = decoded(output.path)
    whole = np.concatenate([np.pad(samples, (0, round(SILENCE_S * RATE))) for samples in said])
    assert 0 <= len(sound) - len(whole) < 2048
    shift = 1024  # Samples by which an AAC encoder primes; players skip them.
    best = max(np.corrcoef(sound[lag : lag + len(whole) - 2048], whole[:-2048])[0, 1] for lag in (0, shift))
    assert best > 0.9
    captions = json.loads((tmp_path / "book.json").read_text())
    assert captions[0]["text"] == "One." and captions[0]["words"][0]["symbols"]
    third = next(caption for caption in captions if caption["text"] == "Three.")
    assert third["start_s"] == pytest.approx(sum(lengths[:2]) / RATE, abs=1e-3)
    assert not output.parts.exists()


def test_a_folder_has_a_file_for_each_chapter_and_a_playlist(voice, tmp_path):
    make_book(voice, BOOK, Output(tmp_path / "out", "flac", "srt"), SynthesisOptions(), workers=1)
    assert sorted(os.listdir(tmp_path / "out")) == [
        "01 One.flac", "01 One.srt", "02 Two \u00e9.flac", "02 Two \u00e9.srt", "03 Three.flac", "03 Three.srt",
        "book.m3u8", "cover.jpg",
    ]  # fmt: skip
    samples, _ = soundfile.read(tmp_path / "out" / "01 One.flac", dtype="int16")
    said = voice.say(BOOK.chapters[0].text).pcm16()
    np.testing.assert_array_equal(samples[: len(said)], said)
    assert not samples[len(said) :].any()
    assert "02 Two \u00e9.flac" in (tmp_path / "out" / "book.m3u8").read_text()


def test_finished_chapters_are_kept_unless_they_would_be_others(voice, tmp_path):
    from glowtron.book.speaking import speak_chapters

    def times(chapters=BOOK.chapters, **options):
        left: list[int] = []
        list(speak_chapters(voice, chapters, tmp_path, SynthesisOptions(**options), workers=1, begin=left.append))
        return left[0]

    whole = times()
    assert whole == sum(len(chapter.text) for chapter in BOOK.chapters) and times() == 0
    changed = (BOOK.chapters[0], Chapter("Two", "Two. Another text."), BOOK.chapters[2])
    assert 0 < times(changed) < whole
    assert times(changed) == 0
    assert times(changed, speaker="bob") > 0
    flac = tmp_path / "chapter-001.flac"
    flac.write_bytes(flac.read_bytes()[:-100])
    (tmp_path / "chapter-003.json").write_text("{")
    assert times(changed, speaker="bob") == sum(len(BOOK.chapters[i].text) for i in (0, 2))


def test_a_chapter_with_nothing_to_say_is_silent_and_a_misspelt_phone_names_its_chapter(voice, tmp_path):
    chapters = (Chapter("Stars", "* * *"), BOOK.chapters[0])
    make_book(voice, BOOK._replace(chapters=chapters), Output(tmp_path / "out"), SynthesisOptions(), workers=1)
    samples, _ = soundfile.read(tmp_path / "out" / "01 Stars.flac")
    assert len(samples) == round(SILENCE_S * RATE) and not samples.any()
    phones = (BOOK.chapters[0], Chapter("Phones", "He said {AA9}."))
    with pytest.raises(InputError, match=r"chapter 'Phones': .*AA9"):
        make_book(voice, BOOK._replace(chapters=phones), Output(tmp_path / "out"), SynthesisOptions(), workers=1)


def run(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "glowtron", "book", *arguments], stderr=subprocess.PIPE)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.slow
def test_killed_anywhere_and_started_again_it_is_the_same_book(tmp_path):
    text = "\n\n".join(
        f"Chapter {n}\n\n" + " ".join(f"Sentence {i} of chapter {n} is here." for i in range(12)) for n in (1, 2, 3)
    )
    (tmp_path / "book.txt").write_text(text)
    arguments = (str(tmp_path / "book.txt"), "--workers", "1", "--subtitles", "vtt", "-q")
    assert run(*arguments, "-o", str(tmp_path / "whole" / "book.m4b")).wait() == 0
    cut = tmp_path / "cut" / "book.m4b"
    for seen in (".chapter-001.flac.partial", ".chapter-003.flac.partial"):
        job = run(*arguments, "-o", str(cut))
        while not (cut.with_name("book.m4b.parts") / seen).exists():
            assert job.poll() is None, "it was not seen where it should be killed"
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
        job.wait()
        assert not cut.exists()
    assert run(*arguments, "-o", str(cut)).wait() == 0
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_two_processes_do_not_make_one_book(voice, tmp_path):
    output = Output(tmp_path / "book.m4b")
    output.parts.mkdir()
    with lock(output.parts), pytest.raises(InputError, match="another process makes this book"):
        make_book(voice, BOOK, output, SynthesisOptions())


def test_covers_may_be_png_and_nothing_else(voice, tmp_path):
    output = Output(tmp_path / "book.m4b")
    make_book(voice, BOOK._replace(cover=epubs.picture("PNG"), chapters=BOOK.chapters[:1]), output, SynthesisOptions())
    with av.open(str(output.path)) as container:
        assert container.streams.video[0].codec_context.name == "png"
    for bad in (b"", b"GIF89a", epubs.picture("GIF")):
        with pytest.raises(InputError, match="the cover is"):
            make_book(voice, BOOK._replace(cover=bad), output, SynthesisOptions())


def test_chapters_are_chosen_by_number():
    assert [chapter.title for chapter in select(BOOK.chapters, "3,1")] == ["One", "Three"]
    assert len(select(BOOK.chapters, "2-")) == 2
    for bad in ("0", "2-9", "x", "3-1", ""):
        with pytest.raises(InputError, match="chapters"):
            select(BOOK.chapters, bad)


def test_the_command(tmp_path, tiny_voice, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    epubs.write(tmp_path / "small.epub", epubs.files())

    def status(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["book", *arguments])
        return (exit_.value.code, *capsys.readouterr())

    code, out, _ = status("small.epub", "--list")
    assert code == 0 and "The Small Book, by Ann Author, Bob Writer" in out and "Chapter Two" in out
    code, out, _ = status("small.epub", "--voice", str(tiny_voice), "--chapters", "2-3", "--title", "Mine")
    assert code == 0 and "small.m4b: 2 chapters" in out
    with av.open("small.m4b") as container:
        assert container.metadata["title"] == "Mine"
        assert len(container.chapters()) == 2
    for arguments, message in [
        (("small.epub", "-o", "x.mp3"), "give a .m4b, or a folder and --format mp3"),
        (("small.epub", "--cover", "none.jpg"), "none.jpg: cannot be read"),
        (("small.epub", "--chapters", "9"), "the book has chapters 1 to 3"),
        (("small.epub", "--voice", str(tiny_voice), "--speaker", "eve"), "has no speaker 'eve'"),
    ]:
        code, _, err = status(*arguments)
        assert code == 2 and message in err
    assert sorted(os.listdir(tmp_path)) == ["small.epub", "small.m4b"]


def test_without_pyav_a_line_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "x.txt").write_text("Hello.")
    with pytest.raises(SystemExit) as exit_:
        main(["book", str(tmp_path / "x.txt")])
    assert exit_.value.code == 2
    assert "pip install 'glowtron[book]'" in capsys.readouterr().err
