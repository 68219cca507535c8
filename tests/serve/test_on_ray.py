"""The application on Ray Serve answers as `glowtron serve` does, with as many replicas as its queue asks for."""

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from glowtron import Voice
from glowtron.errors import InputError
from glowtron.serve.app import make_app
from glowtron.serve.on_ray import ReplicaSettings, application, read_settings, replica_app
from glowtron.serve.settings import ServerSettings
from ray_cluster import actors_of, ray_cluster


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(condition, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_replicas_answer_grow_with_the_queue_and_are_replaced(tiny_voice, tmp_path, monkeypatch):
    with ray_cluster(monkeypatch, n_nodes=2) as cluster:
        import ray
        from ray import serve

        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        try:
            url = f"http://127.0.0.1:{(port := free_port())}"
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            args = {"voices": str(tiny_voice), "max_replicas": "2", "requests_each": 1, "api_key": "secret"}
            serve.run(application({**args, "upscale_delay_s": 0.5, "downscale_delay_s": 2}))

            def running():
                states = serve.status().applications["default"].deployments["Speech"].replica_states
                return states.get("RUNNING", 0)

            client = httpx.Client(base_url=url, headers={"Authorization": "Bearer secret"}, timeout=120)
            body = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "wav"}
            assert running() == 1 and client.get("/health").json()["status"] == "healthy"
            assert httpx.post(f"{url}/v1/audio/speech", json=body).status_code == 401
            refused = client.post("/v1/audio/speech", json={**body, "voice": "nobody"})
            assert refused.status_code == 400 and "nobody" in refused.json()["error"]["message"]

            def say():
                answer = client.post("/v1/audio/speech", json={**body, "stream": False})
                assert answer.status_code == 200 and answer.headers["x-request-id"]
                return answer.content

            said = np.frombuffer(say()[44:], "<i2")
            expected = Voice.load(tiny_voice, device="cpu").say("Hello there.").samples
            assert np.abs(said - np.clip(np.rint(expected * 32768), -32768, 32767)).max() <= 1

            long = {**body, "input": "One more sentence to be said. " * 30, "response_format": "pcm"}

            def listen():
                """A client that asks again until there are two replicas; returns its answers and their least pieces."""
                heard, least = set(), 1000
                deadline = time.monotonic() + 120
                while running() < 2 and time.monotonic() < deadline:
                    with client.stream("POST", "/v1/audio/speech", json=long) as answer:
                        pieces = list(answer.iter_raw())
                    heard.add(b"".join(pieces))
                    least = min(least, len(pieces))
                return heard, least

            with ThreadPoolExecutor(4) as pool:
                answers = [one.result() for one in [pool.submit(listen) for _ in range(4)]]
            assert running() == 2, "four at once asked for no second replica"
            assert len(set.union(*(heard for heard, _ in answers))) == 1 and min(least for _, least in answers) > 5

            def replicas():
                return [one for node in cluster.nodes for one in actors_of(node, "ServeReplica")]

            wait_for(lambda: running() == 1 and len(replicas()) == 1)
            [replica] = replicas()
            replica.kill()
            replica.wait(30)
            wait_for(lambda: client.post("/v1/audio/speech", json=body).status_code == 200)
            client.close()
        finally:
            serve.shutdown()
            ray.shutdown()


def test_a_replica_answers_as_the_server_does(tiny_voice, capsys):
    server = ServerSettings(voices=(str(tiny_voice),), device="cpu", api_key="secret")
    body = {"input": "Hello there.", "voice": "alloy", "response_format": "wav", "stream": False}
    key = {"Authorization": "Bearer secret"}
    with TestClient(replica_app(server, 1.0)) as replica:
        assert replica.get("/health").json()["status"] == "healthy"
        assert replica.get("/v1/voices/none", headers=key).status_code == 404
        assert replica.post("/v1/audio/speech", json=body).status_code == 401
        answer = replica.post("/v1/audio/speech", json=body, headers=key)
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert 'endpoint="speech",status="200"' in replica.get("/metrics", headers=key).text
    app = make_app(server)
    assert answer.content == TestClient(app).post("/v1/audio/speech", json=body, headers=key).content
    assert line["path"] == "/v1/audio/speech" and line["audio_s"] > 0
    app.close()


def test_settings_are_read_from_text_and_refused_by_name():
    server, replicas = read_settings({"voices": "duet,lj", "max_chars": "500", "max_replicas": "8", "cores": "0.5"})
    assert server == ServerSettings(voices=("duet", "lj"), max_chars=500)
    assert replicas == ReplicaSettings(max_replicas=8, cores=0.5)
    assert read_settings({}) == (ServerSettings(), ReplicaSettings())
    for args, said in (
        ({"max_replica": 3}, "unknown setting 'max_replica' .did you mean 'max_replicas'"),
        ({"port": 80}, "port is for `glowtron serve`"),
        ({"max_chars": "many"}, "max_chars: .*got 'many'"),
        ({"max_chars": 0}, "max_chars must be 1 or more"),
        ({"min_replicas": 5}, "min_replicas must be from 1 to max_replicas, got 5 and 4"),
        ({"requests_each": 0}, "requests_each must be over 0"),
        ({"gpus": -1}, "gpus must be 0 or more"),
    ):
        with pytest.raises(InputError, match=said):
            read_settings(args)


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'glowtron\[ray\]'"):
        application({})
