"""The fastest way is found by trying, decided once for a process, and kept for the next one."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from glowtron.engines import measured
from glowtron.engines.measured import MANY, Measured, cache_folder, measure, remember


def way(work: int, calls: list[int]) -> Callable[[], Callable[[int], object]]:
    """A way that takes as long as `work` products."""
    matrix = torch.ones(64, 64)

    def make() -> Callable[[int], object]:
        def run(n_rows: int) -> None:
            calls.append(n_rows)
            for _ in range(work):
                torch.ones(n_rows, 64) @ matrix

        return run

    return make


def test_the_faster_is_found_and_kept(tmp_path: Path) -> None:
    calls: list[int] = []
    found = measure("a", {"slow": way(8, calls), "fast": way(1, calls)}, tmp_path)
    assert found.best == "fast"
    assert list(found.milliseconds) == ["slow", "fast"]
    assert found.kept is not None
    assert max(calls) == MANY * torch.get_num_threads()
    n_calls = len(calls)
    assert measure("a", {"slow": way(8, calls), "fast": way(1, calls)}, tmp_path) == found
    measured._MEASURED.clear()  # As another process finds it.
    assert measure("a", {"slow": way(8, calls), "fast": way(1, calls)}, tmp_path) == found
    assert len(calls) == n_calls
    measure("a", {"slow": way(8, calls), "other": way(1, calls)}, tmp_path)
    assert len(calls) > n_calls


def test_what_is_hopeless_is_not_waited_for(tmp_path: Path) -> None:
    calls: list[int] = []
    found = measure("b", {"fast": way(1, []), "hopeless": way(400, calls)}, tmp_path)
    assert list(found.milliseconds) == ["fast"]
    assert set(calls) == {measured.FEW}


def test_a_less_exact_way_has_to_be_worthwhile() -> None:
    assert Measured({"exact": 1.0, "rough": 0.95}, None).best == "exact"
    assert Measured({"exact": 1.0, "rough": 0.85}, None).best == "rough"
    assert Measured({"exact": 1.0, "rough": 0.85, "rougher": 0.8}, None).best == "rough"
    assert str(Measured({"exact": 1.0, "rough": 0.85}, None)) == "measured here, ms: rough 0.85, exact 1"


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"machine": {}}',
        '{"milliseconds": {"WHAT": {"slow": 1.0}}}',
        '{"machine": MACHINE, "milliseconds": []}',
        '{"machine": MACHINE, "milliseconds": {"WHAT": []}}',
        '{"machine": MACHINE, "milliseconds": {"WHAT": {}}}',
        '{"machine": MACHINE, "milliseconds": {"WHAT": {"slow": -1.0, "fast": 1.0}}}',
        '{"machine": MACHINE, "milliseconds": {"WHAT": {"slow": NaN}}}',
        '{"machine": MACHINE, "milliseconds": {"WHAT": {"slow": "quick"}}}',
        '{"machine": MACHINE, "milliseconds": {"WHAT": {"slow": 0.001, "unheard of": 1.0}}}',
    ],
)
def test_a_damaged_file_is_measured_anew(damage: str, tmp_path: Path) -> None:
    path = tmp_path / f"speed-{measured._machine()[1]}.json"
    what = "c: slow, fast"
    path.write_text(damage.replace("MACHINE", json.dumps(measured._machine()[0])).replace("WHAT", what))
    measured._MEASURED.clear()
    assert measure("c", {"slow": way(8, []), "fast": way(1, [])}, tmp_path).best == "fast"
    assert json.loads(path.read_text())["milliseconds"].keys() == {what}


def test_another_machines_file_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure("d", {"slow": way(8, []), "fast": way(1, [])}, tmp_path)
    monkeypatch.setattr(measured, "processor_name", lambda: "another")
    measured._MEASURED.clear()
    calls: list[int] = []
    measure("d", {"slow": way(8, calls), "fast": way(1, [])}, tmp_path)
    assert calls
    assert len(list(tmp_path.iterdir())) == 2


def test_workers_of_fewer_threads_take_the_same_way(tmp_path: Path) -> None:
    calls: list[int] = []
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found = measure("h", {"slow": way(8, calls), "fast": way(1, calls)}, tmp_path)
        n_calls = len(calls)
        torch.set_num_threads(1)
        measured._MEASURED.clear()
        assert measure("h", {"slow": way(8, calls), "fast": way(1, calls)}, tmp_path) == found
    finally:
        torch.set_num_threads(before)
    assert len(calls) == n_calls


def test_where_nothing_can_be_written_the_process_keeps_to_its_choice(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    calls: list[int] = []
    found = measure("e", {"slow": way(8, calls), "fast": way(1, calls)}, blocked)
    assert found.kept is None
    n_calls = len(calls)
    assert measure("e", {"slow": way(8, calls), "fast": way(1, calls)}, blocked) is found
    assert len(calls) == n_calls


def test_threads_that_ask_at_once_get_one_answer(tmp_path: Path) -> None:
    found: list[Measured] = []

    def ask() -> None:
        found.append(measure("f", {"one": way(1, []), "other": way(1, [])}, tmp_path))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each is found[0] for each in found)


def test_a_number_is_remembered(tmp_path: Path) -> None:
    assert remember("g", lambda: 0.25, tmp_path) == 0.25
    assert remember("g", lambda: 1 / 0, tmp_path) == 0.25


@pytest.mark.slow
def test_the_next_process_takes_the_same_way(tmp_path: Path) -> None:
    code = (
        "from small_models import GROUPED, small_waveglow\n"
        "from glowtron.engines.cpu_waveglow import accelerate_waveglow\n"
        "print(accelerate_waveglow(small_waveglow(GROUPED)).why)\n"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert first == second
    assert len(list((tmp_path / "glowtron").iterdir())) == 1


def test_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/glowtron")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/glowtron"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library/Caches/glowtron"
