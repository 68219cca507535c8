"""Shards by a cluster are those of one machine, whatever is killed meanwhile."""

import json
import subprocess
import sys
import time

import pytest

from glowtron.bulk.job import BulkSettings, run_bulk
from glowtron.errors import InputError
from ray_cluster import actors_of, join, ray_cluster

TASK = "MapBatches(make_one)"
N_ROWS, ROWS_EACH = 800, 40


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wait_for(condition, process, timeout_s=180):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert process.poll() is None, "the job ended before it was to be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.mark.slow
def test_a_worker_and_a_node_are_killed_and_the_shards_are_the_same(tiny_voice, tmp_path, monkeypatch):
    texts = tmp_path / "texts.jsonl"
    rows = [{"id": f"row-{i}", "text": f"Number {i}, and so on.", "seed": i} for i in range(N_ROWS)]
    rows[17]["text"] = "***"
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = BulkSettings(voice=str(tiny_voice), rows_each=ROWS_EACH)
    assert run_bulk(texts, tmp_path / "one", settings, 1, lambda report: None) == (N_ROWS - 1, 1)

    out = tmp_path / "many"
    with ray_cluster(monkeypatch, n_nodes=1) as cluster:
        command = [sys.executable, "-m", "glowtron", "bulk", texts, "-o", out, "--voice", tiny_voice]
        command += ["--rows", ROWS_EACH, "--ray", cluster.address]
        job = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        try:
            wait_for(lambda: actors_of(cluster.nodes[0], TASK), job)
            join(cluster)  # Once the job is connected, which therefore is not lost with this node.
            wait_for(lambda: actors_of(cluster.nodes[1], TASK), job)
            wait_for(lambda: len(list(out.glob("*.tar"))) >= 2, job)
            killed = actors_of(cluster.nodes[0], TASK)[0]
            killed.kill()
            n_made = len(list(out.glob("*.tar")))
            wait_for(lambda: len(list(out.glob("*.tar"))) >= n_made + 2, job)
            cluster.remove_node(cluster.nodes[1], allow_graceful=False)
            assert job.poll() is None, "the job ended before its node was killed"
            said, errors = job.communicate(timeout=240)
        finally:
            job.kill()
    assert job.returncode == 0, errors
    assert " INFO " not in errors and "Tip:" not in errors
    assert f"{N_ROWS - 1} rows spoken, 1 rejected" in said
    assert contents(out) == contents(tmp_path / "one")


def test_a_cluster_that_is_not_there_is_told(tiny_voice, tmp_path, monkeypatch):
    texts = tmp_path / "texts.txt"
    texts.write_text("Hello.\n")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'glowtron\[ray\]'"):
        run_bulk(texts, tmp_path / "out", BulkSettings(voice=str(tiny_voice)), cluster="auto")
    assert not list((tmp_path / "out").glob("shard-*"))
