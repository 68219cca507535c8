import numpy as np
import pytest
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.errors import InputError
from glowtron.evaluate.levels import RATE, levelled

pytest.importorskip("onnxruntime", reason="needs the extra 'eval'")

from glowtron.evaluate.mos import DnsMos, DnsMosEstimator


@pytest.fixture(scope="module")
def estimator() -> DnsMosEstimator:
    return DnsMosEstimator()


def murmur(seconds: float) -> NDArray[np.float32]:
    """Noise that comes and goes four times a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.05 * noise * np.sin(2 * np.pi * 4 * time) ** 2).astype(np.float32)


@pytest.mark.slow  # The published program compiles itself for a while.
@pytest.mark.parametrize("seconds", [1.0, 12.3])
def test_estimates_are_the_published_program_s(estimator: DnsMosEstimator, seconds: float) -> None:
    dnsmos = pytest.importorskip("speechmos.dnsmos", reason="speechmos lacks a library of its own")
    audio = Audio(murmur(seconds), RATE)
    reference = dnsmos.run(levelled(audio), RATE)
    mos = estimator.estimate(audio)
    assert mos.p808 == pytest.approx(float(reference["p808_mos"]), abs=1e-3)
    assert mos.overall == pytest.approx(float(reference["ovrl_mos"]), abs=1e-3)
    assert mos.signal == pytest.approx(float(reference["sig_mos"]), abs=1e-3)
    assert mos.background == pytest.approx(float(reference["bak_mos"]), abs=1e-3)


def test_loudness_changes_nothing(estimator: DnsMosEstimator) -> None:
    samples = murmur(2.0)
    quiet = estimator.estimate(Audio(samples * np.float32(0.1), RATE), p835=False).p808
    assert quiet == pytest.approx(estimator.estimate(Audio(samples, RATE)).p808, abs=1e-3)


def test_silence_and_short_sounds_are_rated(estimator: DnsMosEstimator) -> None:
    for n_samples in (1, 50, 16_000):
        assert 0 < estimator.estimate(Audio(np.zeros(n_samples, np.float32), RATE)).p808 < 6
    with pytest.raises(InputError, match="without a sample"):
        estimator.estimate(Audio(np.zeros(0, np.float32), RATE))


def test_p835_is_left_out_where_it_is_not_asked_for(estimator: DnsMosEstimator) -> None:
    audio = Audio(murmur(1.0), RATE)
    assert estimator.estimate(audio, p835=False) == DnsMos(estimator.estimate(audio).p808)
