import numpy as np
import pytest

from glowtron.audio import Audio
from glowtron.evaluate.levels import RATE
from glowtron.evaluate.speaking_rate import Timing, speaking_rate, timing


def sound(*seconds: float) -> Audio:
    """Silence and noise by turns."""
    noise = np.random.default_rng(0)
    parts = [(i % 2) * 0.1 * noise.standard_normal(int(length * RATE)) for i, length in enumerate(seconds)]
    return Audio(np.concatenate(parts).astype(np.float32), RATE)


def test_pauses_are_found_and_edges_are_none() -> None:
    found = timing(sound(0.5, 1.0, 0.3, 0.8, 0.05, 0.4, 0.7))
    assert found.pauses_s == pytest.approx((0.3,), abs=0.02)
    assert found.speech_s == pytest.approx(2.25, abs=0.04)


def test_silence_has_no_timing() -> None:
    assert timing(Audio(np.zeros(RATE, np.float32), RATE)) == (0.0, ())


def test_rate_over_recordings() -> None:
    measured = speaking_rate([["one", "two"], ["three"]], [Timing(0.6, (0.4,)), Timing(0.5, ())])
    assert measured.letters_per_s == pytest.approx(11 / 1.1)
    assert measured.words_per_min == pytest.approx(3 * 60 / 1.5)
    assert measured.pauses_per_10_words == pytest.approx(10 / 3)
    assert measured.mean_pause_s == measured.median_pause_s == pytest.approx(0.4)
    assert speaking_rate([["one"]], [Timing(1.0, (0.2, 0.2, 0.8))]).median_pause_s == pytest.approx(0.2)


def test_nothing_spoken_has_no_speaking_rate() -> None:
    assert speaking_rate([], []) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert speaking_rate([["word"]], [Timing(0.0, ())]) == (0.0, 0.0, 0.0, 0.0, 0.0)
