import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.audio import Audio
from glowtron.evaluate.levels import LEVEL_DB, RATE, at_16_khz, levelled, speech_level


def hum(seconds: float = 1.0, rate: int = RATE, gain: float = 0.1) -> Audio:
    time = np.arange(int(seconds * rate)) / rate
    return Audio((gain * np.sin(2 * np.pi * 220 * time)).astype(np.float32), rate)


@given(st.floats(1e-3, 1.0))
def test_level_does_not_depend_on_gain(gain: float) -> None:
    assert 20 * np.log10(speech_level(levelled(hum(gain=gain)))) == pytest.approx(LEVEL_DB, abs=0.01)


def test_pauses_do_not_lower_the_level() -> None:
    speech = hum().samples
    pauses = np.concatenate([np.zeros(RATE, np.float32), speech, np.zeros(RATE, np.float32)])
    assert speech_level(pauses) == pytest.approx(speech_level(speech), rel=0.05)


def test_peaks_stay_in_range() -> None:
    samples = hum(gain=1e-3).samples.copy()
    samples[::400] = 0.9
    assert np.abs(levelled(Audio(samples, RATE))).max() <= 1.0


@pytest.mark.parametrize("n_samples", [0, 1, 100, 5000])
def test_silence_stays_silence(n_samples: int) -> None:
    assert not levelled(Audio(np.zeros(n_samples, np.float32), RATE)).any()


def test_other_rates_are_resampled() -> None:
    assert len(at_16_khz(hum(2.0, rate=22_050))) == pytest.approx(2 * RATE, abs=2)
