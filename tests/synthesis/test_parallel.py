"""Many texts side by side: nothing is lost or exchanged, and each sounds as it does alone."""

import copy
import dataclasses
import signal
import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron import SynthesisOptions, Voice
from glowtron.checkpoint import StoredVoice
from glowtron.errors import InputError
from glowtron.machine import usable_cores
from glowtron.synthesis import executors, parallel, torch_runtime
from glowtron.synthesis.parallel import Order, Sound, choose_workers, groups_of_one_length, synthesize_texts
from glowtron.synthesis.types import FaultWarning, Sentence
from glowtron.text.frontend import NormalizedSentence, NvidiaFrontend

TEXTS = ["One here.", "A second one is longer than that. And a third!", "Four.", "And one more, to be sure. Bye."]


@pytest.fixture(scope="module")
def voice(tiny_voice: Path) -> Voice:
    """In float32: in bf16, rounding makes more of other company."""
    return Voice.load(tiny_voice, device="cpu", precision="fp32")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[executors.subprocess.Popen]:
    """All processes that are started."""
    found = []
    start = executors._start

    def remember():
        worker = start()
        found.append(worker.process)
        return worker

    monkeypatch.setattr(executors, "_start", remember)
    return found


@given(st.lists(st.integers(1, 200), max_size=60), st.integers(1, 9), st.integers(1, 30))
def test_groups_hold_every_place_once_and_lengths_alike(lengths: list[int], together: int, window: int) -> None:
    groups = groups_of_one_length(lengths, together, window)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    assert all(1 <= len(group) <= together for group in groups)
    windows = [{place // window for place in group} for group in groups]
    assert all(len(found) == 1 for found in windows)
    order = [found.pop() for found in windows]
    assert order == sorted(order)
    for earlier, later, a, b in zip(groups, groups[1:], order, order[1:], strict=False):
        if a == b:
            assert len(earlier) == together, "only the last of a window is smaller"
            assert min(lengths[place] for place in earlier) >= max(lengths[place] for place in later)


def numbered(number: int) -> Sentence:
    text = str(number)
    return Sentence(NvidiaFrontend(), NormalizedSentence(text, text, "sentence"), "sentence", "0")


class Scrambling:
    """Some that speak and are done in any order; a sound is the number that its line's text is."""

    def __init__(self, n: int, random: Random) -> None:
        self.n, self.random = n, random
        self.given: list[tuple[Sequence[int], Sequence[Order]]] = []
        self.begun: list[int] = []
        self.is_open = False

    @property
    def has_room(self) -> bool:
        return len(self.given) < self.n

    def submit(self, ticket: Sequence[int], what: Sequence[Order]) -> None:
        assert self.has_room and self.is_open
        self.given.append((ticket, what))
        self.begun += ticket

    def next_result(self) -> tuple[Sequence[int], list[Sound]]:
        ticket, lines = self.given.pop(self.random.randrange(len(self.given)))
        return ticket, [
            Sound(np.array([float(line.source.text)], np.float32), (f"of {line.source.text}",)) for line in lines
        ]

    def __enter__(self):
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False


@given(st.lists(st.integers(1, 12), max_size=25), st.integers(1, 4), st.integers(1, 5), st.randoms())
def test_texts_come_in_order_whoever_is_done_first(
    n_lines: list[int], n_workers: int, together: int, random: Random
) -> None:
    numbers = iter(range(10**6))
    texts = [[numbered(next(numbers)) for _ in range(n)] for n in n_lines]
    speakers = Scrambling(n_workers, random)
    window = parallel.GROUPS_AT_ONCE * together * n_workers
    steps: list[int] = []
    reached = 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for text, audio in zip(
            texts, synthesize_texts(texts, speakers, 8000, together, n_workers, steps.append), strict=True
        ):
            assert audio.samples.tolist() == [float(line.text) for line in text]
            assert audio.sample_rate == 8000
            reached += len(text)
            assert max(speakers.begun) < reached + 2 * window, "memory would grow with the texts"
            assert [str(one.message) for one in told] == [f"of {i}" for i in range(reached)]
    assert sum(steps) == sum(n_lines) and 0 not in steps
    assert not speakers.is_open


def test_nothing_is_begun_while_nobody_asks() -> None:
    texts = [[numbered(i)] for i in range(1000)]
    speakers = Scrambling(1, Random(0))
    sounds = synthesize_texts(texts, speakers, 8000, 2, 1)
    assert not speakers.begun
    with pytest.warns(FaultWarning):
        next(sounds)
    n_begun = len(speakers.begun)
    assert n_begun <= 2 * 2 * parallel.GROUPS_AT_ONCE
    sounds.close()
    assert not speakers.is_open and len(speakers.begun) == n_begun


words = st.sampled_from(["one", "birch canoe", "no", "lemons, of course", "and then", "Hello"])
texts_of_words = st.lists(words, min_size=1, max_size=6).map(lambda some: ". ".join(some) + ".")


@settings(max_examples=15)
@given(st.lists(texts_of_words, max_size=6), st.integers(0, 3), st.sampled_from(["ann", "bob"]))
def test_each_is_what_say_makes_of_it(tiny_voice: Path, texts: list[str], seed: int, speaker: str) -> None:
    voice = loaded(tiny_voice)
    options = SynthesisOptions(seed=seed, speaker=speaker, pause_s=0.01)
    steps: list[int] = []
    together = list(voice.say_many(texts, options, workers=1, progress=steps.append))
    assert len(together) == len(texts)
    assert sum(steps) == sum(len(voice.sentences(text)) for text in texts)
    for audio, text in zip(together, texts, strict=True):
        alone = voice.say(text, options)
        assert audio.sample_rate == alone.sample_rate
        assert audio.samples.shape == alone.samples.shape
        assert np.abs(audio.samples - alone.samples).max() < 1e-4


def loaded(folder: Path, _voices: dict[Path, Voice] = {}) -> Voice:  # noqa: B006  # Loading takes time.
    return _voices.setdefault(folder, Voice.load(folder, device="cpu", precision="fp32"))


def test_the_shipped_voice_says_the_same_in_any_company() -> None:
    voice = Voice.load("duet", device="cpu", precision="fp32")
    texts = ["Hello.", "The birch canoe slid on the smooth planks. No?", "A rod is used to catch pink salmon."]
    for audio, text in zip(voice.say_many(texts, workers=1), texts, strict=True):
        alone = voice.say(text)
        assert audio.samples.shape == alone.samples.shape
        assert np.abs(audio.samples - alone.samples).max() < 1e-3


def test_processes_say_the_same(voice: Voice, started: list) -> None:
    texts = TEXTS * 6
    spread = list(voice.say_many(texts, workers=2))
    assert len(started) == 2 and all(process.poll() == 0 for process in started)
    for audio, text in zip(spread, texts, strict=True):
        assert np.abs(audio.samples - voice.say(text).samples).max() < 1e-4


def test_processes_have_the_voice_as_it_is_here(voice: Voice) -> None:
    """Not as its folder has it."""
    with torch.no_grad():
        changed = Voice(StoredVoice(voice.config, voice.acoustic, voice.vocoder), device="cpu", precision="fp32")
        changed.torch.config = dataclasses.replace(changed.config, attempts=1)
        changed.acoustic.stop.bias.fill_(-100.0)
        try:
            with pytest.warns(FaultWarning, match="did not stop") as told:
                (audio, other) = changed.say_many(["Endless.", "More."], SynthesisOptions(max_frames=40), workers=2)
        finally:
            changed.acoustic.stop.bias.fill_(100.0)
    assert len(audio.samples) == len(other.samples) == 40 * 256
    assert [str(one.message).rpartition(": ")[2] for one in told] == ["'Endless.'", "'More.'"]
    assert all(one.filename == __file__ for one in told), "who asked is who is told"


@pytest.mark.parametrize("end", ["killed", pytest.param("left", marks=pytest.mark.slow)])
def test_processes_end_with_it(voice: Voice, started: list, end: str) -> None:
    sounds = voice.say_many(["Say it. And again. Once more."] * 200, workers=2)
    assert not started, "nothing is begun while nobody asks"
    next(sounds)
    assert [process.poll() for process in started] == [None, None]
    if end == "killed":
        started[1].kill()
        with pytest.raises(InputError, match=r"a worker was killed \(SIGKILL\)"):
            list(sounds)
    else:
        del sounds  # Which closes it.
    assert all(process.poll() is not None for process in started)
    assert -signal.SIGKILL in [process.poll() for process in started]


@pytest.mark.parametrize(
    ("texts", "more", "message"),
    [
        (["Fine.", "…", ""], {}, r"^text 1: .*(nothing|no )"),
        (["Fine.", " "], {"workers": 3}, r"^text 1: nothing to say: the text is empty$"),
        ("Fine.", {}, "several texts"),
        (["Fine."], {"workers": -1}, "workers must be 0 or more, got -1"),
        (["Fine."], {"options": SynthesisOptions(speaker="anne")}, "did you mean 'ann'"),
    ],
)
def test_faults_are_told_before_anything_is_computed(voice: Voice, started: list, texts, more, message: str) -> None:
    with pytest.raises(InputError, match=message):
        voice.say_many(texts, **more)
    assert not started


def test_no_texts_are_no_sounds(voice: Voice, started: list) -> None:
    assert list(voice.say_many([])) == list(voice.say_many([], workers=4)) == []
    assert not started


def test_workers_are_as_many_as_are_worth_it(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "usable_cores", lambda: 4)
    on_cpu, on_gpu = voice.runtime, copy.copy(voice.runtime)
    on_gpu.device = torch.device("cuda")

    def texts(n_chars: int) -> list[str]:
        return ["x" * 100] * (n_chars // 100)

    worth = parallel.WORTH_CHARS
    found = [choose_workers(0, texts(n), on_cpu) for n in (100, worth, 2 * worth, 3 * worth, 100 * worth)]
    assert found == [1, 1, 2, 3, 4]
    assert choose_workers(3, texts(200), on_cpu) == 2, "no more than sentences"
    assert choose_workers(7, texts(1000), on_cpu) == 7, "whoever asks is given"
    assert choose_workers(0, texts(100 * worth), on_gpu) == choose_workers(1, texts(100), on_gpu) == 1
    with pytest.raises(InputError, match="cannot share cuda"):
        choose_workers(2, texts(1000), on_gpu)
    monkeypatch.setattr(torch_runtime, "SMALL", 1000)
    assert choose_workers(0, texts(100 * worth), on_cpu) == 1, "large models use all cores by themselves"
    assert choose_workers(2, texts(100 * worth), on_cpu) == 2


def test_a_worker_of_a_small_voice_has_one_thread(voice: Voice) -> None:
    from glowtron.voice import _synthesize_in_worker

    before = torch.get_num_threads()
    try:
        _synthesize_in_worker(voice.runtime, None, SynthesisOptions(), usable_cores())
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
