"""Whose a run folder is."""

import errno
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy import CONFIG, Toy

from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.checkpoints import Progress
from glowtron.train.loop import train
from glowtron.train.run_dir import differences, file_lock, lock_run_dir

DATA = {"clips": 7}


def hold(run, config=CONFIG, data=DATA):
    with lock_run_dir(run, config, data):
        pass


@pytest.fixture
def begun(tmp_path):
    """A run with a checkpoint."""
    run = tmp_path / "run"
    hold(run)
    checkpoints.save(run, Progress(step=4), {"weight": torch.zeros(1)}, {}, None)
    return run


def test_a_new_folder_tells_what_runs_in_it(tmp_path):
    run = tmp_path / "deep" / "run"
    hold(run)
    assert json.loads((run / "config.json").read_text())["training"]["seed"] == CONFIG.training.seed
    assert json.loads((run / "data.json").read_text()) == DATA
    assert len(list(run.iterdir())) == 2


def test_only_one_at_a_time_trains_in_it(tmp_path):
    run = tmp_path / "run"
    with lock_run_dir(run, CONFIG, DATA), pytest.raises(InputError, match="another process is training there"):
        train(Toy(), run, device="cpu", quiet=True)
    hold(run)


def test_without_a_checkpoint_it_is_anyones(tmp_path):
    run = tmp_path / "run"
    hold(run)
    hold(run, replace(CONFIG, sigma=0.5), {"clips": 9})
    assert json.loads((run / "config.json").read_text())["sigma"] == 0.5
    (run / "config.json").write_text("{")
    hold(run)


def test_the_same_run_is_gone_on_with(begun):
    before = (begun / "config.json").read_bytes()
    hold(begun)
    assert (begun / "config.json").read_bytes() == before


def test_another_configuration_is_refused_by_its_keys(begun):
    other = replace(CONFIG, training=replace(CONFIG.training, seed=7, max_steps=30))
    with pytest.raises(InputError, match="holds a run with another configuration: training") as error:
        hold(begun, other)
    assert "training.seed (1234 then, 7 now)" in str(error.value)
    assert "training.max_steps (20 then, 30 now)" in str(error.value)


def test_a_finished_run_goes_on_to_a_later_end(tmp_path):
    run = tmp_path / "run"
    train(Toy(), run, device="cpu", quiet=True)
    longer = replace(CONFIG, training=replace(CONFIG.training, max_steps=24))
    assert train(Toy(longer), run, device="cpu", quiet=True).step == 24
    assert json.loads((run / "config.json").read_text())["training"]["max_steps"] == 24
    by_epochs = replace(CONFIG, training=replace(CONFIG.training, max_steps=None, max_epochs=2.6))
    assert train(Toy(by_epochs), run, device="cpu", quiet=True) == (26, True, "max_epochs")
    for other in (
        replace(CONFIG, training=replace(CONFIG.training, max_steps=25)),  # Before where it is.
        replace(CONFIG, training=replace(CONFIG.training, max_steps=30, seed=7)),
    ):
        with pytest.raises(InputError, match="holds a run with another configuration"):
            train(Toy(other), run, device="cpu", quiet=True)
    # A run that was cut short ends where it was to end, or its learning rate would be another from the start.
    stopped = tmp_path / "stopped"
    train(Toy(stop_at=5), stopped, device="cpu", quiet=True)
    with pytest.raises(InputError, match=r"training.max_steps \(20 then, 24 now\)"):
        train(Toy(longer), stopped, device="cpu", quiet=True)


def test_a_run_written_before_a_key_existed_is_gone_on_with(begun):
    stored = json.loads((begun / "config.json").read_text())
    assert stored["training"].pop("workers") == 0
    (begun / "config.json").write_text(json.dumps(stored))
    hold(begun)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("data.json", '{"clips": 8}', r"other data: clips \(8 then, 7 now\)"),
        ("data.json", "{", r"data.json: damaged"),
        ("data.json", None, r"holds checkpoints but no data.json"),
        ("config.json", "[]", r"another configuration"),
        ("config.json", '{"type": "vocoder", "sigmaa": 1}', r"unknown key 'sigmaa'"),
        ("config.json", '{"type": "acoustic"}', r'type \("acoustic" then, "vocoder" now\)'),
    ],
)
def test_other_data_and_damaged_files_are_refused(begun, name, text, said):
    if text is None:
        (begun / name).unlink()
    else:
        (begun / name).write_text(text)
    with pytest.raises(InputError, match=said):
        hold(begun)


def test_a_folder_that_cannot_be_made_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for run in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"cannot be written: .*; choose another run folder"):
            train(Toy(), run, device="cpu", quiet=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(path, *_, **__):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device; choose another run folder"):
        hold(tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_differences_name_keys_on_both_sides_and_deep_down():
    then, now = {"a": 1, "b": {"c": [1, 2], "gone": 0}}, {"a": 1, "b": {"c": [1, 3], "new": 0}}
    assert differences(then, now) == [
        "b.c ([1, 2] then, [1, 3] now)",
        "b.gone (0 then, null now)",
        "b.new (null then, 0 now)",
    ]
    assert differences(then, then) == []


def test_a_folder_is_filled_by_one_after_the_other(tmp_path):
    inside, order = threading.Event(), []

    def second():
        inside.wait()
        with file_lock(tmp_path / "cache"):
            order.append("second")

    other = threading.Thread(target=second)
    other.start()
    with file_lock(tmp_path / "cache"):
        inside.set()
        time.sleep(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    (tmp_path / "file").touch()
    with file_lock(tmp_path / "file" / "cache"):
        order.append("whoever writes there says what is wrong")
    assert len(order) == 3
