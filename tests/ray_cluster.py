"""Clusters of several nodes on this machine: each node is processes of its own, which can be killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

OF_A_NODE = {"object_store_memory": 80_000_000, "include_dashboard": False}


@contextmanager
def ray_cluster(monkeypatch: pytest.MonkeyPatch, n_nodes: int) -> Iterator[Any]:
    """A head that computes nothing, and nodes of a core each.

    Its `nodes` are a list, its `address` is HOST:PORT. A program that connects joins any of the nodes there are, since
    they have one address, and is lost with that node: remove only one that joined later, by `join`.
    """
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # Else workers wait for whatever else the machine does.
    utils = pytest.importorskip("ray.cluster_utils", reason="the extra 'ray' is not installed")
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **OF_A_NODE})
    try:
        cluster.nodes = []
        for _ in range(n_nodes):
            join(cluster)
        yield cluster
    finally:
        cluster.shutdown()


def join(cluster: Any) -> None:
    """Have one more node, of one core, join."""
    cluster.nodes.append(cluster.add_node(num_cpus=1, **OF_A_NODE))


def actors_of(node: Any, title: str) -> list[psutil.Process]:
    """Processes of a node whose title has these words."""
    raylets = [info.process.pid for info in node.all_processes["raylet"]]
    found = []
    for raylet in raylets:
        for process in psutil.Process(raylet).children(recursive=True):
            try:
                if title in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
    return found
