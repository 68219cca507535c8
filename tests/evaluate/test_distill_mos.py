"""DistillMOS: the published program's figures, and the order of what is known to sound better and worse."""

import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import Audio, Voice
from glowtron.audio import read_audio
from glowtron.config import GriffinLimConfig, MelConfig
from glowtron.errors import InputError
from glowtron.evaluate.levels import RATE, levelled
from glowtron.evaluate.optional import is_installed
from glowtron.mel import log_mel
from glowtron.models.griffin_lim import GriffinLim

if not is_installed("distillmos"):
    pytest.skip("needs the package distillmos (pip install --no-deps distillmos)", allow_module_level=True)

from glowtron.evaluate.distill_mos import DistillMos


@pytest.fixture(scope="module")
def estimator() -> DistillMos:
    return DistillMos()


def buzz(seconds: float, noise: float = 0.0) -> Audio:
    """A harmonic sound that comes and goes, as a vowel said again and again."""
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20)) * np.sin(2 * np.pi * 2 * time) ** 2
    wave = wave + noise * np.random.default_rng(0).standard_normal(len(time))
    return Audio((0.1 * wave).astype(np.float32), RATE)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Callable[[torch.Tensor], torch.Tensor]:
    """The package's own network, which imports torchaudio only for a command line."""
    pytest.importorskip("xls_r_sqa", reason="the package's own program needs xls-r-sqa")
    torchaudio = types.ModuleType("torchaudio")
    monkeypatch.setitem(sys.modules, "torchaudio", torchaudio)
    import distillmos

    network: Callable[[torch.Tensor], torch.Tensor] = distillmos.ConvTransformerSQAModel().eval()
    return network


@pytest.mark.parametrize("seconds", [1.0, *(pytest.param(seconds, marks=pytest.mark.slow) for seconds in (7.68, 9.5))])
def test_estimates_are_the_published_program_s(
    estimator: DistillMos, published: Callable[[torch.Tensor], torch.Tensor], seconds: float
) -> None:
    audio = buzz(seconds, noise=0.05)
    with torch.inference_mode():
        reference = float(published(torch.from_numpy(levelled(audio))[None]))
    assert estimator.estimate(audio) == pytest.approx(reference, abs=1e-4)


@pytest.fixture(scope="module")
def speech() -> Audio:
    """Speech, which a sound must be to be rated sensibly."""
    return Voice.load(device="cpu").say("The keeper came to the lighthouse in the autumn of that year.")


def test_noise_lowers_it_and_loudness_does_not(estimator: DistillMos, speech: Audio) -> None:
    noise = np.random.default_rng(0).standard_normal(len(speech.samples)).astype(np.float32)
    clean, *noisy = (
        estimator.estimate(speech._replace(samples=speech.samples + level * noise)) for level in (0.0, 0.01, 0.05)
    )
    quiet = speech._replace(samples=speech.samples * np.float32(0.05))
    assert 5 >= clean > noisy[0] + 0.2 > noisy[1] + 0.4
    assert estimator.estimate(quiet) == pytest.approx(clean, abs=0.01)


def test_more_iterations_of_griffin_lim_sound_better(estimator: DistillMos, shared: Callable[[str], Path]) -> None:
    real = read_audio(min((shared("data/ljspeech") / "wavs").iterdir()))
    real = real._replace(samples=real.samples[: 4 * real.sample_rate])
    mel = log_mel(torch.from_numpy(real.samples)[None], MelConfig())

    def vocoded(n_iterations: int) -> float:
        vocoder = GriffinLim(GriffinLimConfig(mel=MelConfig(), n_iterations=n_iterations))
        wave = vocoder.generate(mel, generator=torch.Generator().manual_seed(0))
        return estimator.estimate(Audio(wave[0].numpy(), real.sample_rate))

    assert vocoded(2) + 0.2 < vocoded(60) < estimator.estimate(real)


def test_silence_and_short_sounds_are_rated(estimator: DistillMos) -> None:
    for n_samples in (1, 50, 16_000):
        assert 1 <= estimator.estimate(Audio(np.zeros(n_samples, np.float32), RATE)) <= 5
    with pytest.raises(InputError, match="without a sample"):
        estimator.estimate(Audio(np.zeros(0, np.float32), RATE))
