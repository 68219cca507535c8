"""Speech over HTTP: a real server in a second process, real clients, and what `Voice.say` gives for the same text."""

import base64
import io
import json
import re
import signal
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import soundfile
from running import running_server

from glowtron import Voice
from glowtron.audio import Audio, read_audio
from glowtron.cli import main
from glowtron.serve.settings import STANDARD_VOICES

pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")

TEXT = "The quick brown fox. It jumps over the lazy dog, and away; then there was nothing more to say. Good."
SPEECH = "/v1/audio/speech"


@pytest.fixture(scope="module")
def voice(reader):
    return Voice.load(reader, device="cpu")


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def streamed(voice, text=TEXT, **options):
    return np.concatenate([piece.samples for piece in voice.stream(text, **options)])


def ask(client, text=TEXT, **fields):
    return client.post(SPEECH, json={"model": "tts-1", "input": text, "voice": "alloy", **fields})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("format", ["wav", "flac", "pcm", "mp3", "opus", "aac"])
def test_every_format_is_what_the_voice_says(client, voice, format, stream):
    answer = ask(client, response_format=format, stream=stream)
    assert answer.status_code == 200, answer.text
    types = {"mp3": "audio/mpeg", "pcm": "audio/pcm;rate=24000;channels=1"}
    assert answer.headers["content-type"] == types.get(format, f"audio/{format}")
    assert ("content-length" in answer.headers) == (not stream)
    said, rate = streamed(voice), 22_050
    if format in ("pcm", "opus"):
        said, rate = Audio(said, rate).resample(24_000).samples, 24_000
    if format == "pcm":
        heard = np.frombuffer(answer.content, "<i2") / 32768
    elif format == "aac":
        av = pytest.importorskip("av", reason="the extra 'aac' is not installed")
        frames = av.open(io.BytesIO(answer.content), format="aac").decode(audio=0)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    else:
        sound = read_audio(answer.content)
        assert sound.sample_rate == rate
        heard = sound.samples
    if format in ("wav", "flac"):
        assert np.array_equal(np.rint(heard * 32768), np.clip(np.rint(said * 32768), -32768, 32767))
    elif format == "pcm":
        assert abs(len(heard) - len(said)) <= 1
        n = min(len(heard), len(said))
        assert np.abs(heard[:n] - said[:n]).max() < 2e-3
    else:
        lead = {"mp3": 1_500, "aac": 1_100, "opus": 0}[format]
        assert -50 < len(heard) - len(said) < 2 * lead + 1_200
        near = [float(np.dot(heard[at : at + 9_000], said[: len(heard[at : at + 9_000])])) for at in range(lead + 600)]
        start = int(np.argmax(near))
        n = min(len(said), len(heard) - start)
        both = np.corrcoef(heard[start : start + n], said[:n])[0, 1]
        assert both > (0.5 if format == "opus" else 0.8)  # Noise, which the tiny voice makes, is hard for a codec.
        assert n > len(said) - 1_200, "the end is lost"


def test_a_streamed_wav_has_one_header_of_unknown_length(client):
    data = ask(client, response_format="wav").content
    assert data.count(b"RIFF") == 1
    assert struct.unpack_from("<I", data, 4)[0] == struct.unpack_from("<I", data, 40)[0] == 0xFFFF_FFFF
    whole = ask(client, response_format="wav", stream=False).content
    assert struct.unpack_from("<I", whole, 40)[0] == len(whole) - 44
    assert data[44:] == whole[44:]


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "opus"])
def test_what_is_sent_as_a_whole_says_how_long_it_is(client, voice, format):
    told = soundfile.info(io.BytesIO(ask(client, response_format=format, stream=False).content))
    said = Audio(streamed(voice), 22_050).resample(told.samplerate).samples
    assert told.frames == len(said)


@pytest.mark.parametrize("format", ["wav", "mp3", "opus", "flac", "aac", "pcm"])
def test_the_same_request_twice_gives_the_same_bytes(client, format):
    first, second = (ask(client, response_format=format).content for _ in range(2))
    assert first == second


def test_sound_leaves_before_all_is_made(client):
    text = "One more sentence that takes its time. " * 40
    with client.stream("POST", SPEECH, json={"input": text, "voice": "alloy", "response_format": "pcm"}) as answer:
        pieces = [len(piece) for piece in answer.iter_raw()]
    assert len(pieces) > 20


def test_events_hold_the_same_sound(client):
    answer = ask(client, response_format="wav", stream_format="sse")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.split("\n\n")
    assert lines.pop() == "" and all(line.startswith("data: ") for line in lines)
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    done = events[-1]
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"] > 0
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert sound == ask(client, response_format="wav").content


def test_captions_tell_when_each_written_word_is_heard(client):
    body = {"input": "In 1895, Dr. Who left. Then, nothing.", "voice": "alloy", "response_format": "wav"}
    whole = client.post("/dev/captioned_speech", json={**body, "stream": False}).json()
    words = [word["word"].strip(".,") for word in whole["timestamps"]]
    assert words == ["In", "1895", "Dr", "Who", "left", "Then", "nothing"]
    times = [time for word in whole["timestamps"] for time in (word["start_time"], word["end_time"])]
    assert times == sorted(times)
    assert times[-1] <= read_audio(base64.b64decode(whole["audio"])).duration_s + 0.05
    streamed = client.post("/dev/captioned_speech", json=body).text.splitlines()
    parts = [json.loads(line) for line in streamed]
    assert len(parts) > 1
    assert [word for part in parts for word in part["timestamps"]] == whole["timestamps"]
    assert b"".join(base64.b64decode(part["audio"]) for part in parts)[44:] == base64.b64decode(whole["audio"])[44:]
    without = client.post("/dev/captioned_speech", json={**body, "stream": False, "return_timestamps": False}).json()
    assert without["timestamps"] is None


def test_speakers_have_ids_and_all_standard_names_are_aliases(client, voice):
    found = client.get("/v1/audio/voices").json()["voices"]
    ids = {one["id"] for one in found}
    assert {"reader", *(f"reader-{speaker}" for speaker in voice.speakers), *STANDARD_VOICES} <= ids
    assert all(re.fullmatch(r"[\w.-]+", id) for id in ids)
    for speaker in voice.speakers:
        said = np.clip(np.rint(streamed(voice, "Hello.", speaker=speaker) * 32768), -32768, 32767)
        for name in (f"reader-{speaker}", {"id": f"reader-{speaker}"}):
            heard = read_audio(ask(client, "Hello.", voice=name, response_format="wav").content)
            assert np.array_equal(np.rint(heard.samples * 32768), said)
    assert client.get("/v1/audio/voices", params={"legacy": "true"}).json()["voices"] == [one["id"] for one in found]


def test_what_clients_look_for_is_there(client):
    assert client.get("/health").json()["status"] == "healthy"
    assert client.get("/v1/test").json() == {"status": "ok"}
    models = client.get("/v1/models").json()
    assert models["object"] == "list" and {"tts-1", "glowtron", "reader"} <= {one["id"] for one in models["data"]}
    assert client.get("/v1/models/tts-1").json()["task"] == "text-to-speech"
    assert {"id": "tts-1", "name": "tts-1"} in client.get("/v1/audio/models").json()["models"]
    assert client.get("/v1").status_code == 200
    assert client.post("/audio/speech", json={"input": "Hello."}).status_code == 200
    assert client.get("/v1/readyz").status_code == 404  # LocalAI's mark, which this is not.
    counters = client.get("/metrics").text
    assert 'glowtron_requests_total{endpoint="speech",status="200"}' in counters
    assert "glowtron_first_sound_seconds_bucket" in counters


def test_pages_of_other_origins_may_ask(client):
    asked = client.options(SPEECH, headers={"Origin": "http://app", "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 204 and "Authorization" in asked.headers["access-control-allow-headers"]
    assert asked.headers["access-control-allow-origin"] == "*"
    assert ask(client, "Hello.").headers["access-control-allow-origin"] == "*"


def test_request_ids_come_back_and_are_logged(server, client):
    answer = client.post(SPEECH, json={"input": "Hello."}, headers={"X-Request-Id": "my-id.1"})
    assert answer.headers["x-request-id"] == "my-id.1"
    made = client.get("/health", headers={"X-Request-Id": "no good\tid"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    lines = wait_for(lambda: [line for line in server.log if line["id"] == "my-id.1"])
    assert lines[0]["status"] == 200 and lines[0]["voice"].startswith("reader") and lines[0]["audio_s"] > 0


@pytest.mark.parametrize(
    ("fields", "status", "param", "said"),
    [
        ({"input": ""}, 400, "input", "empty"),
        ({"input": " \n"}, 400, "input", "empty"),
        ({"input": "***"}, 400, "input", "nothing speakable"),
        ({"input": None}, 400, "input", "text to speak"),
        ({"input": 5}, 400, "input", "text to speak"),
        ({"voice": "nobody"}, 400, "voice", "there is no voice 'nobody'; there are reader"),
        ({"voice": 3}, 400, "voice", "there is no voice"),
        ({"response_format": "mp4"}, 400, "response_format", "unknown response_format 'mp4'"),
        ({"stream_format": "xml"}, 400, "stream_format", "unknown stream_format"),
        ({"speed": 9}, 400, "speed", "from 0.25 to 4"),
        ({"speed": "fast"}, 400, "speed", "must be a number"),
        ({"speed": True}, 400, "speed", "must be a number"),
        ({"sample_rate": 4}, 400, "sample_rate", "from 8000 to 48000"),
        ({"seed": -1}, 400, "seed", "whole number"),
        ({"stream": "yes"}, 400, "stream", "true or false"),
        ({"pitch": 2}, 400, "pitch", "predicts no pitch"),
        ({"input": "a" * 100_001}, 413, "input", "100001 characters"),
    ],
)
def test_what_is_wrong_is_told_before_the_first_byte(client, fields, status, param, said):
    answer = client.post(SPEECH, json={"model": "tts-1", "input": "Hello.", "voice": "alloy", **fields})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param and said in error["message"] and error["type"] == "invalid_request_error"


def test_a_speed_beyond_what_sounds_is_the_nearest(client):
    assert ask(client, "Hello.", speed=4).headers["x-glowtron-rate"] == "1.4"
    assert ask(client, "Hello.", speed=0.25).headers["x-glowtron-rate"] == "0.7"
    assert ask(client, "Hello.").headers["x-glowtron-rate"] == "1"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"input": 1e999}', b"nul", b'{"a":' * 5000]
)
def test_a_broken_body_is_told(client, content):
    answer = client.post(SPEECH, content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/nothing", "/v1/audio/../../etc/passwd", "/%2e%2e/%2e%2e", "/v1/models/%00"])
def test_odd_paths_are_not_found(client, path):
    answer = client.get(path)
    assert (answer.status_code in (404, 307) and "error" in answer.text) or answer.status_code == 307


def test_a_megabyte_of_body_is_refused_early(client):
    answer = client.post(SPEECH, content=b"x" * 2_000_000)
    assert answer.status_code == 413 and client.get("/health").status_code == 200


def test_answers_are_not_swapped(client, voice):
    texts = [f"Number {i}, and {'so ' * (i % 7)}on." for i in range(24)]
    expected = [np.clip(np.rint(streamed(voice, text) * 32768), -32768, 32767) for text in texts]

    def one(i):
        answer = ask(client, texts[i], response_format="wav")
        return answer.status_code, read_audio(answer.content).samples

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(24)))
    for (status, heard), said in zip(answers, expected, strict=True):
        assert status == 200
        assert np.array_equal(np.rint(heard * 32768), said)


def wait_for(look, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_stops_the_work(server, client, stream):
    text = "A sentence of a very long chapter, which nobody wants to hear to its end. " * 400
    id = f"gone-{stream}"
    body = {"input": text, "response_format": "pcm", "stream": stream}
    address = (server.url.split("//")[1].split(":")[0], int(server.url.rsplit(":", 1)[1]))
    data = json.dumps(body).encode()
    with socket.create_connection(address) as plain:
        head = f"POST {SPEECH} HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\nContent-Length: {len(data)}\r\n\r\n"
        plain.sendall(head.encode() + data)
        wait_for(lambda: client.get("/health").json()["requests"] == 1)
    wait_for(lambda: client.get("/health").json()["requests"] == 0)
    lines = wait_for(lambda: [line for line in server.log if line["id"] == id])
    assert lines[0]["cancelled"] and lines[0]["audio_s"] < 400


def test_one_who_waits_is_not_behind_a_chapter(client):
    chapter = "A sentence of a very long chapter, which nobody wants to hear to its end. " * 300
    with client.stream("POST", SPEECH, json={"input": chapter, "response_format": "pcm"}) as long:
        received = long.iter_raw()
        next(received)
        assert ask(client, "A short reply.").status_code == 200
        long.close()


def test_a_full_queue_answers_429_and_a_server_told_to_stop_ends_what_it_began(reader, voice):
    with running_server(reader, "--device", "cpu", "--max-requests", "2", "--threads", "1") as server:
        text = "A sentence that takes a while to be spoken, and then some more. " * 1000

        def hold(i, started):
            body = {"input": text, "response_format": "pcm"}
            with server.client() as client, client.stream("POST", SPEECH, json=body) as answer:
                received = answer.iter_raw()
                next(received)
                started.wait()
                stop.wait(30)

        stop, started = threading.Event(), threading.Barrier(3)
        threads = [threading.Thread(target=hold, args=(i, started)) for i in range(2)]
        for thread in threads:
            thread.start()
        started.wait(60)
        with server.client() as client:
            answer = ask(client, "One more.")
            assert answer.status_code == 429 and answer.json()["error"]["code"] == "queue_full"
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert client.get("/health").json()["requests"] == 2
            stop.set()
            for thread in threads:
                thread.join(60)
            wait_for(lambda: client.get("/health").json()["requests"] == 0)
            assert ask(client, "One more.").status_code == 200
            text = "A sentence that is spoken to its end, whatever happens. " * 8
            with client.stream("POST", SPEECH, json={"input": text, "response_format": "wav"}) as answer:
                received = answer.iter_raw()
                data = next(received)
                server.process.send_signal(signal.SIGTERM)
                data += b"".join(received)
            assert len(read_audio(data).samples) == len(streamed(voice, text))
            assert server.process.wait(60) in (0, -signal.SIGTERM)


def test_keys_rates_and_strictness(reader):
    options = ("--device", "cpu", "--api-key", "secret", "--rate-limit", "3", "--strict", "--alias", "me=reader-bob")
    with running_server(reader, *options) as server, server.client() as client:
        refused = ask(client, "Hello.")
        assert refused.status_code == 401 and refused.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/health").status_code == 200  # Docker has no key.
        key = {"Authorization": "Bearer secret"}
        model = client.post(SPEECH, json={"model": "gpt-9", "input": "Hello."}, headers=key)
        assert model.status_code == 404 and model.json()["error"]["code"] == "model_not_found"
        assert client.post(SPEECH, json={"input": "Hello.", "voice": "me"}, headers=key).status_code in (200, 400)
        client.get("/v1/models", headers=key)
        limited = client.get("/v1/models", headers=key)
        assert limited.status_code == 429 and int(limited.headers["retry-after"]) >= 1


@pytest.mark.slow
def test_workers_share_a_port(reader):
    with running_server(reader, "--device", "cpu", "--workers", "2") as server:
        seen = set()

        def one(i):
            with server.client() as client:
                return ask(client, f"Number {i}.").status_code

        with ThreadPoolExecutor(4) as pool:
            seen |= set(pool.map(one, range(12)))
        assert seen == {200}
        with server.client() as client:
            counted = client.get("/metrics").text
        assert re.search(r'glowtron_requests_total\{endpoint="speech",status="200"\} 12', counted)


@pytest.mark.slow
def test_a_slow_client_is_hung_up_on(server):
    address = (server.url.split("//")[1].split(":")[0], int(server.url.rsplit(":", 1)[1]))
    with socket.create_connection(address) as plain:
        plain.settimeout(60)
        plain.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n")
        assert plain.recv(100) == b""


def test_a_taken_port_and_a_missing_voice_are_told(server, reader, tmp_path, capsys):
    port = server.url.rsplit(":", 1)[1]
    for options, said in (
        (("--voice", str(reader), "--device", "cpu", "--port", port), "cannot listen on"),
        (("--voice", str(tmp_path)), "voice.json"),
        (("--host", "no.such.host.invalid"), "is no address"),
        (("--alias", "x"), "give NAME=ID"),
        (("--max-chars", "0"), "max_chars must be 1 or more"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main(["serve", "--port", "0", *options])
        assert exit_.value.code == 2 and said in capsys.readouterr().err


def test_the_openai_package_speaks_as_it_is(server, voice, tmp_path):
    openai = pytest.importorskip("openai", reason="openai is not installed")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any")
    whole = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format="wav")
    said = streamed(voice)
    assert len(read_audio(whole.content).samples) == len(said)
    speech = client.audio.speech.with_streaming_response
    with speech.create(model="tts-1", voice="coral", input=TEXT, response_format="pcm", speed=1.0) as answer:
        answer.stream_to_file(tmp_path / "out.pcm")
    assert abs((tmp_path / "out.pcm").stat().st_size / 2 - len(said) * 24_000 / 22_050) < 2
    assert "tts-1" in {model.id for model in client.models.list()}
    with pytest.raises(openai.BadRequestError, match="nobody"):
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)


def test_the_document_names_every_path(client):
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            answer = client.request(method, path.replace("{id}", "tts-1"), content=b"{}" if method == "post" else None)
            assert answer.status_code in (200, 400), path
            assert str(answer.status_code) in methods[method]["responses"]
    fields = document["components"]["schemas"]["SpeechRequest"]["properties"]
    assert fields["input"]["maxLength"] == 100_000
    assert isinstance(client, httpx.Client)
