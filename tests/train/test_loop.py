import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toy
from toy import Toy

from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.log import Log
from glowtron.train.loop import Outcome, train

TIMES = ("steps_per_s", "vectors_per_s", "waiting_share", "memory_gb", "cpu_w")


def metrics(run: Path) -> list[dict]:
    """Lines of metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


def assert_same(run: Path, other: Path) -> None:
    """Both runs ended with the same bits and told the same."""
    last = checkpoints.steps(run)[-1]
    assert checkpoints.steps(other)[-1] == last
    for name in ("model", "optimizer", "average"):
        one, two = (checkpoints.read_tensors(checkpoints.folder(r, last), name) for r in (run, other))
        assert one.keys() == two.keys()
        assert [key for key in one if not torch.equal(one[key], two[key])] == []
    assert metrics(run) == metrics(other)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert train(Toy(), run, device="cpu", quiet=True) == Outcome(20, True, "max_steps")
    return run


class Crash(Exception):
    pass


class Crashing(Toy):
    """Gives out batches until a step, then fails."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def batches(self, first_step, shard):
        for step, batch in enumerate(super().batches(first_step, shard), first_step):
            if step == self.last:
                raise Crash
            yield batch


@pytest.mark.parametrize("cuts", [(1,), (4,), (6,), (17, 19), (3, 9, 14)])
def test_cut_anywhere_and_resumed_is_as_uninterrupted(uninterrupted, tmp_path, cuts):
    for cut in cuts:
        with pytest.raises(Crash):
            train(Crashing(cut), tmp_path / "run", device="cpu", quiet=True)
    assert train(Toy(), tmp_path / "run", device="cpu", quiet=True) == Outcome(20, True, "max_steps")
    assert_same(tmp_path / "run", uninterrupted)


def test_the_callers_random_numbers_are_left_alone_and_change_nothing(uninterrupted, tmp_path):
    torch.manual_seed(99)
    expected = torch.random.get_rng_state()
    train(Toy(), tmp_path / "run", device="cpu", quiet=True)
    assert torch.equal(torch.random.get_rng_state(), expected)
    last = checkpoints.read_tensors(checkpoints.folder(uninterrupted, 20), "model")
    now = checkpoints.read_tensors(checkpoints.folder(tmp_path / "run", 20), "model")
    assert all(torch.equal(last[name], now[name]) for name in last)


def begin(run: Path, pause_s: float) -> subprocess.Popen:
    """A run in a process of its own, after its first metrics."""
    process = subprocess.Popen(
        [sys.executable, toy.__file__, str(run), "--pause", str(pause_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lines = run / "metrics.jsonl"
    until = time.monotonic() + 120
    while not (lines.exists() and len(lines.read_text().splitlines()) >= 3):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


def test_control_c_leaves_a_checkpoint_and_says_how_to_go_on(uninterrupted, tmp_path):
    run = tmp_path / "run"
    process = begin(run, pause_s=0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    saved = checkpoints.steps(run)[-1]
    assert 6 <= saved < 20
    assert out.strip() == f"Outcome(step={saved}, finished=False, ended_by='Ctrl-C')"
    assert f"stopped after step {saved}, checkpoint written; the same run goes on from {run}" in err
    assert "Traceback" not in err
    train(Toy(), run, device="cpu", quiet=True)
    assert_same(run, uninterrupted)


def test_sigterm_ends_after_the_step_and_handlers_are_put_back(uninterrupted, tmp_path, capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert train(Toy(stop_at=6), tmp_path / "run", device="cpu") == Outcome(7, False, "SIGTERM")
    assert "SIGTERM: stopped after step 7, checkpoint written" in capsys.readouterr().err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert train(Toy(), tmp_path / "run", device="cpu", quiet=True) == Outcome(20, True, "max_steps")
    assert_same(tmp_path / "run", uninterrupted)


def test_a_signal_in_the_last_step_is_a_finished_run(tmp_path):
    assert train(Toy(stop_at=19), tmp_path / "run", device="cpu", quiet=True) == Outcome(20, True, "max_steps")


@pytest.mark.slow
def test_killed_and_resumed_is_as_uninterrupted(uninterrupted, tmp_path):
    run = tmp_path / "run"
    process = begin(run, pause_s=0.05)
    process.kill()
    process.communicate()
    (run / ".step-0000008.partial").mkdir(exist_ok=True)  # As if it had been killed while writing.
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "spl')
    train(Toy(), run, device="cpu", quiet=True)
    assert_same(run, uninterrupted)
    assert list(run.glob(".*")) == []


def test_a_finished_run_is_left_as_it_is(uninterrupted):
    before = metrics(uninterrupted)
    assert train(Toy(), uninterrupted, device="cpu", quiet=True) == Outcome(20, True, "max_steps")
    assert metrics(uninterrupted) == before


def test_a_batch_with_no_finite_loss_is_named_and_spoils_no_checkpoint(tmp_path):
    with pytest.raises(InputError, match=r"step 7: loss, grad_norm not finite on the clips clip6-0, clip6-1, clip6-2"):
        train(Toy(broken_at=6), tmp_path / "run", device="cpu", quiet=True)
    assert checkpoints.steps(tmp_path / "run") == [4, 5]
    tensors = checkpoints.read_tensors(tmp_path / "run" / "step-0000005", "model")
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


def test_a_validation_that_breaks_or_has_nothing_held_out_is_never_the_best(tmp_path, monkeypatch):
    train(Toy(n_held_out=0), tmp_path / "none", device="cpu", quiet=True)
    assert checkpoints.best(tmp_path / "none") is None and checkpoints.steps(tmp_path / "none") == [16, 20]
    told = next(line for line in metrics(tmp_path / "none") if line["split"] == "validation")
    assert told.keys() == {"step", "split", "stopped_share"}
    held_out = Toy.validation_batches
    monkeypatch.setattr(
        Toy, "validation_batches", lambda self: (batch._replace(y=batch.y / 0) for batch in held_out(self))
    )
    train(Toy(), tmp_path / "broken", device="cpu", quiet=True)
    assert checkpoints.best(tmp_path / "broken") is None


def test_a_full_disk_while_logging_is_an_error_of_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Log, "samples", full)
    with pytest.raises(InputError, match=r"no space is left .*the checkpoints are whole"):
        train(Toy(), tmp_path / "run", device="cpu", quiet=True)
    monkeypatch.undo()
    assert checkpoints.steps(tmp_path / "run") == [4]
    train(Toy(), tmp_path / "run", device="cpu", quiet=True)


def test_validation_loss_does_not_depend_on_its_batch_size(tmp_path, uninterrupted):
    run = tmp_path / "run"
    train(Toy(held_batch=7), run, device="cpu", quiet=True)
    one, two = ([m["loss"] for m in metrics(r) if m["split"] == "validation"] for r in (run, uninterrupted))
    assert len(one) == 4 and one == pytest.approx(two, rel=1e-6)


def test_a_run_leaves_metrics_events_sounds_and_pictures(uninterrupted):
    lines = metrics(uninterrupted)
    assert [line["step"] for line in lines if line["split"] == "train"] == [3, 6, 9, 12, 15, 18]
    assert {"step", "split", "loss", "grad_norm", "lr", "epoch"} == lines[0].keys()
    assert (uninterrupted / "samples" / "step-0000010" / "hum.wav").stat().st_size == 44 + 200
    assert (uninterrupted / "samples" / "step-0000010" / "weight.png").read_bytes().startswith(b"\x89PNG")
    assert list(uninterrupted.glob("events.out.tfevents.*"))
    assert [line["stopped_share"] for line in lines if line["split"] == "validation"] == [1.0] * 4
