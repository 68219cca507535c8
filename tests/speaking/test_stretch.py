"""Speed without pitch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.audio import Audio
from glowtron.config import GriffinLimConfig, MelConfig
from glowtron.evaluate.pitch import track_pitch
from glowtron.mel import log_mel
from glowtron.models.griffin_lim import GriffinLim
from glowtron.speaking.stretch import stretch

CONFIG = MelConfig()


def test_at_rate_one_nothing_is_touched() -> None:
    mel = torch.randn(80, 30)
    assert stretch(mel, 1.0) is mel


@settings(max_examples=60)
@given(st.integers(1, 400), st.floats(0.7, 1.4), st.integers(0, 100))
def test_length_goes_with_the_rate_and_no_value_is_made_up(n_frames: int, rate: float, seed: int) -> None:
    mel = torch.randn(8, n_frames, generator=torch.Generator().manual_seed(seed))
    stretched = stretch(mel, rate)
    assert stretched.shape[0] == 8
    assert abs(stretched.shape[1] - n_frames / rate) <= 1.5
    assert bool((stretched.amin(1) >= mel.amin(1)).all() and (stretched.amax(1) <= mel.amax(1)).all())
    assert torch.equal(stretched[:, 0], mel[:, 0]) and torch.allclose(stretched[:, -1], mel[:, -1], atol=1e-5)


@pytest.mark.parametrize("rate", [0.7, 0.85, 1.2, 1.4])
def test_order_in_time_is_kept(rate: float) -> None:
    mel = torch.arange(100.0).expand(4, -1)
    assert bool((stretch(mel, rate).diff(dim=1) > 0).all())


@pytest.mark.parametrize("rate", [0.7, 0.85, 1.2, 1.4])
def test_pitch_stays_and_length_scales(rate: float) -> None:
    """A vowel-like tone whose pitch and loudness move, made sound of by Griffin-Lim."""
    time = np.arange(int(1.2 * CONFIG.sample_rate)) / CONFIG.sample_rate
    phase = 2 * np.pi * np.cumsum(150 + 20 * np.sin(2 * np.pi * 2 * time)) / CONFIG.sample_rate
    wave = sum(np.sin(k * phase) / k for k in range(1, 20)) * 0.1 * (1.2 + np.sin(2 * np.pi * 3 * time))
    mel = log_mel(torch.from_numpy(wave.astype(np.float32))[None], CONFIG)[0]
    vocoder = GriffinLim(GriffinLimConfig(mel=CONFIG, n_iterations=30))
    heard = []
    for spoken in (mel, stretch(mel, rate)):
        samples = vocoder.generate(spoken[None], generator=torch.Generator().manual_seed(0))[0].numpy()
        audio = Audio(samples, CONFIG.sample_rate)
        pitch = track_pitch(audio)
        heard.append((audio.duration_s, float(np.median(pitch[pitch > 0]))))
    (plain_s, plain_hz), (other_s, other_hz) = heard
    assert other_s == pytest.approx(plain_s / rate, rel=0.02)
    assert other_hz == pytest.approx(plain_hz, rel=0.03)
