"""A process of its own for what is measured, so that its memory is its own and nobody else's work is in its way."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import torch

from glowtron.errors import InputError

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class Child(Generic[S]):
    """A process that holds what `make` gives there, and does with it what it is asked to.

    It is forked from a server that has only imported the libraries: a process that is spawned inherits our peak of
    memory (Linux keeps it over exec), and takes a second to import torch. Use it in a `with` statement. Raises
    InputError where the process does, and RuntimeError with its traceback for a fault of ours.
    """

    def __init__(self, make: Callable[[], S], threads: int) -> None:
        """threads: of its matrix products; 0: as torch chooses."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["glowtron.synthesis.torch_runtime", "glowtron.voice"])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, threads), daemon=True)
        self._process.start()
        theirs.close()  # So that we notice when the process does not live any more.
        self._answer()

    def ask(self, function: Callable[Concatenate[S, P], R], *arguments: P.args, **named: P.kwargs) -> R:
        """Returns `function(thing, *arguments)`, called in that process; all of it has to be picklable."""
        self._pipe.send((function, arguments, named))
        answer: R = self._answer()
        return answer

    def _answer(self) -> Any:
        try:
            fault, answer = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"a measured process died (exit status {self._process.exitcode})") from None
        if fault is not None:
            self._process.join()
            raise fault
        return answer

    def __enter__(self) -> Child[S]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pipe.close()  # Which is what the process waits for, unless it is at work.
        if error is not None:
            self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, make: Callable[[], Any], threads: int) -> None:
    """The life of the process. Its faults go to the parent and end it."""
    try:
        if threads:
            torch.set_num_threads(threads)
        thing = make()
        pipe.send((None, None))
        while True:
            try:
                function, arguments, named = pipe.recv()
            except EOFError:
                return
            pipe.send((None, function(thing, *arguments, **named)))
    except InputError as error:
        pipe.send((error, None))
    except KeyboardInterrupt:
        return  # Reaches every process of a terminal; the parent tells.
    except Exception:  # Whatever it is, the parent tells it: here nobody reads what is written.
        pipe.send((RuntimeError(f"a measured process failed:\n{traceback.format_exc()}"), None))
