"""The WaveGlow for CUDA is the model, tried on a CPU: in every precision, padded, in pieces, compiled or recorded."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import (
    CARD,
    GROUPED,
    MEL,
    RECORDED,
    WAVENET,
    grouped_and_lapped,
    no_compiler,
    record,
    signal_to_noise,
    small_waveglow,
    speech,
    waveglow_kinds,
    with_compiler,
)

from glowtron.config import WaveGlowConfig
from glowtron.engines.cuda_info import Card
from glowtron.engines.cuda_launches import Launches, Tensors
from glowtron.engines.cuda_waveglow import CudaWaveGlow, accelerate_waveglow_on_cuda
from glowtron.errors import InputError
from glowtron.models.waveglow import WaveGlow

KINDS = waveglow_kinds(
    WAVENET,
    "grouped",
    "end as wide as the skip",
    "five taps",
    "one tap",
    "one layer",
    "swapped halves",
    "lapped",
    "lapped, hops that do not divide",
)
every_kind = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
DECIBELS = {"fp32": 100, "fp16": 50, "bf16": 35}


def fast(model: WaveGlow, precision: str, launches: Launches = RECORDED) -> CudaWaveGlow:
    return accelerate_waveglow_on_cuda(model, precision, CARD, launches)


@every_kind
@pytest.mark.parametrize("precision", DECIBELS)
def test_it_is_the_model(config: WaveGlowConfig, precision: str):
    model = small_waveglow(config)
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


@grouped_and_lapped
@settings(max_examples=25)
@given(n_batch=st.integers(1, 5), n_frames=st.integers(1, 200), rows=st.integers(200, 2000))
def test_padding_and_pieces_change_nothing(config: WaveGlowConfig, n_batch: int, n_frames: int, rows: int):
    model, (z, mel) = small_waveglow(config), speech(config, n_batch, n_frames)
    with torch.no_grad():
        wanted = model.inverse(z, mel)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CudaWaveGlow, "piece_rows", rows)
        assert torch.allclose(fast(model, "fp32").inverse(z, mel), wanted, atol=1e-5)


def test_few_recordings_serve_many_lengths():
    model, n_recorded = small_waveglow(GROUPED), 0

    def counting(function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
        nonlocal n_recorded
        n_recorded += 1
        return record(function, inputs)

    ours = fast(model, "bf16", Launches(None, counting))
    for n_frames in range(1, 257, 5):
        ours.inverse(*speech(GROUPED, 1, n_frames))
    assert n_recorded == 5  # 256, 320, 384, 448 and 512 groups


@grouped_and_lapped
def test_same_noise_is_drawn(config: WaveGlowConfig):
    model, (_, mel) = small_waveglow(config), speech(config, 2, 9)
    wanted = model.generate(mel, 0.8, torch.Generator().manual_seed(3))
    assert torch.allclose(fast(model, "fp32").generate(mel, 0.8, torch.Generator().manual_seed(3)), wanted, atol=1e-5)


@grouped_and_lapped
def test_speakers(config: WaveGlowConfig, monkeypatch: pytest.MonkeyPatch):
    config = replace(config, speakers=("ann", "bob", "carl"))
    model, (z, mel) = small_waveglow(config), speech(config, 5, 30)
    whose = torch.tensor([2, 0, 1, 1, 2])
    ours = fast(model, "fp32")
    with torch.no_grad():
        wanted, all_alike = model.inverse(z, mel, whose), model.inverse(z, mel, torch.tensor([1]))
    monkeypatch.setattr(CudaWaveGlow, "piece_rows", 2 * z.shape[2])  # Two items at a time, the last one.
    assert torch.allclose(ours.inverse(z, mel, whose), wanted, atol=1e-5)
    assert torch.allclose(ours.inverse(z, mel, torch.tensor([1])), all_alike, atol=1e-5)
    with pytest.raises(AssertionError, match="needs `speaker`"):
        ours.inverse(z, mel)


@grouped_and_lapped
def test_audio_depends_on_no_more_than_the_receptive_field(config: WaveGlowConfig):
    ours, (z, mel) = fast(small_waveglow(config), "fp32"), speech(config, 1, 240)
    before, after = ours.receptive_frames
    other = mel.clone()
    other[..., 120] += 1
    found = ((ours.inverse(z, other) - ours.inverse(z, mel))[0].abs() > 1e-5).nonzero()
    slack = 2 * max(MEL.hop_length, config.n_channels)
    assert (120 - after) * MEL.hop_length - slack <= found.min()
    assert found.max() < (121 + before) * MEL.hop_length + slack


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(KINDS[name], id=name, marks=() if name in ("grouped", "lapped") else pytest.mark.slow)
        for name in ("grouped", "five taps", "swapped halves", "lapped")
    ],
)
def test_compiled_it_is_the_model(config: WaveGlowConfig):
    torch._dynamo.reset()  # Each kind may be compiled anew as often as torch allows a function to be.
    model = small_waveglow(config)
    ours = fast(model, "bf16", Launches("aot_eager", record))
    for n_batch, n_frames in ((1, 30), (2, 80)):
        z, mel = speech(config, n_batch, n_frames)
        with torch.no_grad():
            wanted = model.inverse(z, mel)
        assert signal_to_noise(wanted, ours.inverse(z, mel)) > DECIBELS["bf16"]
    assert ours.why == "bf16 as asked; compiled; recorded"


@pytest.mark.slow
@with_compiler
def test_fused_by_a_real_compiler_it_is_the_model():
    torch._dynamo.reset()
    model, (z, mel) = small_waveglow(GROUPED), speech(GROUPED, 2, 50)
    ours = fast(model, "bf16", Launches("inductor", None))
    with torch.no_grad():
        assert signal_to_noise(model.inverse(z, mel), ours.inverse(z, mel)) > DECIBELS["bf16"]
    assert ours.why == "bf16 as asked; compiled; not recorded"


def test_without_a_compiler_it_is_the_model_and_says_so():
    model, (z, mel) = small_waveglow(GROUPED), speech(GROUPED, 1, 20)
    ours = fast(model, "fp16", Launches(no_compiler, record))
    with pytest.warns(RuntimeWarning, match="slower than it could be, not compiled"):
        found = ours.inverse(z, mel)
    with torch.no_grad():
        assert signal_to_noise(model.inverse(z, mel), found) > DECIBELS["fp16"]
    assert "no compiler here" in ours.why
    assert ours.why.endswith("; recorded")
    assert torch.equal(ours.inverse(z, mel), found)


def test_float32_is_neither_compiled_nor_recorded():
    model, launches = small_waveglow(GROUPED), Launches("inductor", record)
    ours = accelerate_waveglow_on_cuda(model, "auto", Card("old", (6, 1)), launches)
    ours.inverse(*speech(GROUPED, 1, 5))
    assert ours.precision == "fp32"
    assert "has no fast fp16" in ours.why
    assert ours.why.endswith("not compiled: float32 is computed as the model does; not recorded")


@grouped_and_lapped
def test_the_model_is_left_alone_and_not_needed(config: WaveGlowConfig):
    model, (z, mel) = small_waveglow(config), speech(config, 1, 20)
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
        fast(small_waveglow(GROUPED), "bf61")
    model = small_waveglow(GROUPED)
    with torch.no_grad():
        model.mixing[1].zero_()
    with pytest.raises(InputError, match="inverse"):
        fast(model, "fp16")
