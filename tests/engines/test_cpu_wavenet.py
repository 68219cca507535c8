"""The C engine held to the textbook: the same samples from the same noise, in pieces and in company too."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.config import LinearPredictionConfig, MelConfig, PlainSignalConfig, WaveNetConfig
from glowtron.engines.cpu_wavenet import KINDS, FastWaveNet, GivenNoise, NoiseBlocks, find_kernel
from glowtron.models.wavenet import WaveNet, draw_noise

MEL = MelConfig(hop_length=16, n_fft=64, win_length=64, n_mels=5)
SIZES = {"mel": MEL, "upsample_scales": (4, 4), "residual_channels": 12, "gate_channels": 24, "skip_channels": 20}
CHANGES = {
    "logistic": {"n_layers": 4, "dilation_cycle": 2},
    "prediction": {
        "n_layers": 7,
        "output": "gaussian",
        "n_mixtures": 1,
        "signal": LinearPredictionConfig(order=4),
    },
    "gaussians": {"n_layers": 3, "output": "gaussian", "n_mixtures": 3},
    "codes": {
        "n_layers": 4,
        "output": "softmax",
        "n_levels": 16,
        "signal": PlainSignalConfig(gain=0.5, pre_emphasis=0.85),
    },
    "2018": {"n_layers": 4, "layout": "2018", "context_frames": 0, "speakers": ("ann", "bob")},
    "speakers": {"n_layers": 4, "speakers": ("ann", "bob"), "kernel_size": 2, "dilation_cycle": 5},
    "kernel of one": {"n_layers": 2, "kernel_size": 1, "residual_channels": 64},
}
FOUND = find_kernel()
pytestmark = pytest.mark.skipif(FOUND.kernel is None, reason=FOUND.why_not)


def make(name):
    config = WaveNetConfig(**(SIZES | CHANGES[name]))
    torch.manual_seed(0)
    model = WaveNet(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3 if parameter.dim() > 1 else 0.1)
    mel = torch.randn(3, 5, 9) - 4
    speaker = torch.tensor([1, 0, 1]) if config.speakers else None
    noise = draw_noise(config, 3, 9 * 16, torch.Generator().manual_seed(3), mel.device)
    return model, mel, speaker, noise


def engine(model, kind="fp32", level=None):
    return FastWaveNet(model, find_kernel(level=level).kernel, kind)


@pytest.mark.parametrize("level", range(FOUND.kernel.n_levels if FOUND.kernel else 1))
@pytest.mark.parametrize("name", CHANGES)
def test_the_sound_is_the_textbooks_given_its_noise(name, level):
    model, mel, speaker, noise = make(name)
    expected = model.generate(mel, noise=noise, speaker=speaker)
    found = engine(model, "fp32", level).generate(mel, noise=noise, speaker=speaker)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("name", ["logistic", "prediction", "2018"])
def test_rounded_weights_are_near_and_alike_at_every_level(name, kind):
    model, mel, speaker, noise = make(name)
    expected = model.generate(mel, noise=noise, speaker=speaker)
    levels = range(FOUND.kernel.n_levels)
    found = [engine(model, kind, level).generate(mel, noise=noise, speaker=speaker) for level in levels]
    error = (found[-1] - expected).pow(2).mean() / expected.pow(2).mean()
    assert 0 < error < {"int16": 1e-3, "int8": 3e-2}[kind]
    for other in found[:-1]:
        torch.testing.assert_close(found[-1], other, atol=1e-3, rtol=1e-3)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 9), max_size=4), name=st.sampled_from(list(CHANGES)), kind=st.sampled_from(KINDS))
def test_a_stream_gives_the_samples_of_the_whole(cuts, name, kind):
    model, mel, speaker, noise = make(name)
    fast = engine(model, kind)
    whole = fast.generate(mel, noise=noise, speaker=speaker)
    stream = fast.stream(GivenNoise(noise), 3, 1.0, speaker)
    places = [0, *sorted(cuts), 9]
    parts = []
    for start, stop in zip(places, places[1:], strict=False):
        parts.append(stream.push(mel[:, :, start:stop], stop == 9 and start < 9))
        if stop == 9:
            break
    assert torch.equal(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("level", range(FOUND.kernel.n_levels if FOUND.kernel else 1))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["logistic", "2018"])
def test_company_changes_nothing(name, kind, level):
    model, mel, speaker, noise = make(name)
    fast = engine(model, kind, level)
    together = fast.generate(mel, noise=noise, speaker=speaker)
    threads = fast.generate(mel, noise=noise, speaker=speaker, n_threads=2)
    assert torch.equal(threads, together)
    for i in range(3):
        own = type(noise)(*(None if part is None else part[i : i + 1] for part in noise))
        alone = fast.generate(mel[i : i + 1], noise=own, speaker=None if speaker is None else speaker[i : i + 1])
        assert torch.equal(alone[0], together[i])


def test_sums_of_bytes_fit_where_a_few_weights_are_as_large_as_can_be():
    """Sixteen products are added up in 16 bits: rows of equal weights and inputs are the most that there can be."""
    config = WaveNetConfig(**(SIZES | {"n_layers": 2, "residual_channels": 64, "gate_channels": 128}))
    model = WaveNet(config).eval()
    model.fold_weight_norm()
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.01 if parameter.dim() > 1 else 0.1)
    noise = draw_noise(config, 1, 4 * 16, torch.Generator().manual_seed(3), torch.device("cpu"))
    mel = torch.zeros(1, 5, 4)
    said = {}
    for kind in KINDS:
        said[kind] = []
        engine(model, kind).stream(GivenNoise(noise), 1).push(mel, True, said[kind])
    exact = torch.cat(said["fp32"])
    assert exact.abs().max() > 0.1
    torch.testing.assert_close(torch.cat(said["int8"]), exact, atol=0.02 * float(exact.abs().max()), rtol=0)


@settings(max_examples=12)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    name=st.sampled_from(list(CHANGES)),
    kind=st.sampled_from(KINDS),
    n_threads=st.integers(1, 3),
)
def test_clips_of_any_lengths_in_step_sound_as_alone(lengths, name, kind, n_threads):
    model, _, speaker, _ = make(name)
    fast, who = engine(model, kind), None if speaker is None else speaker[:1]
    mels = [torch.randn(5, length) - 4 for length in lengths]

    def generator(place):
        return torch.Generator().manual_seed(place)

    generators = [generator(place) for place in range(len(mels))]
    together = fast.generate_each(mels, generators, 0.9, who, n_threads=n_threads)
    for place, mel in enumerate(mels):
        alone = fast.generate(mel[None], 0.9, generator(place), speaker=who)[0]
        assert torch.equal(together[place], alone)


def test_a_seed_gives_one_sound_and_the_textbooks_noise():
    model, mel, _, _ = make("logistic")
    fast = engine(model)
    sounds = [fast.generate(mel, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    assert torch.equal(sounds[0], sounds[1])
    assert not torch.equal(sounds[0], sounds[2])
    expected = model.generate(mel, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(sounds[0], expected, atol=1e-4, rtol=1e-4)


def test_noise_does_not_depend_on_how_it_is_taken():
    config = WaveNetConfig(**(SIZES | CHANGES["logistic"]))
    whole = draw_noise(config, 1, 2000, torch.Generator().manual_seed(1), torch.device("cpu"))
    blocks = NoiseBlocks(config, 1, torch.Generator().manual_seed(1))
    parts = [blocks.next(n) for n in (1, 999, 600, 400)]
    assert torch.equal(torch.cat([part.value for part in parts], dim=1), whole.value)
    assert torch.equal(torch.cat([part.choice for part in parts], dim=1), whole.choice)


def test_outputs_are_told_where_they_are_asked_for():
    model, mel, _, noise = make("logistic")
    said = []
    stream = engine(model).stream(GivenNoise(noise), 3)
    stream.push(mel, True, said)
    signal = model.generate_signal(mel, noise)
    late = torch.nn.functional.pad(signal, (1, 0))[:, :-1]
    outputs = model(late, model.condition(model.with_context(mel)))
    torch.testing.assert_close(torch.cat(said).permute(1, 2, 0), outputs, atol=1e-4, rtol=1e-4)


def test_a_library_of_another_version_is_told(tmp_path):
    assert "C compiler" in find_kernel(tmp_path / "none.so").why_not
    (tmp_path / "broken.so").write_bytes(b"no library")
    assert "cannot be loaded" in find_kernel(tmp_path / "broken.so").why_not
