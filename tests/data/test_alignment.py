"""Alignments tell when each symbol is heard: here with a stand-in for the recogniser, and once with the real one."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.audio import Audio
from glowtron.config import TextConfig
from glowtron.data import alignment
from glowtron.data.alignment import SAMPLE_RATE, Aligner, align_clips
from glowtron.data.durations import Alignment, read_alignments
from glowtron.data.manifest import Clip, read_manifest
from glowtron.errors import InputError
from glowtron.text.frontend import make_frontend
from glowtron.text.symbols import SYMBOLS, text_ids

PHONES = [i for i, symbol in enumerate(SYMBOLS) if symbol.startswith("{")]
MARKS = text_ids(" .,;:!?'-()")


class Letters:
    """A frontend that reads markup as it stands."""

    def clean(self, text: str) -> str:
        return text

    def ids(self, text: str) -> list[int]:
        return text_ids(text)

    def sentences(self, text: str, max_chars: int = 0) -> list[str]:
        return [text]


def ends_of(symbols: Sequence[int], spans: list[tuple[str, float, float]], duration_s: float) -> list[float]:
    return alignment._ends(symbols, spans, duration_s)


def test_silence_goes_to_punctuation_else_to_the_space() -> None:
    symbols = text_ids(" {HH AY1}, {JH OW1} {B EH1}.")
    spans = [("HH", 0.2, 0.3), ("AY", 0.3, 0.5), ("JH", 0.8, 0.9), ("OW", 0.9, 1.0), ("B", 1.1, 1.2), ("EH", 1.2, 1.3)]
    #                                            _    HH   AY    ,    _   JH   OW    _    B   EH    .
    assert ends_of(symbols, spans, 1.6) == [0.2, 0.3, 0.5, 0.8, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.6]


def test_without_marks_the_first_and_last_phones_take_the_silence() -> None:
    assert ends_of(text_ids("{AY1 B}"), [("AY", 0.2, 0.4), ("B", 0.4, 0.5)], 0.9) == [0.4, 0.9]


def test_words_without_silence_between_leave_none_to_the_space() -> None:
    spans = [("AY", 0.0, 0.3), ("B", 0.3, 0.5)]
    assert ends_of(text_ids("{AY1} {B}."), spans, 0.5) == [0.3, 0.3, 0.5, 0.5]


@given(st.data())
def test_ends_never_decrease_and_the_last_is_the_clips(data: st.DataObject) -> None:
    symbols = data.draw(st.lists(st.sampled_from([*PHONES[:8], *MARKS]), min_size=1, max_size=30))
    n = sum(symbol in PHONES for symbol in symbols)
    bounds = sorted(data.draw(st.lists(st.floats(-0.3, 9.0), min_size=2 * n, max_size=2 * n)))
    spans = [("AA", bounds[2 * i], bounds[2 * i + 1]) for i in range(n)]
    ends = ends_of(symbols, spans, 8.0)
    assert len(ends) == len(symbols)
    assert ends[-1] == 8.0
    assert ends[0] >= 0
    assert all(b >= a for a, b in pairwise(ends))


def write_clip(folder: Path, name: str, seconds: float) -> Clip:
    noise = np.random.default_rng(0).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)
    Audio(noise, SAMPLE_RATE).write(folder / f"{name}.wav")
    return Clip(name, folder / f"{name}.wav", " {HH AY1}.", "speaker")


class Even:
    """Stands for an `Aligner`: gives each symbol the same time."""

    calls = 0

    def align(self, audio: Audio, symbols: Sequence[int]) -> Alignment:
        type(self).calls += 1
        if len(symbols) == 1:
            raise InputError("the recording does not fit its text")
        return Alignment(tuple(symbols), tuple(np.linspace(0, audio.duration_s, len(symbols) + 1)[1:].tolist()))


@pytest.fixture
def even(monkeypatch: pytest.MonkeyPatch) -> type[Even]:
    monkeypatch.setattr(alignment, "Aligner", Even)
    monkeypatch.setattr(Even, "calls", 0)
    return Even


def test_failures_are_named_and_the_rest_is_written(tmp_path: Path, even: type[Even]) -> None:
    clips = [write_clip(tmp_path, name, 2.0) for name in "abc"]
    clips[1] = clips[1]._replace(text=".")
    (tmp_path / "a.wav").write_bytes(b"no sound")
    done: list[int] = []
    report = align_clips(clips, Letters(), tmp_path / "out" / "alignments.jsonl", progress=done.append)
    assert report.aligned == 1
    assert set(report.failed) == {"a", "b"}
    assert "does not fit" in report.failed["b"]
    assert done == [1, 2, 3]
    found = read_alignments(tmp_path / "out" / "alignments.jsonl")
    assert list(found) == ["c"]
    assert found["c"].ends[-1] == pytest.approx(2.0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["alignments.jsonl"]


def test_only_what_changed_is_aligned_again(tmp_path: Path, even: type[Even]) -> None:
    out = tmp_path / "alignments.jsonl"
    clips = [write_clip(tmp_path, name, 1.0) for name in "abc"]
    assert align_clips(clips, Letters(), out).reused == 0
    before = out.read_text(encoding="utf-8")
    assert align_clips(clips, Letters(), out) == (3, 3, {})
    assert out.read_text(encoding="utf-8") == before
    write_clip(tmp_path, "a", 1.5)
    clips[1] = clips[1]._replace(text=" {HH AY1}!")
    assert align_clips(clips, Letters(), out) == (3, 1, {})
    assert even.calls == 5


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, even: type[Even]) -> None:
    out = tmp_path / "alignments.jsonl"
    clips = [write_clip(tmp_path, name, 1.0) for name in "abc"]

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        align_clips(clips, Letters(), out, progress=interrupt)
    assert not out.exists()
    assert align_clips(clips, Letters(), out) == (3, 2, {})
    assert even.calls == 3
    assert not list(tmp_path.glob("*.partial"))


def test_an_unwritable_place_is_named(tmp_path: Path, even: type[Even]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        align_clips([write_clip(tmp_path, "a", 1.0)], Letters(), tmp_path / "file" / "alignments.jsonl")


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(InputError, match=re.escape("pip install 'glowtron[align]'")):
        Aligner()


def test_texts_without_phones_are_refused() -> None:
    pytest.importorskip("pocketsphinx")
    noise = Audio(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)
    with pytest.raises(InputError, match="no phones"):
        Aligner().align(noise, text_ids("hello."))


def test_a_recording_too_short_for_its_text_is_refused() -> None:
    pytest.importorskip("pocketsphinx")
    noise = Audio(np.zeros(SAMPLE_RATE // 10, np.float32), SAMPLE_RATE)
    with pytest.raises(InputError, match="does not fit"):
        Aligner().align(noise, text_ids(" {HH AH0 L OW1} {W ER1 L D}" * 20 + "."))


def test_real_speech_is_heard_where_it_is_loud(shared: Callable[[str], Path], tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    clips = read_manifest(shared("data/kathleen"))[:3]
    frontend = make_frontend(TextConfig(frontend="english", phonemes=True))
    report = align_clips(clips, frontend, tmp_path / "alignments.jsonl")
    assert report == (3, 0, {})
    aligner = Aligner()
    for clip, line in zip(clips, (tmp_path / "alignments.jsonl").read_text(encoding="utf-8").splitlines(), strict=True):
        value = json.loads(line)
        assert value["symbols"] == frontend.ids(clip.text)
        audio = alignment.read_clip(clip, SAMPLE_RATE)
        assert value["ends"][-1] == pytest.approx(audio.duration_s, abs=1e-3)
        starts = [0.0, *value["ends"]]
        vowels = [
            np.square(audio.samples[int(a * SAMPLE_RATE) : int(b * SAMPLE_RATE)]).mean()
            for a, b, symbol in zip(starts, value["ends"], value["symbols"], strict=False)
            if SYMBOLS[symbol].endswith("1}")
        ]
        assert np.median(vowels) > 1.5 * np.square(audio.samples).mean()
        # With half a second of silence before it, everything is heard half a second later.
        later = Audio(np.concatenate([np.zeros(SAMPLE_RATE // 2, np.float32), audio.samples]), SAMPLE_RATE)
        moved = np.array(aligner.align(later, value["symbols"]).ends) - np.array(value["ends"])
        assert np.median(moved) == pytest.approx(0.5, abs=0.02)
