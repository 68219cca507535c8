"""Each model as a graph computes what the textbook does, for sizes and lengths of all kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import onnx
from glowtron.config import (
    DecodingOptions,
    FastSpeech2Config,
    GriffinLimConfig,
    GroupingConfig,
    LappedConfig,
    MelConfig,
    ProsodyOptions,
    Tacotron2Config,
    WaveGlowConfig,
    WNConfig,
)
from glowtron.errors import InputError
from glowtron.mel import log_mel
from glowtron.models.fastspeech2 import FastSpeech2, draw_noise
from glowtron.models.griffin_lim import GriffinLim
from glowtron.models.mel_correction import MelCorrection
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.onnx import correction, fastspeech2, griffin_lim, spectral, tacotron2, waveglow
from glowtron.onnx.correction_stream import Correction
from glowtron.onnx.graph import Graph
from glowtron.onnx.sessions import Session, scalar

FAST = FastSpeech2Config(n_speakers=2, channels=16, pitch_channels=12, decoder_channels=14, decoder_dilations=(1, 2))
SLOW = Tacotron2Config(
    n_speakers=2,
    embedding_channels=12,
    encoder_channels=16,
    prenet_channels=8,
    attention_rnn_channels=14,
    attention_channels=10,
    location_filters=4,
    location_kernel=7,
    decoder_rnn_channels=18,
    reduction_factor=3,
    postnet_channels=8,
)


def weights_of(model: torch.nn.Module) -> dict[str, NDArray[np.float32]]:
    return {name: weight.numpy() for name, weight in model.state_dict().items()}


def randomised(make: Callable[[], Any]) -> Any:
    """A model none of whose weights is zero, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make()
        for parameter in model.parameters():
            parameter.data += 0.02 * torch.randn_like(parameter)
    return model.eval()


def checked(graph: Graph) -> Session:
    """A session of a graph that the onnx package finds nothing wrong with."""
    onnx.checker.check_model(onnx.load_from_string(graph.model()), full_check=True)
    return Session(graph, 1)


def random_text(n_symbols: int, n_texts: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(1, 148, (n_texts, n_symbols), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def parallel() -> FastSpeech2:
    model = randomised(lambda: FastSpeech2(FAST))
    model.duration.out.bias.data.fill_(math.log(5))
    model.pitch_std.fill_(0.3)
    model.energy_std.fill_(0.7)
    return model


@pytest.fixture(scope="module")
def parallel_graph(parallel: FastSpeech2) -> Session:
    graph, weights = Graph("fastspeech2"), weights_of(parallel)
    ids, lengths, speaker = (
        graph.input(name, "int64", shape)
        for name, shape in (("ids", ["B", "N"]), ("lengths", ["B"]), ("speaker", ["B"]))
    )
    prosody = fastspeech2.prosody_inputs(graph)
    plan = fastspeech2.plan(graph, weights, FAST, ids, lengths, speaker, prosody, graph.input("limit", "int64", [1]))
    noise = graph.input("noise", "float32", ["B", 8, "T"])
    graph.output("mel", fastspeech2.decode(graph, weights, FAST, *plan[:4], noise), ["B", 80, "T"])
    graph.output("alignment", plan.alignment, ["B", "N", "T"])
    return checked(graph)


@pytest.mark.parametrize("lengths", [(1,), (30,), (9, 21), (5, 1, 17)])
@pytest.mark.parametrize("limit", [2000, 23])
def test_fastspeech2(parallel: FastSpeech2, parallel_graph: Session, lengths: tuple[int, ...], limit: int) -> None:
    ids = random_text(max(lengths), len(lengths))
    speaker = torch.arange(len(lengths)) % 2
    options = ProsodyOptions(rate=1.2, pause=1.9, pitch=3.0, pitch_range=1.4, energy=-2.0)
    with torch.inference_mode():
        plan = parallel.plan(ids, torch.tensor(lengths), speaker, options, limit)
        generators = [torch.Generator().manual_seed(i) for i in range(len(lengths))]
        noise = draw_noise(FAST, plan.durations.sum(1), generators)
        wanted = parallel.decode(plan.frames, plan.pitch, plan.voiced, noise, plan.mask)
    mel, alignment = parallel_graph(
        ids=ids.numpy(),
        lengths=np.array(lengths),
        speaker=speaker.numpy(),
        limit=np.array([limit]),
        noise=noise.numpy(),
        **{name: np.array([[getattr(options, name)]], np.float32) for name in fastspeech2.Prosody._fields},
    )
    np.testing.assert_allclose(mel, wanted.numpy(), atol=2e-5)
    assert np.array_equal(alignment.sum(2), plan.durations.numpy())


def test_fastspeech2_whose_prosody_changes_within_the_text(parallel: FastSpeech2, parallel_graph: Session) -> None:
    ids = random_text(12, 1, seed=3)
    options = [
        ProsodyOptions(rate=0.8 + 0.05 * i, pitch=i - 5, pitch_range=0.5 + 0.1 * i, energy=i / 2, pause=1 + i)
        for i in range(12)
    ]
    with torch.inference_mode():
        plan = parallel.plan(ids, torch.tensor([12]), torch.tensor([1]), options, 500)
        noise = draw_noise(FAST, plan.durations.sum(1), [torch.Generator().manual_seed(1)])
        wanted = parallel.decode(plan.frames, plan.pitch, plan.voiced, noise, plan.mask)
    mel, _ = parallel_graph(
        ids=ids.numpy(),
        lengths=np.array([12]),
        speaker=np.array([1]),
        limit=np.array([500]),
        noise=noise.numpy(),
        **{
            name: np.array([[getattr(one, name) for one in options]], np.float32)
            for name in fastspeech2.Prosody._fields
        },
    )
    np.testing.assert_allclose(mel, wanted.numpy(), atol=2e-5)


@pytest.mark.parametrize("monotonic", [True, False])
@pytest.mark.parametrize("keep_stop_frame", [True, False])
# Where padding leaks, texts beside each other wait in the textbook in a way of its own.
@pytest.mark.parametrize(
    ("lengths", "mask_padding"), [((1,), True), ((1,), False), ((14,), True), ((14,), False), ((6, 11), True)]
)
def test_tacotron2(lengths: tuple[int, ...], keep_stop_frame: bool, mask_padding: bool, monotonic: bool) -> None:
    config = replace(SLOW, mask_padding=mask_padding)
    model = randomised(lambda: Tacotron2(config))
    for norm in (*model.encoder.norms, *model.postnet.norms):
        norm.running_mean.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.1)
        norm.running_var.add_(0.2)
    options = DecodingOptions(
        monotonic=monotonic, keep_stop_frame=keep_stop_frame, max_frames=70, max_dwell=12, max_sound_dwell=9
    )
    graph, weights, n_steps = Graph("tacotron2"), weights_of(model), 24
    ids = graph.input("ids", "int64", ["B", "N"])
    n_ids, who = graph.input("lengths", "int64", ["B"]), graph.input("speaker", "int64", ["B"])
    memory = tacotron2.encode(graph, weights, config, ids, n_ids, who)
    keep = graph.input("keep", "float32", ["S", 2, "B", config.prenet_channels])
    state = tacotron2.start(graph, config, 80, memory)
    decoded = tacotron2.advance(graph, weights, config, 80, memory, state, keep, options)
    limit = graph.input("limit", "int64", [1])
    mel, mel_lengths = tacotron2.whole_mel(graph, weights, config, decoded, options, limit)
    graph.output("mel", mel, ["B", 80, "T"])
    graph.output("mel_lengths", mel_lengths, ["B"], "int64")
    graph.output("stopped", ~decoded.state.active, ["B"], "bool")
    session = checked(graph)
    texts = random_text(max(lengths), len(lengths), seed=5)
    speaker = torch.arange(len(lengths)) % 2
    generators = [torch.Generator().manual_seed(i) for i in range(len(lengths))]
    wanted = model.generate(texts, torch.tensor(lengths), options, generators, speaker=speaker)
    generators = [torch.Generator().manual_seed(i) for i in range(len(lengths))]
    like = torch.zeros(1)
    masks = torch.stack([model.prenet.draw(64, like=like, generator=one) for one in generators], dim=2)
    found, found_lengths, stopped = session(
        ids=texts.numpy(),
        lengths=np.array(lengths),
        speaker=speaker.numpy(),
        keep=masks[:, :n_steps].transpose(0, 1).numpy(),
        limit=np.array([options.max_frames]),
    )
    assert found_lengths.tolist() == wanted.mel_lengths.tolist()
    assert stopped.tolist() == wanted.stopped.tolist()
    np.testing.assert_allclose(found, wanted.mel.numpy(), atol=2e-5)


@pytest.mark.parametrize(
    "config",
    [
        WaveGlowConfig(
            analysis=LappedConfig(scale_channels=8),
            wavenet=WNConfig(n_layers=2, n_channels=8),
            n_flows=4,
            early_every=2,
            early_size=2,
            speakers=("ann", "bob"),
        ),
        WaveGlowConfig(
            analysis=LappedConfig(hop_length=64, scale_channels=8),
            wavenet=WNConfig(n_layers=3, n_channels=6, kernel_size=5, dilation_cycle=2),
            n_flows=2,
            early_size=0,
        ),
        WaveGlowConfig(
            analysis=GroupingConfig(upsample_kernel=512),
            wavenet=WNConfig(n_layers=2, n_channels=8),
            n_flows=6,
            early_every=2,
            alternate_halves=True,
        ),
    ],
    ids=["lapped", "a quarter of the hop", "grouped"],
)
@pytest.mark.parametrize(("n_batch", "n_frames"), [(1, 1), (1, 40), (3, 7)])
def test_waveglow(config: WaveGlowConfig, n_batch: int, n_frames: int) -> None:
    model = randomised(lambda: WaveGlow(config))
    model.fold_weight_norm()
    graph, weights = Graph("waveglow"), weights_of(model)
    z, mel = graph.input("z", "float32", ["B", config.n_channels, "G"]), graph.input("mel", "float32", ["B", 80, "T"])
    speaker = graph.input("speaker", "int64", ["B"]) if config.speakers else None
    graph.output("wave", waveglow.generate(graph, weights, config, z, mel, speaker), ["B", "L"])
    session = checked(graph)
    generator = torch.Generator().manual_seed(n_frames)
    frames = torch.randn(n_batch, 80, n_frames, generator=generator) - 5
    noise = torch.randn(n_batch, config.n_channels, n_frames * 256 // config.n_channels, generator=generator)
    who = torch.arange(n_batch) % 2 if config.speakers else None
    with torch.no_grad():
        wanted = model.inverse(noise, frames, who)
    given = {} if who is None else {"speaker": who.numpy()}
    (found,) = session(z=noise.numpy(), mel=frames.numpy(), **given)
    np.testing.assert_allclose(found, wanted.numpy(), atol=2e-5 * float(wanted.abs().max()))


def test_a_matrix_without_an_inverse_is_told() -> None:
    with pytest.raises(InputError, match="has no inverse"):
        waveglow.unmixing(np.zeros((4, 4), np.float32))


MELS = [
    MelConfig(),
    MelConfig(n_fft=512, win_length=400, hop_length=100, n_mels=20),
    MelConfig(n_fft=600, win_length=600),
]


@pytest.mark.parametrize("config", MELS, ids=["published", "short windows", "no power of two"])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 30])
def test_correction(config: MelConfig, n_frames: int) -> None:
    """As a graph, and as a stream of one piece and of many."""
    rounds = 3
    random = torch.Generator().manual_seed(0)
    wave = 0.3 * torch.randn(1, n_frames * config.hop_length, generator=random)
    mel = log_mel(0.2 * torch.randn(1, wave.shape[1], generator=random), config)[..., :n_frames]
    wanted = MelCorrection(config)(wave, mel, rounds).numpy()
    graph = Graph("correction")
    given = graph.input("wave", "float32", ["B", "L"]), graph.input("mel", "float32", ["B", config.n_mels, "T"])
    graph.output("corrected", correction.correct(graph, config, *given, rounds), ["B", "L"])
    (found,) = checked(graph)(wave=wave.numpy(), mel=mel.numpy())
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    for size in (1, 4, n_frames):
        stream = Correction(config).stream(rounds)
        pieces = [
            stream.push(
                wave[0, i * config.hop_length : (i + size) * config.hop_length].numpy(),
                mel[0, :, i : i + size].numpy(),
                i + size >= n_frames,
            )
            for i in range(0, n_frames, size)
        ]
        np.testing.assert_allclose(np.concatenate(pieces), wanted[0], atol=2e-5)


def test_correction_of_several_sounds_at_once() -> None:
    config, graph = MelConfig(), Graph("correction")
    given = graph.input("wave", "float32", ["B", "L"]), graph.input("mel", "float32", ["B", 80, "T"])
    graph.output("corrected", correction.correct(graph, config, *given, 2), ["B", "L"])
    wave = 0.3 * torch.randn(2, 20 * 256, generator=torch.Generator().manual_seed(0))
    mel = log_mel(wave.flip(0), config)[..., :20]
    (found,) = checked(graph)(wave=wave.numpy(), mel=mel.numpy())
    np.testing.assert_allclose(found, MelCorrection(config)(wave, mel, 2).numpy(), atol=2e-5)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 25])
def test_griffin_lim(n_frames: int) -> None:
    """Rounding grows with the rounds, as the phases of weak frequencies are sought."""
    config = GriffinLimConfig(n_iterations=5)
    mel = torch.randn(1, 80, n_frames, generator=torch.Generator().manual_seed(0)) - 4
    wanted = GriffinLim(config).generate(mel, generator=torch.Generator().manual_seed(3))
    graph = Graph("griffin-lim")
    given = graph.input("mel", "float32", [1, 80, "T"]), graph.input("turns", "float32", [1, 513, "U"])
    graph.output("wave", griffin_lim.generate(graph, config, *given), [1, "L"])
    turns = torch.rand(1, 513, max(n_frames, 3), generator=torch.Generator().manual_seed(3))
    (found,) = checked(graph)(mel=mel.numpy(), turns=turns.numpy())
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("config", MELS, ids=["published", "short windows", "no power of two"])
@pytest.mark.parametrize("n_samples", [1, 100, 5000])
def test_log_mel(config: MelConfig, n_samples: int) -> None:
    wave = 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(0))
    wanted = log_mel(wave[None], config)[0].numpy()
    np.testing.assert_allclose(spectral.log_mel(wave.numpy(), config), wanted, atol=1e-4)


def test_log_mel_of_nothing_is_told() -> None:
    with pytest.raises(InputError, match="wave is empty"):
        spectral.log_mel(np.zeros(0, np.float32), MelConfig())
    with pytest.raises(InputError, match="NaN"):
        spectral.log_mel(np.full(9, np.nan, np.float32), MelConfig())


def test_bytes_are_a_quarter_and_near() -> None:
    """Matrices keep a byte for each weight, and a scale for each row."""
    random = np.random.default_rng(0)
    matrix, x = random.standard_normal((64, 100)).astype(np.float32), random.standard_normal((3, 100), np.float32)
    sizes, found = [], []
    for int8 in (False, True):
        graph = Graph("product", int8=int8)
        value = graph.input("x", "float32", ["B", 100])
        graph.output("y", value @ graph.weight(matrix).transpose(1, 0), ["B", 64])
        sizes.append(len(graph.model()))
        found.append(checked(graph)(x=x)[0])
    assert sizes[1] < 0.3 * sizes[0]
    bound = np.abs(x).sum(1)[:, None] * np.abs(matrix).max(1) / 127 / 2
    assert (np.abs(found[1] - found[0]) <= bound * 1.01).all() and not np.array_equal(*found)


def test_scalars_are_as_graphs_take_them() -> None:
    assert scalar(1.5).shape == (1,) and scalar(1.5).dtype == np.float32
