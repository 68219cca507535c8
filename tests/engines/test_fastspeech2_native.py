"""FastSpeech 2's gated layers in C are the textbook's, and the engine that has them is the model."""

import math

import pytest
import torch
from native_levels import FOUND, every_way_here, needs_compiled
from small_models import signal_to_noise
from torch import Tensor

from glowtron.config import DecodingOptions, FastSpeech2Config
from glowtron.engines import fastspeech2
from glowtron.engines.cpu_wn_native import Found, Kind, Level
from glowtron.engines.fastspeech2 import (
    FastSpeech2Engine,
    GatedWay,
    NativeGatedLayers,
    accelerate_fastspeech2,
    choose_gated_way,
    with_native_layers,
)
from glowtron.engines.hardware import Precision
from glowtron.engines.measured import Measured
from glowtron.models.fastspeech2 import FastSpeech2, GatedLayers

EXACT = {"fp32": 100, "int16": 60, "bf16": 35, "int8": 25}
"""Decibels over the error."""
SIZES = FastSpeech2Config(
    n_speakers=2, channels=16, pitch_channels=12, decoder_channels=14, decoder_dilations=(1, 2), pitch_dilations=(1, 2)
)


@pytest.fixture
def model() -> FastSpeech2:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = FastSpeech2(SIZES, n_mels=5).eval().requires_grad_(False)
        model.duration.out.bias.fill_(math.log(6))  # About five frames a symbol.
    return model


@every_way_here
@pytest.mark.parametrize("n_channels", [1, 17, 48])
@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4), (3, 1)])
@pytest.mark.parametrize("n_frames", [1, 13, 97])
def test_is_the_textbook(level: Level, kind: Kind, n_channels: int, dilations: tuple[int, ...], n_frames: int) -> None:
    torch.manual_seed(n_channels)
    layers = GatedLayers(n_channels, dilations, 0.0).requires_grad_(False)
    x, mask = torch.randn(1, n_channels, n_frames), torch.ones(1, 1, n_frames)
    native = NativeGatedLayers(layers, kind, level)
    got = native(x, mask)
    assert got.shape == x.shape
    assert signal_to_noise(layers(x, mask), got) > EXACT[kind]
    assert torch.equal(native(x, mask), got)
    assert native.reach == layers.reach


@every_way_here
def test_the_engine_is_the_model(model: FastSpeech2, level: Level, kind: Kind) -> None:
    engine = FastSpeech2Engine(with_native_layers(model, GatedWay(kind, level)), Precision(kind, "a test"))
    assert isinstance(model.decoder, GatedLayers)  # The textbook's stays what it was.
    ids, n_ids = torch.randint(1, SIZES.n_symbols, (2, 9)), torch.tensor([9, 5])

    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(i) for i in range(2)]

    speaker = torch.tensor([0, 1])
    found = engine.generate(ids, n_ids, DecodingOptions(), generators(), speaker=speaker)
    exact = FastSpeech2Engine(model, Precision("fp32", "a test"))
    wanted = exact.generate(ids, n_ids, DecodingOptions(), generators(), speaker=speaker)
    assert torch.equal(found.mel_lengths, wanted.mel_lengths)
    for row, length in enumerate(wanted.mel_lengths.tolist()):
        one, other = (output.mel[row, :, :length] for output in (wanted, found))
        assert signal_to_noise(one - one.mean(), other - one.mean()) > EXACT[kind] - 10
    pieces = list(engine.stream(ids[:1], DecodingOptions(), generators()[0], speaker=speaker[:1], n_steps=lambda: 7))
    joined = torch.cat([piece.mel for piece in pieces], 2)
    whole: Tensor = found.mel[:1, :, : found.mel_lengths[0]]
    assert signal_to_noise(whole - whole.mean(), joined - whole.mean()) > EXACT[kind] - 10


@needs_compiled
def test_precisions(model: FastSpeech2, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for is had; `auto` is what was fastest; without a compiler torch computes, and says why."""
    tried: list[list[str]] = []

    def measure(_: str, ways: dict[str, object]) -> Measured:
        tried.append(list(ways))
        return Measured(dict.fromkeys(ways, 1.0) | {list(ways)[-1]: 0.1}, None)

    monkeypatch.setattr(fastspeech2, "measure", measure)
    best = FOUND.levels[-1]
    if "int16" in best.kinds:
        assert choose_gated_way(model, "int16")[0] == GatedWay("int16", best)
        assert choose_gated_way(model, "auto")[0] == GatedWay("int16", best)
        assert accelerate_fastspeech2(model, "auto").precision == "int16"
    assert choose_gated_way(model, "fp32")[0].precision == "fp32"
    assert not any(way.startswith("int") for way in tried[-1])
    engine = accelerate_fastspeech2(model, "int8")
    assert engine.precision == "fp32"
    assert "int8 is for WaveGlow" in engine.why
    way, why = choose_gated_way(model, "auto", Found((), "no compiler"))
    assert way == GatedWay("fp32")
    assert "not compiled: no compiler" in why
    assert with_native_layers(model, way) is model
    assert "fp32 by torch" in tried[-1]
