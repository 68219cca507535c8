"""The WN of the couplings: the textbook's and the one for training are the network of the paper."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glowtron.config import WNConfig
from glowtron.engines import train_wavenet
from glowtron.engines.train_wavenet import TrainingWN
from glowtron.models.convolution import WeightNormConv
from glowtron.models.waveglow import WN

SIZES = {"n_layers": 3, "n_channels": 8, "dilation_cycle": 2}


def make(n_out: int, kind: type[WN] = TrainingWN, **sizes: int) -> WN:
    """A random WN in float64, which at the start would answer 0 only."""
    torch.manual_seed(0)
    net = kind(3, n_out, 5, WNConfig(**(SIZES | sizes))).double()
    torch.nn.init.normal_(net.end.weight)
    return net


def inputs(n_batch: int = 2, n_steps: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (n_batch, n_steps)
    x = torch.randn(*shape, 3, dtype=torch.double, generator=generator)
    return x.requires_grad_(), torch.randn(*shape, 5, dtype=torch.double, generator=generator).requires_grad_()


def conv(layer: WeightNormConv, x: Tensor, kernel_size: int = 1, dilation: int = 1) -> Tensor:
    """A layer as a convolution over (B, C, G), weight norm by its definition."""
    weight = layer.weight_g * layer.weight_v / layer.weight_v.norm(dim=1, keepdim=True)
    weight = weight.unflatten(1, (kernel_size, -1)).transpose(1, 2)
    return F.conv1d(x, weight, layer.bias, dilation=dilation, padding=dilation * (kernel_size - 1) // 2)


def by_convolutions(net: WN, x: Tensor, conditioning: Tensor) -> Tensor:
    hidden, skip = conv(net.start, x.transpose(1, 2)), torch.zeros(())
    conditions = conv(net.condition, conditioning.transpose(1, 2)).chunk(len(net.dilated), dim=1)
    for i, dilation in enumerate(net.dilations):
        a, b = (conv(net.dilated[i], hidden, net.kernel_size, dilation) + conditions[i]).chunk(2, dim=1)
        out = conv(net.res_skip[i], a.tanh() * b.sigmoid())
        if i < len(net.dilated) - 1:
            hidden, out = hidden + out[:, : net.n_channels], out[:, net.n_channels :]
        skip = skip + out
    return net.end(skip.transpose(1, 2))


@pytest.mark.parametrize("n_out", [4, 20])  # the end narrower than the skip, and wider
@pytest.mark.parametrize(
    "sizes",
    [{}, {"kernel_size": 1}, {"kernel_size": 5}, {"n_layers": 1}, {"n_layers": 6, "dilation_cycle": 6}],
    ids=str,
)
@pytest.mark.parametrize("kind", [WN, TrainingWN])
def test_is_the_network_of_convolutions_and_so_is_its_gradient(kind: type[WN], n_out: int, sizes: dict[str, int]):
    net, (x, conditioning) = make(n_out, kind, **sizes), inputs()
    variables = [x, conditioning, *net.parameters()]
    ours, theirs = net(x, conditioning), by_convolutions(net, x, conditioning)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights = torch.randn_like(theirs)
    expected = torch.autograd.grad((theirs * weights).sum(), variables)
    for got, wanted in zip(torch.autograd.grad((ours * weights).sum(), variables), expected, strict=True):
        assert torch.allclose(got, wanted, atol=1e-11)


@pytest.mark.parametrize(("n_batch", "n_steps"), [(2, 7), (1, 13), (3, 8), (1, 1), (1, 2)])
def test_pairs_of_rows_share_products(n_batch: int, n_steps: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(train_wavenet._Pairs, "FEWEST", 1)
    net, (x, conditioning) = make(4, n_layers=4, dilation_cycle=3), inputs(n_batch, n_steps)
    variables = [x, conditioning, *net.parameters()]
    ours, theirs = net(x, conditioning), by_convolutions(net, x, conditioning)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights = torch.randn_like(theirs)
    expected = torch.autograd.grad((theirs * weights).sum(), variables)
    for got, wanted in zip(torch.autograd.grad((ours * weights).sum(), variables), expected, strict=True):
        assert torch.allclose(got, wanted, atol=1e-11)


def test_inference_is_the_same_function():
    net, (x, conditioning) = make(4), inputs()
    with torch.no_grad():
        assert torch.allclose(net(x, conditioning), net(x.detach(), conditioning.detach()), atol=1e-12)
        wanted = net(x, conditioning)
    assert torch.allclose(net(x, conditioning), wanted, atol=1e-12)


def test_items_of_a_batch_do_not_meet():
    net, (x, conditioning) = make(4), inputs(n_batch=3, n_steps=9)
    together = net(x, conditioning)
    for i in range(3):
        assert torch.allclose(net(x[i : i + 1], conditioning[i : i + 1])[0], together[i], atol=1e-12)


def test_starts_at_zero():
    net = WN(3, 4, 5, WNConfig(**SIZES))
    assert not net(torch.randn(1, 6, 3), torch.randn(1, 6, 5)).any()


def test_autocast_trains_near_float32():
    net, (x, conditioning) = make(4, n_channels=32).float(), inputs(n_steps=40)
    x, conditioning = x.detach().float(), conditioning.detach().float()

    def gradient(bf16: bool) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            answer = net(x, conditioning)
        grads = torch.autograd.grad(answer.float().square().sum(), list(net.parameters()))
        assert all(grad.dtype == torch.float32 for grad in grads)
        return torch.cat([grad.flatten() for grad in grads])

    wanted = gradient(bf16=False)
    assert (gradient(bf16=True) - wanted).norm() < 0.02 * wanted.norm()


def test_folding_keeps_the_function_and_stores_plain_weights():
    net, (x, conditioning) = make(4), inputs()
    wanted = net(x, conditioning)
    for layer in net.modules():
        if isinstance(layer, WeightNormConv):
            layer.fold()
            layer.fold()
    assert torch.allclose(net(x, conditioning), wanted, atol=1e-12)
    assert {name.rsplit(".", 1)[1] for name in net.state_dict()} == {"weight", "bias"}


@pytest.mark.parametrize("from_folded", [True, False])
@pytest.mark.parametrize("to_folded", [True, False])
def test_states_of_either_form_load_into_either_form(from_folded: bool, to_folded: bool):
    source, target = WeightNormConv(5, 7), WeightNormConv(5, 7)
    torch.nn.init.uniform_(source.weight_g, 0.5, 2)
    x = torch.randn(3, 5, 2)
    wanted = source(x)
    if from_folded:
        source.fold()
    if to_folded:
        target.fold()
    names, before = set(target.state_dict()), source.state_dict()
    target.load_state_dict(source.state_dict())
    assert set(target.state_dict()) == names
    assert source.state_dict().keys() == before.keys()
    assert torch.allclose(target(x), wanted, atol=1e-6)


def test_a_state_that_lacks_half_of_a_weight_is_refused():
    state = WeightNormConv(5, 7).state_dict()
    del state["weight_g"]
    with pytest.raises(RuntimeError, match="weight_g"):
        WeightNormConv(5, 7).load_state_dict(state)
