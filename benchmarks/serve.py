r"""Measure `glowtron serve` over loopback: first sound, many clients, hang-ups, overload, a soak, Piper beside it.

    python benchmarks/serve.py first-sound
    python benchmarks/serve.py clients --clients 8
    python benchmarks/serve.py throughput --clients 16
    python benchmarks/serve.py hang-up
    python benchmarks/serve.py overload --seconds 300
    python benchmarks/serve.py soak --requests 10000
    python benchmarks/serve.py beside-piper --python piper-env/bin/python --model en_US-joe-medium.onnx

Each starts the server it measures as a process of its own, with one voice, on a free port, and prints JSON; `-o FILE`
writes it as well, and `--keep` puts it where `benchmarks/write_docs.py` finds it for docs/benchmarks.md. The clients
run on the same cores and their work is in all figures. *First sound* is the time from sending a request to the first
bytes of its body (`pcm`, so these are samples). *Throughput* takes turns with `Voice.say_many` of the same texts by the
same voice, in a process of its own. *Hang-up* is the time from closing a connection, with nothing else to do, until
`/health` tells that nothing is in work. In *overload*, requests come evenly at four times the rate at which the server
answered before, whether or not there were answers; each answer is compared with the bytes of its text, and a process of
its own asks `/health` five times a second. *Soak* compares answers to one text with each other. Piper (GPL) is an
outside program in an environment of its own (`pip install piper-tts flask`), and is only called over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx
import psutil
import torch
from tqdm import tqdm
from write_docs import folder_of

from glowtron.files import write_json
from glowtron.machine import describe, instructions, processor_name

WORDS = "the quick brown fox jumps over a lazy dog and every voice that learns to speak will say so out loud".split()
SAY_MANY = """
import json, sys, time
from glowtron import Voice
voice = Voice.load(sys.argv[1], device="cpu")
texts = json.load(sys.stdin)
voice.runtime.suit_threads()
list(voice.say_many(texts[:4]))
start = time.perf_counter()
audio_s = sum(audio.duration_s for audio in voice.say_many(texts))
print(json.dumps({"audio_s": audio_s, "seconds": time.perf_counter() - start}))
"""

WATCH = """
import http.client, json, sys, time, urllib.parse
import psutil
url, pid, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
address, process, rows = urllib.parse.urlsplit(url), psutil.Process(pid), []
end = time.perf_counter() + seconds
while (begun := time.perf_counter()) < end:
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    taken = time.perf_counter() - begun
    every = [process, *process.children(recursive=True)]
    rows.append((answer.status, taken, sum(one.memory_info().rss for one in every) / 1e6))
    time.sleep(max(0.0, 0.2 - taken))
print(json.dumps(rows))
"""
"""Looks after a server from a process of its own: who sends thousands of requests is no good clock."""


class Server(NamedTuple):
    """A server that runs."""

    url: str
    process: psutil.Process

    @property
    def memory_mb(self) -> float:
        """Of it and all that it started, in MB."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in every) / 1e6


class Answer(NamedTuple):
    """What came of a request."""

    status: int
    first_s: float
    """Until the first bytes of the body."""
    taken_s: float
    body: bytes
    retry_after: str | None

    @property
    def digest(self) -> str:
        """By which an answer is recognised."""
        return hashlib.sha256(self.body).hexdigest()


def sentences(n: int, seed: int = 0, n_words: tuple[int, int] = (4, 10)) -> list[str]:
    """Different short sentences, the same with the same seed."""
    drawn = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < n:
        words = [drawn.choice(WORDS) for _ in range(drawn.randint(*n_words))]
        found[" ".join(words).capitalize() + "."] = None
    return list(found)


@contextmanager
def served(command: Sequence[str], url: str | None = None) -> Iterator[Server]:
    """Run a server; `url` is where it will be, None where it tells that itself."""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told)
        try:
            deadline = time.monotonic() + 120
            while True:
                told.seek(0)
                said = told.read()
                found = url or (match[1] if (match := re.search(r"speech at (http://\S+)/v1", said)) else None)
                if found and answers(found):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{' '.join(command)}: {said}")
                time.sleep(0.1)
            yield Server(found, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(60)


def answers(url: str) -> bool:
    """Whether something answers there."""
    try:
        httpx.get(f"{url}/health", timeout=30)
    except httpx.TransportError:
        return False
    return True


def glowtron(arguments: argparse.Namespace, *options: str) -> list[str]:
    """The command that serves the voice."""
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []
    return [
        sys.executable, "-m", "glowtron", "serve", "--voice", arguments.voice, "--device", "cpu", "--port", "0",
        "--workers", str(arguments.workers), *threads, *options,
    ]  # fmt: skip


async def ask(client: httpx.AsyncClient, text: str, path: str = "/v1/audio/speech") -> Answer:
    """One request."""
    start = time.perf_counter()
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"}
    if path == "/synthesize":  # Piper's.
        body = {"text": text}
    async with client.stream("POST", path, json=body) as answer:
        parts, first_s = [], 0.0
        async for part in answer.aiter_raw():
            first_s = first_s or time.perf_counter() - start
            parts.append(part)
        return Answer(
            answer.status_code, first_s, time.perf_counter() - start, b"".join(parts), answer.headers.get("retry-after")
        )


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client with as many connections as it likes."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:
        yield client


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """How times lie."""
    ordered = sorted(seconds)

    def part(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {
        "median_s": median(ordered),
        "fastest_s": ordered[0],
        "p95_s": part(0.95),
        "p99_s": part(0.99),
        "slowest_s": ordered[-1],
        "n": len(ordered),
    }


async def closed_loop(
    server: Server, texts: Sequence[str], n_clients: int, path: str = "/v1/audio/speech"
) -> tuple[list[Answer], float]:
    """Clients that ask for the next text as soon as they have the last; returns answers and seconds for all."""
    waiting = list(reversed(texts))
    found: list[Answer] = []

    async def one(client: httpx.AsyncClient) -> None:
        while waiting:
            found.append(await ask(client, waiting.pop(), path))

    async with client_of(server) as client:
        start = time.perf_counter()
        await asyncio.gather(*(one(client) for _ in range(n_clients)))
        return found, time.perf_counter() - start


def pcm_seconds(answer: Answer) -> float:
    """Seconds of sound in an answer of ours."""
    return len(answer.body) / 2 / 24_000


async def first_sound(arguments: argparse.Namespace) -> dict[str, Any]:
    """One client, one request at a time."""
    with served(glowtron(arguments)) as server:
        texts = sentences(arguments.requests, n_words=(8, 16))
        await closed_loop(server, texts[:3], 1)
        found, _ = await closed_loop(server, texts, 1)
    return {"first_sound": spread([one.first_s for one in found]), "whole": spread([one.taken_s for one in found])}


async def clients(arguments: argparse.Namespace) -> dict[str, Any]:
    """Several clients, each with one request at a time."""
    with served(glowtron(arguments)) as server:
        texts = sentences(arguments.requests)
        await closed_loop(server, texts[:8], 4)
        found, seconds = await closed_loop(server, texts, arguments.clients)
    return {
        "clients": arguments.clients,
        "statuses": dict(Counter(one.status for one in found)),
        "first_sound": spread([one.first_s for one in found]),
        "whole": spread([one.taken_s for one in found]),
        "audio_s_per_s": sum(map(pcm_seconds, found)) / seconds,
    }


async def throughput(arguments: argparse.Namespace) -> dict[str, Any]:
    """Clients by turns with `Voice.say_many`, which has all texts at once."""
    texts = sentences(arguments.requests)
    ours, beside = [], []
    with served(glowtron(arguments)) as server:
        await closed_loop(server, texts[:16], 8)
        for _ in range(arguments.rounds):
            found, seconds = await closed_loop(server, texts, arguments.clients)
            assert all(one.status == 200 for one in found), Counter(one.status for one in found)
            ours.append(sum(map(pcm_seconds, found)) / seconds)
            command = [sys.executable, "-c", SAY_MANY, arguments.voice]
            done = await asyncio.to_thread(
                subprocess.run, command, input=json.dumps(texts), capture_output=True, text=True, check=True
            )
            said = json.loads(done.stdout)
            beside.append(said["audio_s"] / said["seconds"])
        memory_mb = server.memory_mb
    return {
        "clients": arguments.clients,
        "audio_s_per_s": ours,
        "say_many_audio_s_per_s": beside,
        "ratio_of_best": max(ours) / max(beside),
        "memory_mb": memory_mb,
    }


async def hang_up(arguments: argparse.Namespace) -> dict[str, Any]:
    """One client that closes its connection somewhere in a long text."""
    text = "A sentence of a long chapter, which nobody wants to hear to its end. " * 200
    data = json.dumps({"input": text, "response_format": "pcm"}).encode()
    drawn = random.Random(3)
    stopped: list[float] = []
    with served(glowtron(arguments)) as server:
        address = httpx.URL(server.url)
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        async with client_of(server) as client:
            await ask(client, "Ready.")
            for _ in tqdm(range(arguments.requests), "hang-ups"):
                with socket.create_connection((address.host, address.port)) as plain:
                    plain.sendall(head + data)
                    plain.recv(1000)
                    await asyncio.sleep(drawn.uniform(0, 1))
                start = time.perf_counter()
                while (await client.get("/health")).json()["requests"]:
                    if time.perf_counter() - start > 60:
                        raise SystemExit("the work goes on after its client has gone")
                    await asyncio.sleep(0.001)
                stopped.append(time.perf_counter() - start)
    return {"stopped": spread(stopped)}


async def overload(arguments: argparse.Namespace) -> dict[str, Any]:
    """Four times as many requests as can be answered."""
    texts = sentences(40)
    with served(glowtron(arguments)) as server:
        known, _ = await closed_loop(server, texts, 1)
        digests = {}
        for text in texts:
            async with client_of(server) as client:
                digests[text] = (await ask(client, text)).digest
        assert {one.digest for one in known} == set(digests.values()), "the same request gave other bytes"
        found, seconds = await closed_loop(server, texts * 3, 16)
        capacity = len(found) / seconds
        counted: Counter[str] = Counter()
        first: list[float] = []
        drawn = random.Random(1)

        async def one(client: httpx.AsyncClient) -> None:
            text = drawn.choice(texts)
            try:
                answer = await ask(client, text)
            except httpx.HTTPError as error:
                counted[f"lost: {type(error).__name__}"] += 1
                return
            if answer.status == 200:
                counted["right" if answer.digest == digests[text] else "swapped or changed"] += 1
                first.append(answer.first_s)
            elif answer.status == 429 and answer.retry_after:
                counted["429"] += 1
            else:
                counted[f"status {answer.status}"] += 1

        async with client_of(server) as client:
            watching = await asyncio.create_subprocess_exec(
                sys.executable, "-c", WATCH, server.url, str(server.process.pid), str(arguments.seconds),
                stdout=subprocess.PIPE,
            )  # fmt: skip
            running: set[asyncio.Task[None]] = set()
            due = started = time.perf_counter()
            with tqdm(total=round(arguments.seconds), desc="overload", unit="s") as bar:
                while (now := time.perf_counter()) < started + arguments.seconds:
                    task = asyncio.create_task(one(client))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    due += 1 / (4 * capacity)
                    bar.set_postfix(counted, refresh=False)
                    bar.update(int(now - started) - bar.n)
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent = counted.total() + len(running)
            offered = sent / (time.perf_counter() - started)
            await asyncio.gather(*running)
            said, _ = await watching.communicate()
            left = await work_left(client)
    rows = json.loads(said)
    assert all(status == 200 for status, _, _ in rows), "/health failed"
    return {
        "seconds": arguments.seconds,
        "capacity_requests_per_s": capacity,
        "offered_requests_per_s": offered,
        "sent": sent,
        "answers": dict(counted),
        "first_sound": spread(first),
        "health": spread([taken_s for _, taken_s, _ in rows]),
        "memory_mb": course([memory_mb for _, _, memory_mb in rows]),
        "left_in_work": left,
    }


def course(memory_mb: Sequence[float]) -> dict[str, float]:
    """How memory went, once the server had met with its load: the second quarter, the last, and their ratio."""
    quarter = max(1, len(memory_mb) // 4)
    early, late = median(memory_mb[quarter : 2 * quarter] or memory_mb), median(memory_mb[-quarter:])
    return {"start": memory_mb[0], "second_quarter": early, "last_quarter": late, "growth": late / early - 1}


async def work_left(client: httpx.AsyncClient, patience_s: float = 60.0) -> int:
    """Requests that the server still works at when nobody waits for any more; it has some time to end them."""
    end = time.perf_counter() + patience_s
    while (left := int((await client.get("/health")).json()["requests"])) and time.perf_counter() < end:
        await asyncio.sleep(0.01)
    return left


async def soak(arguments: argparse.Namespace) -> dict[str, Any]:
    """Very many short requests, a tenth of them hung up on somewhere in between."""
    texts = sentences(500, n_words=(1, 4))
    drawn = random.Random(2)
    counted: Counter[str] = Counter()
    digests: dict[str, str] = {}
    memory: list[float] = []
    with served(glowtron(arguments)) as server, tqdm(total=arguments.requests, desc="soak") as bar:
        left = arguments.requests
        every = max(1, arguments.requests // 200)
        started = time.perf_counter()

        async def one(client: httpx.AsyncClient) -> None:
            nonlocal left
            while left > 0:
                left -= 1
                if left % every == 0:
                    memory.append(server.memory_mb)
                text = drawn.choice(texts)
                patience_s = drawn.uniform(0, 0.3) if drawn.random() < 0.1 else None
                try:
                    answer = await asyncio.wait_for(ask(client, text), patience_s)
                    right = answer.status == 200 and digests.setdefault(text, answer.digest) == answer.digest
                    counted["right" if right else f"wrong, status {answer.status}"] += 1
                except (TimeoutError, asyncio.TimeoutError):  # Two classes before Python 3.11.
                    counted["hung up"] += 1
                except httpx.HTTPError as error:
                    counted[f"lost: {type(error).__name__}"] += 1
                bar.set_postfix(counted, refresh=False)
                bar.update()

        async with client_of(server) as client:
            await asyncio.gather(*(one(client) for _ in range(arguments.clients)))
            stopped = time.perf_counter()
            n_left = await work_left(client)
            idle_after_s = time.perf_counter() - stopped
        threads, files = server.process.num_threads(), server.process.num_fds()
    return {
        "requests": arguments.requests,
        "clients": arguments.clients,
        "seconds": stopped - started,
        "answers": dict(counted),
        "memory_mb": course(memory),
        "left_in_work": n_left,
        "idle_after_s": idle_after_s,
        "threads": threads,
        "open_files": files,
    }


async def beside_piper(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both servers answer the same texts by turns."""
    texts = sentences(arguments.requests, n_words=(8, 16))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [arguments.python, "-m", "piper.http_server", "-m", arguments.model, "--port", str(port)]
    rows: dict[str, list[dict[str, float]]] = {"glowtron": [], "piper": []}
    memory: dict[str, float] = {}
    with served(glowtron(arguments)) as ours, served(command, f"http://127.0.0.1:{port}") as piper:
        every = (("glowtron", ours, "/v1/audio/speech"), ("piper", piper, "/synthesize"))
        for _, server, path in every:
            await closed_loop(server, texts[:3], 1, path)
        for _ in range(arguments.rounds):
            for name, server, path in every:
                single, _ = await closed_loop(server, texts, 1, path)
                many, seconds = await closed_loop(server, texts * 2, arguments.clients, path)
                assert all(one.status == 200 for one in (*single, *many)), name
                of = pcm_seconds if name == "glowtron" else wav_seconds
                rows[name].append(
                    {
                        "first_sound_s": median(one.first_s for one in single),
                        "first_sound_many_p95_s": spread([one.first_s for one in many])["p95_s"],
                        "audio_s_per_s": sum(map(of, many)) / seconds,
                    }
                )
        for name, server, _ in every:
            memory[name] = server.memory_mb
    best = {
        name: {
            "first_sound_s": min(row["first_sound_s"] for row in found),
            "first_sound_many_p95_s": min(row["first_sound_many_p95_s"] for row in found),
            "audio_s_per_s": max(row["audio_s_per_s"] for row in found),
            "memory_mb": memory[name],
        }
        for name, found in rows.items()
    }
    return {"clients": arguments.clients, "peer": Path(arguments.model).stem, "best": best, "rounds": rows}


def wav_seconds(answer: Answer) -> float:
    """Seconds of sound in a WAV of Piper's, whose sizes are right."""
    rate = int.from_bytes(answer.body[24:28], "little")
    return (len(answer.body) - 44) / 2 / rate


def told(words: Sequence[str]) -> list[str]:
    """A command's words as they are published: of absolute paths, which are this machine's, the last part."""
    return [Path(word).name if Path(word).is_absolute() else word for word in words]


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(required=True)
    for work, n_requests, n_clients in (
        (first_sound, 50, 1),
        (clients, 160, 8),
        (throughput, 160, 16),
        (hang_up, 40, 1),
        (overload, 0, 16),
        (soak, 10_000, 8),
        (beside_piper, 20, 8),
    ):
        one = subparsers.add_parser(work.__name__.replace("_", "-"), help=work.__doc__)
        one.set_defaults(work=work)
        one.add_argument("--voice", default="duet")
        one.add_argument("--threads", type=int, default=0)
        one.add_argument("--workers", type=int, default=1)
        one.add_argument("--requests", type=int, default=n_requests)
        one.add_argument("--clients", type=int, default=n_clients)
        one.add_argument("--rounds", type=int, default=3)
        one.add_argument("--seconds", type=float, default=300)
        one.add_argument("-o", "--output", type=Path, help="a file for the result")
        one.add_argument("--keep", action="store_true", help="keep the result for docs/benchmarks.md")
        if work is beside_piper:
            one.add_argument("--python", required=True, help="of the environment that has piper-tts and flask")
            one.add_argument("--model", required=True)
    arguments = parser.parse_args()
    load_before = list(os.getloadavg())
    result = {
        "what": arguments.work.__name__,
        "command": "python benchmarks/serve.py " + " ".join(told(sys.argv[1:])),
        "date": time.strftime("%Y-%m-%d"),
        "voice": arguments.voice,
        "workers": arguments.workers,
        **asyncio.run(arguments.work(arguments)),
        "machine": {
            **describe(torch.device("cpu")),
            "device": processor_name(),
            "instructions": instructions(),
            "cores": os.cpu_count(),
            "load_before": load_before,
        },
    }
    print(json.dumps(result, indent=1))
    if arguments.output:
        write_json(arguments.output, result)
    if arguments.keep:
        kept = folder_of(result) / f"serve-{arguments.work.__name__.replace('_', '-')}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, result)
        print(f"kept in {kept}", file=sys.stderr)


if __name__ == "__main__":
    main()
