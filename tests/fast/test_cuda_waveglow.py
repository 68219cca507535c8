"""The WaveGlow for CUDA is the model, tried on a CPU: in every precision, padded, in pieces, compiled or recorded."""

from collections.abc import Callable
from dataclasses import replace
from shutil import which

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glowtron.bench.weights import realistic_weights
from glowtron.config import GroupingConfig, LappedConfig, MelConfig, WaveGlowConfig, WaveNetConfig
from glowtron.errors import InputError
from glowtron.fast import cuda_waveglow
from glowtron.fast.card import Card
from glowtron.fast.cuda_waveglow import CudaWaveGlow, accelerate_waveglow_on_cuda
from glowtron.fast.launches import Launches, Tensors
from glowtron.models.waveglow import WaveGlow

WAVENET = WaveNetConfig(n_layers=3, n_channels=24, dilation_cycle=3)
MEL = MelConfig(n_mels=6, hop_length=16, n_fft=64, win_length=64)
GROUPED = WaveGlowConfig(
    mel=MEL, analysis=GroupingConfig(group_size=8, upsample_kernel=64), n_flows=5, early_every=2, wavenet=WAVENET
)
LAPPED = WaveGlowConfig(
    mel=MEL,
    analysis=LappedConfig(hop_length=8, scale_channels=4),
    n_flows=3,
    early_size=0,
    mixing="permutation",
    wavenet=WAVENET,
)
KINDS = {
    "grouped": GROUPED,
    "end as wide as the skip": replace(GROUPED, wavenet=replace(WAVENET, n_channels=4)),
    "five taps": replace(GROUPED, wavenet=replace(WAVENET, kernel_size=5)),
    "one tap": replace(GROUPED, wavenet=replace(WAVENET, kernel_size=1)),
    "one layer": replace(GROUPED, wavenet=replace(WAVENET, n_layers=1)),
    "swapped halves": replace(GROUPED, alternate_halves=True),
    "lapped": LAPPED,
    "lapped, hops that do not divide": replace(LAPPED, analysis=LappedConfig(hop_length=24, scale_channels=4)),
}
every_kind = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
CARD = Card("a card", (8, 0))
DECIBELS = {"fp32": 100, "fp16": 50, "bf16": 35}


def record(function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
    """As a CUDA graph would: with places for the inputs."""
    places = tuple(tensor.clone() for tensor in inputs)

    def replay(*new: Tensor) -> Tensors:
        for place, tensor in zip(places, new, strict=True):
            place.copy_(tensor)
        return function(*places)

    return replay


PLAIN, RECORDED = Launches(None, None, "a test"), Launches(None, record, "a test")


def make(config: WaveGlowConfig) -> WaveGlow:
    torch.manual_seed(0)
    return realistic_weights(WaveGlow(config), torch.Generator().manual_seed(0)).eval()


def speech(config: WaveGlowConfig, n_batch: int, n_frames: int) -> tuple[Tensor, Tensor]:
    """Noise (B, C, G) and a mel (B, M, T)."""
    generator = torch.Generator().manual_seed(0)
    n_groups = n_frames * config.mel.hop_length // config.n_channels
    mel = 2.5 * torch.randn(n_batch, config.mel.n_mels, n_frames, generator=generator) - 5.5
    return torch.randn(n_batch, config.n_channels, n_groups, generator=generator), mel


def signal_to_noise(wanted: Tensor, got: Tensor) -> float:
    """In dB."""
    return float(10 * torch.log10(wanted.square().sum() / (got - wanted).square().sum()))


def fast(model: WaveGlow, precision: str, launches: Launches = RECORDED) -> CudaWaveGlow:
    return accelerate_waveglow_on_cuda(model, precision, CARD, launches)


@every_kind
@pytest.mark.parametrize("precision", DECIBELS)
def test_it_is_the_model(config: WaveGlowConfig, precision: str):
    model = make(config)
    ours = fast(model, precision)
    for n_batch, n_frames in ((2, 50), (1, 3), (3, 51), (2, 2), (1, 300)):
        z, mel = speech(config, n_batch, n_frames)
        if not z.shape[2]:  # The model has no answer to less than a group.
            continue
        with torch.no_grad():
            wanted = model.inverse(z, mel)
        found = ours.inverse(z, mel)
        assert found.shape == wanted.shape
        assert found.dtype == torch.float32
        assert signal_to_noise(wanted, found) > DECIBELS[precision]
    assert ours.precision == precision


@pytest.mark.parametrize("config", [GROUPED, LAPPED], ids=["grouped", "lapped"])
@settings(max_examples=25)
@given(n_batch=st.integers(1, 5), n_frames=st.integers(1, 200), rows=st.integers(200, 2000))
def test_padding_and_pieces_change_nothing(config: WaveGlowConfig, n_batch: int, n_frames: int, rows: int):
    model, (z, mel) = make(config), speech(config, n_batch, n_frames)
    with torch.no_grad():
        wanted = model.inverse(z, mel)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_waveglow, "PIECE_ROWS", rows)
        assert torch.allclose(fast(model, "fp32").inverse(z, mel), wanted, atol=1e-5)


def test_few_recordings_serve_many_lengths():
    model, n_recorded = make(GROUPED), 0

    def counting(function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
        nonlocal n_recorded
        n_recorded += 1
        return record(function, inputs)

    ours = fast(model, "bf16", Launches(None, counting))
    for n_frames in range(1, 257, 5):
        ours.inverse(*speech(GROUPED, 1, n_frames))
    assert n_recorded == 5  # 256, 320, 384, 448 and 512 groups


@pytest.mark.parametrize("config", [GROUPED, LAPPED], ids=["grouped", "lapped"])
def test_same_noise_is_drawn(config: WaveGlowConfig):
    model, (_, mel) = make(config), speech(config, 2, 9)
    wanted = model.generate(mel, 0.8, torch.Generator().manual_seed(3))
    assert torch.allclose(fast(model, "fp32").generate(mel, 0.8, torch.Generator().manual_seed(3)), wanted, atol=1e-5)


@pytest.mark.parametrize("config", [GROUPED, LAPPED], ids=["grouped", "lapped"])
def test_speakers(config: WaveGlowConfig, monkeypatch: pytest.MonkeyPatch):
    config = replace(config, speakers=("ann", "bob", "carl"))
    model, (z, mel) = make(config), speech(config, 5, 30)
    whose = torch.tensor([2, 0, 1, 1, 2])
    ours = fast(model, "fp32")
    with torch.no_grad():
        wanted, all_alike = model.inverse(z, mel, whose), model.inverse(z, mel, torch.tensor([1]))
    monkeypatch.setattr(cuda_waveglow, "PIECE_ROWS", 2 * z.shape[2])  # Two items at a time, the last one.
    assert torch.allclose(ours.inverse(z, mel, whose), wanted, atol=1e-5)
    assert torch.allclose(ours.inverse(z, mel, torch.tensor([1])), all_alike, atol=1e-5)
    with pytest.raises(AssertionError, match="has to be told which"):
        ours.inverse(z, mel)


@pytest.mark.parametrize("config", [GROUPED, LAPPED], ids=["grouped", "lapped"])
def test_audio_depends_on_no_more_than_the_receptive_field(config: WaveGlowConfig):
    ours, (z, mel) = fast(make(config), "fp32"), speech(config, 1, 240)
    before, after = ours.receptive_frames
    other = mel.clone()
    other[..., 120] += 1
    found = ((ours.inverse(z, other) - ours.inverse(z, mel))[0].abs() > 1e-5).nonzero()
    slack = 2 * max(MEL.hop_length, config.n_channels)
    assert (120 - after) * MEL.hop_length - slack <= found.min()
    assert found.max() < (121 + before) * MEL.hop_length + slack


@every_kind
def test_compiled_it_is_the_model(config: WaveGlowConfig):
    torch._dynamo.reset()  # Each kind may be compiled anew as often as torch allows a function to be.
    model = make(config)
    ours = fast(model, "bf16", Launches("aot_eager", record))
    for n_batch, n_frames in ((1, 30), (2, 80)):
        z, mel = speech(config, n_batch, n_frames)
        with torch.no_grad():
            wanted = model.inverse(z, mel)
        assert signal_to_noise(wanted, ours.inverse(z, mel)) > DECIBELS["bf16"]
    assert ours.why == "bf16 as asked; compiled; recorded"


@pytest.mark.slow
@pytest.mark.skipif(which("g++") is None, reason="torch.compile needs g++ on a CPU")
def test_fused_by_a_real_compiler_it_is_the_model():
    torch._dynamo.reset()
    model, (z, mel) = make(GROUPED), speech(GROUPED, 2, 50)
    ours = fast(model, "bf16", Launches("inductor", None))
    with torch.no_grad():
        assert signal_to_noise(model.inverse(z, mel), ours.inverse(z, mel)) > DECIBELS["bf16"]
    assert ours.why == "bf16 as asked; compiled; not recorded"


def test_without_a_compiler_it_is_the_model_and_says_so():
    def broken(*_: object) -> object:
        raise OSError("no compiler here")

    model, (z, mel) = make(GROUPED), speech(GROUPED, 1, 20)
    ours = fast(model, "fp16", Launches(broken, record))
    with pytest.warns(RuntimeWarning, match="slower than it could be, not compiled"):
        found = ours.inverse(z, mel)
    with torch.no_grad():
        assert signal_to_noise(model.inverse(z, mel), found) > DECIBELS["fp16"]
    assert "no compiler here" in ours.why
    assert ours.why.endswith("; recorded")
    assert torch.equal(ours.inverse(z, mel), found)


def test_float32_is_neither_compiled_nor_recorded():
    ours = accelerate_waveglow_on_cuda(make(GROUPED), "auto", Card("old", (6, 1)), Launches("inductor", record))
    ours.inverse(*speech(GROUPED, 1, 5))
    assert ours.precision == "fp32"
    assert "has no fast fp16" in ours.why
    assert ours.why.endswith("not compiled: float32 is computed as the model does; not recorded")


@pytest.mark.parametrize("config", [GROUPED, LAPPED], ids=["grouped", "lapped"])
def test_the_model_is_left_alone_and_not_needed(config: WaveGlowConfig):
    model, (z, mel) = make(config), speech(config, 1, 20)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ours = fast(model, "fp32")
    wave = ours.inverse(z, mel)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(ours.inverse(z, mel), wave)


def test_faulty_requests_are_refused():
    with pytest.raises(InputError, match="did you mean 'bf16'"):
        fast(make(GROUPED), "bf61")
    model = make(GROUPED)
    with torch.no_grad():
        model.mixing[1].zero_()
    with pytest.raises(InputError, match="inverse"):
        fast(model, "fp16")
