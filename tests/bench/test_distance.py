"""Distances from float32: signs, scales, and no infinity that JSON does not know."""

import numpy as np
import pytest

from glowtron.bench.distance import mel_error, relative, snr_db, wave_error
from glowtron.config import MelConfig

RNG = np.random.default_rng(0)
WAVE = (0.1 * RNG.standard_normal((2, 4000))).astype(np.float32)


@pytest.mark.parametrize("db", [10.0, 40.0, 60.0])
def test_noise_of_known_power(db: float) -> None:
    noise = RNG.standard_normal(WAVE.shape) * 0.1 * 10 ** (-db / 20)
    assert snr_db((WAVE + noise).astype(np.float32), WAVE) == pytest.approx(db, abs=0.5)


def test_equal_is_a_word() -> None:
    assert snr_db(WAVE, WAVE) == "no difference"
    assert relative(WAVE, WAVE) == 0
    assert wave_error(WAVE, WAVE, MelConfig())["log_mel_l1"] == 0


def test_a_mel_twice_as_loud_is_off_by_the_log_of_two() -> None:
    mel = RNG.standard_normal((1, 80, 9)).astype(np.float32)
    assert wave_error(2 * WAVE, WAVE, MelConfig())["log_mel_l1"] == pytest.approx(np.log(2), abs=1e-4)
    assert mel_error(mel + 0.5, mel)["log_mel_l1"] == pytest.approx(0.5, abs=1e-5)


def test_the_mean_of_a_mel_is_no_signal() -> None:
    mel = RNG.standard_normal((1, 80, 9)).astype(np.float32)
    noisy = mel + 0.1 * RNG.standard_normal(mel.shape).astype(np.float32)
    near, far = mel_error(noisy, mel)["snr_db"], mel_error(noisy - 100, mel - 100)["snr_db"]
    assert far == pytest.approx(near, abs=0.1)
