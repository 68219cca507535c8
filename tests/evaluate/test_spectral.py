import numpy as np
import pytest
import torch

from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.evaluate.spectral import mel_cepstral_distortion, multi_resolution_stft, spectral_distance

MEL = MelConfig()


def noise(seed: int, n_samples: int = 22_050) -> torch.Tensor:
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


def test_a_recording_is_at_no_distance_from_itself() -> None:
    assert spectral_distance(noise(0), noise(0), MEL) == (0.0, 0.0, 0.0)


def test_half_as_loud_is_known_in_each_measure() -> None:
    distance = spectral_distance(noise(0) / 2, noise(0), MEL)
    assert distance.mel_l1 == pytest.approx(np.log(2), rel=1e-3)
    # Spectral convergence 1/2 and a log-magnitude difference of ln 2.
    assert distance.multi_resolution_stft == pytest.approx(0.5 + np.log(2), rel=1e-2)
    # Loudness is left out of the cepstral distance.
    assert distance.mel_cepstral_distortion_db == pytest.approx(0.0, abs=1e-3)


def test_cepstral_distortion_is_in_decibel() -> None:
    # One ripple over the bands, 3 dB root mean square.
    bands = torch.cos(torch.pi * (torch.arange(80) + 0.5) / 80 * 5)
    ripple = bands * (3 * np.sqrt(2)) * np.log(10) / 20
    mel = torch.zeros(80, 10)
    assert mel_cepstral_distortion(mel + ripple[:, None], mel) == pytest.approx(3.0, rel=1e-4)


def test_more_difference_is_more_distance() -> None:
    near, far = (spectral_distance(noise(0) + gain * noise(1), noise(0), MEL) for gain in (0.1, 1.0))
    assert all(a < b for a, b in zip(near, far, strict=True))


def test_silence_does_not_drown_the_cepstral_distance() -> None:
    speech, silence = torch.randn(80, 50), torch.full((80, 50), -11.5)
    real = torch.cat([speech, silence], 1)
    other = torch.cat([speech, silence + torch.randn(80, 50)], 1)
    assert mel_cepstral_distortion(other, real) == 0.0


def test_a_last_frame_may_be_missing_but_no_more() -> None:
    spectral_distance(noise(0)[:-256], noise(0), MEL)
    with pytest.raises(InputError, match="not of the same clip"):
        spectral_distance(noise(0)[:-2048], noise(0), MEL)


def test_silence_against_silence_is_finite() -> None:
    assert multi_resolution_stft(torch.zeros(4096), torch.zeros(4096), 22_050) == pytest.approx(0.0)
    assert spectral_distance(torch.zeros(4096), torch.zeros(4096), MEL) == (0.0, 0.0, 0.0)
