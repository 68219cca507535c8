"""Those who mean it ill, or badly: a clear answer or a closed connection, and the server lives on."""

import json
import os
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

uvicorn = pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")

SPEECH = "/v1/audio/speech"
HEAD = f"POST {SPEECH} HTTP/1.1\r\nHost: x\r\n"
CLIENTS = Path(
    os.environ.get("GLOWTRON_CLIENTS_PYTHON", Path(__file__).resolve().parents[2] / ".venv-clients" / "bin" / "python")
)


BODIES = (SPEECH, "/dev/captioned_speech", "/page/speech")
"""Where a body is read."""


@pytest.fixture(autouse=True)
def lives_on(server):
    yield
    with server.client() as client:
        assert client.get("/health").json()["status"] == "healthy"
        assert client.post(SPEECH, json={"input": "Hello.", "response_format": "pcm"}).status_code == 200


def connect(server):
    host, port = server.url.removeprefix("http://").split(":")
    plain = socket.create_connection((host, int(port)))
    plain.settimeout(60)
    return plain


def status_of(server, sent):
    with connect(server) as plain:
        plain.sendall(sent)
        answer = plain.recv(65_536)
    return int(answer.split()[1]) if answer else None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = (
    "input",
    "voice",
    "model",
    "response_format",
    "speed",
    "stream_format",
    "stream",
    "sample_rate",
    "seed",
    "ssml",
)


@settings(max_examples=30, deadline=None)
@given(body=st.dictionaries(st.sampled_from(fields) | st.text(max_size=5), values, max_size=5))
@pytest.mark.parametrize("path", [SPEECH, "/dev/captioned_speech"])
def test_any_json_is_answered(server, path, body):
    with server.client() as client:
        content = json.dumps(body).encode("utf-8", "surrogatepass")
        answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "\x00" * 50,
        "\u202e" * 500,
        "a" * 20_000,
        "!?" * 20_000,
        "9" * 5_000,
        "\U0001f600" * 300,
        "((((" * 2_000,
    ],
    ids=["surrogate", "nul", "bidi", "one word", "marks", "digits", "emoji", "brackets"],
)
def test_hard_texts_are_spoken_or_refused(server, text):
    with server.client() as client:
        content = json.dumps({"input": text, "response_format": "pcm"})
        with client.stream("POST", SPEECH, content=content) as answer:
            assert answer.status_code in (200, 400)
            next(answer.iter_raw())  # What it begins is enough; to hang up is part of it.


def test_a_megabyte_of_text_is_refused(server):
    with server.client() as client:
        answer = client.post(SPEECH, json={"input": "word " * 200_000})
        assert answer.status_code == 413 and answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + "Content-Length: 5\r\nContent-Length: 50\r\n\r\n{}",
        HEAD + "Content-Length: -1\r\n\r\n{}",
        HEAD + "Content-Length: 1e3\r\n\r\n{}",
        HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        HEAD + "Transfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        HEAD + "X: " + "a" * 100_000 + "\r\n\r\n",
        HEAD + "X\x00Y: 1\r\n\r\n",
        HEAD + "Authorization: Bearer " + "\xff" * 100 + "\r\nContent-Length: 2\r\n\r\n{}",
        "GET " + "/a" * 40_000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/models/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 200,
        "\r\n" * 5_000,
    ],
    ids=lambda sent: repr(sent[:60]),
)
def test_tricks_of_heads_and_paths_are_refused(server, sent):
    with connect(server) as plain:
        plain.sendall(sent.encode("latin-1"))
        plain.shutdown(socket.SHUT_WR)
        answer = plain.recv(65_536)
    assert not answer or 400 <= int(answer.split()[1]) < 500


def test_many_silent_connections_keep_nobody_out(server):
    silent = [connect(server) for _ in range(200)]
    with server.client() as client:
        assert client.post(SPEECH, json={"input": "Hello.", "response_format": "pcm"}).status_code == 200
    for plain in silent:
        plain.close()


def test_a_reset_in_the_middle_stops_the_work(server):
    import struct

    body = json.dumps({"input": "A long sentence, which nobody hears. " * 400, "response_format": "pcm"})
    plain = connect(server)
    plain.sendall((HEAD + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    assert plain.recv(1000).startswith(b"HTTP/1.1 200")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()
    with server.client() as client:
        deadline = time.monotonic() + 60
        while client.get("/health").json()["requests"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def is_closed(plain):
    """Whether one more line of a head can no longer be sent."""
    try:
        plain.sendall(b"X: y\r\n")
    except OSError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "kept alive"])
def test_a_head_that_trickles_is_hung_up_on(server, before):
    with connect(server) as plain:
        if before:
            plain.sendall(before.encode())
            assert plain.recv(65_536).startswith(b"HTTP/1.1 200")
        plain.sendall(HEAD.encode())
        deadline = time.monotonic() + 45
        while not is_closed(plain):
            assert time.monotonic() < deadline
            time.sleep(0.5)


@pytest.mark.slow
def test_bodies_that_trickle_are_told(server):
    """A byte now and then is no body: as little as none."""
    slow = [connect(server) for _ in BODIES]
    for plain, path in zip(slow, BODIES, strict=True):
        plain.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{{".encode())
    waiting, deadline = set(slow), time.monotonic() + 60
    while waiting:
        assert time.monotonic() < deadline
        for plain in list(waiting):
            if select.select([plain], [], [], 0.3)[0]:
                assert plain.recv(65_536).startswith(b"HTTP/1.1 408 ")
                waiting.remove(plain)
            else:
                plain.sendall(b" ")
    for plain in slow:
        plain.close()


def test_who_takes_nothing_of_an_answer_is_hung_up_on(reader, monkeypatch):
    from glowtron.serve import server
    from glowtron.serve.app import make_app
    from glowtron.serve.settings import ServerSettings
    from glowtron.serve.shelf import VoiceShelf
    from glowtron.serve.speaker import Speaker

    monkeypatch.setattr(server, "STALLED_S", 0.3)
    settings = ServerSettings(voices=(str(reader),), device="cpu", threads=1)
    speaker = Speaker(settings, VoiceShelf(settings))
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    running = uvicorn.Server(server._config(make_app(settings, speaker), settings))
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    try:
        with socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(listening.getsockname())
            body = json.dumps({"input": "A long sentence, which nobody takes. " * 2000, "response_format": "pcm"})
            plain.sendall((HEAD + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            deadline = time.monotonic() + 60
            for begun in (True, False):
                while bool(speaker.queue.n_tasks) != begun:
                    assert time.monotonic() < deadline, "its request keeps its place"
                    time.sleep(0.01)
    finally:
        running.should_exit = True
        thread.join()
        speaker.close()


@pytest.mark.parametrize(
    "text",
    [
        "<speak>" + "<p>" * 2_000 + "x" + "</p>" * 2_000 + "</speak>",
        "<speak><!DOCTYPE s SYSTEM 'file:///etc/passwd'>x</speak>",
        "<speak>&unknown;</speak>",
        "<speak><break time='9999999s'/>x</speak>",
        "<speak><prosody rate='1e999'>x</prosody></speak>",
        "<speak>never closed",
    ],
    ids=lambda text: text[:40],
)
@pytest.mark.parametrize("path", BODIES)
def test_markup_that_means_ill_is_refused(server, path, text):
    with server.client() as client:
        answer = client.post(path, json={"input": text, "ssml": True})
        assert answer.status_code == 400 and answer.json()["error"]["message"]


@pytest.mark.slow
def test_schemathesis_finds_no_fault(server, tmp_path):
    if not CLIENTS.exists():
        pytest.skip("schemathesis is not installed; make clients")
    command = [CLIENTS.with_name("schemathesis"), "run", f"{server.url}/openapi.json", "--checks", "not_a_server_error"]
    command += ["--max-examples", "20", "--request-timeout", "120", "--seed", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
