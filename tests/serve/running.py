"""A real server in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx


@dataclass
class RunningServer:
    """Where it listens, and what it wrote."""

    process: subprocess.Popen[str]
    url: str
    errors: list[str]
    log: list[dict[str, Any]] = field(default_factory=list)

    def client(self, **options: Any) -> httpx.Client:
        """A client of it that waits long: tests run on busy machines."""
        return httpx.Client(base_url=self.url, timeout=120, **options)


@contextmanager
def running_server(voice: Path, *options: str) -> Iterator[RunningServer]:
    """`glowtron serve` with a voice, on a free port."""
    command = [sys.executable, "-m", "glowtron", "serve", "--voice", str(voice), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    found = RunningServer(process, "", [])
    started = threading.Event()

    def read_errors() -> None:
        for line in process.stderr or ():
            found.errors.append(line)
            if match := re.search(r"speech at (http://\S+)/v1", line):
                found.url = match[1]
                started.set()
        started.set()

    def read_log() -> None:
        for line in process.stdout or ():
            found.log.append(json.loads(line))

    threads = [threading.Thread(target=read, daemon=True) for read in (read_errors, read_log)]
    for thread in threads:
        thread.start()
    try:
        assert started.wait(120) and found.url, found.errors
        with found.client() as client:
            for _ in range(600):
                try:
                    client.get("/health")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, found.errors
        yield found
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
        for thread in threads:
            thread.join(10)
