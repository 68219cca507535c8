"""The server, as any HTTP client meets it."""

import signal
import sqlite3
import subprocess
import sys

import pytest
from browser_rater import served
from http_rater import begin, call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listen_material import say, write_systems

from glowtron.listen.listening_test import ListeningTest
from glowtron.listen.make import Settings, make_test

ANSWER = {"values": [3], "plays": [1], "seconds": 2.5, "away": 0}


@pytest.fixture(scope="module")
def test(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    systems = write_systems(folder / "systems", n_items=2, seconds=0.2)
    return make_test(systems, folder / "test", Settings(headphones=False, completion_code="DONE"), say)


@pytest.fixture(scope="module")
def url(test):
    with served(test.folder) as url:
        yield url


def test_answers_outlive_a_killed_server(tmp_path):
    systems = write_systems(tmp_path / "systems", n_items=1, seconds=0.2)
    made = make_test(systems, tmp_path / "test", Settings(headphones=False, attention=0), say)
    command = [sys.executable, "-m", "glowtron", "listen", "serve", str(made.folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().split(": ")[0]
    rater = begin(url)["rater"]
    path = f"api/raters/{rater}/answers"
    assert call(url + path, "POST", {"part": "trial", "trial": 0, "answer": ANSWER})[2]["saved"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with served(made.folder) as url:
        assert call(url + f"api/raters/{rater}")[2]["done"] == [{"part": "trial", "trial": 0}]


def test_a_whole_session_ends_with_the_code(test, url):
    told = begin(url)
    path = url + f"api/raters/{told['rater']}"
    for number, _ in enumerate(told["trials"]):
        body = {"part": "trial", "trial": number, "answer": ANSWER}
        status, _, answer = call(path + "/answers", "POST", body)
        assert (status, answer["saved"]) == (200, True)
        last = number == len(told["trials"]) - 1
        assert answer["code"] == ("DONE" if last else None)
        # A second click changes nothing.
        assert call(path + "/answers", "POST", {**body, "answer": {**ANSWER, "values": [1]}})[2]["saved"] is False
    assert call(path)[2]["code"] == "DONE"
    assert call(path, "DELETE")[2] == {"deleted": told["rater"]}
    assert call(path)[0] == 404


@pytest.mark.parametrize(
    "change",
    [
        {"values": [6]},
        {"values": [2.5]},
        {"values": []},
        {"values": [3, 3]},
        {"values": ["3"]},
        {"values": [True]},
        {"plays": [0]},
        {"plays": []},
        {"plays": [1.5]},
        {"seconds": -1},
        {"away": None},
        {"more": 1},
    ],
)
def test_what_is_no_answer_is_refused(url, change):
    path = url + f"api/raters/{begin(url)['rater']}"
    status, _, told = call(path + "/answers", "POST", {"part": "trial", "trial": 0, "answer": {**ANSWER, **change}})
    assert status == 422 and told["error"]
    assert call(path)[2]["done"] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["part", "trial", "answer", "values"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=json_values | st.binary(max_size=60))
def test_no_body_breaks_the_server(url, body):
    rater = begin(url)["rater"]
    for path, method in ((f"api/raters/{rater}/answers", "POST"), ("api/raters", "POST")):
        status = call(url + path, method, body)[0]
        assert status in (200, 422)
        if status == 200:
            assert path == "api/raters" and set(body) <= {"device", "native"}
    assert call(url + f"api/raters/{rater}")[2]["done"] == []


def test_long_bodies_and_strange_paths_are_refused(test, url):
    assert call(url + "api/raters", "POST", b"[" * 50_000)[0] == 413
    assert call(url + "api/raters", "POST", b"[" * 15_000)[0] == 422
    for path in ("clips/nothing", "clips/..%2fkey.json", "clips/%2e%2e/key.json", "key.json", "api/raters/nobody", "x"):
        assert call(url + path)[0] == 404


def test_pages_fetch_nothing_from_elsewhere_and_keep_no_address(test, url):
    status, headers, page = call(url)
    assert status == 200
    assert b"http://" not in page.replace(b"http://www.w3.org", b"") and b"https://" not in page
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in ("server", "set-cookie") if name in headers]
    rater = begin(url)["rater"]
    with sqlite3.connect(test.folder / "answers.sqlite") as database:
        row = database.execute("select * from listen_raters where id = ?", (rater,)).fetchone()
    assert "127.0.0.1" not in str(row) and "rllib" not in str(row)


def test_clips_are_served_whole(test, url):
    for id in list(test.clip_ids)[:3]:
        status, headers, content = call(url + f"clips/{id}")
        assert (status, headers["content-type"]) == (200, "audio/wav")
        assert content == test.clip_path(id).read_bytes()


def test_an_address_in_use_is_named(test, url):
    port = url.rstrip("/").rsplit(":", 1)[1]
    command = [
        sys.executable,
        "-m",
        "glowtron",
        "listen",
        "serve",
        str(ListeningTest(test.folder).folder),
        "--port",
        port,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "cannot be listened on" in done.stderr and len(done.stderr.splitlines()) == 1
