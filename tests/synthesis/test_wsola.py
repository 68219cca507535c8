"""Speed without pitch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.data.pitch import track_pitch
from glowtron.synthesis.wsola import Wsola, time_stretch

RATE = 22_050
RATES = [0.7, 0.85, 1.2, 1.4]


def voice_like(seconds: float = 1.5) -> NDArray[np.float32]:
    """A tone with harmonics whose pitch (130 to 170 Hz) and loudness move, and a little noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(150 + 20 * np.sin(2 * np.pi * 2 * time)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 20)) * 0.1 * (1.2 + np.sin(2 * np.pi * 3 * time))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return np.asarray(tone + 0.003 * noise, np.float32)


def test_at_rate_one_nothing_is_touched() -> None:
    samples = voice_like(0.1)
    assert time_stretch(samples, 1.0, RATE) is samples


@given(st.integers(0, 9000), st.floats(0.7, 1.4), st.sampled_from([8000, 22_050, 24_000]))
def test_length_is_exact_and_nothing_is_louder(n: int, rate: float, sample_rate: int) -> None:
    samples = np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32)
    stretched = time_stretch(samples, rate, sample_rate)
    assert stretched.dtype == np.float32
    assert len(stretched) == round(n / rate)
    assert np.abs(stretched).max(initial=0) <= np.abs(samples).max(initial=0) + 1e-6


@given(st.lists(st.integers(0, 4000), max_size=8), st.floats(0.7, 1.4))
def test_in_pieces_it_is_the_same(cuts: list[int], rate: float) -> None:
    samples = voice_like(0.4)
    places = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    pieces = [samples[a:b] for a, b in zip(places, places[1:], strict=False)]
    stretcher = Wsola(rate, RATE)
    joined = np.concatenate([stretcher.push(piece, is_last=i == len(pieces) - 1) for i, piece in enumerate(pieces)])
    assert np.array_equal(joined, time_stretch(samples, rate, RATE))


def test_sound_in_pieces_comes_while_it_goes_in_and_is_forgotten() -> None:
    stretcher = Wsola(0.8, RATE)
    given_s = [len(stretcher.push(voice_like(0.5))) / RATE for _ in range(20)]
    assert sum(given_s) > 10 / 0.8 - 0.2
    assert len(stretcher._heard) < 0.2 * RATE


@pytest.mark.parametrize("rate", RATES)
def test_pitch_stays(rate: float) -> None:
    plain, other = (
        track_pitch(Audio(samples, RATE)) for samples in (voice_like(), time_stretch(voice_like(), rate, RATE))
    )
    assert np.median(other[other > 0]) == pytest.approx(np.median(plain[plain > 0]), rel=0.02)
    assert (other > 0).mean() > 0.95, "still voiced"


@pytest.mark.parametrize("rate", RATES)
def test_loudness_follows_its_time(rate: float) -> None:
    """Half a second of sound between silences stays where it was, but for the rate."""
    samples = np.concatenate([np.zeros(RATE), voice_like(0.5), np.zeros(RATE // 2)]).astype(np.float32)
    loud = np.flatnonzero(np.abs(time_stretch(samples, rate, RATE)) > 0.02) / RATE * rate
    assert loud[0] == pytest.approx(1.0, abs=0.03)
    assert loud[-1] == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("rate", RATES)
def test_pieces_fit_where_they_meet(rate: float) -> None:
    """A steady tone stays a steady tone: nearly all its power is still at its frequency."""
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 180 * time).astype(np.float32)
    stretched = time_stretch(tone, rate, RATE)[2000:-2000]
    power = np.abs(np.fft.rfft(stretched * np.hanning(len(stretched)))) ** 2
    hertz = np.fft.rfftfreq(len(stretched), 1 / RATE)
    assert power[np.abs(hertz - 180) < 8].sum() > 0.99 * power.sum()
