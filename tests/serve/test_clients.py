"""Programs that people run, unchanged, against a real server.

`make clients` sets up `.venv-clients` with them (Python 3.12 or newer); tests are skipped where it is missing.
"""

import base64
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from glowtron import Voice
from glowtron.audio import Audio, read_audio
from glowtron.serve.settings import STANDARD_VOICES

pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")

HERE = Path(__file__).resolve().parent
PYTHON = Path(os.environ.get("GLOWTRON_CLIENTS_PYTHON", HERE.parents[1] / ".venv-clients" / "bin" / "python"))
TEXT = "The quick brown fox. It jumps over the lazy dog, and away."


@pytest.fixture(scope="module")
def said(reader):
    """(L,) at 24,000 Hz, 16 bit, as clients expect it; of the voice that `alloy` and `ash` mean."""
    voice = Voice.load(reader, device="cpu")

    def at_24k(speaker):
        samples = np.concatenate([piece.samples for piece in voice.stream(TEXT, speaker=speaker)])
        return Audio(samples, 22_050).resample(24_000).pcm16()

    return {name: at_24k(voice.speakers[i % len(voice.speakers)]) for i, name in enumerate(STANDARD_VOICES)}


def run(script, package, *arguments):
    if not PYTHON.exists():
        pytest.skip(f"{package} is not installed; make clients")
    command = [str(PYTHON), str(HERE / "clients" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("format", ["mp3", "wav", "pcm", "opus"])
def test_livekit_hears_it_all(server, said, tmp_path, format):
    found = run("speak_livekit.py", "livekit-plugins-openai", server.url, TEXT, tmp_path / "out.pcm", format)
    heard = np.frombuffer((tmp_path / "out.pcm").read_bytes(), "<i2")
    expected = said["ash"]  # Its default voice.
    assert found["rates"] == [24_000]
    lossy = {"mp3": 3_600, "opus": 1_200, "wav": 400, "pcm": 240}[format]  # It resamples some, and adds 10 ms.
    assert abs(len(heard) - len(expected)) <= lossy
    if format == "pcm":
        assert np.abs(heard[: len(expected)].astype(int) - expected[: len(heard)]).max() < 66


@pytest.mark.slow
def test_pipecat_hears_it_all(server, said, tmp_path):
    found = run("speak_pipecat.py", "pipecat-ai", server.url, TEXT, tmp_path / "out.pcm")
    assert found == {"rates": [24_000], "errors": []}
    with server.client() as client:
        body = {"input": TEXT, "model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": "pcm"}
        sent = client.post("/v1/audio/speech", json=body).content
    assert sent in (tmp_path / "out.pcm").read_bytes()  # It adds silence of its own.
    assert abs(len(sent) // 2 - len(said["alloy"])) <= 1


def test_wyoming_openai_finds_the_voices(server):
    found = run("detect_wyoming_openai.py", "wyoming-openai", server.url)
    assert "KOKORO" in found["backend"]
    assert {"reader", *STANDARD_VOICES} <= set(found["voices"])


def test_the_openai_package_reads_events(server):
    openai = pytest.importorskip("openai", reason="openai is not installed")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)
    asked = {"model": "gpt-4o-mini-tts", "voice": "ash", "input": TEXT, "response_format": "wav"}
    whole = client.audio.speech.create(**asked).content
    with client.audio.speech.with_streaming_response.create(**asked, stream_format="sse") as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    sound = b"".join(base64.b64decode(event["audio"]) for event in events if event["type"] == "speech.audio.delta")
    assert sound == whole and len(read_audio(whole).samples)
    assert events[-1]["usage"]["total_tokens"] > 0
