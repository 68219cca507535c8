"""Wyoming, driven by the real client as Home Assistant drives it."""

import asyncio
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import running_server
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from glowtron.cli import main
from glowtron.errors import InputError
from glowtron.serve import wyoming as wyoming_server
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import VoiceShelf
from glowtron.serve.speaker import Speaker
from glowtron.serve.wyoming import SentenceBuffer, WyomingServer, parse_uri
from glowtron.text.sentences import split_pieces

RATE = 22_050
TEXT = "Dr. Smith came at 3 p.m. today. It rained! Nobody knew why; e.g. the weather. Did you?\n\nThe end"


@pytest.fixture(scope="module")
def speaker(tiny_voice: Path) -> Speaker:
    settings = ServerSettings(voices=(str(tiny_voice),), device="cpu", threads=1, max_requests=8)
    speaker = Speaker(settings, VoiceShelf(settings))
    yield speaker
    speaker.close()


@asynccontextmanager
async def listening(speaker: Speaker) -> AsyncIterator[Callable[[], AsyncTcpClient]]:
    server = WyomingServer("tcp://127.0.0.1:0", speaker)
    await server.start()
    try:
        yield lambda: AsyncTcpClient("127.0.0.1", server.port)
    finally:
        await server.stop()


def talk(speaker: Speaker, conversation: Callable[[Callable[[], AsyncTcpClient]], Awaitable[None]]) -> None:
    async def run() -> None:
        async with listening(speaker) as connect:
            await asyncio.wait_for(conversation(connect), 60)

    asyncio.run(run())


async def heard(client: AsyncTcpClient, until: type = AudioStop) -> np.ndarray:
    """Samples until an event, as Home Assistant takes them: the format counts once, and chunks before it do not."""
    format, data = None, b""
    while (event := await client.read_event()) is not None:
        if until.is_type(event.type):
            return np.frombuffer(data, "<i2")
        if AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert format is None and (start.rate, start.width, start.channels) == (RATE, 2, 1)
            format = start
        elif AudioChunk.is_type(event.type):
            assert format is not None
            chunk = AudioChunk.from_event(event)
            assert len(chunk.audio) % 2 == 0 and chunk.rate == RATE
            data += chunk.audio
    raise EOFError("the connection ended without the end of the sound")


def test_it_tells_of_each_speaker_as_a_voice(speaker):
    async def conversation(connect):
        async with connect() as client:
            await client.write_event(Describe().event())
            info = Info.from_event(await client.read_event())
        (program,) = info.tts
        assert program.installed and program.supports_synthesize_streaming and program.attribution.url
        assert [voice.name for voice in program.voices] == ["tiny", "tiny-ann", "tiny-bob"]
        assert all(voice.installed and voice.languages == ["en-US"] and voice.version for voice in program.voices)
        assert [one.name for one in program.voices[0].speakers] == ["ann", "bob"]

    talk(speaker, conversation)


@pytest.mark.parametrize(
    ("voice", "name"),
    [
        (None, "ann"),
        (SynthesizeVoice(name="tiny-bob"), "bob"),
        (SynthesizeVoice(name="tiny", speaker="bob"), "bob"),
        (SynthesizeVoice(language="en-US"), "ann"),
    ],
)
def test_a_text_is_what_the_voice_says(speaker, voice, name):
    async def conversation(connect):
        async with connect() as client:
            for _ in range(2):
                await client.write_event(Synthesize(text=TEXT, voice=voice).event())
                samples = await heard(client)
                said = speaker.shelf.default.voice.say(TEXT, speaker=name).pcm16()
                np.testing.assert_allclose(samples, said, atol=3)

    talk(speaker, conversation)


@pytest.mark.parametrize("repeated", [True, False])
def test_a_stream_is_spoken_sentence_by_sentence(speaker, repeated):
    """Home Assistant sends the whole text again before it ends the stream."""

    async def conversation(connect):
        draw = random.Random(0)
        async with connect() as client:
            reading = asyncio.create_task(heard(client, SynthesizeStopped))
            await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name="tiny-bob")).event())
            place = 0
            while place < len(TEXT):
                n = draw.randint(1, 9)
                await client.write_event(SynthesizeChunk(text=TEXT[place : place + n]).event())
                place += n
                await asyncio.sleep(0)
            if repeated:
                await client.write_event(Synthesize(text=TEXT, voice=SynthesizeVoice(name="tiny-bob")).event())
            await client.write_event(SynthesizeStop().event())
            samples = await reading
            voice, parts = speaker.shelf.default.voice, []
            for piece in split_pieces(TEXT):
                parts += [voice.say(piece.text, speaker="bob").pcm16()]
                parts += [np.zeros(round(RATE * (0.8 if piece.ending == "paragraph" else 0.4)), np.int16)]
            np.testing.assert_allclose(samples, np.concatenate(parts[:-1]), atol=3)
            # A plain text on the same connection is no part of any stream.
            await client.write_event(Synthesize(text="Four.").event())
            assert len(await heard(client)) == 20 * 256

    talk(speaker, conversation)


def test_the_first_sentence_is_heard_before_the_last_is_written(speaker):
    async def conversation(connect):
        async with connect() as client:
            await client.write_event(SynthesizeStart().event())
            await client.write_event(SynthesizeChunk(text="One. And two").event())
            while not AudioChunk.is_type((await client.read_event()).type):
                pass
            await client.write_event(SynthesizeChunk(text=" is.").event())
            await client.write_event(SynthesizeStop().event())
            assert AudioStop.is_type([event.type async for event in events(client)][-2])

    talk(speaker, conversation)


async def events(client: AsyncTcpClient) -> AsyncIterator[Event]:
    while (event := await client.read_event()) is not None:
        yield event
        if SynthesizeStopped.is_type(event.type):
            return


def test_questions_are_answered_while_it_speaks(speaker):
    async def conversation(connect):
        async with connect() as client:
            await client.write_event(Synthesize(text="One two three. " * 300).event())
            while not AudioChunk.is_type((await client.read_event()).type):
                pass
            await client.write_event(Describe().event())
            await client.write_event(Ping(text="x").event())
            seen = []
            while not AudioStop.is_type((event := await client.read_event()).type):
                seen.append(event.type)
            assert "info" in seen and "pong" in seen[seen.index("info") :]
            assert "audio-chunk" in seen[seen.index("pong") :]  # Not only after the sound.
        async with connect() as client:
            await client.write_event(Event(type="select-program", data={"name": "glowtron"}))
            await client.write_event(Event(type="made-up"))
            await client.write_event(Ping(text="y").event())
            assert Pong.from_event(await client.read_event()).text == "y"

    talk(speaker, conversation)


def test_who_hangs_up_is_spoken_to_no_longer(speaker):
    async def conversation(connect):
        async with connect() as client:
            await client.write_event(Synthesize(text="One two three. " * 2000).event())
            while not AudioChunk.is_type((await client.read_event()).type):
                pass
            assert speaker.queue.n_tasks == 1
        for _ in range(200):
            if not speaker.queue.n_tasks:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the work went on")

    talk(speaker, conversation)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ([Synthesize(text="a", voice=SynthesizeVoice(name="eve")).event()], "there is no voice 'eve'; there are tiny"),
        ([Synthesize(text="a", voice=SynthesizeVoice(name="tiny", speaker="eve")).event()], "no voice 'tiny, eve'"),
        ([Synthesize(text="...").event()], "nothing"),
        ([Synthesize(text="a" * 200_000).event()], "longer than 100000 characters"),
        ([Synthesize(text="<speak><b/></speak>", text_format="ssml").event()], "unknown element <b>"),
        ([SynthesizeChunk(text="a").event()], "came before synthesize-start"),
        ([Event(type="synthesize", data={})], "malformed synthesize"),
        ([Event(type="synthesize", data={"text": 5})], "malformed synthesize"),
    ],
)
def test_faults_are_told_and_end_the_connection_without_an_end_of_the_sound(speaker, sent, message):
    async def conversation(connect):
        async with connect() as client:
            for event in sent:
                await client.write_event(event)
            seen = []
            while (event := await client.read_event()) is not None:
                seen.append(event)
        assert message in Error.from_event(seen[-1]).text
        assert not any(AudioStop.is_type(event.type) for event in seen)
        async with connect() as client:
            await client.write_event(Synthesize(text="One.").event())
            assert len(await heard(client)) == 20 * 256

    talk(speaker, conversation)


def test_garbage_ends_a_connection_and_not_the_server(speaker):
    async def conversation(connect):
        for data in (
            b"\xff\x00\n",
            b"{}\n",
            b"[1]\n",
            b'{"type": 5}\n',
            b'{"type": "ping", "data_length": "x"}\n',
            b"{" * 70_000,
        ):
            client = connect()
            await client.connect()
            client._writer.write(data + b"\n")
            client._writer.write_eof()
            assert await client._reader.read() == b""
            await client.disconnect()
        async with connect() as client:
            await client.write_event(Describe().event())
            assert Info.is_type((await client.read_event()).type)

    talk(speaker, conversation)


def test_markup_is_followed(speaker):
    async def conversation(connect):
        source = "<speak>One.<break time='500ms'/>Two.</speak>"
        async with connect() as client:
            await client.write_event(Synthesize(text=source, text_format="ssml").event())
            assert len(await heard(client)) == 2 * 20 * 256 + round(0.5 * RATE)
            await client.write_event(SynthesizeStart(text_format="ssml").event())
            for character in source:
                await client.write_event(SynthesizeChunk(text=character).event())
            await client.write_event(SynthesizeStop().event())
            assert len(await heard(client, SynthesizeStopped)) == 2 * 20 * 256 + round(0.5 * RATE)

    talk(speaker, conversation)


def test_an_empty_stream_ends_as_any(speaker):
    async def conversation(connect):
        async with connect() as client:
            await client.write_event(SynthesizeStart().event())
            await client.write_event(SynthesizeChunk(text=" \U0001f600 ").event())
            await client.write_event(SynthesizeStop().event())
            assert len(await heard(client, SynthesizeStopped)) == 0

    talk(speaker, conversation)


WORDS = [
    "Dr.", "Smith", "went", "to", "St.", "Paul.", "He", "said", "e.g.", "3.5", "p.m.", "No.", "5", '"Stop!"', "why?",
    "\n\n", "A.",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=25), st.lists(st.integers(1, 12), min_size=1))
def test_sentences_are_the_same_however_the_text_is_cut(words, cuts):
    text = " ".join(words)
    buffer, found, place, turn = SentenceBuffer(), [], 0, 0
    while place < len(text):
        n = cuts[turn % len(cuts)]
        found += buffer.add(text[place : place + n])
        place, turn = place + n, turn + 1
    found += buffer.finish()
    assert [piece.text for piece in found] == [piece.text for piece in split_pieces(text) if piece.text.strip()]
    assert buffer.is_empty


def test_addresses():
    assert parse_uri("tcp://0.0.0.0:10200") == ("0.0.0.0", 10200)
    for bad in ("http://x:1", "tcp://x", "tcp://:1", "tcp://x:99999", "10200"):
        with pytest.raises(InputError, match="is no address"):
            parse_uri(bad)


BENCH = "import sys; from wyoming_bench.cli import main; sys.exit(main())"


@pytest.mark.slow
def test_wyoming_bench_is_content(speaker):
    pytest.importorskip("wyoming_bench", reason="wyoming-bench is not installed")

    async def conversation(connect):
        port = connect().port
        command = [sys.executable, "-c", BENCH, "tts", f"127.0.0.1:{port}", "--rounds", "1"]
        job = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = await job.communicate()
        assert job.returncode == 0, out.decode()
        assert b"streaming" in out and b"TTFT" in out

    talk(speaker, conversation)


def test_the_server_speaks_it_beside_http_and_has_its_page(tiny_voice):
    with running_server(tiny_voice, "--device", "cpu", "--wyoming", "tcp://127.0.0.1:0") as server:
        (line,) = [line for line in server.errors if "Wyoming at " in line]
        port = int(line.split("tcp://127.0.0.1:")[1].split(",")[0])

        async def conversation() -> None:
            async with AsyncTcpClient("127.0.0.1", port) as client:
                await client.write_event(Synthesize(text="One.").event())
                assert len(await heard(client)) == 20 * 256

        asyncio.run(asyncio.wait_for(conversation(), 60))
        with server.client() as client:
            assert client.get("/").headers["content-type"].startswith("text/html")
            assert client.post("/v1/audio/speech", json={"input": "One.", "voice": "alloy"}).status_code == 200


def test_an_address_that_cannot_be_had_is_said(capsys, tiny_voice):
    taken = socket.create_server(("127.0.0.1", 0))
    address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    for arguments, message in [
        (("--voice", str(tiny_voice), "--device", "cpu", "--wyoming", address), f"{address}: cannot listen there"),
        (("--wyoming", "10200"), "'10200' is no address; give tcp://127.0.0.1:10200"),
        (("--wyoming", "tcp://127.0.0.1:10200", "--workers", "2"), "Wyoming is spoken by one process"),
    ]:
        with pytest.raises(SystemExit) as exit_:
            main(["serve", "--port", "0", *arguments])
        assert exit_.value.code == 2 and message in capsys.readouterr().err
    taken.close()


def test_an_event_that_would_fill_the_memory_is_not_waited_for(speaker):
    async def conversation(connect):
        for field in ("data_length", "payload_length"):
            client = connect()
            await client.connect()
            client._writer.write(f'{{"type": "ping", "{field}": 99999999999}}\n'.encode())
            assert await client._reader.read() == b""  # Without an end of what is sent.
            await client.disconnect()

    talk(speaker, conversation)


@pytest.mark.parametrize(
    "begun", [b"{", b'{"type": "ping", "data_length": 50}\n{', b'{"type": "audio-chunk", "payload_length": 9}\n']
)
def test_an_event_that_trickles_is_hung_up_on(speaker, monkeypatch, begun):
    monkeypatch.setattr(speaker, "settings", replace(speaker.settings, body_timeout_s=0.2))

    async def conversation(connect):
        async with connect() as silent:  # Who has begun nothing may stay.
            client = connect()
            await client.connect()
            client._writer.write(begun)
            reading = asyncio.ensure_future(client._reader.read())
            while not reading.done():
                client._writer.write(b" ")
                await asyncio.sleep(0.02)
            assert isinstance(reading.exception(), ConnectionError) or reading.result() == b""
            await client.disconnect()
            await silent.write_event(Describe().event())
            assert Info.is_type((await silent.read_event()).type)

    talk(speaker, conversation)


def test_who_takes_nothing_is_hung_up_on(speaker, monkeypatch):
    monkeypatch.setattr(wyoming_server, "STALLED_S", 0.2)

    async def conversation(connect):
        async with connect() as client:
            client._reader._limit = 1024  # It stops reading soon.
            await client.write_event(Synthesize(text="One two three. " * 6000).event())
            while not speaker.queue.n_tasks:
                await asyncio.sleep(0.01)
            while speaker.queue.n_tasks:
                await asyncio.sleep(0.01)

    talk(speaker, conversation)
