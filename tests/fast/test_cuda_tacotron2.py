"""The Tacotron 2 for CUDA is the model, tried on a CPU: alone and in company, recorded or compiled."""

from collections.abc import Callable
from dataclasses import replace
from shutil import which

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glowtron.config import Tacotron2Config
from glowtron.errors import InputError
from glowtron.fast.card import Card
from glowtron.fast.cuda_tacotron2 import CudaTacotron2, NarrowRecurrence, accelerate_tacotron2_on_cuda
from glowtron.fast.launches import Launches, Tensors
from glowtron.models.recurrence import Recurrence
from glowtron.models.tacotron2 import DecodingOptions, Spoken, Tacotron2

SMALL = Tacotron2Config(
    n_symbols=90,
    n_speakers=2,
    embedding_channels=16,
    encoder_channels=16,
    prenet_channels=8,
    attention_rnn_channels=24,
    attention_channels=8,
    location_filters=4,
    location_kernel=7,
    decoder_rnn_channels=20,
    postnet_channels=12,
)
SOFT = DecodingOptions(max_frames=147, stop_threshold=0.7)
MONOTONIC = DecodingOptions(max_frames=160, monotonic=True, max_dwell=9, max_sound_dwell=5)
LENGTHS = (9, 4, 1, 7, 12)
CARD = Card("a card", (8, 0))


def record(function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
    """As a CUDA graph would: with places for the inputs, and results that are copied out of it."""
    places = tuple(tensor.clone() for tensor in inputs)

    def replay(*new: Tensor) -> Tensors:
        for place, tensor in zip(places, new, strict=True):
            place.copy_(tensor)
        return tuple(output.clone() for output in function(*places))

    return replay


RECORDED = Launches(None, record, "a test")


def small_model(config: Tacotron2Config = SMALL, seed: int = 0) -> Tacotron2:
    """Random weights with which some texts stop, at different times, and some do not."""
    torch.manual_seed(seed)
    model = Tacotron2(config, n_mels=5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for name, buffer in model.named_buffers():
            if "running_mean" in name:
                buffer.normal_()
            elif "running_var" in name:
                buffer.uniform_(0.5, 2)
        model.prenet.layers[0].weight *= 3
        logits: list[Tensor] = []
        hook = model.stop.register_forward_hook(lambda _module, _inputs, output: logits.append(output[:, 0]))
        speak(model, DecodingOptions(max_frames=120, stop_threshold=1.0))
        hook.remove()
        level = torch.stack(logits).quantile(0.985, dim=0).median()
        model.stop.weight *= 10
        model.stop.bias.copy_((model.stop.bias - level) * 10)
    return model


def speak(
    model: Tacotron2 | CudaTacotron2, options: DecodingOptions, lengths: tuple[int, ...] = LENGTHS, seed: int = 0
) -> Spoken:
    generator = torch.Generator().manual_seed(1)
    id_lengths = torch.tensor(lengths)
    ids = torch.randint(1, SMALL.n_symbols, (len(lengths), max(lengths)), generator=generator)
    ids *= torch.arange(max(lengths)) < id_lengths[:, None]
    speaker = torch.arange(len(lengths)) % SMALL.n_speakers if model.config.n_speakers > 1 else None
    noise = [torch.Generator().manual_seed(seed + i) for i in range(len(lengths))]
    return model.generate(ids, id_lengths, options, noise, speaker=speaker)


def fast(model: Tacotron2, precision: str, launches: Launches = RECORDED) -> CudaTacotron2:
    return accelerate_tacotron2_on_cuda(model, precision, CARD, launches)


def assert_same(found: Spoken, wanted: Spoken, reduction_factor: int, atol: float = 1e-5) -> None:
    assert found.mel_lengths.tolist() == wanted.mel_lengths.tolist()
    assert found.stopped.tolist() == wanted.stopped.tolist()
    assert found.alignment.shape == wanted.alignment.shape
    torch.testing.assert_close(found.mel, wanted.mel, atol=atol, rtol=1e-4)
    for row, length in enumerate(wanted.mel_lengths.tolist()):
        taken = -(-length // reduction_factor)
        torch.testing.assert_close(found.alignment[row, :taken], wanted.alignment[row, :taken], atol=atol, rtol=1e-4)


@pytest.mark.parametrize("keep_stop_frame", [True, False])
@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
@pytest.mark.parametrize("reduction_factor", [1, 3])
def test_float32_is_the_model(
    reduction_factor: int, options: DecodingOptions, mask_padding: bool, keep_stop_frame: bool
) -> None:
    model = small_model(replace(SMALL, reduction_factor=reduction_factor, mask_padding=mask_padding))
    options = replace(options, keep_stop_frame=keep_stop_frame)
    wanted = speak(model, options)
    assert len(set(wanted.mel_lengths.tolist())) > 1, "texts that end together show nothing"
    assert bool(wanted.stopped.any())
    assert_same(speak(fast(model, "fp32"), options), wanted, reduction_factor)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=9),
    seed=st.integers(0, 99),
    max_frames=st.integers(1, 150),
    monotonic=st.booleans(),
)
def test_any_batch_is_the_model(lengths: list[int], seed: int, max_frames: int, monotonic: bool) -> None:
    model = small_model(replace(SMALL, n_speakers=1), seed)
    options = replace(MONOTONIC if monotonic else SOFT, max_frames=max_frames)
    wanted = speak(model, options, tuple(lengths), seed)
    assert_same(speak(fast(model, "fp32"), options, tuple(lengths), seed), wanted, 1)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_is_the_model_within_its_rounding(precision: str) -> None:
    model, options = small_model(), DecodingOptions(max_frames=70, stop_threshold=1.0)
    wanted, ours = speak(model, options), fast(model, precision)
    found = speak(ours, options)
    spread = (wanted.mel - wanted.mel.mean()).norm()
    assert 0 < (found.mel - wanted.mel).norm() / spread < {"fp16": 0.005, "bf16": 0.05}[precision]
    assert found.mel.dtype == torch.float32
    assert ours.why == f"{precision} as asked; not compiled: a test; recorded"


def test_texts_that_have_ended_leave() -> None:
    model, sizes = small_model(), []

    def counting(function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
        replay = record(function, inputs)
        return lambda *new: (sizes.append(new[0].shape[2]), replay(*new))[1]

    spoken = speak(fast(model, "fp16", Launches(None, counting)), SOFT)
    going = [int((spoken.mel_lengths > 32 * block).sum()) for block in range(len(sizes))]
    assert sizes[0] == 8
    assert sizes == [1 << (n - 1).bit_length() for n in going]
    assert min(sizes) < 8, "this test needs texts that end at different times"


def test_a_text_alone_is_the_text_in_company() -> None:
    model = small_model()
    ours = fast(model, "fp32")
    together, alone = speak(ours, SOFT), speak(ours, SOFT, LENGTHS[:1])
    n_frames = int(alone.mel_lengths[0])
    assert int(together.mel_lengths[0]) == n_frames
    torch.testing.assert_close(together.mel[0, :, :n_frames], alone.mel[0], atol=1e-5, rtol=1e-4)


def test_alignment_is_zero_behind_the_end() -> None:
    spoken = speak(fast(small_model(), "fp32"), MONOTONIC)
    for row, length in zip(spoken.alignment, spoken.mel_lengths.tolist(), strict=True):
        assert torch.allclose(row.sum(1), (torch.arange(len(row)) < length).float())


WITH_COMPILER = pytest.mark.skipif(which("g++") is None, reason="torch.compile needs g++ on a CPU")


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, WITH_COMPILER])])
@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
def test_compiled_it_is_the_model(options: DecodingOptions, backend: str) -> None:
    torch._dynamo.reset()
    model = small_model()
    eagerly, ours = speak(fast(model, "bf16"), options), fast(model, "bf16", Launches(backend, record))
    found = speak(ours, options)
    assert found.mel_lengths.tolist() == eagerly.mel_lengths.tolist()
    # A compiler rounds to bfloat16 elsewhere, or not at all.
    assert (found.mel - eagerly.mel).norm() < 0.03 * eagerly.mel.norm()
    assert ours.why == "bf16 as asked; compiled; recorded"


def test_without_a_compiler_it_is_the_model_and_says_so() -> None:
    def broken(*_: object) -> object:
        raise OSError("no compiler here")

    model = small_model()
    ours = fast(model, "fp16", Launches(broken, record))
    with pytest.warns(RuntimeWarning, match="slower than it could be, not compiled: OSError: no compiler here"):
        found = speak(ours, SOFT)
    assert torch.equal(found.mel, speak(fast(model, "fp16"), SOFT).mel)


def test_lstm_in_half_precision() -> None:
    cell, x, state = Recurrence(6, 5), torch.randn(3, 6), (torch.randn(3, 5), torch.randn(3, 5))
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)):
        for found, wanted in zip(NarrowRecurrence(cell, dtype)(x, state), cell(x, state), strict=True):
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)


def test_the_model_is_left_alone_and_not_needed() -> None:
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ours = fast(model, "fp16")
    mel = speak(ours, SOFT).mel
    assert set(before) == set(model.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(speak(ours, SOFT).mel, mel)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="unknown precision 'int8' on CUDA"):
        fast(small_model(), "int8")
