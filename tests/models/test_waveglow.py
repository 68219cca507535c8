"""WaveGlow: published parity, and what must hold of any flow."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import MEL, waveglow_kinds
from torch import Tensor

from glowtron.config import GroupingConfig, WaveGlowConfig, WNConfig
from glowtron.errors import InputError
from glowtron.importers.published import read_published
from glowtron.models.published_waveglow import config_from_published, from_published
from glowtron.models.waveglow import WaveGlow, draw_noise, flow_loss, inv_conv

WAVENET = WNConfig(n_layers=2, n_channels=8, dilation_cycle=2)
KINDS = waveglow_kinds(WAVENET, "grouped", "lapped", "lapped, hop of the mel", "swapped halves")
GROUPED, LAPPED = KINDS["grouped"], KINDS["lapped"]
every_kind = pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)


def make(config: WaveGlowConfig, seed: int = 0) -> WaveGlow:
    """A flow in which nothing is still zero, as after some training."""
    torch.manual_seed(seed)
    model = WaveGlow(config)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def sound(n_samples: int, n_batch: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise as audio (B, L) and as a mel (B, M, T) that covers it."""
    generator = torch.Generator().manual_seed(seed)
    wave = 0.1 * torch.randn(n_batch, n_samples, generator=generator)
    return wave, torch.randn(n_batch, MEL.n_mels, n_samples // MEL.hop_length + 1, generator=generator) - 5


@pytest.fixture(params=["2018_11_09", "2018_11_22", "2020_09_02", "dle", "old"])
def published(request: pytest.FixtureRequest, parity: Callable[[str], Path]) -> tuple[WaveGlow, Any]:
    """A published checkpoint as ours, and what its program computes from it."""
    checkpoint = read_published(parity(f"waveglow_{request.param}.pt"))
    config = config_from_published(checkpoint.state, alternate_halves=checkpoint.kind == "waveglow_old")
    model = WaveGlow(config)
    model.load_state_dict(from_published(checkpoint.state))
    arrays = np.load(parity(f"waveglow_{request.param}.npz"))
    return model, {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def error(got: Tensor, wanted: Tensor) -> float:
    return float((got.detach() - wanted).abs().max() / wanted.abs().max())


def test_published_inference(published: tuple[WaveGlow, Any]):
    model, arrays = published
    noise = [arrays[name] for name in sorted(arrays) if name.startswith("noise_")]
    for sigma, name in ((0.666, "infer_audio_sigma0666"), (0.0, "infer_audio_sigma0")):
        assert error(model.generate(arrays["infer_mel"], sigma, noise=noise), arrays[name]) < 1e-5
    model.fold_weight_norm()
    assert error(model.generate(arrays["infer_mel"], 0.666, noise=noise), arrays["infer_audio_sigma0666"]) < 1e-5


def test_published_training(published: tuple[WaveGlow, Any]):
    model, arrays = published
    if "audio" not in arrays:  # The oldest program's layout: it only infers.
        assert model.config.alternate_halves
        return
    flow = model(arrays["audio"], arrays["mel"])
    assert error(flow.z, arrays["z"]) < 1e-5
    assert error(torch.cat([log_s.transpose(1, 2).flatten(1) for log_s in flow.log_s], dim=1), arrays["log_s"]) < 1e-5
    # These are rounding errors, times 1,000 uses, around log 1: the matrices are orthonormal. So no relative error.
    assert (flow.log_det - arrays["log_det"]).abs().max() / (flow.z.shape[0] * flow.z.shape[2]) < 1e-6
    loss = flow_loss(flow)
    assert error(loss, arrays["loss"]) < 1e-5
    loss.backward()
    norm = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
    assert error(norm, arrays["grad_norm"]) < 1e-5

    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = flow_loss(model(arrays["audio"], arrays["mel"]))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert error(torch.stack(losses), arrays["adam_1e3_losses"]) < 1e-4


def state_of(parity: Callable[[str], Path], layout: str) -> dict[str, Tensor]:
    return read_published(parity(f"waveglow_{layout}.pt")).state


@pytest.mark.parametrize("layout", ["2018_11_09", "2020_09_02"])
def test_published_weights_without_weight_norm(layout: str, parity: Callable[[str], Path]):
    state = state_of(parity, layout)
    folded = {name: tensor for name, tensor in state.items() if not name.endswith(("weight_g", "weight_v"))}
    for name in [name for name in state if name.endswith("weight_v")]:
        v, g = state[name], state[name[:-1] + "g"]
        folded[name[: -len("_v")]] = g * v / v.norm(dim=(1, 2), keepdim=True)
    plain, normed = WaveGlow(config_from_published(folded)), WaveGlow(config_from_published(state))
    plain.load_state_dict(from_published(folded))
    normed.load_state_dict(from_published(state))
    mel = torch.randn(1, 16, 4)
    audio = [model.generate(mel, 1.0, torch.Generator().manual_seed(0)) for model in (plain, normed)]
    assert error(*audio) < 1e-5


@pytest.mark.parametrize("layout", ["2018_11_09", "2018_11_22", "2020_09_02"])
def test_every_missing_published_tensor_is_named(layout: str, parity: Callable[[str], Path]):
    state = state_of(parity, layout)
    for name in state:
        if "WN.1.in_layers.2" in name or "WN" not in name or name.endswith("0.bias"):
            with pytest.raises(InputError, match="WaveGlow"):
                from_published({other: tensor for other, tensor in state.items() if other != name})


@pytest.mark.parametrize("layout", ["2018_11_09", "2018_11_22", "2020_09_02"])
def test_published_tensors_that_do_not_fit_are_refused(layout: str, parity: Callable[[str], Path]):
    state = state_of(parity, layout)
    for name in ("WN.3.start.bias", "WN.2.in_layers.1.weight_v", "WN.5.end.weight", "upsample.bias"):
        with pytest.raises(InputError, match="shape"):
            from_published(state | {name: torch.zeros([n + 1 for n in state[name].shape])})
    with pytest.raises(InputError, match=r"WN\.9\.start\.bias"):
        from_published(state | {"WN.9.start.bias": torch.zeros(3)})
    with pytest.raises(InputError, match="WaveGlow"):
        from_published({})


@every_kind
@settings(deadline=None, max_examples=15)
@given(n_samples=st.integers(1, 100), seed=st.integers(0, 9))
def test_inverse_undoes_forward(config: WaveGlowConfig, n_samples: int, seed: int):
    model, (wave, mel) = make(config, seed), sound(n_samples, seed=seed)
    with torch.no_grad():
        again = model.inverse(model(wave, mel).z, mel)
    assert again.shape[1] - n_samples < config.n_channels
    assert torch.allclose(again[:, :n_samples], wave, atol=1e-4)
    assert torch.allclose(again[:, n_samples:], torch.zeros(()), atol=1e-4)


@every_kind
def test_generating_from_the_noise_of_forward_gives_the_audio_back(config: WaveGlowConfig):
    model, (wave, mel) = make(config), sound(5 * MEL.hop_length)
    mel = mel[:, :, :5]
    with torch.no_grad():
        z = model(wave, mel).z
    parts = z.split([n for n in model.early if n] + [model.channels[-1]], dim=1)
    assert torch.allclose(model.generate(mel, 1.0, noise=parts[::-1]), wave, atol=1e-4)


@every_kind
def test_log_determinants_are_those_of_the_whole_map(config: WaveGlowConfig):
    model, (wave, mel) = make(config), sound(32, n_batch=1)
    flow = model(wave, mel)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x, mel).z.flatten(), wave)
    wanted = torch.linalg.slogdet(jacobian.flatten(1).double()).logabsdet
    got = sum(log_s.sum() for log_s in flow.log_s) + flow.log_det.sum()
    if flow.log_scale is not None:
        got = got - flow.log_scale.sum()
    assert wanted.abs() > 0.1
    assert got.item() == pytest.approx(wanted.item(), abs=1e-3)


@every_kind
def test_loss_is_the_likelihood_a_value(config: WaveGlowConfig):
    model, (wave, mel) = make(config), sound(32, n_batch=1)
    flow, sigma = model(wave, mel), 0.7
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x, mel).z.flatten(), wave).flatten(1)
    gaussian = torch.distributions.Normal(0, sigma)
    likelihood = gaussian.log_prob(flow.z).sum() + torch.linalg.slogdet(jacobian).logabsdet
    constant = 0.5 * np.log(2 * np.pi) + np.log(sigma)
    assert flow_loss(flow, sigma).item() == pytest.approx(-likelihood.item() / 32 - constant, abs=1e-3)


@every_kind
def test_same_seed_same_audio(config: WaveGlowConfig):
    model, (_, mel) = make(config), sound(40)
    first, again, other = (model.generate(mel, 0.8, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
    assert first.shape == (2, mel.shape[2] * MEL.hop_length)
    assert torch.equal(*(model.generate(mel, 0.0, torch.Generator().manual_seed(seed)) for seed in (1, 2)))


@every_kind
def test_items_of_a_batch_do_not_meet(config: WaveGlowConfig):
    model, (wave, mel) = make(config), sound(70, n_batch=3)
    with torch.no_grad():
        together = model(wave, mel).z
        for i in range(3):
            assert torch.allclose(model(wave[i : i + 1], mel[i : i + 1]).z[0], together[i], atol=1e-4)


@every_kind
def test_learns(config: WaveGlowConfig):
    model, (wave, mel) = make(config), sound(96)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            flow = model(wave, mel)
            loss = flow_loss(flow)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert losses[-1] < losses[0] - 0.5
    assert loss.dtype == flow.log_det.dtype == torch.float32


@every_kind
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_flows_computed_again_give_the_same_gradient_and_keep_little(config: WaveGlowConfig, precision: torch.dtype):
    # As wide as the layers of real models are beside their channels.
    model = make(replace(config, wavenet=replace(config.wavenet, n_channels=64)))
    wave, mel = sound(96)
    mel.requires_grad_()
    found, kept = [], []

    def count(tensor: Tensor) -> Tensor:
        kept[-1] += tensor.numel()
        return tensor

    for recompute in (False, True):
        kept.append(0)
        with (
            torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
            torch.autocast("cpu", precision, enabled=precision != torch.float32),
        ):
            loss = flow_loss(model(wave, mel, recompute=recompute))
        found.append((loss, *torch.autograd.grad(loss, [mel, *model.parameters()])))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))
    assert kept[1] < kept[0] / 4


@every_kind
def test_a_single_speaker_is_the_published_network(config: WaveGlowConfig):
    plain, named = make(config), make(replace(config, speakers=("ann",)))
    assert {name: tensor.shape for name, tensor in plain.state_dict().items()} == {
        name: tensor.shape for name, tensor in named.state_dict().items()
    }
    wave, mel = sound(96)
    with torch.no_grad():
        flows = [plain(wave, mel), named(wave, mel), named(wave, mel, torch.tensor([0, 0]))]
    for flow in flows[1:]:
        assert torch.equal(flow.z, flows[0].z)


@every_kind
def test_speakers_are_told_apart_and_several_share_a_batch(config: WaveGlowConfig):
    model, (wave, mel) = make(replace(config, speakers=("ann", "bob", "carl"))), sound(96, n_batch=3)
    whose = torch.tensor([2, 0, 2])
    with torch.no_grad():
        together = model(wave, mel, whose).z
        for i, one in enumerate(whose):
            assert torch.allclose(model(wave[i : i + 1], mel[i : i + 1], one[None]).z[0], together[i], atol=1e-4)
        again, of_others = (model.inverse(together, mel, who) for who in (whose, (whose + 1) % 3))
        assert torch.equal(model(wave, mel, torch.tensor([1])).z, model(wave, mel, torch.tensor([1, 1, 1])).z)
    assert torch.allclose(again[:, :96], wave, atol=1e-4)
    assert ((of_others[:, :96] - wave).square().mean(1) > 1e-6).all()
    with pytest.raises(AssertionError, match="needs `speaker`"):
        model(wave, mel)


@every_kind
def test_who_is_in_a_batch_learns_and_nobody_else(config: WaveGlowConfig):
    model, (wave, mel) = make(replace(config, speakers=("ann", "bob", "carl"))), sound(96)
    gradients = []
    for recompute in (False, True):
        flow_loss(model(wave, mel, torch.tensor([2, 0]), recompute=recompute)).backward()
        gradients.append(model.speaker.weight.grad)
        model.zero_grad()
    assert torch.equal(*gradients)
    assert [bool(row.any()) for row in gradients[0]] == [True, False, True]


def test_flows_to_compute_again_change_nothing_without_a_gradient():
    model, (wave, mel) = make(GROUPED), sound(96)
    with torch.no_grad():
        one, two = (model(wave, mel, recompute=recompute) for recompute in (False, True))
    assert torch.equal(one.z, two.z) and not two.z.requires_grad


@given(seed=st.integers(0, 99), negative=st.booleans())
def test_log_determinants_are_finite_whatever_their_sign(seed: int, negative: bool):
    matrix = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed))
    if negative != bool(torch.linalg.det(matrix) < 0):
        matrix[0] = -matrix[0]
    _, log_det = inv_conv(torch.zeros(2, 5, 6), matrix)
    assert log_det.isfinite()
    assert log_det.item() == pytest.approx(10 * torch.linalg.det(matrix.double()).abs().log().item(), abs=1e-3)


def test_weights_that_have_no_inverse_are_refused():
    model, (_, mel) = make(GROUPED), sound(40)
    with torch.no_grad():
        model.mixing[1].zero_()
    with pytest.raises(InputError, match="inverse"):
        model.generate(mel)


def test_mixing_starts_as_a_rotation_or_a_permutation():
    for matrix in make(GROUPED).mixing:
        assert torch.allclose(matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5)
        assert torch.linalg.det(matrix).item() == pytest.approx(1, abs=1e-5)
    first, second, _ = make(LAPPED).mixing
    channels = torch.arange(8.0)
    assert (first @ channels).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert (second @ channels).tolist() == [4, 5, 6, 7, 0, 1, 2, 3]


def test_untrained_lapped_flow_is_the_transform():
    model, (wave, mel) = WaveGlow(LAPPED), sound(64)
    assert model(wave, mel).z.square().sum().item() == pytest.approx(wave.square().sum().item(), rel=1e-5)


def test_upsampling_kernel_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="upsample_kernel"):
        WaveGlow(replace(GROUPED, analysis=GroupingConfig(group_size=8, upsample_kernel=40)))


@pytest.mark.parametrize(("channels", "parameters"), [(128, 34_756_712), (256, 87_731_816), (512, 267_999_848)])
def test_published_sizes(channels: int, parameters: int):
    config = WaveGlowConfig(mixing="permutation", wavenet=WNConfig(n_channels=channels))
    with torch.device("meta"):
        model = WaveGlow(config)
    # Weight norm's g is one number an output, which removing it takes away.
    names = model.state_dict().items()
    assert sum(tensor.numel() for name, tensor in names if not name.endswith("weight_g")) == parameters


def test_a_sound_begins_with_the_same_noise_however_long_it_becomes():
    config = WaveGlowConfig(analysis=GroupingConfig(), early_every=2, n_flows=4, early_size=2)
    mel = torch.zeros(2, 80, 300)
    whole, start, single = (draw_noise(config, mel[..., :n], torch.Generator().manual_seed(5)) for n in (300, 77, 1))
    for part, shorter, shortest in zip(whole, start, single, strict=True):
        assert torch.equal(part[..., : shorter.shape[2]], shorter)
        assert torch.equal(part[..., : shortest.shape[2]], shortest)
        assert part.shape[2] == 300 * 256 // config.n_channels and part.std() > 0.9
