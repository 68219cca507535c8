from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glowtron.audio import Audio, read_audio
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.evaluate.wer import count_words, spoken_words

pytest.importorskip("pocketsphinx", reason="needs the extra 'eval'")

from glowtron.evaluate.recogniser import Recogniser, recognise_all


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture
def real(shared: Callable[[str], Path]) -> list[tuple[str, Audio]]:
    clips = read_manifest(shared("data/ljspeech"))
    chosen = sorted(clips, key=lambda clip: clip.audio.stat().st_size)[:2]
    return [(clip.text, read_audio(clip.audio)) for clip in chosen]


def test_silence_has_no_words(recogniser: Recogniser) -> None:
    for n_samples in (1, 100, 16_000):
        assert recogniser.recognise(Audio(np.zeros(n_samples, np.float32), 16_000)) == []


def test_a_call_leaves_no_trace(recogniser: Recogniser, real: list[tuple[str, Audio]]) -> None:
    (_, first), (_, second) = real
    alone = recogniser.recognise(first)
    recogniser.recognise(second)
    assert recogniser.recognise(first) == alone


def test_a_quiet_recording_is_heard_as_a_loud_one(recogniser: Recogniser, real: list[tuple[str, Audio]]) -> None:
    text, audio = real[0]
    quiet = Audio(audio.samples * np.float32(0.03), audio.sample_rate)
    assert recogniser.recognise(quiet) == recogniser.recognise(audio)
    assert count_words(spoken_words(text), recogniser.recognise(audio)).share > 0.3


def test_processes_give_the_answers_in_order(recogniser: Recogniser, real: list[tuple[str, Audio]]) -> None:
    audios = [audio for _, audio in real]
    together = list(recognise_all(audios, processes=2))
    assert together == [recogniser.recognise(audio) for audio in audios]
    assert list(recognise_all([], processes=2)) == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(InputError, match=r"pip install 'glowtron\[eval\]'"):
        Recogniser()
