"""Several processes that train together, started as users start them: by torchrun, on one machine or as two nodes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import toy
from toy import Toy, Uneven, changed

from glowtron.train import checkpoints
from glowtron.train.loop import train
from glowtron.train.report import read_metrics, read_result
from glowtron.train.state import StoppingCriteria

pytestmark = pytest.mark.slow

PATIENCE_S = 300
"""For what takes a few seconds on an idle machine."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def launch(*arguments, nodes=1) -> list[subprocess.Popen]:
    """Agents that start the toy in two processes: both as one node, or each as a node of its own."""
    return start([[toy.__file__, *arguments]] * nodes)


def start(programs: list[list]) -> list[subprocess.Popen]:
    """An agent of torchrun for each program and its arguments, two processes in all."""
    nodes = len(programs)
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc-per-node={2 // nodes}"]
    where = ["--master-addr=127.0.0.1", f"--master-port={free_port()}"]
    return [
        subprocess.Popen(
            [*torchrun, *where, f"--node-rank={node}", *map(str, program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for node, program in enumerate(programs)
    ]


def together(*arguments, nodes=1) -> str:
    """Run two processes to their end and return what they said."""
    agents = launch(*arguments, nodes=nodes)
    try:
        said = [agent.communicate(timeout=PATIENCE_S)[0] for agent in agents]
    finally:
        for agent in agents:
            agent.kill()
    assert [agent.returncode for agent in agents] == [0] * nodes, said
    return "".join(said)


def weights(run: Path, name: str = "model") -> dict[str, torch.Tensor]:
    return checkpoints.read_tensors(checkpoints.folder(run, checkpoints.steps(run)[-1]), name)


def losses(run: Path, split: str) -> list[float]:
    return [line["loss"] for line in read_metrics(run) if line["split"] == split]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A run by one process."""
    run = tmp_path_factory.mktemp("runs") / "alone"
    train(Uneven(changed(precision="fp32"), held_batch=3), run, device="cpu", quiet=True)
    return run


def assert_close(run: Path, other: Path) -> None:
    for name in ("model", "average"):
        one, two = weights(run, name), weights(other, name)
        assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)
    for split, n in (("train", 6), ("validation", 4)):
        assert losses(run, split) == pytest.approx(losses(other, split), rel=1e-5)
        assert len(losses(run, split)) == n


def test_two_processes_learn_what_one_does_and_count_everything_once(alone, tmp_path):
    # Three batches of validation, of which the last is shorter, for two processes.
    together(tmp_path / "run", "--uneven")
    assert_close(tmp_path / "run", alone)
    result, expected = (read_result(run) for run in (tmp_path / "run", alone))
    assert (result["processes"], len(result["memory_gb"])) == (2, 2)
    for name in ("vectors", "epochs", "step", "finished"):
        assert result[name] == expected[name]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_no_thread_of_the_group_is_left_to_abort_a_program_that_ends(tmp_path):
    left = [line for line in together(tmp_path / "run", "--threads").splitlines() if line.startswith("threads left:")]
    assert len(left) == 2
    assert not any("gloo" in line for line in left), left


@pytest.mark.parametrize("first", [1, 2])
def test_a_run_is_gone_on_with_by_another_number_of_processes(alone, tmp_path, first):
    run = tmp_path / "run"

    def by_one(stopping):
        train(Uneven(changed(precision="fp32"), held_batch=3), run, stopping=stopping, device="cpu", quiet=True)

    if first == 1:
        by_one(StoppingCriteria(max_hours=1e-9))
        together(run, "--uneven")
    else:
        together(run, "--uneven", "--hours", 1e-9)
        assert checkpoints.steps(run) == [1]
        by_one(StoppingCriteria())
    one, two = weights(run), weights(alone)
    assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)
    starts = [json.loads(line)["processes"] for line in (run / "starts.jsonl").read_text().splitlines()]
    assert starts == [first, 3 - first]


def test_two_processes_resumed_on_two_nodes_end_with_the_same_bits(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    together(whole)
    # The second process is asked to end, in a step of its own; both stop after it.
    said = together(cut, "--stop-at", 7, nodes=2)
    assert said.count("finished=False, ended_by='SIGTERM'") == 2
    assert checkpoints.steps(cut)[-1] == 8
    together(cut, nodes=2)
    for name in ("model", "average", "optimizer"):
        one, two = weights(whole, name), weights(cut, name)
        assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    assert losses(cut, "train") == losses(whole, "train")
    assert losses(cut, "validation") == losses(whole, "validation")
    # Two parts in one process draw the same noise, and see the same batch statistics, as two processes.
    train(Toy(changed(gradient_accumulation_steps=2)), tmp_path / "parts", device="cpu", quiet=True)
    assert losses(tmp_path / "parts", "train") == pytest.approx(losses(whole, "train"), rel=1e-4)


def test_a_node_that_is_killed_ends_the_other_within_a_minute_with_a_word(tmp_path):
    run, pids = tmp_path / "run", tmp_path / "pids"
    pids.mkdir()
    agents = launch(run, "--pause", 0.2, "--pids", pids, nodes=2)
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not (checkpoints.steps(run) and (pids / "1").exists()):
            assert time.monotonic() < until_s and agents[0].poll() is None
            time.sleep(0.1)
        agents[1].kill()
        os.kill(int((pids / "1").read_text()), signal.SIGKILL)
        said, _ = agents[0].communicate(timeout=60)
    finally:
        for agent in agents:
            agent.kill()
    assert agents[0].returncode != 0
    assert "process 0 of 2 has lost another one" in said
    assert "the checkpoints are whole; give the same command again to go on" in said
    saved = checkpoints.steps(run)[-1]
    assert not list(run.glob(".step*"))
    together(run)
    assert saved < checkpoints.steps(run)[-1] == 20


def test_a_node_without_its_data_ends_the_other_with_a_word(tiny_corpus, tmp_path):
    command = ["-m", "--", "glowtron", "train", "vocoder", "--config", "compact-vocoder", "--run", tmp_path / "run"]
    command += ["--device", "cpu", "--set", "training.validation_clips=2"]
    agents = start([[*command, "--data", data] for data in (tiny_corpus, tmp_path / "nowhere")])
    try:
        said = [agent.communicate(timeout=PATIENCE_S)[0] for agent in agents]
    finally:
        for agent in agents:
            agent.kill()
    assert "process 0 of 2 has lost another one" in said[0]
    assert "nowhere/metadata.csv: cannot be read" in said[1]
    assert not (tmp_path / "run" / "result.json").exists()
