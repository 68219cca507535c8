"""WaveNet held to what the published program computes (`tests/parity/wavenet.md`)."""

import json
import math

import numpy as np
import pytest
import torch

from glowtron.config import MelConfig, PlainSignalConfig, WaveNetConfig
from glowtron.importers.torch_files import TorchFile
from glowtron.mel import log_mel
from glowtron.models import wavenet
from glowtron.models.published_wavenet import config_from_published, from_published, standardisation
from glowtron.models.wavenet import Mixture, Noise, WaveNet

MODELS = ("b_mol", "b_gaussian", "b_mulaw256", "a_mol", "a_gin")
TOLERANCES = {"logistic": (3e-4, 3e-2, 3e-2), "gaussian": (1e-4, 1e-3, 1e-4), "softmax": (1e-5, 1e-4, 1e-4)}
"""Of the mean loss, the loss of a sample, and a gradient's norm, as `wavenet.md` gives them."""


@pytest.fixture(scope="module")
def published(parity):
    """A model of the given name, its checkpoint's tensors, and what its program computes."""

    def load(name):
        file = TorchFile(parity(f"wavenet_{name}.pth"))
        state = {key: file.tensor(view, key) for key, view in file.content["state_dict"].items()}
        hparams = json.loads(parity(f"wavenet_{name}_hparams.json").read_text())
        config = config_from_published(state, hparams)
        model = WaveNet(config)
        # The arrays' mels are standardised already, so mel_mean and mel_scale stay 0 and 1.
        missing = model.load_state_dict(from_published(state, config), strict=False)
        assert set(missing.missing_keys) == {"mel_mean", "mel_scale"}
        assert not missing.unexpected_keys
        return model.eval(), state, dict(np.load(parity(f"wavenet_{name}.npz")))

    return load


def signal_of(arrays, prefix=""):
    return torch.from_numpy(arrays[f"{prefix}wave"]) if f"{prefix}wave" in arrays else codes_of(arrays, prefix)


def codes_of(arrays, prefix=""):
    return torch.from_numpy(arrays[f"{prefix}codes"].astype(np.int64))


def speaker_of(arrays, prefix=""):
    name = f"{prefix}speaker"
    return torch.from_numpy(arrays[name]) if name in arrays else None


def close(ours, theirs, tolerance=1e-4):
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_conditioning_and_outputs_are_those_of_the_published_program(published, name):
    model, _, arrays = published(name)
    conditioning = model.condition(torch.from_numpy(arrays["mel"]))
    close(conditioning[:, arrays["cond_channels"]], arrays["cond"])
    close(conditioning[:, :, ::16], arrays["cond_every16"])
    outputs = model(signal_of(arrays), conditioning, speaker_of(arrays))
    close(outputs[:, :, arrays["y_index"]] if "y_index" in arrays else outputs, arrays["y"])


def loss_of(model, arrays, prefix=""):
    """Mean and single losses, as the published training takes them: output t against sample t + 1."""
    signal = signal_of(arrays, prefix)
    conditioning = model.condition(torch.from_numpy(arrays[f"{prefix}mel"]))
    outputs = model(signal, conditioning, speaker_of(arrays, prefix))
    each = wavenet.wavenet_nll(model.config, outputs[:, :, :-1], signal[:, 1:])
    mask = torch.from_numpy(arrays[f"{prefix}mask"]).float() if prefix else torch.ones_like(each)
    return (each * mask).sum() / mask.sum(), each * mask


@pytest.mark.parametrize("prefix", ["", "batch_"])
@pytest.mark.parametrize("name", MODELS)
def test_losses_and_gradients_are_those_of_the_published_program(published, name, prefix):
    model, state, arrays = published(name)
    loss, each = loss_of(model, arrays, prefix)
    tolerance, each_tolerance, gradient_tolerance = TOLERANCES[model.config.output]
    assert loss.item() == pytest.approx(arrays[f"{prefix}loss"].item(), abs=tolerance)
    np.testing.assert_allclose(each.detach().numpy(), arrays[f"{prefix}loss_t"], atol=each_tolerance)
    loss.backward()
    total = arrays[f"{prefix}grad_norm"].item()
    ours = math.sqrt(sum(p.grad.double().square().sum().item() for p in model.parameters()))
    assert ours == pytest.approx(total, rel=2e-3 if model.config.output == "logistic" else 1e-4)
    norms = {p.grad.double().norm().item() for p in model.parameters()}
    for key, norm in zip(arrays["param_names"], arrays[f"{prefix}grad_norms"], strict=True):
        allowed = gradient_tolerance * norm + 1e-3 * gradient_tolerance / 3e-2 * total + 1e-6
        if f"conv_layers.{model.config.n_layers - 1}.conv1x1_out" in key:
            assert norm == 0
        else:
            assert min(abs(norm - mine) for mine in norms) <= allowed, key
    assert len(state) == len(arrays["param_names"])


@pytest.mark.parametrize("name", MODELS)
def test_training_takes_the_steps_of_the_published_program(published, name):
    model, _, arrays = published(name)
    optimizer = torch.optim.Adam(model.parameters())
    for rate, expected in zip(arrays["adam_lr"], arrays["adam_losses"], strict=True):
        optimizer.param_groups[0]["lr"] = float(rate)
        loss, _ = loss_of(model, arrays, "batch_")
        assert loss.item() == pytest.approx(expected.item(), abs=1e-3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def free_noise(config, arrays, prefix):
    """The recorded noise, batch first."""
    choice = arrays.get(f"{prefix}_noise_mix")
    value = arrays[f"{prefix}_noise_normal" if config.output == "gaussian" else f"{prefix}_noise_u"]
    choices = None if choice is None else torch.from_numpy(choice).transpose(0, 1)
    return Noise(choices, torch.from_numpy(value).T)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [(name, "free") for name in MODELS if name != "b_mulaw256"] + [("b_mol", "free2"), ("b_gaussian", "free2")],
)
def test_samples_drawn_with_recorded_noise_are_those_of_the_published_program(published, name, prefix):
    model, _, arrays = published(name)
    mel = torch.from_numpy(arrays[f"{prefix}_mel_nopad"])
    samples = model.generate_signal(mel, free_noise(model.config, arrays, prefix), speaker=speaker_of(arrays))
    close(samples, arrays[f"{prefix}_samples"])
    late = torch.nn.functional.pad(samples, (1, 0))[:, :-1]
    outputs = model(late, model.condition(model.with_context(mel)), speaker_of(arrays))
    close(outputs[:, :, arrays[f"{prefix}_params_index"]], arrays[f"{prefix}_params"])


def test_codes_drawn_with_recorded_noise_are_those_of_the_published_program(published, parity):
    model, _, _ = published("b_mulaw256")
    arrays = np.load(parity("wavenet_b_mulaw256_gen.npz"))
    middle = torch.from_numpy((arrays["free_cdf_lo"] + arrays["free_cdf_hi"]) / 2)
    mel = torch.from_numpy(arrays["free_mel_nopad"])
    codes = model.generate_signal(mel, Noise(None, middle[None]))
    assert codes[0].tolist() == arrays["free_codes"].tolist()
    late = torch.nn.functional.pad(codes, (1, 0), value=model.silence)[:, :-1]
    outputs = model(late, model.condition(model.with_context(mel)))
    close(outputs[:, :, arrays["free_params_index"]], arrays["free_params"])


@pytest.fixture(scope="module")
def tables(parity):
    return {name: torch.from_numpy(value) for name, value in np.load(parity("wavenet_tables.npz")).items()}


def as_outputs(parameters):
    return parameters.float().T[None]  # (L, C) -> (1, C, L)


def test_logistic_losses_and_samples(tables):
    outputs, target = as_outputs(tables["mol_params"]), tables["target"][None]
    for i, (n_levels, smallest) in enumerate(tables["mol_combos"].tolist()):
        nll = wavenet.logistic_nll(wavenet.mixture_of(outputs), target, int(n_levels), smallest)[0]
        assert ((nll - tables[f"mol_loss_{i}"]).abs() <= tables[f"mol_tol_{i}"]).all()
    noise = Noise(tables["mol_noise_mix"][None], tables["mol_noise_u"][None])
    close(wavenet.draw(WaveNetConfig(), outputs, noise)[0], tables["mol_sample_head"])
    for i, (_, smallest) in enumerate(tables["mol_combos"].tolist()):
        config = WaveNetConfig(layout="2018", context_frames=0, log_scale_min=smallest)
        close(wavenet.draw(config, outputs, noise)[0], tables[f"mol_sample_2018_{i}"])


def test_gaussian_losses_and_samples(tables):
    target = tables["target"][None]
    single, mixed = as_outputs(tables["gauss_params"]), as_outputs(tables["mol_params"])
    for i, smallest in enumerate(tables["gauss_log_scale_min"].tolist()):
        for outputs, name in ((single, "gauss"), (mixed, "gmix")):
            nll = wavenet.gaussian_nll(wavenet.mixture_of(outputs), target, smallest)[0]
            np.testing.assert_allclose(nll, tables[f"{name}_loss_{i}"], rtol=1e-4, atol=1e-4)
    config = WaveNetConfig(output="gaussian", n_mixtures=1)
    close(wavenet.draw(config, single, Noise(None, tables["gauss_noise"][None]))[0], tables["gauss_sample"])
    three = as_outputs(tables["gauss3_params"])
    close(wavenet.gaussian_nll(wavenet.mixture_of(three), target, -16.0)[0], tables["gauss3_loss_0"])
    close(wavenet.draw(config, three, Noise(None, tables["gauss3_noise"][None]))[0], tables["gauss3_sample"])
    noise = Noise(tables["gmix_noise_mix"][None], tables["gmix_noise"][None])
    close(wavenet.draw(WaveNetConfig(output="gaussian"), mixed, noise)[0], tables["gmix_sample"])


def test_softmax_losses_and_samples(tables):
    config = WaveNetConfig(output="softmax", n_levels=256)
    outputs, target = as_outputs(tables["softmax_logits"]), tables["softmax_target"].long()[None]
    close(wavenet.wavenet_nll(config, outputs, target)[0], tables["softmax_loss"])
    middle = (tables["softmax_cdf_lo"] + tables["softmax_cdf_hi"]) / 2
    codes = wavenet.draw(config, outputs, Noise(None, middle[None]))
    assert codes[0].tolist() == tables["softmax_sample"].tolist()


@pytest.mark.parametrize(("year", "mu"), [("head", 255), ("2018", 256)])
def test_mu_law(tables, year, mu):
    x = tables["mulaw_x"]
    assert wavenet.mu_law(x.double(), mu).tolist() == tables[f"mulaw_code_{year}"].tolist()
    codes = torch.arange(mu + 1)
    close(wavenet.mu_law_inverse(codes, mu), tables[f"mulaw_decode_{year}"], 1e-6)
    assert wavenet.mu_law(torch.zeros(1), mu).item() == tables[f"mulaw_silence_{year}"].item()


def test_emphasis(tables):
    emphasised = wavenet.emphasise(tables["emphasis_x"][None], 0.85)
    close(emphasised[0], tables["emphasis_y"], 1e-9)
    close(wavenet.de_emphasise(emphasised, 0.85)[0], tables["emphasis_back"], 1e-9)


def test_the_mel_of_2020_is_ours_with_other_edges_and_floor(parity):
    arrays = np.load(parity("wavenet_preprocess_b.npz"))
    config = MelConfig(f_min=125.0, f_max=7600.0, floor=1e-10)
    mel = log_mel(torch.from_numpy(arrays["highpassed"])[None], config)[0].T
    frames = len(arrays["mol_mel"])
    close(mel[:frames] / math.log(10), arrays["mol_mel"])
    statistics = tuple(torch.from_numpy(arrays[f"scaler_{name}"]) for name in ("mean", "scale"))
    mean, scale = standardisation(None, 80, statistics, old=False)
    close((mel[:frames] - mean) / scale, arrays["mol_mel_standardised"])


def test_the_wave_of_2020_is_high_passed_emphasised_and_scaled(parity):
    arrays = np.load(parity("wavenet_preprocess_b.npz"))
    signal = PlainSignalConfig(gain=0.55, pre_emphasis=0.85)
    model = WaveNet(WaveNetConfig(n_layers=1, signal=signal))
    highpassed = torch.from_numpy(arrays["highpassed"])[None]
    ours = model.to_signal(highpassed, torch.zeros(1, 80, 1))[0]
    target = torch.from_numpy(arrays["mol_wave"])
    close(ours[: len(target)], target[: len(ours)], 1e-5)
    assert not target[len(ours) :].any()
    codes = WaveNet(WaveNetConfig(n_layers=1, signal=signal, output="softmax", n_levels=256))
    theirs = arrays["mulaw256_wave"][: len(ours)]
    assert codes.to_signal(highpassed.double(), torch.zeros(1, 80, 1))[0].tolist() == theirs.tolist()
    restored = model.to_wave(target[None], torch.zeros(1, 80, 1))[0].numpy()
    assert np.abs((restored * 32767).astype(np.int32) - arrays["mol_wave_restored_int16"]).max() <= 1


def test_the_mel_of_2018_is_ours_with_its_frames_and_window(parity):
    arrays = np.load(parity("wavenet_preprocess_a.npz"))
    clip = torch.from_numpy(arrays["clip"].astype(np.float32) / 32768)
    clip = clip / clip.abs().max() * 0.999
    config = MelConfig(f_min=125.0, f_max=7600.0, floor=1e-4, framing="lws")
    mel = log_mel(clip[None], config)
    model = WaveNet(WaveNetConfig(n_layers=1, mel=config, layout="2018", context_frames=0))
    model.mel_mean, model.mel_scale = standardisation(None, 80, None, old=True)
    close(model.standardise(mel)[0].T, arrays["mol_mel"])
    assert mel.shape[2] * 256 == len(arrays["mol_wave"])
    before = int(arrays["lws_pad"][0])
    close(clip, arrays["mol_wave"][before : before + len(clip)], 1e-5)


def test_a_mixture_of_one_is_told_by_its_outputs():
    mixture = wavenet.mixture_of(torch.zeros(1, 3, 5))
    assert isinstance(mixture, Mixture)
    assert mixture.means.shape == (1, 1, 5)
