"""Work in this process, or in processes beside it, each of which makes a function once and calls it many times.

The processes are programs of their own. `multiprocessing` would run a user's script once more in each of them, and a
fork would copy threads that are in the middle of something.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from multiprocessing import connection
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

from glowtron.errors import InputError

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

# Modules are found where this process finds them.
_PROGRAM = (
    "import sys; pipe, *sys.path = sys.argv[1:]; from glowtron.synthesis.executors import serve; serve(int(pipe))"
)


class SerialExecutor(Generic[T, A, R]):
    """No other process: work is done when its result is asked for."""

    n_workers = 1

    def __init__(self, work: Callable[[A], R]) -> None:
        self._work = work
        self._submitted: deque[tuple[T, A]] = deque()

    @property
    def has_room(self) -> bool:
        """See `ProcessPool`."""
        return not self._submitted

    def submit(self, ticket: T, what: A) -> None:
        """See `ProcessPool`."""
        self._submitted.append((ticket, what))

    def next_result(self) -> tuple[T, R]:
        """See `ProcessPool`."""
        ticket, what = self._submitted.popleft()
        return ticket, self._work(what)

    def __enter__(self) -> SerialExecutor[T, A, R]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._submitted.clear()


class _Worker(NamedTuple):
    """A process and its connection."""

    process: subprocess.Popen[bytes]
    pipe: connection.Connection[Any, Any]


class ProcessPool(Generic[T, A, R]):
    """Processes to which work is submitted while there is room; results come in the order in which they are done.

    The processes live inside a `with` statement. They end with this process, however it ends; Ctrl-C reaches only this
    one.
    """

    def __init__(self, make: Callable[[], Callable[[A], R]], n: int) -> None:
        """make: gives what each process does with its work; it, the work and the results are sent by pickle."""
        self._make, self.n_workers = make, n
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection[Any, Any], tuple[_Worker, T]] = {}

    def __enter__(self) -> ProcessPool[T, A, R]:
        try:
            for _ in range(self.n_workers):
                self._idle.append(_start())
            made = pickle.dumps(self._make)
            for worker in self._idle:
                _send(worker, made)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        workers = [*self._idle, *(worker for worker, _ in self._busy.values())]
        for process, pipe in workers:
            pipe.close()  # Which is what an idle process waits for.
            if error is not None or self._busy:
                process.kill()
        for process, _ in workers:
            process.wait()
        self._idle, self._busy = [], {}

    @property
    def has_room(self) -> bool:
        """True if more can be submitted before a result is taken."""
        return bool(self._idle)

    def submit(self, ticket: T, what: A) -> None:
        """Have `what` done. Raises InputError if a process was killed."""
        worker = self._idle.pop()
        self._busy[worker.pipe] = worker, ticket
        _send(worker, pickle.dumps(what))

    def next_result(self) -> tuple[T, R]:
        """Wait for the next piece of work that is done; returns its ticket and result.

        Raises InputError if the work does, or if a process was killed.
        """
        pipe = connection.wait(list(self._busy))[0]
        assert isinstance(pipe, connection.Connection)
        worker, ticket = self._busy[pipe]
        try:
            fault, result = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):  # The second in the middle of what it had to say.
            raise _death(worker) from None
        if fault is not None:
            raise fault
        del self._busy[pipe]
        self._idle.append(worker)
        return ticket, result


def _start() -> _Worker:
    ours, theirs = connection.Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *sys.path],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # A terminal sends Ctrl-C to whole groups of processes.
        )
    return _Worker(process, ours)


def _send(worker: _Worker, data: bytes) -> None:
    try:
        worker.pipe.send_bytes(data)
    except ConnectionError:
        raise _death(worker) from None


def _death(worker: _Worker) -> Exception:
    """The error for a process that has ended."""
    status = worker.process.wait()
    if status < 0:
        name = signal.Signals(-status).name
        return InputError(f"a worker was killed ({name}), as happens where memory runs out; give fewer workers")
    return RuntimeError(f"a worker ended with exit status {status}; its traceback stands above")


def serve(pipe: int) -> None:
    """Main function of such a process. InputErrors go to the parent; any other ends it with a traceback."""
    with connection.Connection(pipe) as parent:
        given = _receive(parent)
        if given is None:
            return
        try:
            work = pickle.loads(given)()
            while (given := _receive(parent)) is not None:
                _answer(parent, None, work(pickle.loads(given)))
        except InputError as error:
            _answer(parent, error, None)


def _receive(parent: connection.Connection[Any, Any]) -> bytes | None:
    """The next message; None: the parent has gone."""
    try:
        return parent.recv_bytes()
    except (EOFError, OSError):
        return None


def _answer(parent: connection.Connection[Any, Any], fault: InputError | None, result: Any) -> None:
    try:
        parent.send_bytes(pickle.dumps((fault, result)))
    except ConnectionError:
        return  # The parent has gone; the next that is received is nothing.
