"""Turns: fair, bounded, and without anything left behind."""

import threading
import time
from threading import Event

import pytest

from glowtron.serve.queue import AHEAD, QueueFullError, Task, TurnQueue


class Client:
    """Takes what a task makes."""

    def __init__(self, turns: int, per_turn: int = 1, journal=None, name: str = "", duration_s: float = 1.0) -> None:
        """per_turn: pieces, of which only the last has sound."""
        self.made, self.errors, self.ended, self.closed = [], [], Event(), Event()
        self.stop = Event()
        self._journal = journal

        def pieces():
            try:
                for turn in range(turns):
                    for piece in range(per_turn):
                        yield f"{name}{turn}.{piece}", duration_s if piece == per_turn - 1 else 0.0
            finally:
                self.closed.set()

        self.task = Task(pieces(), self._deliver, self.stop)

    def _deliver(self, made) -> None:
        if made.error is not None:
            self.errors.append(made.error)
        if made.piece is None:
            self.ended.set()
        else:
            self.made.append(made.piece)
            if self._journal is not None:
                self._journal.append(made.piece)


@pytest.fixture
def queue():
    queue = TurnQueue(1, 8)
    yield queue
    queue.close()


def test_each_task_gets_all_its_pieces_in_order(queue):
    clients = [Client(3, 2) for _ in range(5)]
    for client in clients:
        queue.submit(client.task)
    for client in clients:
        assert client.ended.wait(10) and client.closed.wait(10)
        assert client.made == [f"{turn}.{piece}" for turn in range(3) for piece in range(2)]
    assert queue.n_tasks == 0


def test_a_short_task_is_not_behind_a_long_one():
    journal, gate = [], Event()
    queue = TurnQueue(1, 8, lambda: gate.wait(10) and None)
    chapter, reply = Client(20, journal=journal, name="c"), Client(1, journal=journal, name="r")
    queue.submit(chapter.task)
    queue.submit(reply.task)
    gate.set()
    assert chapter.ended.wait(10) and reply.ended.wait(10)
    assert journal.index("r0.0") == 1
    queue.close()


def test_who_has_least_sound_in_hand_is_next():
    journal, gate = [], Event()
    queue = TurnQueue(1, 8, lambda: gate.wait(10) and None)
    clients = {name: Client(4, journal=journal, name=name, duration_s=s) for name, s in (("a", 100), ("b", 200))}
    for client in clients.values():
        queue.submit(client.task)
    gate.set()
    assert all(client.ended.wait(10) for client in clients.values())
    # In hand after each piece, seconds: a 100, b 200, a 200, then a (it came first) 300, b 400, a 400, ...
    assert journal[:5] == ["a0.0", "b0.0", "a1.0", "a2.0", "b1.0"]
    queue.close()


def test_who_waits_for_sound_is_not_in_debt():
    task = Task(iter(()), lambda one: None, Event())
    began_s = task.deadline_s
    task.add_sound(began_s + 50, 2.0)  # The listener waited for fifty seconds.
    assert task.deadline_s == began_s + 52
    task.add_sound(began_s + 51, 2.0)
    assert task.deadline_s == began_s + 54


def test_there_is_an_end_of_room():
    gate = Event()
    queue = TurnQueue(1, 2, lambda: gate.wait(10) and None)
    clients = [Client(1) for _ in range(3)]
    queue.submit(clients[0].task)
    queue.submit(clients[1].task)
    with pytest.raises(QueueFullError) as full:
        queue.submit(clients[2].task)
    assert 1 <= full.value.retry_after_s <= 60
    gate.set()
    assert clients[1].ended.wait(10)
    queue.submit(Client(1).task)
    queue.close()


def test_a_cancelled_task_makes_no_more(queue):
    release, began = Event(), Event()

    def pieces():
        try:
            yield 0, 1.0
            began.set()
            release.wait(10)
            yield 1, 1.0
            yield 2, 1.0
        finally:
            closed.set()

    closed, made = Event(), []
    task = Task(pieces(), lambda one: made.append(one.piece), Event())
    queue.submit(task)
    assert began.wait(10)
    queue.cancel(task)
    release.set()
    assert closed.wait(10)
    assert made[:1] == [0] and 2 not in made
    assert queue.n_tasks == 0


def test_a_waiting_task_is_cancelled_at_once():
    gate = Event()
    queue = TurnQueue(1, 8, lambda: gate.wait(10) and None)
    client = Client(1)
    next(client.task.pieces)  # Begun, so that it has something to close.
    queue.submit(client.task)
    queue.cancel(client.task)
    assert client.closed.is_set() and queue.n_tasks == 0
    gate.set()
    queue.close()


def test_an_error_ends_its_task_alone(queue):
    def broken():
        yield 1, 1.0
        raise ValueError("no more")

    ended, errors = Event(), []

    def deliver(made):
        if made.error is not None:
            errors.append(made.error)
            ended.set()

    queue.submit(Task(broken(), deliver, Event()))
    assert ended.wait(10) and str(errors[0]) == "no more"
    client = Client(2)
    queue.submit(client.task)
    assert client.ended.wait(10)


def test_a_slow_client_is_not_filled_without_end(queue):
    client = Client(10 * AHEAD)
    queue.submit(client.task)
    deadline = time.monotonic() + 10
    while len(client.made) < AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(client.made) == AHEAD
    other = Client(2)
    queue.submit(other.task)  # The thread is free for others meanwhile.
    assert other.ended.wait(10)
    taken = 0
    while not client.ended.is_set():
        while taken < len(client.made):
            queue.taken(client.task)
            taken += 1
        time.sleep(0.001)
        assert time.monotonic() < deadline + 30
    assert len(client.made) == 10 * AHEAD


def test_closing_ends_threads_and_tasks():
    before = threading.active_count()
    queue = TurnQueue(3, 8)
    clients = [Client(10_000) for _ in range(5)]
    for client in clients:
        queue.submit(client.task)
    queue.close()
    assert threading.active_count() == before
    assert all(client.closed.is_set() or not client.made for client in clients)
