r"""Measure `glowtron bulk`: what its processes make together beside the sum of what each makes, and their memory.

    python benchmarks/bulk.py
    python benchmarks/bulk.py --ray local                a cluster of Ray on this machine, too

Two ways take turns, each with as many processes: *apart*, commands of one worker each, side by side, on a part of the
texts each, which is the sum of the workers; and *together*, one command of as many workers. A rate counts from when
each process has made its first shard to the last shard, so that starting and loading are left out; *with start* is all
the audio over all the time. Memory is that of the whole tree of processes (RSS, so libraries count in each).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from glowtron.files import read_json, write_json
from glowtron.machine import processor_name, usable_cores

WORDS = "the quick brown fox jumps over a lazy dog and every voice that learns to speak will say so out loud".split()


class Made(NamedTuple):
    """What came of one way."""

    audio_s_per_s: float
    with_start: float
    """Of all the time."""
    seconds: float
    memory_mb: list[float]


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", default="duet")
    parser.add_argument("--rows", type=int, default=120)
    parser.add_argument("--rows-each", type=int, default=4, help="of a shard")
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--ray", metavar="ADDRESS", help="a cluster with as many cores")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    drawn = random.Random(0)
    texts = [" ".join(drawn.choices(WORDS, k=drawn.randint(8, 16))).capitalize() + "." for _ in range(given.rows)]
    load_before = os.getloadavg()[0]
    found: dict[str, list[Made]] = {"apart": [], "together": [], **({"ray": []} if given.ray else {})}
    for _ in range(given.rounds):
        parts = [texts[i :: given.workers] for i in range(given.workers)]
        found["apart"].append(_run(given, parts, 1, None))
        found["together"].append(_run(given, [texts], given.workers, None))
        if given.ray:
            found["ray"].append(_run(given, [texts], given.workers, given.ray))
    best = {way: max(one.audio_s_per_s for one in made) for way, made in found.items()}
    result = {
        "what": "bulk",
        "command": "python benchmarks/bulk.py " + " ".join(sys.argv[1:]),
        "voice": given.voice,
        "workers": given.workers,
        "best_audio_s_per_s": best,
        "of_the_sum_of_the_workers": {way: rate / best["apart"] for way, rate in best.items() if way != "apart"},
        "rounds": {
            way: [{**one._asdict(), "memory_mb": _quarters(one.memory_mb)} for one in made]
            for way, made in found.items()
        },
        "machine": {"processor": processor_name(), "cores": os.cpu_count(), "load_before": load_before},
    }
    print(json.dumps(result, indent=1))
    if given.output:
        write_json(given.output, result)


def _run(given: argparse.Namespace, parts: Sequence[Sequence[str]], workers: int, ray: str | None) -> Made:
    """Commands side by side, one for each part of the texts."""
    with tempfile.TemporaryDirectory() as name:
        started, memory, commands = time.time(), [], []
        for i, texts in enumerate(parts):
            path, output = Path(name, f"{i}.txt"), Path(name, f"out-{i}")
            path.write_text("\n".join(texts) + "\n", encoding="utf-8")
            command = [
                sys.executable, "-m", "glowtron", "bulk", path, "-o", output, "--voice", given.voice, "--quiet",
                "--rows", given.rows_each, "--workers", workers, "--precision", given.precision,
            ]  # fmt: skip
            command += ["--ray", ray] if ray else []
            commands.append(subprocess.Popen(list(map(str, command)), start_new_session=True))
        while any(one.poll() is None for one in commands):
            memory.append(sum(_memory_mb(one.pid) for one in commands))
            time.sleep(0.5)
        if any(one.returncode for one in commands):
            raise SystemExit("a job failed")
        seconds = time.time() - started
        rate = audio_s = 0.0
        for i in range(len(parts)):
            paths = sorted(Path(name, f"out-{i}").glob("shard-*.json"), key=lambda path: path.stat().st_mtime_ns)
            made_s = [sum(line["duration_s"] for line in read_json(path)["spoken"]) for path in paths]
            # The shards of the first round tell when all processes were at work.
            window_s = (paths[-1].stat().st_mtime_ns - paths[workers - 1].stat().st_mtime_ns) / 1e9
            rate += sum(made_s[workers:]) / window_s
            audio_s += sum(made_s)
    return Made(rate, audio_s / seconds, seconds, memory)


def _memory_mb(pid: int) -> float:
    found = 0.0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                found += process.memory_info().rss / 1e6
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return found


def _quarters(memory_mb: Sequence[float]) -> dict[str, float]:
    """Medians over time; a leak would show in the last."""
    n = max(1, len(memory_mb) // 4)
    parts = {"second_quarter": memory_mb[n : 2 * n], "third": memory_mb[2 * n : 3 * n], "last": memory_mb[3 * n : -2]}
    return {name: round(median(part), 1) if part else 0.0 for name, part in parts.items()}


if __name__ == "__main__":
    main()
