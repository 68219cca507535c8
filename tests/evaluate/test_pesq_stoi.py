import numpy as np
import pytest

from glowtron.audio import Audio

pytest.importorskip("pesq", reason="needs the extra 'eval'")
pytest.importorskip("pystoi", reason="needs the extra 'eval'")

from glowtron.evaluate.pesq_stoi import listen

RATE = 22_050


def murmur(seconds: float = 3.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))
    return (0.1 * buzz * np.sin(2 * np.pi * 2 * time) ** 2).astype(np.float32)


def test_the_same_recording_is_at_the_top() -> None:
    heard = listen(Audio(murmur(), RATE), Audio(murmur(), RATE))
    assert heard.pesq == pytest.approx(4.64, abs=0.01)
    assert heard.stoi == pytest.approx(1.0, abs=1e-3)


def test_noise_lowers_both_and_loudness_neither() -> None:
    real = Audio(murmur(), RATE)
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(real.samples)).astype(np.float32)
    noisy, quiet = listen(Audio(real.samples + noise, RATE), real), listen(Audio(real.samples * 0.2, RATE), real)
    assert noisy.pesq is not None and quiet.pesq is not None
    assert noisy.pesq < 3 and noisy.stoi < 0.95
    assert quiet.pesq > 4.6 and quiet.stoi > 0.99


def test_silence_and_short_sounds() -> None:
    silence, real = Audio(np.zeros(RATE, np.float32), RATE), Audio(murmur(1.0), RATE)
    assert listen(silence, real) == (1.0, 0.0)
    assert listen(real, silence) == (None, None)
    short = Audio(murmur()[5000:8000], RATE)
    assert listen(short, short) == (None, None)
