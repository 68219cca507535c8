import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glowtron.audio import Audio, read_audio
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.evaluate.wer import Pronunciations, count_words, spoken_words

pytest.importorskip("pocketsphinx", reason="needs the extra 'eval'")

from glowtron.evaluate.recogniser import PocketSphinx, Recogniser, Whisper, open_recogniser, recognise_all


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return open_recogniser()


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    folder = os.environ.get("GLOWTRON_WHISPER")
    if not folder:
        pytest.skip("needs a Whisper model: GLOWTRON_WHISPER names a folder in faster-whisper's layout")
    pytest.importorskip("faster_whisper", reason="needs the extra 'whisper'")
    return Whisper(Path(folder))


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
    assert count_words(spoken_words(text), recogniser.recognise(audio)).correct > 0.3


def test_processes_give_the_answers_in_order(recogniser: Recogniser, real: list[tuple[str, Audio]]) -> None:
    audios = [audio for _, audio in real]
    together = list(recognise_all(audios, processes=2))
    assert together == [recogniser.recognise(audio) for audio in audios]
    assert list(recognise_all([], processes=2)) == []


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pocketsphinx", None)
    with pytest.raises(InputError, match=r"pip install 'glowtron\[eval\]'"):
        PocketSphinx()


def test_whisper_hears_a_reader_alike_whatever_was_heard_before(
    whisper: Whisper, real: list[tuple[str, Audio]]
) -> None:
    (text, first), (_, second) = real
    heard = whisper.recognise(first)
    assert count_words(spoken_words(text), heard, Pronunciations().of).error_rate < 0.2
    whisper.recognise(second)
    assert whisper.recognise(first) == heard
    assert whisper.recognise(Audio(np.zeros(16_000, np.float32), 16_000)) == []


def test_a_folder_that_is_no_whisper_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"lacks model\.bin and tokenizer\.json"):
        open_recogniser(f"whisper:{tmp_path}")
    with pytest.raises(InputError, match="lacks"):
        next(recognise_all([Audio(np.zeros(1, np.float32), 16_000)], f"whisper:{tmp_path / 'nowhere'}"))


def test_the_missing_extra_of_whisper_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setitem(__import__("sys").modules, "faster_whisper", None)
    with pytest.raises(InputError, match=r"pip install 'glowtron\[whisper\]'"):
        open_recogniser(f"whisper:{tmp_path}")


def test_an_unknown_recogniser_is_told_the_known_ones() -> None:
    with pytest.raises(InputError, match="pocketsphinx, whisper:FOLDER"):
        open_recogniser("pocketsfinx")
