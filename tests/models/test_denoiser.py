"""The denoiser."""

import pytest
import torch

from glowtron.errors import InputError
from glowtron.models.denoiser import HOP_LENGTH, N_FFT, Denoiser


class Hum:
    """A vocoder that answers every mel with a tone, and starts it louder than it goes on."""

    def __init__(self, hz: float = 1000.0) -> None:
        self.hz, self.asked = hz, []

    def tone(self, n_samples: int) -> torch.Tensor:
        return 0.1 * torch.sin(2 * torch.pi * self.hz * torch.arange(n_samples) / 22_050)

    def generate(self, mel, sigma, generator=None, *, speaker=None):
        self.asked.append((tuple(mel.shape), bool(mel.any()), sigma))
        wave = self.tone(mel.shape[2] * 256)
        wave[5000:] *= 0.01
        return wave.expand(mel.shape[0], -1)


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def power(wave: torch.Tensor) -> float:
    return float(wave[..., N_FFT:-N_FFT].square().mean())


def test_the_bias_is_the_first_frame_of_the_answer_to_nothing():
    vocoder = Hum()
    denoiser = Denoiser(vocoder, n_mels=80)
    assert vocoder.asked == [((1, 80, 88), False, 0.0)]
    wave = vocoder.tone(88 * 256)
    # By hand: reflection about sample 0, window, transform.
    frame = torch.cat((wave[1 : N_FFT // 2 + 1].flip(0), wave[: N_FFT // 2]))
    expected = torch.fft.rfft(frame * torch.hann_window(N_FFT)).abs()
    assert torch.allclose(denoiser.bias[0, :, 0], expected, atol=1e-4)


def test_the_hum_goes_and_the_rest_stays():
    vocoder = Hum()
    # A hum whose reflection is itself, so that the first frame is like all others.
    vocoder.tone = lambda n: 0.1 * torch.cos(2 * torch.pi * 1000 * torch.arange(n) / 22_050)
    denoiser = Denoiser(vocoder, n_mels=80)
    hum = vocoder.tone(20_480)[None]
    assert power(denoiser(hum, 1.0)) < 1e-4 * power(hum)
    assert power(denoiser(hum, 0.5)) == pytest.approx(0.25 * power(hum), rel=0.05)
    other = 0.1 * torch.sin(2 * torch.pi * 4000 * torch.arange(20_480) / 22_050)[None]
    assert power(denoiser(other, 1.0) - other) < 1e-3 * power(other)


def test_strength_nothing_changes_nothing_and_more_takes_more():
    denoiser, wave = Denoiser(Hum(), n_mels=80), noise(2, 8192)
    assert torch.equal(denoiser(wave, 0.0), wave)
    assert torch.allclose(denoiser(wave, 1e-7), wave, atol=1e-5)
    powers = [power(denoiser(wave, strength)) for strength in (0.1, 1.0, 10.0, 1000.0)]
    assert powers == sorted(powers, reverse=True)
    assert powers[-1] < 0.5 * power(wave)


@pytest.mark.parametrize("n_samples", [1, 100, N_FFT // 2, N_FFT // 2 + 1, 5000, HOP_LENGTH * 20])
def test_length_stays(n_samples):
    wave = noise(2, n_samples)
    cleaned = Denoiser(Hum(), n_mels=80)(wave, 0.1)
    assert cleaned.shape == wave.shape
    assert torch.isfinite(cleaned).all()


def test_a_silent_vocoder_has_nothing_to_take():
    vocoder = Hum()
    vocoder.tone = torch.zeros
    denoiser, wave = Denoiser(vocoder, n_mels=80), noise(1, 8192)
    assert denoiser.bias_level == 0
    assert torch.allclose(denoiser(wave, 1.0), wave, atol=1e-6)
    assert not denoiser(torch.zeros(1, 8192), 1.0).any()


def test_level_is_that_of_the_sound():
    vocoder = Hum()
    vocoder.tone = lambda n: 0.1 * torch.cos(2 * torch.pi * 1000 * torch.arange(n) / 22_050)
    assert Denoiser(vocoder, n_mels=80).bias_level == pytest.approx(0.1 / 2**0.5, rel=0.02)


@pytest.mark.parametrize("strength", [-0.1, float("nan")])
def test_a_strength_that_makes_no_sense_is_named(strength):
    with pytest.raises(InputError, match="strength"):
        Denoiser(Hum(), n_mels=80)(noise(1, 4096), strength)
