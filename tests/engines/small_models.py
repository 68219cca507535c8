"""Models small enough to compare every fast way with, what to say with them, and stand-ins for a CUDA device."""

from collections.abc import Callable
from dataclasses import replace
from shutil import which

import pytest
import torch
from torch import Tensor

from glowtron.bench.weights import realistic_weights
from glowtron.config import (
    DecodingOptions,
    GroupingConfig,
    LappedConfig,
    MelConfig,
    Tacotron2Config,
    WaveGlowConfig,
    WNConfig,
)
from glowtron.engines.cuda_info import Card
from glowtron.engines.cuda_launches import Launches, Tensors
from glowtron.models.decode import AcousticOutput
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow

MEL = MelConfig(n_mels=6, hop_length=16, n_fft=64, win_length=64)


def waveglow_kinds(wavenet: WNConfig, *names: str) -> dict[str, WaveGlowConfig]:
    """Every layout that there is, with these layers, or those of some names."""
    grouped = WaveGlowConfig(
        mel=MEL, analysis=GroupingConfig(group_size=8, upsample_kernel=64), n_flows=5, early_every=2, wavenet=wavenet
    )
    lapped = WaveGlowConfig(
        mel=MEL,
        analysis=LappedConfig(hop_length=8, scale_channels=4),
        n_flows=3,
        early_size=0,
        mixing="permutation",
        wavenet=wavenet,
    )
    kinds = {
        "grouped": grouped,
        "end as wide as the skip": replace(grouped, wavenet=replace(wavenet, n_channels=4)),
        "five taps": replace(grouped, wavenet=replace(wavenet, kernel_size=5)),
        "one tap": replace(grouped, wavenet=replace(wavenet, kernel_size=1)),
        "one layer": replace(grouped, wavenet=replace(wavenet, n_layers=1)),
        "swapped halves": replace(grouped, alternate_halves=True),
        "nothing leaves early": replace(grouped, early_size=0),
        "lapped": lapped,
        "lapped, hop of the mel": replace(lapped, analysis=LappedConfig(hop_length=16, scale_channels=4)),
        "lapped, twice the hop of the mel": replace(lapped, analysis=LappedConfig(hop_length=32, scale_channels=4)),
        "lapped, hops that do not divide": replace(lapped, analysis=LappedConfig(hop_length=24, scale_channels=4)),
    }
    return {name: kinds[name] for name in names or kinds}


WAVENET = WNConfig(n_layers=3, n_channels=24, dilation_cycle=3)
GROUPED, LAPPED = waveglow_kinds(WAVENET, "grouped", "lapped").values()
grouped_and_lapped = pytest.mark.parametrize("config", [GROUPED, LAPPED], ids=["grouped", "lapped"])


def small_waveglow(config: WaveGlowConfig, seed: int = 0) -> WaveGlow:
    torch.manual_seed(seed)
    return realistic_weights(WaveGlow(config), torch.Generator().manual_seed(seed)).eval()


def speech(config: WaveGlowConfig, n_batch: int, n_frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise (B, C, G) and a mel (B, M, T)."""
    generator = torch.Generator().manual_seed(seed)
    n_groups = n_frames * config.mel.hop_length // config.n_channels
    mel = 2.5 * torch.randn(n_batch, config.mel.n_mels, n_frames, generator=generator) - 5.5
    return torch.randn(n_batch, config.n_channels, n_groups, generator=generator), mel


def signal_to_noise(wanted: Tensor, got: Tensor) -> float:
    """In dB."""
    return float(10 * torch.log10(wanted.square().sum() / (got - wanted).square().sum()))


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
MONOTONIC = DecodingOptions(max_frames=160, monotonic=True, max_dwell=9, max_sound_dwell=5)
LENGTHS = (9, 4, 1, 7, 12)


def small_tacotron2(
    config: Tacotron2Config = SMALL, seed: int = 0, n_frames: int = 40, quantile: float = 0.9
) -> Tacotron2:
    """Random weights with which some texts stop, at different times, and some do not.

    quantile: of the stop logits in the first n_frames, where half of the texts stop; the higher, the later they do.
    """
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
        likely_end(model, n_frames, quantile)
    return model


def likely_end(model: Tacotron2, n_frames: int, quantile: float) -> None:
    """Set the bias of the stop logit, by how high it goes, so that half of the texts stop when it is high for them."""
    logits: list[Tensor] = []
    hook = model.stop.register_forward_hook(lambda _module, _inputs, output: logits.append(output[:, 0]))
    ids, lengths, speaker = texts()
    speaker = speaker if model.config.n_speakers > 1 else None
    options = DecodingOptions(max_frames=n_frames, stop_threshold=1.0)
    model.generate(ids, lengths, options, noise(len(LENGTHS)), speaker=speaker)
    hook.remove()
    level = torch.stack(logits).quantile(quantile, dim=0).median()
    model.stop.weight *= 10
    model.stop.bias.copy_((model.stop.bias - level) * 10)


def texts(lengths: tuple[int, ...] = LENGTHS) -> tuple[Tensor, Tensor, Tensor]:
    """Ids (B, N), lengths and speakers (B,)."""
    generator = torch.Generator().manual_seed(1)
    id_lengths = torch.tensor(lengths)
    ids = torch.randint(1, SMALL.n_symbols, (len(lengths), max(lengths)), generator=generator)
    ids *= torch.arange(max(lengths)) < id_lengths[:, None]
    return ids, id_lengths, torch.arange(len(lengths)) % SMALL.n_speakers


def noise(n: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


def assert_same(found: AcousticOutput, wanted: AcousticOutput, reduction_factor: int, atol: float = 1e-5) -> None:
    torch.testing.assert_close(found.mel_lengths, wanted.mel_lengths)
    torch.testing.assert_close(found.stopped, wanted.stopped)
    assert found.alignment.shape == wanted.alignment.shape, (found.alignment.shape, wanted.alignment.shape)
    torch.testing.assert_close(found.mel, wanted.mel, atol=atol, rtol=1e-4)
    for row, length in enumerate(wanted.mel_lengths.tolist()):
        taken = -(-length // reduction_factor)
        torch.testing.assert_close(found.alignment[row, :taken], wanted.alignment[row, :taken], atol=atol, rtol=1e-4)


CARD = Card("a card", (8, 0))
with_compiler = pytest.mark.skipif(which("g++") is None, reason="torch.compile needs g++ on a CPU")


def no_compiler(*_: object) -> object:
    """A backend of torch.compile that fails."""
    raise OSError("no compiler here\nsecond line")


def record(function: Callable[..., Tensors], inputs: Tensors) -> Callable[..., Tensors]:
    """As a CUDA graph would: with places for the inputs, and results that are copied out of it."""
    places = tuple(tensor.clone() for tensor in inputs)

    def replay(*new: Tensor) -> Tensors:
        for place, tensor in zip(places, new, strict=True):
            place.copy_(tensor)
        return tuple(output.clone() for output in function(*places))

    return replay


RECORDED = Launches(None, record, "a test")
