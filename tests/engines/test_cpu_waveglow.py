"""The fast WaveGlow is the model: whole or in pieces, whatever its layout, whatever the lengths."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import (
    GROUPED,
    LAPPED,
    MEL,
    WAVENET,
    grouped_and_lapped,
    signal_to_noise,
    small_waveglow,
    speech,
    waveglow_kinds,
)
from torch import Tensor

from glowtron.config import WaveGlowConfig, WNConfig
from glowtron.engines import cpu_waveglow
from glowtron.engines.cpu_waveglow import FastWaveGlow, accelerate_waveglow
from glowtron.engines.measured import Measured
from glowtron.errors import InputError

KINDS = waveglow_kinds(WAVENET)
every_kind = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)


def in_pieces(fast: FastWaveGlow, z: Tensor, mel: Tensor, frames: list[int]) -> Tensor:
    """The inverse through a stream; each piece has so many frames, the last the rest."""
    stream, waves, start = fast.stream(), [], 0
    for n_frames in frames:
        first, stop = (n * fast.config.mel.hop_length // fast.config.n_channels for n in (start, start + n_frames))
        waves.append(stream.push(z[..., first:stop], mel[..., start : start + n_frames]))
        start += n_frames
    first = start * fast.config.mel.hop_length // fast.config.n_channels
    waves.append(stream.push(z[..., first:], mel[..., start:], last=True))
    return torch.cat(waves, dim=1)


@every_kind
@pytest.mark.parametrize("n_frames", [1, 2, 3, 50])
def test_float32_is_the_model(config: WaveGlowConfig, n_frames: int):
    model, (z, mel) = small_waveglow(config), speech(config, 2, n_frames)
    got = accelerate_waveglow(model, "fp32").inverse(z, mel)
    assert got.shape == (2, z.shape[2] * config.n_channels)
    assert got.dtype == torch.float32
    if z.shape[2]:  # The model has no answer to less than a group.
        with torch.no_grad():
            assert torch.allclose(got, model.inverse(z, mel), atol=1e-5)


@every_kind
def test_bfloat16_is_the_model_within_its_rounding(config: WaveGlowConfig):
    model, (z, mel) = small_waveglow(config), speech(config, 2, 50)
    with torch.no_grad():
        wanted = model.inverse(z, mel)
    assert 30 < signal_to_noise(wanted, accelerate_waveglow(model, "bf16").inverse(z, mel)) < 80


@pytest.mark.parametrize(
    ("precision", "n_channels"), [("fp32", 256), pytest.param("fp32", 512, marks=pytest.mark.slow), ("bf16", 256)]
)
def test_published_widths(n_channels: int, precision: str):
    config = WaveGlowConfig(n_flows=5, wavenet=WNConfig(n_channels=n_channels, n_layers=2))
    model, (z, mel) = small_waveglow(config), speech(config, 1, 5)
    with torch.no_grad():
        wanted = model.inverse(z, mel)
    assert (
        signal_to_noise(wanted, accelerate_waveglow(model, precision).inverse(z, mel))
        > {"fp32": 100, "bf16": 35}[precision]
    )


@every_kind
def test_same_noise_is_drawn(config: WaveGlowConfig):
    model, (_, mel) = small_waveglow(config), speech(config, 2, 9)
    fast = accelerate_waveglow(model, "fp32")
    wanted = model.generate(mel, 0.8, torch.Generator().manual_seed(3))
    assert torch.allclose(fast.generate(mel, 0.8, torch.Generator().manual_seed(3)), wanted, atol=1e-5)
    assert not torch.allclose(fast.generate(mel, 0.8, torch.Generator().manual_seed(4)), wanted, atol=1e-3)


@grouped_and_lapped
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_items_of_a_batch_do_not_meet(config: WaveGlowConfig, precision: str, monkeypatch: pytest.MonkeyPatch):
    fast, (z, mel) = accelerate_waveglow(small_waveglow(config), precision), speech(config, 64, 7)
    together = fast.inverse(z, mel)
    alone = torch.cat([fast.inverse(z[i : i + 1], mel[i : i + 1]) for i in range(64)])
    tolerance = 1e-5 if precision == "fp32" else 0.02
    assert torch.allclose(together, alone, atol=tolerance)
    monkeypatch.setattr(FastWaveGlow, "piece_rows", 5 * z.shape[2])  # Five items at a time, the last four.
    assert torch.allclose(fast.inverse(z, mel), alone, atol=tolerance)


@grouped_and_lapped
def test_twenty_thousand_frames(config: WaveGlowConfig):
    model, (z, mel) = small_waveglow(config), speech(config, 1, 20_000)
    with torch.no_grad():
        wanted = model.inverse(z, mel)
    assert z.shape[2] > FastWaveGlow.piece_rows
    assert torch.allclose(accelerate_waveglow(model, "fp32").inverse(z, mel), wanted, atol=1e-5)


@every_kind
@pytest.mark.parametrize(("precision", "exact"), [("fp32", 90), ("bf16", 30)])
def test_speakers(config: WaveGlowConfig, precision: str, exact: int, monkeypatch: pytest.MonkeyPatch):
    config = replace(config, speakers=("ann", "bob", "carl"))
    model, (z, mel) = small_waveglow(config), speech(config, 5, 30)
    torch.nn.init.normal_(model.speaker.weight, std=3.0)  # To be heard well above bfloat16's rounding.
    whose = torch.tensor([2, 0, 1, 1, 2])
    fast = accelerate_waveglow(model, precision)
    with torch.no_grad():
        wanted, of_others = (model.inverse(z, mel, who) for who in (whose, (whose + 1) % 3))
        all_alike = model.inverse(z, mel, torch.tensor([1]))
    assert signal_to_noise(wanted, of_others) < 20
    assert signal_to_noise(wanted, fast.inverse(z, mel, whose)) > exact
    assert signal_to_noise(all_alike, fast.inverse(z, mel, torch.tensor([1]))) > exact
    stream, waves = fast.stream(whose), []
    for start in range(0, 30, 10):
        first, stop = (n * MEL.hop_length // config.n_channels for n in (start, start + 10))
        waves.append(stream.push(z[..., first:stop], mel[..., start : start + 10], last=start == 20))
    assert signal_to_noise(wanted, torch.cat(waves, dim=1)) > exact
    monkeypatch.setattr(FastWaveGlow, "piece_rows", 2 * z.shape[2])  # Two items at a time, the last one.
    assert signal_to_noise(wanted, fast.inverse(z, mel, whose)) > exact
    with pytest.raises(AssertionError, match="needs `speaker`"):
        fast.inverse(z, mel)


@settings(max_examples=30)
@given(kind=st.sampled_from(sorted(KINDS)), frames=st.lists(st.integers(0, 40), max_size=8), rest=st.integers(0, 40))
def test_pieces_are_the_whole(kind: str, frames: list[int], rest: int):
    fast = accelerate_waveglow(small_waveglow(KINDS[kind]), "fp32")
    z, mel = speech(KINDS[kind], 2, sum(frames) + rest)
    assert torch.allclose(in_pieces(fast, z, mel, frames), fast.inverse(z, mel), atol=1e-5)


@every_kind
def test_stream_lags_by_the_receptive_field(config: WaveGlowConfig):
    fast, (z, mel) = accelerate_waveglow(small_waveglow(config), "fp32"), speech(config, 1, 96)
    _, after = fast.receptive_frames
    stream = fast.stream()
    settled = stream.push(z, mel).shape[1]
    # To whole groups.
    assert abs(settled - (96 - after) * MEL.hop_length) < max(config.n_channels, MEL.hop_length)
    assert stream.push(z[..., :0], mel[..., :0], last=True).shape[1] == z.shape[2] * config.n_channels - settled


@every_kind
def test_audio_depends_on_no_more_than_the_receptive_field(config: WaveGlowConfig):
    fast, (z, mel) = accelerate_waveglow(small_waveglow(config), "fp32"), speech(config, 1, 240)
    before, after = fast.receptive_frames
    wave = fast.inverse(z, mel)
    other_mel, other_z = mel.clone(), z.clone()
    other_mel[..., 120] += 1
    first, stop = (frame * MEL.hop_length // config.n_channels for frame in (120, 121))
    other_z[..., first : stop + 1] += 1
    changed = (fast.inverse(other_z, other_mel) - wave)[0].abs() > 1e-5
    assert changed.any()
    # What lies `before` a frame of audio reaches as far after itself, and the other way round.
    found = changed.nonzero()
    slack = 2 * max(MEL.hop_length, config.n_channels)
    assert found.min() >= (120 - after) * MEL.hop_length - slack
    assert found.max() < (121 + before) * MEL.hop_length + slack


def test_auto_is_what_was_fastest(monkeypatch: pytest.MonkeyPatch):
    model = small_waveglow(GROUPED)
    for milliseconds, wanted in (
        ({"fp32 by torch": 3.0, "bf16 by torch": 1.0}, "bf16"),
        ({"fp32 by torch": 1.0, "bf16 by torch": 0.95}, "fp32"),  # Not worth its rounding.
    ):
        monkeypatch.setattr(cpu_waveglow, "measure", lambda *_, found=milliseconds: Measured(found, None))
        fast = accelerate_waveglow(model, "auto")
        assert fast.precision == wanted
        assert "measured here, ms" in fast.why
    with pytest.raises(InputError, match="did you mean 'bf16'"):
        accelerate_waveglow(model, "bf61")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_change_nothing(precision: str):
    fast, (z, mel) = accelerate_waveglow(small_waveglow(GROUPED), precision), speech(GROUPED, 1, 400)
    before, waves = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            waves.append(fast.inverse(z, mel))
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(*waves, atol=1e-5 if precision == "fp32" else 0.02)


@grouped_and_lapped
def test_the_model_is_left_alone_and_not_needed(config: WaveGlowConfig):
    model, (z, mel) = small_waveglow(config), speech(config, 1, 20)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fast = accelerate_waveglow(model, "fp32")
    wave = fast.inverse(z, mel)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(fast.inverse(z, mel), wave)


def test_no_graph_is_kept():
    fast, (z, mel) = accelerate_waveglow(small_waveglow(LAPPED)), speech(LAPPED, 1, 5)
    wave = fast.inverse(z.requires_grad_(), mel.requires_grad_())
    assert not wave.requires_grad
    assert wave.grad_fn is None


def test_autocast_around_changes_nothing():
    fast, (z, mel) = accelerate_waveglow(small_waveglow(LAPPED), "fp32"), speech(LAPPED, 1, 5)
    with torch.autocast("cpu", torch.bfloat16):
        wave = fast.inverse(z, mel)
    assert torch.equal(wave, fast.inverse(z, mel))


def test_folded_weight_norm_changes_nothing():
    model, (z, mel) = small_waveglow(GROUPED), speech(GROUPED, 1, 5)
    wave = accelerate_waveglow(model, "fp32").inverse(z, mel)
    model.fold_weight_norm()
    assert torch.allclose(accelerate_waveglow(model, "fp32").inverse(z, mel), wave, atol=1e-5)


def test_weights_that_have_no_inverse_are_refused():
    model = small_waveglow(GROUPED)
    with torch.no_grad():
        model.mixing[1].zero_()
    with pytest.raises(InputError, match="inverse"):
        accelerate_waveglow(model)


def test_streams_end_once():
    fast, (z, mel) = accelerate_waveglow(small_waveglow(LAPPED)), speech(LAPPED, 1, 5)
    stream = fast.stream()
    stream.push(z, mel, last=True)
    with pytest.raises(AssertionError, match="ended"):
        stream.push(z, mel)
