"""Speech over Wyoming, the protocol of Home Assistant's voice (TCP, port 10200; extra `serve`).

A connection is answered event by event while it speaks: what is asked of the voices, at once; texts, one after the
other. Of a text that comes in pieces each sentence is spoken as soon as it is whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from typing import Any, NamedTuple

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice, TtsVoiceSpeaker
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncEventHandler, AsyncTcpServer
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from glowtron import __version__
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError
from glowtron.serve.formats import make_encoder
from glowtron.serve.queue import QueueFullError
from glowtron.serve.shelf import ServedVoice, VoiceShelf
from glowtron.serve.speaker import Speaker
from glowtron.synthesis.trimming import pause
from glowtron.text.english import NothingToSayError
from glowtron.text.frontend import MarkedText
from glowtron.text.sentences import Piece, split_pieces
from glowtron.text.ssml import parse_ssml

STALLED_S = 120.0
"""Seconds after which a client that takes nothing of what is said is hung up on: its text holds a place."""
CHUNK_SAMPLES = 1024
"""Of a chunk of sound."""
LANGUAGE = "en-US"
HOME = "https://github.com/glowtron/glowtron"


class SentenceBuffer:
    """Sentences of a text that comes in pieces, as soon as nothing that may follow changes where they end."""

    def __init__(self) -> None:
        self._text = ""

    @property
    def is_empty(self) -> bool:
        """True if no text is waiting."""
        return not self._text.strip()

    def add(self, text: str) -> list[Piece]:
        """The next piece of the text -> sentences that are whole now."""
        self._text += text
        pieces = list(split_pieces(self._text))
        # What follows a stop tells whether a sentence ended there: its first word must be whole, too.
        ends = [i for i, piece in enumerate(pieces[:-1], 1) if piece.ending in ("sentence", "paragraph")]
        n_whole = max(ends, default=0)
        if not n_whole or len(" ".join(piece.text for piece in pieces[n_whole:]).split()) < 2:
            return []
        place = 0
        for piece in pieces[:n_whole]:
            place = self._text.index(piece.text, place) + len(piece.text)
        self._text = self._text[place:]
        return pieces[:n_whole]

    def finish(self) -> list[Piece]:
        """Returns the rest."""
        pieces = list(split_pieces(self._text))
        self._text = ""
        return [piece for piece in pieces if piece.text.strip()]


class _Job(NamedTuple):
    """A text to be spoken, with its events around it."""

    sentences: asyncio.Queue[Piece | MarkedText | None]
    """Ends with None."""
    served: ServedVoice
    is_stream: bool


class _BoundedReader:
    """Reader of a connection that limits the length of an event, and the time from its first byte to its last."""

    def __init__(self, reader: asyncio.StreamReader, most: int, timeout_s: float) -> None:
        self._reader, self._most, self._timeout_s = reader, most, timeout_s
        self._began_s = 0.0

    async def readline(self) -> bytes:
        """A line, with which an event begins; longer than 64 kB raises ValueError. A client may be silent before it."""
        first = await self._reader.read(1)
        self._began_s = time.monotonic()
        return first if first in (b"", b"\n") else first + await self._in_time(self._reader.readline())

    async def readexactly(self, n: int) -> bytes:
        """So many bytes. Raises ValueError if that is too much to wait for."""
        if not 0 <= n <= self._most:
            raise ValueError(f"an event of {n} bytes is too long")
        return await self._in_time(self._reader.readexactly(n))

    async def _in_time(self, reading: Awaitable[bytes]) -> bytes:
        """The event that is read. Raises ValueError if it takes too long to come."""
        left_s = self._began_s + self._timeout_s - time.monotonic()
        try:
            return await asyncio.wait_for(reading, max(left_s, 0.001))
        except (TimeoutError, asyncio.TimeoutError) as error:  # Two classes before Python 3.11.
            raise ValueError(f"an event did not come within {self._timeout_s:g} s") from error

    def feed_eof(self) -> None:
        """Let whoever reads see the end."""
        self._reader.feed_eof()


class WyomingHandler(AsyncEventHandler):
    """One connection."""

    def __init__(
        self, speaker: Speaker, info: Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        most = 65_536 + 8 * speaker.settings.max_chars
        bounded = _BoundedReader(reader, most, speaker.settings.body_timeout_s)
        super().__init__(bounded, writer)  # type: ignore[arg-type]
        self._speaker, self._info = speaker, info
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._stream: _Job | None = None
        self._buffer = SentenceBuffer()
        self._markup: str | None = None
        """Of a stream of SSML, what came of it; markup is understood when it is whole."""
        self._had_text = False
        self._writing = asyncio.Lock()
        self._worker = asyncio.create_task(self._work(), name="wyoming speech")

    async def run(self) -> None:
        """Answer until the connection ends; what is no event ends it."""
        with suppress(ValueError, KeyError, TypeError, AttributeError, EOFError, ConnectionError):
            await super().run()

    async def handle_event(self, event: Event) -> bool:
        """Answer, or put to what is spoken; False ends the connection. Unknown events are passed over."""
        try:
            if Describe.is_type(event.type):
                await self.write_event(self._info)
            elif Ping.is_type(event.type):
                await self.write_event(Pong(text=Ping.from_event(event).text).event())
            elif SynthesizeStart.is_type(event.type):
                start = SynthesizeStart.from_event(event)
                self._begin_stream(self._find(start.voice), start.text_format == "ssml")
            elif SynthesizeChunk.is_type(event.type):
                self._add(SynthesizeChunk.from_event(event).text)
            elif Synthesize.is_type(event.type):
                self._synthesize(Synthesize.from_event(event))
            elif SynthesizeStop.is_type(event.type):
                self._end_stream()
        except (InputError, KeyError, TypeError, AttributeError) as error:
            await self._fail(str(error) if isinstance(error, InputError) else f"malformed {event.type}: {error!r}")
            return False
        return not self._worker.done()

    async def write_event(self, event: Event) -> None:
        """Send an event; whole, for speech and answers take turns. Raises ConnectionError if it is not taken."""
        async with self._writing:
            try:
                await asyncio.wait_for(super().write_event(event), STALLED_S)
            except (TimeoutError, asyncio.TimeoutError) as error:  # Two classes before Python 3.11.
                self.writer.transport.abort()  # To close would wait for what is not taken.
                raise ConnectionError(f"nothing was taken for {STALLED_S:g} s") from error

    async def disconnect(self) -> None:
        """Stop speaking to who has gone."""
        self._worker.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await self._worker

    def _find(self, voice: SynthesizeVoice | None) -> ServedVoice:
        shelf = self._speaker.shelf
        if voice is None or voice.name is None:
            return shelf.default
        served = shelf.find(voice.name)
        if served is not None and voice.speaker is not None:
            served = shelf.find(f"{served.voice.config.name}-{voice.speaker}")
        if served is None:
            asked = f"{voice.name}, {voice.speaker}" if voice.speaker else voice.name
            raise InputError(f"there is no voice '{asked}'; there are {', '.join(shelf.voices)}")
        return served

    def _synthesize(self, request: Synthesize) -> None:
        if self._stream is not None:
            # Home Assistant repeats the whole text for servers that do not know streams.
            if not self._had_text:
                self._add(request.text)
            return
        self._check_length(request.text)
        job = _Job(asyncio.Queue(), self._find(request.voice), is_stream=False)
        if request.text_format == "ssml":
            job.sentences.put_nowait(parse_ssml(request.text, job.served.voice.speakers))
        else:
            job.sentences.put_nowait(Piece(request.text, "sentence"))
        job.sentences.put_nowait(None)
        self._jobs.put_nowait(job)

    def _begin_stream(self, served: ServedVoice, is_ssml: bool) -> None:
        if self._stream is not None:
            self._end_stream()
        self._stream = _Job(asyncio.Queue(), served, is_stream=True)
        self._buffer, self._markup, self._had_text = SentenceBuffer(), "" if is_ssml else None, False
        self._n_chars = 0
        self._jobs.put_nowait(self._stream)

    def _add(self, text: str) -> None:
        if self._stream is None:
            raise InputError("synthesize-chunk came before synthesize-start")
        self._had_text = self._had_text or bool(text.strip())
        self._n_chars += len(text)
        self._check_length("", self._n_chars)
        if self._markup is not None:
            self._markup += text
            return
        for piece in self._buffer.add(text):
            self._stream.sentences.put_nowait(piece)

    def _end_stream(self) -> None:
        if self._stream is None:
            return
        if self._markup is not None and self._markup.strip():
            self._stream.sentences.put_nowait(parse_ssml(self._markup, self._stream.served.voice.speakers))
        for piece in self._buffer.finish():
            self._stream.sentences.put_nowait(piece)
        self._stream.sentences.put_nowait(None)
        self._stream = None

    def _check_length(self, text: str, n_chars: int = 0) -> None:
        most = self._speaker.settings.max_chars
        if max(len(text), n_chars) > most:
            raise InputError(f"the text is longer than {most} characters; send it in parts")

    async def _work(self) -> None:
        """Speak what is asked for, one text after the other, until the connection ends."""
        try:
            while True:
                await self._speak(await self._jobs.get())
        except (InputError, QueueFullError) as error:
            await self._fail(str(error))
        except ConnectionError:
            self.writer.close()

    async def _fail(self, message: str) -> None:
        """Tell what is wrong, and end: without audio-stop, so that nobody keeps half a sentence for the whole."""
        with suppress(ConnectionError):
            await self.write_event(Error(text=message).event())
        self.writer.close()

    async def _speak(self, job: _Job) -> None:
        rate = job.served.voice.mel.sample_rate
        sound: dict[str, Any] = {"rate": rate, "width": 2, "channels": 1}
        await self.write_event(AudioStart(**sound).event())
        options = SynthesisOptions(speaker=job.served.speaker)
        gap_s = 0.0
        while (text := await job.sentences.get()) is not None:
            try:
                async with aclosing(self._pcm(text, job.served, options, gap_s, rate)) as pieces:
                    async for data in pieces:
                        for start in range(0, len(data), 2 * CHUNK_SAMPLES):
                            chunk = AudioChunk(audio=data[start : start + 2 * CHUNK_SAMPLES], **sound)
                            await self.write_event(chunk.event())
            except NothingToSayError:
                if not job.is_stream:
                    raise
                continue  # A smiley among sentences.
            gap_s = pause(text.ending, options.pause_s) if isinstance(text, Piece) else options.pause_s
        await self.write_event(AudioStop().event())
        if job.is_stream:
            await self.write_event(SynthesizeStopped().event())

    async def _pcm(
        self, text: Piece | MarkedText, served: ServedVoice, options: SynthesisOptions, gap_s: float, rate: int
    ) -> AsyncGenerator[bytes, None]:
        """Samples of a text, after the pause that parts it from the one before."""
        encoder = make_encoder(rate, "pcm", rate)
        said = text.text if isinstance(text, Piece) else text
        async with aclosing(self._speaker.speak(said, served, options, encoder)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if gap_s and piece.data:
                    yield bytes(2 * round(gap_s * rate))
                    gap_s = 0.0
                yield piece.data


def describe(shelf: VoiceShelf) -> Event:
    """Describes this server. Each speaker is a voice of its own: Home Assistant lets its users choose voices only."""
    attribution = Attribution(name="Glowtron", url=HOME)

    def artifact(name: str, description: str, version: str) -> dict[str, Any]:
        return {
            "name": name, "description": description, "version": version, "attribution": attribution, "installed": True
        }  # fmt: skip

    voices = []
    for served in shelf.voices.values():
        is_whole = len(served.voice.speakers) > 1 and served.id == served.voice.config.name.lower()
        speakers = [TtsVoiceSpeaker(name) for name in served.voice.speakers] if is_whole else None
        label = served.id if is_whole or not served.speaker else f"{served.voice.config.name}: {served.speaker}"
        voices.append(TtsVoice(**artifact(served.id, label, __version__), languages=[LANGUAGE], speakers=speakers))
    program = TtsProgram(
        **artifact("glowtron", "Glowtron: Tacotron 2, FastSpeech 2 and WaveGlow", __version__),
        voices=voices,
        supports_synthesize_streaming=True,
    )
    return Info(tts=[program]).event()


def parse_uri(uri: str) -> tuple[str, int]:
    """Host and port of `tcp://HOST:PORT`. Raises InputError if it is none."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"'{uri}' is no address: {error}; give tcp://127.0.0.1:10200") from error
    if parts.scheme != "tcp" or not host or port is None:
        raise InputError(f"'{uri}' is no address; give tcp://127.0.0.1:10200")
    return host, port


class WyomingServer:
    """Listens for connections beside the web server, in its event loop."""

    def __init__(self, uri: str, speaker: Speaker) -> None:
        """Raises InputError for an address that is none."""
        host, port = parse_uri(uri)
        self._server = AsyncTcpServer(host, port)
        self._uri, self._speaker, self._info = uri, speaker, describe(speaker.shelf)

    async def start(self) -> None:
        """Begin to listen. Raises InputError if the address cannot be had."""
        try:
            await self._server.start(lambda reader, writer: WyomingHandler(self._speaker, self._info, reader, writer))
        except OSError as error:
            raise InputError(f"{self._uri}: cannot listen there: {error.strerror or error}") from error

    @property
    def address(self) -> str:
        """Address at which it listens."""
        return f"tcp://{self._server.host}:{self.port}"

    @property
    def port(self) -> int:
        """TCP port; of interest where 0 was asked for."""
        server: Any = self._server._server  # Of asyncio, or of uvloop where that is installed.
        assert server is not None, "it was not started"
        return int(server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End all connections."""
        if self._server._server is not None:
            self._server._server.close()
        await self._server.stop()
