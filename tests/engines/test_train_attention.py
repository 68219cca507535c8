"""The scan of teacher forcing computes what the textbook's steps compute, and its gradient is exact."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from glowtron.config import Tacotron2Config
from glowtron.engines.train_attention import AttentionParams, scan
from glowtron.engines.train_tacotron2 import TrainingTacotron2
from glowtron.engines.training import accelerate_training
from glowtron.models.tacotron2 import Tacotron2, sequence_mask
from glowtron.models.tacotron2_loss import attention_loss, guided_attention_loss, loss

TINY = Tacotron2Config(
    embedding_channels=10,
    encoder_channels=12,
    prenet_channels=6,
    attention_rnn_channels=9,
    attention_channels=5,
    location_filters=3,
    location_kernel=7,
    decoder_rnn_channels=11,
    postnet_channels=8,
)
ONLY_PRENET = {"encoder_dropout": 0.0, "attention_dropout": 0.0, "rnn_dropout": 0.0, "postnet_dropout": 0.0}


class Sizes(NamedTuple):
    steps: int
    batch: int
    symbols: int
    size: int = 3
    channels: int = 2
    width: int = 4
    kernel: int = 3


class Case(NamedTuple):
    inputs: list[Tensor]
    mask: Tensor
    keep: Tensor
    query_keep: Tensor

    def scan(self, *inputs: Tensor, dropout: bool = True) -> tuple[Tensor, Tensor]:
        masks = (self.keep, self.query_keep) if dropout else (None, None)
        return scan(inputs[0], inputs[1], AttentionParams(*inputs[2:]), self.mask, *masks)


def case(sizes: Sizes, seed: int = 0) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    steps, batch, n, a, c, e, kernel = sizes
    shapes = [(steps, batch, 4 * a), (4 * a, a + c), (e, a), (e, 2 * kernel), (e,), (batch, n, e), (batch, n, c)]
    lengths = torch.randint(1, n + 1, (batch,), generator=generator)
    lengths[0] = n
    keep, query_keep = ((drawn(steps, batch, a) > -0.5).double() / 0.7 for _ in range(2))
    return Case([drawn(*shape) for shape in shapes], sequence_mask(lengths, n), keep, query_keep)


def plainly(given: Case) -> tuple[Tensor, Tensor]:
    """Step by step, autograd's gradient."""
    inputs, weight, query, location, energy, keys, values = given.inputs
    size, kernel = query.shape[1], location.shape[1] // 2
    filters = location.unflatten(1, (kernel, 2)).transpose(1, 2)
    hidden = state = inputs.new_zeros(inputs.shape[1], size)
    context, last = values.new_zeros(len(values), values.shape[2]), values.new_zeros(values.shape[:2])
    cumulative, outputs, readings = last, [], []
    for t, told in enumerate(inputs):
        i, f, g, o = (told + torch.cat((hidden, context), dim=1) @ weight.t()).chunk(4, dim=1)
        state = f.sigmoid() * state + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * state.tanh() * given.keep[t]
        located = F.conv1d(torch.stack((last, cumulative), dim=1), filters, padding="same").transpose(1, 2)
        asked = (hidden * given.query_keep[t]) @ query.t()
        energies = (located + keys + asked[:, None]).tanh() @ energy
        last = energies.masked_fill(~given.mask, float("-inf")).softmax(1)
        cumulative = cumulative + last
        context = (last[:, None] @ values).squeeze(1)
        outputs.append(torch.cat((hidden, context), dim=1))
        readings.append(last)
    return torch.stack(outputs), torch.stack(readings)


@settings(max_examples=12, deadline=None)
@given(
    steps=st.integers(1, 5),
    batch=st.integers(1, 3),
    symbols=st.integers(1, 8),
    kernel=st.sampled_from([1, 3, 9]),
    seed=st.integers(0, 1000),
)
def test_it_is_step_by_step(steps: int, batch: int, symbols: int, kernel: int, seed: int) -> None:
    given = case(Sizes(steps, batch, symbols, kernel=kernel), seed)
    learnt = []
    for outputs, weights in (given.scan(*given.inputs), plainly(given)):
        goals = (torch.linspace(-1, 1, outputs.numel()), torch.linspace(1, -2, weights.numel()))
        value = sum((x.flatten() * goal).sum() for x, goal in zip((outputs, weights), goals, strict=True))
        grads = torch.autograd.grad(value, given.inputs)
        learnt.append([outputs, weights, *grads])
    for ours, theirs in zip(*learnt, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("dropout", [True, False])
@pytest.mark.parametrize("sizes", [Sizes(3, 2, 4), Sizes(2, 1, 1, kernel=5)], ids=["some", "one symbol"])
def test_gradient_against_differences(sizes: Sizes, dropout: bool) -> None:
    given = case(sizes)
    torch.autograd.gradcheck(lambda *inputs: given.scan(*inputs, dropout=dropout), given.inputs)


def test_what_is_not_real_is_neither_read_nor_taught() -> None:
    given = case(Sizes(4, 3, 6), seed=3)
    assert not given.mask.all()
    outputs, weights = given.scan(*given.inputs)
    grads = torch.autograd.grad(outputs.square().sum() + weights.square().sum(), given.inputs[-2:])
    assert not weights.masked_select(~given.mask).any()
    torch.testing.assert_close(weights.sum(2), torch.ones_like(weights[..., 0]))
    for grad in grads:
        assert not grad[~given.mask].any()
        assert grad[given.mask].abs().amax(-1).min() > 0


def batch(config: Tacotron2Config) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "ids": torch.randint(1, config.n_symbols, (3, 9), generator=generator),
        "id_lengths": torch.tensor([9, 4, 7]),
        "mel": torch.randn(3, 5, 12, generator=generator, dtype=torch.float64),
        "mel_lengths": torch.tensor([7, 12, 4]),
    }


@pytest.mark.parametrize("attention_supervision", ["none", "guided", "forced_alignment"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"reduction_factor": 2, "n_speakers": 2}, {"reduction_factor": 3, "mask_padding": False}],
    ids=["published", "speakers", "leaking"],
)
def test_teacher_forcing_learns_what_step_by_step_does(
    changes: dict[str, int], attention_supervision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(TINY, **ONLY_PRENET, **changes)
    given = batch(config)
    torch.manual_seed(0)
    model = accelerate_training(Tacotron2(config, n_mels=5)).double().train()
    n_steps = -(-given["mel_lengths"] // config.reduction_factor)
    speaker = torch.tensor([1, 0, 1]) if config.n_speakers > 1 else None
    learnt = []
    for way in (TrainingTacotron2.teacher_force, Tacotron2.teacher_force):
        monkeypatch.setattr(TrainingTacotron2, "teacher_force", way)
        output = model(**given, speaker=speaker, generator=torch.Generator().manual_seed(2))
        value = loss(output, given["mel"], given["mel_lengths"]).total
        if attention_supervision == "guided":
            value = value + guided_attention_loss(output.alignment, given["id_lengths"], n_steps)
        elif attention_supervision == "forced_alignment":
            symbols = torch.arange(output.alignment.shape[1]).clamp(max=3).expand(3, -1)
            value = value + attention_loss(output.alignment, symbols, n_steps)
        grads = torch.autograd.grad(value, list(model.parameters()))
        learnt.append([*output, value, *grads])
    for ours, theirs in zip(*learnt, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)  # `step` compares in float32.


def gradient(model: Tacotron2, given: dict[str, Tensor], dtype: torch.dtype, precision: torch.dtype | None) -> Tensor:
    torch.manual_seed(7)
    given = given | {"mel": given["mel"].to(dtype)}
    with torch.autocast("cpu", precision, enabled=precision is not None):
        output = model(**given, generator=torch.Generator().manual_seed(2))
    loss(output, given["mel"], given["mel_lengths"]).total.backward()
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert all(grad.dtype == dtype for grad in grads)
    model.zero_grad()
    return torch.cat([grad.flatten() for grad in grads]).double()


def test_rounding_changes_little() -> None:
    torch.manual_seed(0)
    model = accelerate_training(Tacotron2(replace(TINY, **ONLY_PRENET | {"prenet_dropout": 0.0}), n_mels=5)).train()
    single = gradient(model, batch(TINY), torch.float32, None)
    rough = gradient(model, batch(TINY), torch.float32, torch.bfloat16)
    exact = gradient(model.double(), batch(TINY), torch.float64, None)
    assert (single - exact).norm() < 1e-4 * exact.norm()
    assert (rough - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("precision", [None, torch.bfloat16], ids=["float32", "bfloat16"])
def test_the_same_noise_gives_the_same_bits(precision: torch.dtype | None) -> None:
    torch.manual_seed(0)
    model = accelerate_training(Tacotron2(replace(TINY, attention_dropout=0.3), n_mels=5)).train()
    first, second = (gradient(model, batch(TINY), torch.float32, precision) for _ in range(2))
    assert torch.equal(first, second)


def test_dropout_is_for_training_only() -> None:
    torch.manual_seed(0)
    model = accelerate_training(Tacotron2(replace(TINY, rnn_dropout=0.9, attention_dropout=0.9), n_mels=5)).double()
    given = batch(TINY)
    mels = [
        model.train(training)(**given, generator=torch.Generator().manual_seed(2)).mel_before.detach()
        for training in (False, False, True, True)
    ]
    assert torch.equal(mels[0], mels[1])
    assert not torch.equal(mels[2], mels[3])
