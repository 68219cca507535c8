"""The one mel definition."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron.audio import read_audio
from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.mel import FLOOR, log_mel, magnitudes, mel_filters

CONFIG = MelConfig()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_agrees_with_the_reference_program(parity):
    reference = np.load(parity("mel.npz"))
    for clip in reference.files:
        wave = torch.from_numpy(read_audio(parity(f"{clip}.flac")).samples)
        mel = log_mel(wave[None], CONFIG)
        assert mel.dtype == torch.float32
        assert np.abs(mel[0].numpy() - reference[clip]).max() < 1e-3


def test_filters_agree_with_librosa():
    librosa = pytest.importorskip("librosa")
    for config in (CONFIG, MelConfig(sample_rate=16_000, n_fft=512, win_length=512, n_mels=40, f_min=50, f_max=7600)):
        expected = librosa.filters.mel(
            sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.f_min, fmax=config.f_max
        )
        assert np.abs(mel_filters(config).numpy() - expected).max() < 1e-7


@given(
    length=st.integers(1, 6000),
    n_fft=st.sampled_from([64, 100, 101, 1024]),
    hop=st.sampled_from([1, 16, 50, 256, 300]),
    share=st.sampled_from([0.5, 1.0]),
)
def test_any_length_gives_its_number_of_frames(length, n_fft, hop, share):
    hop = max(hop, length // 200)
    config = MelConfig(n_fft=n_fft, hop_length=hop, win_length=int(n_fft * share), n_mels=8)
    mel = log_mel(noise(2, length), config)
    assert mel.shape == (2, 8, length // hop + 1)
    assert torch.isfinite(mel).all()


def test_frame_is_centred_at_its_hop():
    for frame in (4, 7):
        wave = torch.zeros(1, 256 * 12)
        wave[0, frame * 256] = 1.0
        assert magnitudes(wave, CONFIG)[0, 100].argmax() == frame


def test_tone_lies_in_the_band_over_it():
    time = torch.arange(22_050) / 22_050
    bins = torch.arange(513, dtype=torch.float64) * 22_050 / 1024
    for hz in (300, 1000, 5000):
        band = mel_filters(CONFIG)[log_mel(torch.sin(2 * torch.pi * hz * time)[None], CONFIG)[0, :, 40].argmax()]
        assert float(band @ bins / band.sum()) == pytest.approx(hz, rel=0.05)


def test_a_wave_alone_and_in_a_batch_give_the_same():
    waves = noise(3, 5000)
    together = log_mel(waves, CONFIG)
    for wave, mel in zip(waves, together, strict=True):
        assert torch.allclose(log_mel(wave[None], CONFIG)[0], mel, atol=1e-4)


def test_silence_is_the_floor_and_loudness_adds():
    silent = log_mel(torch.zeros(1, 2000), CONFIG)
    assert torch.allclose(silent, torch.full((1, 80, 8), float(np.log(FLOOR))))
    wave = noise(1, 8000)
    louder = log_mel(2 * wave, CONFIG) - log_mel(wave, CONFIG)
    assert torch.allclose(louder, torch.full_like(louder, np.log(2)), atol=1e-4)


def test_precision_follows_the_wave_but_never_falls():
    wave = noise(1, 3000)
    exact = log_mel(wave.double(), CONFIG)
    assert exact.dtype == torch.float64
    assert (log_mel(wave, CONFIG) - exact).abs().max() < 1e-4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (log_mel(wave, CONFIG) - exact).abs().max() < 1e-4
    assert log_mel(wave.bfloat16(), CONFIG).dtype == torch.float32


def test_gradient_reaches_the_wave():
    wave = noise(1, 2000).requires_grad_()
    log_mel(wave, CONFIG).sum().backward()
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()
    assert wave.grad.abs().sum() > 0
    silent = torch.zeros(1, 2000, requires_grad=True)
    log_mel(silent, CONFIG).sum().backward()
    assert silent.grad is not None
    assert torch.isfinite(silent.grad).all()


@pytest.mark.parametrize(
    ("wave", "said"),
    [
        (torch.zeros(100), "shape (B, L)"),
        (torch.zeros(1, 1, 100), "shape (B, L)"),
        (torch.zeros(1, 0), "empty"),
        (torch.zeros(1, 100, dtype=torch.int16), "32768"),
        (torch.tensor([[0.0, float("nan")]]), "NaN"),
        (torch.tensor([[0.0, float("-inf")]]), "infinite"),
    ],
)
def test_hostile_waves_are_named(wave, said):
    with pytest.raises(InputError) as error:
        log_mel(wave, CONFIG)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_filters_are_not_shared_between_definitions():
    configs = [MelConfig(n_mels=n, f_max=f) for n, f in itertools.product((20, 40), (4000.0, 8000.0))]
    assert len({mel_filters(config).sum(1).numpy().tobytes() for config in configs}) == 4
