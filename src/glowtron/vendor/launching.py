"""`multiproc.py` and `distributed.py`: one process for each GPU, as the published programs start them."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

import torch

from glowtron.errors import InputError
from glowtron.vendor.running import program

Dialect = Literal["nvidia", "deepspark", "examples"]

_SIZE = "--set-world-size"
"""The flag that says how many processes there are to be, where the GPUs do not."""


def n_devices() -> int:
    """The GPUs of this machine; a CPU counts as one."""
    return max(1, torch.cuda.device_count())


def multiproc(dialect: Dialect = "nvidia", arguments: Sequence[str] | None = None) -> int:
    """Run `multiproc.py PROGRAM ARGUMENT...`. Returns 0 if all processes did, else 1.

    The first process prints here; the others into files beside its logs (`nvidia`, `deepspark`), or nowhere.
    """
    return program(lambda: _multiproc(dialect, list(sys.argv[1:] if arguments is None else arguments)))


def _multiproc(dialect: Dialect, arguments: list[str]) -> int:
    arguments, n_processes = _without_size(arguments)
    if not arguments:
        raise InputError("give the program to start, such as train.py, and its arguments")
    if dialect == "examples":
        shared = [*arguments, "--world-size", str(n_processes)]
        return _start([[*shared, "--rank", str(i)] for i in range(n_processes)], [None] * n_processes)
    job = time.strftime("%Y_%m_%d-%H%M%S")
    # Theirs takes the third word for the log folder; here it is found wherever it is given.
    told = [word.partition("=")[2] for word in arguments if word.startswith("--log_directory=")]
    folder = Path(told[-1] if told and dialect == "deepspark" else "logs")
    shared = [*arguments, f"--n_gpus={n_processes}", f"--group_name=group_{job}"]
    commands = [[*shared, f"--rank={i}"] for i in range(n_processes)]
    for command in commands:
        print(command, flush=True)
    return _start(commands, [folder / f"{job}_GPU_{i}.log" for i in range(n_processes)])


def distributed(arguments: Sequence[str] | None = None) -> int:
    """Run `distributed.py -c config.json [-s FOLDER] [-a ARGUMENTS]` of waveglow."""
    parser = argparse.ArgumentParser(description="Start train.py of waveglow, one process for each GPU.")
    parser.add_argument("-c", "--config", required=True, help="JSON file of the configuration")
    parser.add_argument("-s", "--stdout_dir", default=".", help="where the other processes' output goes")
    parser.add_argument("-a", "--args_str", default="", help="further arguments of train.py, in one string")
    parser.add_argument(_SIZE, type=int, help="processes, where there is not one for each GPU")
    return program(lambda: _distributed(parser.parse_args(arguments)))


def _distributed(told: argparse.Namespace) -> int:
    n_processes = told.set_world_size if told.set_world_size is not None else n_devices()
    _check(n_processes)
    group = f"--group_name=group_{time.strftime('%Y_%m_%d-%H%M%S')}"
    shared = ["train.py", *told.args_str.split(), f"--config={told.config}", f"--num_gpus={n_processes}"]
    commands = [[*shared, f"--rank={i}", group] for i in range(n_processes)]
    for command in commands:
        print(command, flush=True)
    return _start(commands, [Path(told.stdout_dir) / f"GPU_{i}.log" for i in range(n_processes)])


def _without_size(arguments: list[str]) -> tuple[list[str], int]:
    """The arguments without the flag for the number of processes, and that number."""
    if _SIZE not in arguments:
        return arguments, n_devices()
    place = arguments.index(_SIZE)
    if place + 1 == len(arguments) or not arguments[place + 1].isdecimal():
        raise InputError(f"{_SIZE}: give the number of processes after it")
    n_processes = int(arguments[place + 1])
    _check(n_processes)
    return arguments[:place] + arguments[place + 2 :], n_processes


def _check(n_processes: int) -> None:
    if n_processes < 1:
        raise InputError(f"{_SIZE} {n_processes}: there has to be one process at least")


def _start(commands: Sequence[Sequence[str]], logs: Sequence[Path | None]) -> int:
    """Start the processes and wait for all; if one fails, end the others.

    The first prints here, the others into `logs`, or nowhere.
    """
    files: list[IO[str]] = []
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for place, (command, log) in enumerate(zip(commands, logs, strict=True)):
            stdout: IO[str] | int | None = None if place == 0 else subprocess.DEVNULL
            if place and log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                files.append(log.open("w", encoding="utf-8"))
                stdout = files[-1]
            workers.append(subprocess.Popen([sys.executable, *command], stdout=stdout))
        while any(worker.poll() is None for worker in workers):
            if any(worker.poll() for worker in workers):
                break
            time.sleep(0.1)
    except KeyboardInterrupt:  # The terminal has told all of them; each ends its step and writes a checkpoint.
        for worker in workers:
            worker.wait()
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in workers:
            worker.wait()
        for file in files:
            file.close()
    return int(any(worker.returncode for worker in workers))
