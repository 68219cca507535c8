"""What a GPU is measured with, as far as a machine without one can tell, and the limit that speed is a share of."""

from functools import partial

import numpy as np
import pytest
import torch

from glowtron.bench import acoustic, vocoder
from glowtron.bench.acoustic import Acoustic, AcousticWork
from glowtron.bench.device import card_facts, check_device
from glowtron.bench.distance import snr_db
from glowtron.bench.limit import gflop_a_second, measure_matrix_rate, share_of_limit
from glowtron.bench.measurement import Settings
from glowtron.bench.models import find_acoustic, find_vocoder
from glowtron.bench.vocoder import Vocoder, VocoderWork
from glowtron.config import GroupingConfig, LappedConfig, MelConfig, WaveGlowConfig, WaveNetConfig, WNConfig
from glowtron.engines.cuda_decoder import accelerate_tacotron2_on_cuda
from glowtron.engines.cuda_info import Card
from glowtron.engines.cuda_launches import Launches
from glowtron.engines.cuda_waveglow import accelerate_waveglow_on_cuda
from glowtron.errors import InputError
from glowtron.models.waveglow import WaveGlow

ON_A_CPU = {"card": Card("a card", (8, 0)), "launches": Launches(None, None, "a test")}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no device 'cuda' here"):
        check_device("cuda", Settings())


def test_a_clock_that_does_not_see_the_gpu_is_refused(monkeypatch: pytest.MonkeyPatch):
    check_device("cpu", Settings(clock="cpu"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device("cuda", Settings())
    with pytest.raises(InputError, match="does not count what a GPU does"):
        check_device("cuda", Settings(clock="cpu"))


def test_nothing_is_told_of_a_card_on_a_cpu():
    assert card_facts(torch.device("cpu")) == {}


def test_a_vocoder_as_it_is_measured_on_cuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vocoder, "accelerate_waveglow_on_cuda", partial(accelerate_waveglow_on_cuda, **ON_A_CPU))
    work = VocoderWork("compact", seconds=0.5, batch=2)
    subject, exact = Vocoder(work, "fast"), Vocoder(work, "plain")
    subject.generate = subject._on_cuda(find_vocoder("compact", 0), "fp16")
    assert snr_db(subject.run(), exact.run()) > 40
    assert subject.facts["precision"] == "fp16"
    assert "not compiled: a test" in subject.facts["why"]


def test_an_acoustic_model_as_it_is_measured_on_cuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(acoustic, "accelerate_tacotron2_on_cuda", partial(accelerate_tacotron2_on_cuda, **ON_A_CPU))
    work = AcousticWork("compact", seconds=0.5, batch=2)
    subject, exact = Acoustic(work, "fast"), Acoustic(work, "plain")
    subject.generate = subject._on_cuda(find_acoustic("compact", 0), "fp32")
    assert np.allclose(subject.run(), exact.run(), atol=1e-4)
    assert subject.facts["precision"] == "fp32"


@pytest.mark.parametrize(
    "config",
    [
        WaveGlowConfig(mel=MelConfig(n_mels=16), n_flows=5, early_every=2, wavenet=WNConfig(n_layers=3)),
        WaveGlowConfig(analysis=GroupingConfig(group_size=16, upsample_kernel=512), n_flows=2, early_size=0),
        WaveGlowConfig(analysis=LappedConfig(hop_length=128), n_flows=2, early_size=0),
    ],
)
def test_work_is_that_of_the_matrices(config: WaveGlowConfig):
    model = WaveGlow(config)
    model.fold_weight_norm()
    groups, frames = (config.mel.sample_rate / n for n in (config.n_channels, config.mel.hop_length))
    weights = {name: weight.numel() for name, weight in model.named_parameters() if weight.dim() == 2}
    products = sum(n * (frames if "upsample" in name else groups) for name, n in weights.items())
    if isinstance(config.analysis, LappedConfig):
        products += groups * config.n_channels**2  # The transform's basis is no parameter.
    assert gflop_a_second(config) == pytest.approx(2e-9 * products)


def test_work_of_the_published_network():
    # 87.7 million weights, of which those of the upsampling are used once a frame, all others 2,756 times a second.
    assert gflop_a_second(WaveGlowConfig()) == pytest.approx(448, abs=0.5)
    # 3,149,568 weights of layers and head for each of 22,050 samples; 491,520 of the conditioning, once a frame.
    assert gflop_a_second(WaveNetConfig()) == pytest.approx(138.98, abs=0.01)


def test_share_of_the_limit():
    rate = measure_matrix_rate("cpu")
    assert rate.gflops > 0
    assert "2048 x 2048 in " in rate.what
    told = share_of_limit(WaveGlowConfig(), 10.0, 20.0, rate._replace(gflops=1000.0))
    assert told["share_of_limit"] == pytest.approx(0.224, abs=0.001)
    assert told["limit"]["of_products"] == rate.what
