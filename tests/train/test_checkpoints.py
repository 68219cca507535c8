import json
import resource

import pytest
import torch
from torch import nn

from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.checkpoints import Progress
from glowtron.train.state import EMA


def write(run, step, loss=None, size=3):
    tensors = {"a": torch.arange(size, dtype=torch.float32) + step}
    return checkpoints.save(run, Progress(step=step, validation_loss=loss), tensors, tensors, None)


def test_what_is_saved_comes_back(tmp_path):
    progress = Progress(step=7, validation_loss=0.1, best_loss=0.05, unlogged={"loss": 1 / 3}, unlogged_steps=2)
    model = {"weight": torch.randn(4, 3).T, "count": torch.tensor(5)}
    folder = checkpoints.save(tmp_path, progress, model, {"weight/exp_avg": torch.ones(2)}, {"weight": torch.zeros(3)})
    assert folder.name == "step-0000007"
    assert checkpoints.read_progress(folder) == progress
    read = checkpoints.read_tensors(folder, "model")
    assert read.keys() == model.keys() and all(torch.equal(read[name], model[name]) for name in model)
    assert torch.equal(checkpoints.read_tensors(folder, "average")["weight"], torch.zeros(3))


def test_newest_and_best_stay(tmp_path):
    for step, loss in ((10, 3.0), (20, 1.0), (30, None), (40, 2.0), (50, 1.5), (60, None)):
        write(tmp_path, step, loss)
        checkpoints.prune(tmp_path, 2)
    assert checkpoints.steps(tmp_path) == [20, 50, 60]
    assert checkpoints.best(tmp_path) == 20


def test_steps_sort_as_numbers_and_other_folders_are_passed_over(tmp_path):
    for step in (9_999_999, 10_000_000, 5):
        write(tmp_path, step)
    (tmp_path / "step-x").mkdir()
    (tmp_path / ".step-0000099.partial").mkdir()
    assert checkpoints.steps(tmp_path) == [5, 9_999_999, 10_000_000]
    checkpoints.clear_partial(tmp_path)
    assert not (tmp_path / ".step-0000099.partial").exists()
    assert checkpoints.steps(tmp_path / "missing") == []


def test_full_disk_leaves_the_last_checkpoint_whole_and_nothing_half_written(tmp_path):
    write(tmp_path, 1)
    before = sorted(tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # Writing on fails as on a full disk.
    try:
        with pytest.raises(InputError, match=r"cannot be written .*; the last whole one is .*step-0000001; make room"):
            write(tmp_path, 2, size=100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(tmp_path.iterdir()) == before
    assert checkpoints.read_tensors(tmp_path / "step-0000001", "model")["a"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"not what it was"])
def test_a_damaged_file_is_named(tmp_path, name, damage):
    folder = write(tmp_path, 3)
    (folder / name).write_bytes(damage)
    read = checkpoints.read_progress if name == "state.json" else lambda where: checkpoints.read_tensors(where, "model")
    with pytest.raises(InputError, match=rf"{name}: damaged .*remove .*step-0000003"):
        read(folder)


def test_state_of_other_keys_is_damage(tmp_path):
    folder = write(tmp_path, 3)
    (folder / "state.json").write_text(json.dumps({"step": 3, "surprise": 1}))
    with pytest.raises(InputError, match=r"state.json: damaged"):
        checkpoints.read_progress(folder)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_an_optimizer_goes_on_as_if_it_had_not_stopped(kind):
    def make():
        torch.manual_seed(0)
        model = nn.Linear(5, 3)
        return model, kind(model.parameters(), lr=0.1, weight_decay=0.1, fused=True)

    def step(model, optimizer, x):
        model(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    inputs = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(1))
    whole, optimizer = make()
    for x in inputs:
        step(whole, optimizer, x)
    first, optimizer = make()
    for x in inputs[:3]:
        step(first, optimizer, x)
    names = [name for name, _ in first.named_parameters()]
    tensors = {k: v.clone() for k, v in checkpoints.optimizer_tensors(optimizer, names).items()}
    second, optimizer = make()
    second.load_state_dict(first.state_dict())
    checkpoints.restore_optimizer(optimizer, names, tensors)
    for x in inputs[3:]:
        step(second, optimizer, x)
    assert torch.equal(whole.weight, second.weight) and torch.equal(whole.bias, second.bias)


def test_average_is_applied_inside_only_and_leaves_the_weights_as_they_were():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    average = EMA(model, 0.9)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(1.0)
    average.update(step=1_000_000)
    now = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with average.applied():
        inside = model.state_dict()["0.weight"].clone()
    torch.testing.assert_close(inside, 0.9 * start["0.weight"] + 0.1 * now["0.weight"])
    assert all(torch.equal(tensor, now[name]) for name, tensor in model.state_dict().items())
    torch.testing.assert_close(average.tensors["0.weight"], inside)


def test_a_parameter_stored_by_columns_goes_on_as_it_was() -> None:
    """As WaveGlow's 1x1 convolutions are, which begin as the Q of a QR decomposition."""

    def step(parameter: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        parameter.grad = torch.arange(6.0).reshape(3, 2).t().reshape(2, 3)
        optimizer.step()

    def begin(values: torch.Tensor) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        parameter = torch.nn.Parameter(values.t().contiguous().t())
        assert parameter.stride() == (1, 2)
        return parameter, torch.optim.Adam([parameter], fused=True)

    whole, optimizer = begin(torch.ones(2, 3))
    step(whole, optimizer)
    moments = checkpoints.optimizer_tensors(optimizer, ["mixing"])
    stored = {name: value.contiguous().clone() for name, value in moments.items()}
    resumed, again = begin(whole.detach().clone())
    checkpoints.restore_optimizer(again, ["mixing"], stored)
    for one in ((whole, optimizer), (resumed, again)):
        step(*one)
    assert torch.equal(whole, resumed)
