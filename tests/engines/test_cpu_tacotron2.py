"""Fast Tacotron 2: the same as the model, alone and in company, at once and in pieces, on any machine."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import LENGTHS, MONOTONIC, SMALL, assert_same, noise, small_tacotron2, texts
from torch import Tensor

from glowtron.bench.weights import realistic_acoustic_weights
from glowtron.config import DecodingOptions, Tacotron2Config
from glowtron.engines import cpu_tacotron2 as fast_tacotron2
from glowtron.engines.cpu_decoder import Place
from glowtron.engines.cpu_decoder_native import Found, find_kernel
from glowtron.engines.cpu_tacotron2 import accelerate_tacotron2, choose
from glowtron.engines.hardware import Capabilities
from glowtron.engines.products import bfloat16_is_packed, int8_is_exact, pack, round_rows
from glowtron.errors import InputError
from glowtron.importers import read_published
from glowtron.models.monotonic import finish, move_on
from glowtron.models.published_tacotron2 import config_from_published, from_published
from glowtron.models.tacotron2 import Tacotron2

SOFT = DecodingOptions(max_frames=47, stop_threshold=0.7)
PRECISIONS = ("fp32", "bf16", "int8")
BY_TORCH = Found(None, "left to torch for this test")
STEPS = [BY_TORCH, *(find_kernel(level=level) for level in range(find_kernel().n_levels))]
"""Every way in which this machine can take steps."""
STEP_NAMES = ["torch", *("any", "avx2", "vnni", "bf16")[: len(STEPS) - 1]]


@pytest.mark.parametrize("compiled", STEPS, ids=STEP_NAMES)
@pytest.mark.parametrize("keep_stop_frame", [True, False])
@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
@pytest.mark.parametrize("reduction_factor", [1, 3])
def test_float32_is_the_model(
    reduction_factor: int, options: DecodingOptions, mask_padding: bool, keep_stop_frame: bool, compiled: Found
) -> None:
    config = replace(SMALL, reduction_factor=reduction_factor, mask_padding=mask_padding)
    model = small_tacotron2(config)
    options = replace(options, keep_stop_frame=keep_stop_frame)
    ids, lengths, speaker = texts()
    wanted = model.generate(ids, lengths, options, noise(5), speaker=speaker)
    assert len(set(wanted.mel_lengths.tolist())) > 1, "texts that end together show nothing"
    assert bool(wanted.stopped.any())
    fast = accelerate_tacotron2(model, "fp32", compiled=compiled)
    found = fast.generate(ids, lengths, options, noise(5), speaker=speaker)
    assert_same(found, wanted, reduction_factor)


@settings(max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=16),
    seed=st.integers(0, 99),
    max_frames=st.integers(1, 80),
    monotonic=st.booleans(),
    prenet_dropout=st.sampled_from([0.0, 0.5]),
    compiled=st.sampled_from(STEPS),
)
def test_any_batch_is_the_model(
    lengths: list[int], seed: int, max_frames: int, monotonic: bool, prenet_dropout: float, compiled: Found
) -> None:
    model = small_tacotron2(replace(SMALL, n_speakers=1, reduction_factor=2, prenet_dropout=prenet_dropout), seed)
    ids, id_lengths, _ = texts(tuple(lengths))
    options = replace(MONOTONIC if monotonic else SOFT, max_frames=max_frames)
    wanted = model.generate(ids, id_lengths, options, noise(len(lengths), seed))
    fast = accelerate_tacotron2(model, "fp32", compiled=compiled)
    found = fast.generate(ids, id_lengths, options, noise(len(lengths), seed))
    assert_same(found, wanted, 2)


@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("compiled", STEPS, ids=STEP_NAMES)
def test_company_changes_nothing(compiled: Found, precision: str, options: DecodingOptions) -> None:
    fast = accelerate_tacotron2(small_tacotron2(), precision, compiled=compiled)
    ids, lengths, speaker = texts()
    together = fast.generate(ids, lengths, options, noise(5), speaker=speaker)
    for row, n in enumerate(LENGTHS):
        one = slice(row, row + 1)
        alone = fast.generate(ids[one, :n], lengths[one], options, noise(1, row), speaker=speaker[one])
        n_frames = int(alone.mel_lengths)
        assert n_frames == int(together.mel_lengths[row])
        torch.testing.assert_close(alone.mel[0], together.mel[row, :, :n_frames], atol=1e-5, rtol=1e-4)
        assert not together.mel[row, :, n_frames:].any()


@pytest.mark.parametrize(("mask_padding", "keep_stop_frame"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("n_steps", [1, 3, 100])
@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
def test_pieces_are_the_whole(
    options: DecodingOptions, n_steps: int, mask_padding: bool, keep_stop_frame: bool
) -> None:
    fast = accelerate_tacotron2(small_tacotron2(replace(SMALL, reduction_factor=2, mask_padding=mask_padding)), "fp32")
    options = replace(options, keep_stop_frame=keep_stop_frame)
    ids, lengths, speaker = texts()
    ended = set()
    for row, n in enumerate(LENGTHS):
        one = slice(row, row + 1)
        whole = fast.generate(ids[one, :n], lengths[one], options, noise(1, row), speaker=speaker[one])
        generator = noise(1, row)[0]
        chunks = list(fast.stream(ids[one, :n], options, generator, speaker=speaker[one], n_steps=lambda: n_steps))
        torch.testing.assert_close(torch.cat([chunk.mel for chunk in chunks], dim=2), whole.mel, atol=1e-5, rtol=1e-4)
        assert torch.equal(torch.cat([chunk.alignment for chunk in chunks], dim=1), whole.alignment)
        assert [chunk.ended for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert [chunk.stopped for chunk in chunks] == [False] * (len(chunks) - 1) + [bool(whole.stopped)]
        ended.add(bool(whole.stopped))
    assert True in ended


@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_all_ways_of_taking_steps_agree(precision: str, n_threads: int, options: DecodingOptions) -> None:
    """Rounded weights are the same numbers everywhere; what they meet is rounded as well."""
    model = small_tacotron2(replace(SMALL, attention_rnn_channels=150, decoder_rnn_channels=140, attention_channels=70))
    ids, lengths, speaker = texts()
    had = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    # What is rounded to the other side comes back with every step.
    options = replace(options, max_frames=47 if precision == "fp32" else 8)
    try:
        # Without fast products in bf16 the postnet is float32, and adds no rounding of its own.
        ways = [accelerate_tacotron2(model, precision, Capabilities(None), compiled) for compiled in STEPS]
        spoken = [fast.generate(ids, lengths, options, noise(5), speaker=speaker) for fast in ways]
    finally:
        torch.set_num_threads(had)
    # In bf16, torch rounds what comes out as well.
    for one, other in pairwise(spoken[precision == "bf16" :]):
        assert_same(one, other, 1, atol=1e-5 if precision == "fp32" else 2e-3)


@pytest.mark.parametrize("options", [SOFT, MONOTONIC], ids=["soft", "monotonic"])
@pytest.mark.parametrize("n_texts", [1, 17, 64])
def test_texts_of_one_symbol_and_any_number_of_them(n_texts: int, options: DecodingOptions) -> None:
    model = small_tacotron2()
    ids, lengths, _ = texts(tuple(1 + 5 * i % 13 for i in range(n_texts)))
    speaker = torch.arange(n_texts) % SMALL.n_speakers
    wanted = model.generate(ids, lengths, options, noise(n_texts), speaker=speaker)
    found = accelerate_tacotron2(model, "fp32").generate(ids, lengths, options, noise(n_texts), speaker=speaker)
    assert_same(found, wanted, 1)


def test_twenty_thousand_frames_are_those_of_the_model() -> None:
    """Far beyond any text, where what was read adds up to thousands, rounding does not add up with it."""
    model = small_tacotron2(replace(SMALL, n_speakers=1, reduction_factor=4))
    ids, lengths, _ = texts((12,))
    options = DecodingOptions(max_frames=20_000, stop_threshold=1.0)
    wanted = model.generate(ids, lengths, options, noise(1))
    found = accelerate_tacotron2(model, "fp32").generate(ids, lengths, options, noise(1))
    assert_same(found, wanted, 4, atol=2e-3)


def test_two_threads_speak_at_once() -> None:
    fast = accelerate_tacotron2(small_tacotron2(), "fp32")
    ids, lengths, speaker = texts()

    def speak(seed: int) -> Tensor:
        return fast.generate(ids, lengths, SOFT, noise(5, seed), speaker=speaker).mel

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(speak, range(8)))
    for seed, mel in enumerate(found):
        assert torch.equal(mel, speak(seed))


def test_a_piece_comes_before_the_next_is_computed() -> None:
    fast = accelerate_tacotron2(small_tacotron2(replace(SMALL, n_speakers=1)), "fp32")
    options = DecodingOptions(max_frames=10**9, stop_threshold=1.0)
    chunks = fast.stream(torch.ones(1, 3, dtype=torch.long), options, noise(1)[0], n_steps=iter([16, 1, 30]).__next__)
    assert [next(chunks).mel.shape[2] for _ in range(3)] == [16 - fast.frames_behind, 1, 30]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("n_in", [1, 37, 300])
def test_packed_products_are_close(precision: str, batch: int, n_in: int) -> None:
    if not {"bf16": bfloat16_is_packed, "int8": int8_is_exact}[precision]():
        pytest.skip(f"this machine has no products in {precision}")
    torch.manual_seed(0)
    weight, bias = torch.randn(52, n_in), torch.randn(52)
    x = torch.randn(batch, n_in + 5)[:, 2 : n_in + 2] * torch.logspace(-3, 3, batch)[:, None]
    exact, packed = torch.empty(batch, 52), torch.empty(batch, 52)
    for kind, out in (("fp32", exact), (precision, packed)):
        pack(round_rows(weight, bias, kind)).reserve(batch).write(x, out)
    assert ((packed - exact).norm(dim=1) < 0.012 * exact.norm(dim=1)).all()


def test_int8_rounds_the_weights_and_not_what_they_meet() -> None:
    """With weights that int8 holds, fifteen bits are left; and zeros stay zeros."""
    if not int8_is_exact():
        pytest.skip("this machine has no exact products of bytes")
    torch.manual_seed(0)
    weight = torch.randint(-127, 128, (32, 200)).float()
    weight[:, 0] = 127
    weight[3] = 0
    x = torch.randn(4, 200)
    x[2] = 0
    exact, packed = x @ weight.T, torch.empty(4, 32)
    pack(round_rows(weight, torch.zeros(32), "int8")).reserve(4).write(x, packed)
    assert float((packed - exact).norm() / exact.norm()) < 1e-4
    assert not packed[2].any()
    assert not packed[:, 3].any()


@pytest.fixture(scope="module")
def full_size() -> Tacotron2:
    generator = torch.Generator().manual_seed(0)
    return realistic_acoustic_weights(Tacotron2(Tacotron2Config()).eval(), generator)


@pytest.mark.parametrize(("precision", "snr_db"), [("fp32", 80), ("bf16", 40), ("int8", 34)])
def test_a_full_size_model_of_realistic_scale(full_size: Tacotron2, precision: str, snr_db: float) -> None:
    ids, lengths, _ = texts()
    options = DecodingOptions(max_frames=15)
    wanted = full_size.generate(ids, lengths, options, noise(5)).mel
    assert wanted.shape == (5, 80, 15), "it never stops"
    found = accelerate_tacotron2(full_size, precision).generate(ids, lengths, options, noise(5)).mel
    assert (found - wanted).abs().mean() < 0.03
    spread = (wanted - wanted.mean()).square().sum()
    assert 10 * torch.log10(spread / (found - wanted).square().sum()) > snr_db


@given(
    seed=st.integers(0, 10_000),
    n_symbols=st.integers(1, 12),
    sharpness=st.sampled_from([0.1, 3.0, 30.0, 90.0]),
    longest=st.lists(st.sampled_from([0.5, 1.0, 2.5, 4.0, 20.0]), min_size=12, max_size=12),
)
def test_places_move_as_the_models_attention(seed: int, n_symbols: int, sharpness: float, longest: list[float]) -> None:
    generator = torch.Generator().manual_seed(seed)
    longest = longest[:n_symbols]
    place, lengths = Place(longest), torch.tensor([n_symbols])
    weights = cumulative = torch.zeros(1, n_symbols)
    survival, mask = torch.ones(1), torch.ones(1, n_symbols, dtype=torch.bool)
    for _ in range(60):
        proposed = (torch.randn(1, n_symbols, generator=generator) * sharpness).softmax(-1)
        stop = torch.rand(1, generator=generator) * 0.3
        dwells = torch.tensor([longest])
        before = place.symbol
        weights, survival = move_on(proposed, weights, cumulative, survival, mask, dwells)
        cumulative = cumulative + weights
        moved = place.move_on(proposed[0].numpy())
        assert place.symbol == int(weights.argmax())
        assert moved == (place.symbol != before)
        assert place.dwelt == int(cumulative[0, place.symbol])
        ended, survival = finish(stop, weights, cumulative, survival, lengths, dwells)
        assert place.finishes(float(stop.logit())) == bool(ended)
        assert place.survival == pytest.approx(float(survival), abs=1e-4)


def test_what_auto_is(monkeypatch: pytest.MonkeyPatch, full_size: Tacotron2) -> None:
    for name in ("int8_is_exact", "bfloat16_is_packed"):
        monkeypatch.setattr(fast_tacotron2, name, lambda: True)
    large, small = fast_tacotron2.is_large(full_size), fast_tacotron2.is_large(small_tacotron2())
    assert choose("auto", Capabilities("AMX-BF16"), large)[0].name == "int8"
    assert choose("auto", Capabilities("AMX-BF16"), small)[0].name == "bf16"
    assert choose("auto", Capabilities(None), small)[0].name == "fp32"
    assert choose("bf16", Capabilities(None), small)[0].name == "bf16"


@pytest.mark.parametrize("precision", ["auto", "int8", "bf16"])
def test_a_processor_without_any_of_it_speaks_in_float32(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_tacotron2()
    for name in ("int8_is_exact", "bfloat16_is_packed"):
        monkeypatch.setattr(fast_tacotron2, name, lambda: False)
    monkeypatch.setattr(fast_tacotron2, "_LARGE", 0)
    ids, lengths, speaker = texts()
    wanted = model.generate(ids, lengths, SOFT, noise(5), speaker=speaker)
    fast = accelerate_tacotron2(model, precision, Capabilities(None))
    assert fast.precision == "fp32"
    assert fast.why.startswith("fp32: this processor")
    assert_same(fast.generate(ids, lengths, SOFT, noise(5), speaker=speaker), wanted, 1)


@pytest.mark.parametrize("isa", ["AVX512_CORE", "AVX2"])
def test_a_processor_without_vnni_is_found_out(isa: str) -> None:
    """oneDNN can be told to believe in a lesser processor, whose sums of bytes overflow or which has no bfloat16."""
    code = (
        "from glowtron.engines.products import *; import torch\n"
        "print(int8_is_exact()); kind = 'bf16' if bfloat16_is_packed() else 'fp32'; out = torch.empty(1, 4)\n"
        "pack(round_rows(torch.eye(4), torch.zeros(4), kind)).reserve(1).write(torch.ones(1, 4), out)\n"
        "print(out.tolist())"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": isa}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-2:] == ["False", "[[1.0, 1.0, 1.0, 1.0]]"]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        accelerate_tacotron2(small_tacotron2(), "int4")


def test_later_training_changes_nothing() -> None:
    model = small_tacotron2()
    ids, lengths, speaker = texts()
    fast = accelerate_tacotron2(model, "fp32")
    before = fast.generate(ids, lengths, SOFT, noise(5), speaker=speaker)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(fast.generate(ids, lengths, SOFT, noise(5), speaker=speaker).mel, before.mel)


@pytest.mark.parametrize("name", ["tacotron2", "tacotron2_dle"])
def test_free_running_matches_the_published_programs(name: str, parity: Callable[[str], Path]) -> None:
    state = read_published(parity(f"{name}.pt")).state
    config = replace(config_from_published(state), mask_padding=False, prenet_dropout=0.0)
    model = Tacotron2(config).eval()
    model.load_state_dict(from_published(state))
    fast = accelerate_tacotron2(model, "fp32")
    with np.load(parity(f"{name}.npz")) as arrays:
        ids, lengths = torch.as_tensor(arrays["ids"]), torch.as_tensor(arrays["lengths"])
        if name == "tacotron2":
            spoken = fast.generate(ids[:1], lengths[:1], DecodingOptions(max_frames=60), noise(1))
            wanted = [arrays["infer_mel_post"][0]]
        else:
            spoken = fast.generate(ids, lengths, DecodingOptions(max_frames=60, keep_stop_frame=False), noise(3))
            wanted = [mel[:, :n] for mel, n in zip(arrays["mel_post"], arrays["mel_lengths"], strict=True)]
    assert spoken.mel_lengths.tolist() == [mel.shape[1] for mel in wanted]
    for row, mel in enumerate(wanted):
        found = spoken.mel[row, :, : mel.shape[1]].numpy()
        assert np.linalg.norm(found - mel) < 1e-4 * np.linalg.norm(mel)
