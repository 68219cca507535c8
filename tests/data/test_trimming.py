"""Silence at the ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.audio import Audio
from glowtron.data.trimming import AFTER_S, BEFORE_S, speech_span

RATE = 16_000


def spoken(before_s, after_s, noise_db=-70.0, seed=0):
    """Bursts and pauses between stretches of a room's noise, at a level in dB of full scale."""
    rng = np.random.default_rng(seed)
    bursts = [np.concatenate([0.2 * rng.standard_normal(RATE // 5), np.zeros(RATE // 10)]) for _ in range(5)]
    speech = np.concatenate(bursts)[: -RATE // 10]
    wave = np.concatenate([np.zeros(int(before_s * RATE)), speech, np.zeros(int(after_s * RATE))])
    wave += 10 ** (noise_db / 20) * rng.standard_normal(len(wave))
    return Audio(wave.astype(np.float32), RATE), len(speech) / RATE


@given(before=st.floats(0, 3), after=st.floats(0, 3), noise_db=st.floats(-120, -36), seed=st.integers(0, 9))
def test_the_margins_stay_whatever_the_room(before, after, noise_db, seed):
    audio, _ = spoken(before, after, noise_db, seed)
    span = speech_span(audio)
    assert span.start / RATE == pytest.approx(max(0.0, before - BEFORE_S), abs=0.03)
    assert (len(audio.samples) - span.end) / RATE == pytest.approx(max(0.0, after - AFTER_S), abs=0.03)


def test_clicks_are_no_speech():
    audio, _ = spoken(2.0, 2.0)
    audio.samples[RATE // 2 : RATE // 2 + 100] = 0.9
    audio.samples[-RATE // 2 : -RATE // 2 + 100] = 0.9
    assert speech_span(audio) == speech_span(spoken(2.0, 2.0)[0])


@pytest.mark.parametrize("n", [1, 200, 16_000])
def test_what_has_no_speech_in_it_stays_whole(n):
    for wave in (np.zeros(n), 0.01 * np.random.default_rng(0).standard_normal(n)):
        assert speech_span(Audio(wave.astype(np.float32), RATE)) == (0, n)


def test_loudness_does_not_matter():
    audio, _ = spoken(1.0, 1.0)
    assert speech_span(Audio(audio.samples * np.float32(0.01), RATE)) == speech_span(audio)


def test_trimming_twice_takes_little_more():
    audio, _ = spoken(1.0, 1.0)
    span = speech_span(audio)
    again = speech_span(Audio(audio.samples[span.start : span.end], RATE))
    assert again.start <= 0.02 * RATE
    assert span.end - span.start - again.end <= 0.02 * RATE


def test_an_offset_and_rumble_are_no_sound():
    audio, _ = spoken(1.0, 1.0)
    time = np.arange(len(audio.samples)) / RATE
    moved = audio.samples + np.float32(0.2) + (0.02 * np.sin(2 * np.pi * 5 * time)).astype(np.float32)
    assert speech_span(Audio(moved, RATE)) == pytest.approx(speech_span(audio), abs=0.02 * RATE)
