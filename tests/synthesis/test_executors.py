"""Processes beside this one: they answer, they pass faults of the user on, and nothing outlives anything."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from glowtron.errors import InputError
from glowtron.machine import usable_cores
from glowtron.synthesis.executors import ProcessPool, SerialExecutor

EVALUATE = partial(partial, eval)
"""Work is an expression."""
PID = "__import__('os').getpid()"
KILL_ITSELF = "__import__('os').kill(__import__('os').getpid(), 9)"
SAY_HALF_AND_DIE = (
    "[__import__('os').write(int(__import__('__main__').pipe), bytes([0, 0, 0, 100]) + b'three'), " + KILL_ITSELF + "]"
)
SLEEP = "__import__('time').sleep(60)"
REFUSE = "(_ for _ in ()).throw(__import__('glowtron.errors', fromlist=['']).InputError('no such thing'))"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


def test_results_come_with_their_tickets() -> None:
    with ProcessPool(EVALUATE, 2) as workers:
        given: set[int] = set()
        found = {}
        for ticket in range(9):
            if not workers.has_room:
                done, result = workers.next_result()
                found[done] = result
            workers.submit(ticket, f"({ticket} ** 2, {PID})")
            given.add(ticket)
        while len(found) < len(given):
            done, result = workers.next_result()
            found[done] = result
    assert {ticket: square for ticket, (square, _) in found.items()} == {i: i**2 for i in range(9)}
    pids = {pid for _, pid in found.values()}
    assert len(pids) == 2 and os.getpid() not in pids
    wait_until_gone(list(pids))


def test_as_many_have_room_as_there_are() -> None:
    with ProcessPool(EVALUATE, 2) as workers:
        workers.submit(0, "0")
        assert workers.has_room
        workers.submit(1, "1")
        assert not workers.has_room
        workers.next_result()
        assert workers.has_room


def test_large_work_and_large_results_pass() -> None:
    with ProcessPool(partial(partial, bytes.upper), 1) as workers:
        data = b"a" * 5_000_000
        for ticket in range(3):
            workers.submit(ticket, data)
            assert workers.next_result() == (ticket, data.upper())


def test_here_is_this_process_when_the_result_is_wanted() -> None:
    asked = []
    with SerialExecutor(lambda what: asked.append(what) or what + 1) as here:
        here.submit("ticket", 1)
        assert not asked and not here.has_room
        assert here.next_result() == ("ticket", 2)
        assert here.has_room


def ask(workers: ProcessPool, what: object) -> object:
    workers.submit("ticket", what)
    return workers.next_result()[1]


def test_a_killed_process_ends_all_and_is_told() -> None:
    with ProcessPool(EVALUATE, 2) as workers:
        pid = ask(workers, PID)
        workers.submit(0, SLEEP)
        with pytest.raises(InputError, match=r"killed \(SIGKILL\).*fewer workers") as error:
            ask(workers, KILL_ITSELF)
    assert "\n" not in str(error.value)
    wait_until_gone([pid])


def test_a_process_that_is_killed_while_it_answers_is_told_too() -> None:
    with ProcessPool(EVALUATE, 1) as workers, pytest.raises(InputError, match=r"killed \(SIGKILL\)"):
        ask(workers, SAY_HALF_AND_DIE)


def test_a_process_that_is_killed_while_it_waits_is_noticed_with_the_next_work() -> None:
    with ProcessPool(EVALUATE, 1) as workers:
        pid = ask(workers, PID)
        os.kill(pid, signal.SIGTERM)
        wait_until_gone([pid])
        with pytest.raises(InputError, match="SIGTERM"):
            ask(workers, PID)


@pytest.mark.parametrize("make", [EVALUATE, partial(eval, REFUSE)])
def test_faults_of_the_user_are_ours(make: partial) -> None:
    with ProcessPool(make, 1) as workers, pytest.raises(InputError, match=r"^no such thing$"):
        ask(workers, REFUSE)


def test_a_fault_of_ours_keeps_its_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with ProcessPool(EVALUATE, 1) as workers, pytest.raises(RuntimeError, match="exit status 1"):
        ask(workers, "1 / 0")
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_whoever_leaves_waits_for_nobody() -> None:
    started = time.monotonic()
    workers = ProcessPool(EVALUATE, 2)
    for fault in (None, KeyboardInterrupt()):
        with suppress(KeyboardInterrupt), workers:
            workers.submit(0, SLEEP)
            if fault is not None:
                raise fault
    assert time.monotonic() - started < 50


def test_they_end_with_a_parent_that_is_killed() -> None:
    program = (
        "from glowtron.synthesis.executors import ProcessPool; from functools import partial; import os\n"
        "with ProcessPool(partial(partial, eval), 2) as workers:\n"
        f"    for i in range(2): workers.submit(i, {PID!r})\n"
        "    print(workers.next_result()[1], workers.next_result()[1], flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    wait_until_gone(pids)


def test_a_script_is_not_run_again_in_them(tmp_path: Path) -> None:
    """As `multiprocessing` would, so that scripts needed a guard."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('run')\nfrom functools import partial\nfrom glowtron.synthesis.executors import ProcessPool\n"
        "with ProcessPool(partial(partial, len), 1) as workers:\n"
        "    workers.submit(0, 'four')\n    print(workers.next_result()[1])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "run\n4\n"


def test_cores_that_may_be_used_are_counted() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
