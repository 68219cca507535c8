"""The simulation of queues agrees with what is known of queues."""

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "scale.py"
spec = importlib.util.spec_from_file_location("scale", SCRIPT)
scale = sys.modules["scale"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scale)

RATES = scale.Rates(audio_s_per_s=5.0, first_s=0.1)
SINGLE = scale.Listeners(n=1, requests_per_minute=60, sentences=1, sentence_s=2.0)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_core_waits_as_pollaczek_and_khinchin_say(load):
    """A queue M/G/1: the mean wait is lambda E[S^2] / (2 (1 - rho))."""
    service_s, variance = 0.4, (0.4**2) / 12  # Uniform from 0.2 to 0.6.
    listeners = replace(SINGLE, n=1, requests_per_minute=60 * load / service_s)
    found = scale.simulate(RATES, listeners, scale.Pool(machines=1, cores=1), seconds=20_000)
    wait_s = sum(found.first_s) / len(found.first_s) - RATES.first_s
    expected = load / service_s * (service_s**2 + variance) / (2 * (1 - load))
    assert wait_s == pytest.approx(expected, rel=0.1)
    assert found.busy == pytest.approx(load, rel=0.03)


def test_several_cores_wait_less_than_one_and_no_queue_is_no_wait():
    busy = replace(SINGLE, n=1, requests_per_minute=60 * 0.8 / 0.4)
    one = scale.simulate(RATES, busy, scale.Pool(machines=1, cores=1), seconds=4_000)
    eight = scale.simulate(RATES, replace(busy, n=8), scale.Pool(machines=1, cores=8), seconds=4_000)
    assert sum(eight.first_s) / len(eight.first_s) < sum(one.first_s) / len(one.first_s)
    idle = scale.simulate(RATES, replace(SINGLE, requests_per_minute=0.1), scale.Pool(machines=1, cores=4), 20_000)
    assert idle.first_s[-1] == pytest.approx(RATES.first_s) and idle.gaps == 0


def test_the_less_busy_of_two_is_better_than_any():
    asked = scale.Listeners(n=150)
    found = {
        balance: scale.simulate(RATES, asked, scale.Pool(machines=8, cores=1, balance=balance), 3000)
        for balance in ("two", "any")
    }
    assert found["two"].first_within(0.95) < found["any"].first_within(0.95)
    assert found["two"].busy == pytest.approx(found["any"].busy, rel=0.05)


def test_turns_leave_a_reply_before_a_page_and_gaps_come_with_overload():
    pool = scale.Pool(machines=1, cores=2)
    calm = scale.simulate(RATES, replace(scale.KINDS["reader"], n=4), pool, 2000)
    assert calm.gaps == 0
    crowded = scale.simulate(RATES, replace(scale.KINDS["reader"], n=11), pool, 2000)
    assert crowded.gaps > 0.5 and crowded.busy > 0.95


def test_the_most_listeners_meet_the_goal_and_more_do_not():
    pool, asked = scale.Pool(machines=4, cores=2), scale.KINDS["dialogue"]
    most, met = scale.most_listeners(RATES, asked, pool, 0.5, seconds=3000)
    assert met.first_within(0.95) <= 0.5 and met.gaps <= 0.01
    more = scale.simulate(RATES, replace(asked, n=math.ceil(most * 1.15)), pool, 3000)
    assert more.first_within(0.95) > 0.5 or more.gaps > 0.01
    tighter, _ = scale.most_listeners(RATES, asked, pool, 0.2, seconds=1000)
    assert 0 < tighter < most < pool.machines * pool.cores * 5.0 / 0.2
    assert scale.most_listeners(RATES, asked, pool, 0.05, seconds=60)[0] == 0


def test_the_table_has_what_is_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scale.py", "--rate", "200", "--cores", "1", "--price", "0.1"])
    monkeypatch.setattr(scale, "MACHINES", 2)
    scale.main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == ["1"] * 2 + ["1,000"] * 6 + ["1,000,000"] * 6
    assert all(len(row) == 11 for row in rows)
