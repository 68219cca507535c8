"""The Tacotron 2 for CUDA is the model, tried on a CPU: alone and in company, recorded or compiled."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import (
    CARD,
    LENGTHS,
    MONOTONIC,
    RECORDED,
    SMALL,
    assert_same,
    no_compiler,
    noise,
    record,
    small_tacotron2,
    texts,
    with_compiler,
)

from glowtron.config import DecodingOptions
from glowtron.engines.cuda_decoder import CudaTacotron2, NarrowRecurrence, accelerate_tacotron2_on_cuda
from glowtron.engines.cuda_launches import Launches, Tensors
from glowtron.errors import InputError
from glowtron.models.decode import AcousticOutput
from glowtron.models.tacotron2 import Tacotron2

SOFT = DecodingOptions(max_frames=147, stop_threshold=0.7)
# Long enough for several blocks of steps: texts leave between them.
small_model = partial(small_tacotron2, n_frames=120, quantile=0.985)


def speak(
    model: Tacotron2 | CudaTacotron2, options: DecodingOptions, lengths: tuple[int, ...] = LENGTHS, seed: int = 0
) -> AcousticOutput:
    ids, id_lengths, speaker = texts(lengths)
    speaker = speaker if model.config.n_speakers > 1 else None
    return model.generate(ids, id_lengths, options, noise(len(lengths), seed), speaker=speaker)


def fast(model: Tacotron2, precision: str, launches: Launches = RECORDED) -> CudaTacotron2:
    return accelerate_tacotron2_on_cuda(model, precision, CARD, launches)


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


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.slow, with_compiler])])
@pytest.mark.parametrize(
    "options", [pytest.param(SOFT, id="soft", marks=pytest.mark.slow), pytest.param(MONOTONIC, id="monotonic")]
)
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
    model = small_model()
    ours = fast(model, "fp16", Launches(no_compiler, record))
    with pytest.warns(RuntimeWarning, match="slower than it could be, not compiled: OSError: no compiler here"):
        found = speak(ours, SOFT)
    assert torch.equal(found.mel, speak(fast(model, "fp16"), SOFT).mel)


def test_lstm_in_half_precision() -> None:
    cell, x, state = torch.nn.LSTMCell(6, 5), torch.randn(3, 6), (torch.randn(3, 5), torch.randn(3, 5))
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
