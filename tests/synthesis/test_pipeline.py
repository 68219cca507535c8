"""What is streamed is what is said, and comes before all of it is computed."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glowtron import SynthesisOptions, Voice
from glowtron.checkpoint import load_voice
from glowtron.cli import main
from glowtron.config import DecodingOptions
from glowtron.engines.cpu_tacotron2 import FEW_TEXTS
from glowtron.synthesis.pipeline import BATCH, FIRST_FRAMES, MOST_FRAMES
from glowtron.synthesis.trimming import trim_bounds
from glowtron.text.symbols import SYMBOL_IDS
from glowtron.voice import FaultWarning
from glowtron.voices import find_voice, shipped

THREE = (
    "The first one.\n\nA second one, which is a good deal longer than that, and then some, so that it takes a while "
    "until all of it is said. And a third!"
)


@pytest.fixture(scope="module")
def voice(reader: Path) -> Voice:
    return Voice.load(reader, device="cpu", precision="fp32")


def difference(voice: Voice, text: str, options: SynthesisOptions) -> tuple[float, int]:
    """The largest between what is said and what is streamed, and in how many pieces it came."""
    said, streamed = voice.say(text, options), list(voice.stream(text, options))
    joined = np.concatenate([audio.samples for audio in streamed])
    assert joined.shape == said.samples.shape and joined.dtype == np.float32
    assert np.abs(said.samples).max() > 1e-3
    return float(np.abs(joined - said.samples).max()), len(streamed)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"speaker": "bob", "seed": 5},
        {"rate": 1.3, "pause_s": 0.123},
        {"rate": 0.8, "correction": 0},
        {"pause_s": 0.0, "sigma": 1.0, "correction": 16},
    ],
)
def test_streamed_is_said(voice: Voice, options: dict[str, object]) -> None:
    largest, n_pieces = difference(voice, THREE, SynthesisOptions(**options))
    assert largest < 1e-4
    assert n_pieces > 3


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 47, 48, 100, 101])
def test_of_any_length(voice: Voice, n_frames: int) -> None:
    """Cut by the frame limit, with and without a whole last step."""
    text = "A sentence that is cut short, wherever it is, before it ever comes near its end."
    with pytest.warns(FaultWarning, match="did not stop"):
        largest, _ = difference(voice, text, SynthesisOptions(max_frames=n_frames))
    assert largest < 1e-4


@pytest.mark.parametrize("text", ["a", "A.", "I?  ...  No."])
def test_odd_texts(voice: Voice, text: str) -> None:
    assert difference(voice, text, SynthesisOptions())[0] < 1e-4


@pytest.mark.parametrize("options", [{"vocoder": "griffin-lim"}, {"denoise": 0.1}])
def test_what_needs_the_whole_sentence_comes_sentence_by_sentence(voice: Voice, options: dict[str, object]) -> None:
    # One sentence: beside others its mel is rounded otherwise, and Griffin-Lim makes more of that.
    largest, n_pieces = difference(voice, "A sentence.", SynthesisOptions(**options))
    assert largest < 1e-4 and n_pieces == 1
    assert len(list(voice.stream(THREE, SynthesisOptions(**options)))) == 3 + 2, "pauses are pieces, too"


@pytest.fixture(scope="module")
def soft(reader: Path) -> Voice:
    """Attends as published, and never stops by itself."""
    stored = load_voice(reader)
    stored.acoustic.stop.bias.data.fill_(-100.0)
    decoding = DecodingOptions(max_frames=150)
    return Voice(replace(stored, config=replace(stored.config, decoding=decoding)), device="cpu", precision="fp32")


@pytest.mark.parametrize("options", [{}, {"attempts": 0}, {"rate": 1.3, "seed": 3}, {"denoise": 0.1}])
def test_soft_attention_is_judged_first_and_then_comes_in_pieces(soft: Voice, options: dict[str, object]) -> None:
    voice = soft
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        voice.say(THREE, SynthesisOptions(**options))
    with warnings.catch_warnings(record=True) as streamed:
        warnings.simplefilter("always")
        largest, n_pieces = difference(voice, THREE, SynthesisOptions(**options))
    assert largest < 1e-4
    assert said
    assert (n_pieces < 2 * len(said)) if "denoise" in options else (n_pieces > 2 * len(said) + 3)
    # `difference` says it once more.
    assert sorted(str(w.message) for w in streamed) == sorted(2 * [str(w.message) for w in said])


def test_a_sentence_that_was_split_counts_once(soft: Voice) -> None:
    steps: list[int] = []
    with pytest.warns(FaultWarning):
        list(soft.stream(THREE, progress=steps.append))
    assert sum(steps) == 3 and min(steps) >= 0


def test_the_first_piece_is_small_and_none_is_large(voice: Voice) -> None:
    pieces = [len(audio.samples) for audio in voice.stream(THREE.split("\n")[2], SynthesisOptions(pause_s=0))]
    assert pieces[0] <= 3 * FIRST_FRAMES * 256
    assert max(pieces) <= 4 * MOST_FRAMES * 256


def test_the_first_piece_comes_before_the_sentence_is_decoded(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = []
    whole = voice.torch.acoustic_engine.stream

    def counted(*args, **kwargs):
        for chunk in whole(*args, **kwargs):
            chunks.append(chunk)
            yield chunk

    monkeypatch.setattr(voice.torch.acoustic_engine, "stream", counted)
    stream = voice.stream(" ".join(["A long one"] * 15) + ".")
    next(stream)
    n_before = len(chunks)
    assert not chunks[-1].ended
    list(stream)
    assert len(chunks) > n_before


def test_the_first_piece_comes_before_the_text_is_split(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    whole = voice.frontend.split
    monkeypatch.setattr(voice.frontend, "split", lambda text: (asked.append(piece) or piece for piece in whole(text)))
    next(voice.stream("A sentence. " * 100))
    assert len(asked) <= 2, "the second tells whether a pause follows on the first"


def test_sentences_said_at_once_take_the_steps_of_one_that_is_streamed() -> None:
    """Others round otherwise, and in a minute of speech that becomes more than 1e-4."""
    assert FEW_TEXTS["fp32"] >= BATCH


def test_words_come_with_the_sound_in_which_they_begin(voice: Voice) -> None:
    """Their times count from the text's beginning, and are those of the finished sentences."""
    n_samples, words, starts_s, reported_s = 0, [], [], []
    for segment in voice.segments(THREE):
        before_s, n_samples = n_samples / 22_050, n_samples + len(segment.audio.samples)
        if segment.utterance is None:
            words += segment.words
            reported_s += [n_samples / 22_050] * len(segment.words)
        else:
            starts_s += [(n_samples, len(segment.audio.samples), segment.utterance)]
            assert not segment.words and before_s >= 0
    assert [word.text for word in words] == [word.text for _, _, one in starts_s for word in one.words]
    times = [time for word in words for time in (word.start_s, word.end_s)]
    assert times == sorted(times) and times[-1] <= n_samples / 22_050
    assert all(word.start_s < at_s for word, at_s in zip(words, reported_s, strict=True))
    assert len(set(reported_s)) > 3


@pytest.mark.parametrize("n_pieces", [1, 2, 5])
def test_another_thread_stops_it_between_pieces(voice: Voice, n_pieces: int) -> None:
    stop, came = threading.Event(), 0
    for _ in voice.stream("And so on. " * 200, stop=stop):
        came += 1
        if came == n_pieces:
            thread = threading.Thread(target=stop.set)
            thread.start()
            thread.join()
    assert came == n_pieces


def test_progress_counts_sentences(voice: Voice) -> None:
    steps: list[int] = []
    list(voice.stream(THREE, progress=steps.append))
    assert steps == [1, 1, 1]


def test_faults_are_told_after_the_sentence(voice: Voice) -> None:
    with pytest.warns(FaultWarning, match=r"did not stop.*attempt 1.*'And then some\.'"):
        list(voice.stream("And then some.", SynthesisOptions(max_frames=6)))


def test_the_voice_that_ships() -> None:
    if not shipped():
        pytest.skip("no voice ships yet")
    voice = Voice.load(find_voice(), device="cpu", precision="fp32")
    for speaker in voice.speakers:
        options = SynthesisOptions(speaker=speaker)
        assert difference(voice, "Well. The river ran on to the sea, as all rivers do.", options)[0] < 1e-4


@pytest.mark.parametrize("seed", range(20))
def test_a_beginning_settles_what_is_kept(seed: int) -> None:
    """What is said of a text's beginning is true of the whole."""
    random = np.random.default_rng(seed)
    n_steps = int(random.integers(1, 120))
    ids = [SYMBOL_IDS[c] for c in (" abc.", "abc", " ab", "ab.", ".")[seed % 5]]
    moves = random.random(n_steps) < 0.05
    places = moves.cumsum().clip(max=len(ids) - 1)
    mel = np.tile((6 * random.standard_normal(n_steps)).cumsum().clip(-11.5, 1).astype(np.float32), (4, 1))
    whole = trim_bounds(mel, places, ids, 0.025)
    before = slice(0, 0)
    for n in range(1, n_steps + 1):
        kept = trim_bounds(mel[:, :n], places[:n], ids, 0.025, ended=False)
        if kept.stop:
            assert kept.start == whole.start and before.stop <= kept.stop <= whole.stop
        else:
            assert not before.stop
        before = kept


def test_the_command_refuses_a_file_beside_the_stream(reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["say", "--stream", "Hi.", "-o", "hi.wav", "--voice", str(reader)])
    out, err = capsys.readouterr()
    assert (exit_.value.code, out) == (2, "") and "--stream" in err
