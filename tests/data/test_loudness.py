"""Loudness, against what ITU-R BS.1770-4 and EBU Tech 3341 say of it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.audio import Audio
from glowtron.data.loudness import loudness, true_peak, weighting


def sine(level_db, seconds=5.0, rate=48_000, hz=997):
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return wave.astype(np.float32)


def test_the_filters_are_the_standard_s():
    zeros, poles = weighting(48_000)
    assert zeros == pytest.approx(
        np.array([[1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -2.0, 1.0]]), abs=1e-9
    )
    assert poles == pytest.approx(
        np.array([[1.0, -1.69065929318241, 0.73248077421585], [1.0, -1.99004745483398, 0.99007225036621]]), abs=1e-9
    )


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_a_sine_at_full_scale_has_the_standard_s_level(rate):
    assert loudness(Audio(sine(0.0, rate=rate), rate)) == pytest.approx(-3.01, abs=0.1)


def test_pauses_do_not_count():
    """As in EBU Tech 3341, test 3: what is 13 LU under the rest changes nothing."""
    quiet, loud = sine(-36.0, 10.0), sine(-23.0, 60.0)
    whole = loudness(Audio(np.concatenate([quiet, loud, quiet]), 48_000))
    assert whole == pytest.approx(loudness(Audio(loud, 48_000)), abs=0.1)
    padded = np.concatenate([np.zeros(96_000, np.float32), loud, np.zeros(96_000, np.float32)])
    assert loudness(Audio(padded, 48_000)) == pytest.approx(-26.01, abs=0.1)


def test_low_tones_count_less_and_high_ones_more():
    low, middle, high = (loudness(Audio(sine(-20.0, hz=hz), 48_000)) for hz in (30, 997, 6000))
    assert low < middle - 3
    assert high > middle + 3


@given(gain_db=st.floats(-20, 6), seed=st.integers(0, 99), seconds=st.floats(0.05, 3.0))
def test_a_gain_is_a_difference(gain_db, seed, seconds):
    wave = 0.1 * np.random.default_rng(seed).standard_normal(int(16_000 * seconds)).astype(np.float32)
    louder = Audio(wave * np.float32(10 ** (gain_db / 20)), 16_000)
    assert loudness(louder) - loudness(Audio(wave, 16_000)) == pytest.approx(gain_db, abs=0.01)


@pytest.mark.parametrize("n", [1, 100, 50_000])
def test_silence_has_none(n):
    assert loudness(Audio(np.zeros(n, np.float32), 22_050)) == -math.inf
    assert loudness(Audio(np.full(n, 1e-5, np.float32), 22_050)) == -math.inf


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_a_peak_between_samples_counts(rate):
    """A sine at a quarter of the rate, sampled 45 degrees off its peaks, is 3 dB higher than any sample."""
    wave = np.sin(2 * np.pi * np.arange(rate) / 4 + np.pi / 4) * np.hanning(rate)
    audio = Audio(wave.astype(np.float32), rate)
    assert np.abs(audio.samples).max() < 0.71
    assert true_peak(audio) == pytest.approx(1.0, abs=0.01)


def test_no_sample_is_over_the_true_peak():
    for n in (1, 2, 5, 1000):
        samples = np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32)
        assert true_peak(Audio(samples, 22_050)) >= np.abs(samples).max()
