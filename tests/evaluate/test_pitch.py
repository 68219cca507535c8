import numpy as np
import pytest
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.data.pitch import HOP, track_pitch
from glowtron.evaluate.levels import RATE
from glowtron.evaluate.pitch import pitch_error, pitch_range


def voice(hertz: NDArray[np.float64], rate: int = RATE) -> NDArray[np.float32]:
    """A buzz of ten falling harmonics with this frequency at each sample."""
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 11))).astype(np.float32)


@pytest.mark.parametrize("hertz", [80.0, 123.4, 220.0, 450.0])
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_a_steady_voice_is_found_to_a_few_cents(hertz: float, rate: int) -> None:
    track = track_pitch(Audio(voice(np.full(rate, hertz), rate), rate))
    inner = track[5:-5]
    assert (inner > 0).all()
    assert np.abs(1200 * np.log2(inner / hertz)).max() < 15


def test_a_glide_is_followed() -> None:
    hertz = np.geomspace(120, 360, 2 * RATE)
    track = track_pitch(Audio(voice(hertz), RATE))
    error = pitch_error(track, hertz[np.minimum(np.arange(len(track)) * HOP, len(hertz) - 1)])
    assert error.f0_cents is not None and error.f0_cents < 20
    assert error.gross_share == 0.0
    assert error.voicing_share < 0.04


def test_a_weak_fundamental_is_no_octave_error() -> None:
    phase = 2 * np.pi * 150 * np.arange(RATE) / RATE
    samples = 0.02 * np.sin(phase) + 0.2 * np.sin(2 * phase) + 0.15 * np.sin(3 * phase)
    assert np.median(track_pitch(Audio(samples.astype(np.float32), RATE))) == pytest.approx(150, rel=0.01)


def test_noise_and_silence_are_unvoiced() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    assert np.mean(track_pitch(Audio(noise, RATE)) > 0) < 0.05
    assert not track_pitch(Audio(np.zeros(RATE, np.float32), RATE)).any()


def test_voiced_and_silent_parts_are_told_apart() -> None:
    silence = np.zeros(RATE // 2, np.float32)
    samples = np.concatenate([silence, voice(np.full(RATE, 200.0)), silence])
    voiced = track_pitch(Audio(samples, RATE)) > 0
    assert voiced[54:146].all() and not voiced[:46].any() and not voiced[154:].any()


def test_loudness_changes_nothing() -> None:
    samples = voice(np.linspace(150, 250, RATE))
    np.testing.assert_allclose(
        track_pitch(Audio(samples * np.float32(0.01), RATE)), track_pitch(Audio(samples, RATE)), rtol=1e-3
    )


@pytest.mark.parametrize("n_samples", [1, 10, 159, 700])
def test_short_sounds_have_a_track(n_samples: int) -> None:
    assert len(track_pitch(Audio(np.full(n_samples, 0.1, np.float32), RATE))) == n_samples // HOP + 1


def test_errors_are_what_they_say() -> None:
    real = np.array([0.0, 100, 100, 100, 100, 0])
    ours = np.array([0.0, 100, 200, 100 * 2 ** (1 / 12), 0, 50])
    error = pitch_error(ours, real)
    assert error.f0_cents == pytest.approx(np.sqrt(100**2 / 2))
    assert error.gross_share == pytest.approx(1 / 3)
    assert error.voicing_share == pytest.approx(2 / 6)
    assert pitch_error(np.zeros(4), np.zeros(4)) == (None, None, 0.0)


def test_pitch_range_is_that_of_the_melody() -> None:
    track = 200 * 2 ** (np.tile([-2.0, 2.0], 50) / 12)
    low, high = pitch_range([track, np.zeros(30)]), pitch_range([track / 2])
    assert low.f0_sd_semitones == high.f0_sd_semitones == pytest.approx(2.0)
    assert low.f0_median_hz == pytest.approx(200, rel=0.01)
    assert pitch_range([np.append(track, 2000.0)]).f0_sd_semitones == pytest.approx(2.0, rel=0.05), "an error"
    assert pitch_range([]) == pitch_range([np.zeros(5)]) == (None, None)
