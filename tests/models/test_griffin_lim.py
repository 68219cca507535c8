"""Griffin-Lim."""

import numpy as np
import pytest
import torch

from glowtron.audio import read_audio
from glowtron.config import GriffinLimConfig, MelConfig
from glowtron.errors import InputError
from glowtron.mel import FLOOR, log_mel, magnitudes, mel_filters
from glowtron.models.griffin_lim import GriffinLim, linear_magnitudes

MEL = MelConfig()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chirp(n_samples: int = 8192) -> torch.Tensor:
    """A sound with pitch that moves and overtones, (1, L)."""
    time = torch.arange(n_samples) / 22_050
    phase = 2 * torch.pi * (150 * time + 200 * time**2)
    noise = 0.01 * torch.randn(n_samples, generator=seeded())
    return (sum(torch.sin(k * phase) / k for k in range(1, 12)) * 0.1 + noise)[None]


def test_sound_has_the_mel_it_was_made_from():
    mel = log_mel(chirp(), MEL)
    wave = GriffinLim(GriffinLimConfig()).generate(mel, generator=seeded())
    assert wave.shape == (1, mel.shape[2] * MEL.hop_length)
    assert wave.abs().max() < 1
    again = log_mel(wave, MEL)[:, :, : mel.shape[2]]
    assert (again - mel)[:, :, 2:-2].abs().mean() < 0.15


def test_more_rounds_come_nearer():
    mel = log_mel(chirp(), MEL)

    def distance(n_iterations: int, momentum: float) -> float:
        config = GriffinLimConfig(n_iterations=n_iterations, momentum=momentum)
        wave = GriffinLim(config).generate(mel, generator=seeded())
        wanted = linear_magnitudes(mel, MEL)
        return float((magnitudes(wave, MEL)[:, :, : mel.shape[2]] - wanted).square().mean())

    assert distance(30, 0.99) < 0.5 * distance(1, 0.99)
    assert distance(30, 0.99) < distance(30, 0.0)


def test_seed_decides_and_sigma_does_not():
    model = GriffinLim(GriffinLimConfig(n_iterations=2))
    mel = log_mel(chirp(), MEL)
    first = model.generate(mel, 0.6, seeded(1))
    assert torch.equal(first, model.generate(mel, 0.1, seeded(1)))
    assert not torch.equal(first, model.generate(mel, 0.6, seeded(2)))


def test_inversion_finds_magnitudes_with_that_mel():
    mel = log_mel(chirp(), MEL)
    found = linear_magnitudes(mel, MEL)
    assert found.min() >= 0
    again = (mel_filters(MEL).float() @ found).clamp(min=FLOOR).log()
    assert (again - mel).abs().mean() < 0.05
    outside = torch.arange(513) * 22_050 / 1024 >= 8000
    assert not found[:, outside].any()


@pytest.mark.parametrize("n_frames", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_number_of_frames(n_frames, batch):
    mel = torch.full((batch, 80, n_frames), -4.0)
    wave = GriffinLim(GriffinLimConfig(n_iterations=3)).generate(mel, generator=seeded())
    assert wave.shape == (batch, n_frames * 256)
    assert torch.isfinite(wave).all()
    assert wave.abs().max() > 0


def test_silence_stays_silent():
    mel = torch.full((1, 80, 20), float(np.log(FLOOR)))
    assert not GriffinLim(GriffinLimConfig()).generate(mel, generator=seeded()).any()


@pytest.mark.parametrize(
    ("n_fft", "hop", "window"), [(1024, 512, 1024), (800, 200, 800), (1024, 200, 800), (401, 100, 401)]
)
def test_other_definitions(n_fft, hop, window):
    config = MelConfig(n_fft=n_fft, hop_length=hop, win_length=window, n_mels=40)
    mel = log_mel(chirp(), config)
    wave = GriffinLim(GriffinLimConfig(mel=config)).generate(mel, generator=seeded())
    assert wave.shape[1] == mel.shape[2] * hop
    again = log_mel(wave, config)[:, :, : mel.shape[2]]
    assert (again - mel)[:, :, 2:-2].abs().mean() < 0.25


def test_hostile_input_is_named():
    model = GriffinLim(GriffinLimConfig())
    for mel, said in (
        (torch.zeros(80, 10), "shape"),
        (torch.zeros(1, 40, 10), "80"),
        (torch.zeros(1, 80, 0), "shape"),
        (torch.full((1, 80, 4), float("nan")), "NaN"),
        (torch.full((1, 80, 4), 200.0), "too large"),
    ):
        with pytest.raises(InputError, match=said):
            model.generate(mel)
    with pytest.raises(InputError, match="hop_length 600"):
        GriffinLim(GriffinLimConfig(mel=MelConfig(hop_length=600)))


def test_real_speech_keeps_its_quality(parity):
    pesq = pytest.importorskip("pesq")
    audio = read_audio(parity("LJ001-0008.flac"))
    mel = log_mel(torch.from_numpy(audio.samples)[None], MEL)
    wave = GriffinLim(GriffinLimConfig()).generate(mel, generator=seeded())[0].numpy()
    real = audio.resample(16_000).samples
    made = audio._replace(samples=wave[: len(audio.samples)]).resample(16_000).samples
    assert pesq.pesq(16_000, real, made, "wb") > 3.3
