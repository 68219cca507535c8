"""The application: what each path answers. Follows the OpenAPI file beside it, `openapi.json`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable
from importlib.resources import files
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from glowtron import __version__
from glowtron.errors import InputError
from glowtron.serve.access import Access
from glowtron.serve.body import read_json
from glowtron.serve.errors import ApiError
from glowtron.serve.formats import Encoder, make_encoder, media_type
from glowtron.serve.metrics import CONTENT_TYPE, Metrics
from glowtron.serve.page import Page
from glowtron.serve.queue import QueueFullError
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import VoiceShelf
from glowtron.serve.speaker import Speaker, SpokenPiece
from glowtron.serve.speech_request import MODELS, SpeechRequest, read_speech_request
from glowtron.serve.timestamps import WrittenWord, WrittenWords

T = TypeVar("T")


class Service:
    """The state behind the paths."""

    def __init__(self, settings: ServerSettings, speaker: Speaker, metrics: Metrics) -> None:
        self.settings, self.speaker, self.metrics = settings, speaker, metrics
        self.created = int(time.time())

    # Speech

    async def speech(self, request: Request) -> Response:
        """`POST /v1/audio/speech`."""
        asked = read_speech_request(await read_json(request, self.settings), self.speaker.shelf, self.settings)
        notes, started_s = self._notes(request, asked), time.monotonic()
        encoder = self._encoder(asked)
        pieces = self._counted(asked, encoder, notes, started_s)
        first = await self._first(request, pieces)
        type = "text/event-stream" if asked.as_events else media_type(asked.format, encoder.sample_rate)
        headers = {
            "Content-Type": type,
            "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",
            "X-Glowtron-Voice": asked.served.id,
            "X-Glowtron-Rate": f"{asked.options.rate:g}",
        }
        if not asked.as_events:
            headers["Content-Disposition"] = f"inline; filename=speech.{asked.format}"
        if asked.as_events:
            return StreamingResponse(_events(asked, first, pieces), headers=headers)
        if not asked.streamed:
            whole = await _unless_gone(request, _joined(first, pieces))
            return Response(b"".join(piece.data for piece in whole), headers=headers)
        return StreamingResponse(_sound(first, pieces), headers=headers)

    async def captioned_speech(self, request: Request) -> Response:
        """`POST /dev/captioned_speech`: sound with the times of words, in Kokoro's shape."""
        body = await read_json(request, self.settings)
        asked = read_speech_request(body, self.speaker.shelf, self.settings)
        notes, started_s = self._notes(request, asked), time.monotonic()
        encoder = self._encoder(asked)
        pieces = self._counted(asked, encoder, notes, started_s)
        first = await self._first(request, pieces)
        timed = not isinstance(body, dict) or body.get("return_timestamps", True) is not False
        type = media_type(asked.format, encoder.sample_rate)

        written = WrittenWords()

        def content(data: bytes, words: list[WrittenWord]) -> dict[str, Any]:
            audio = base64.b64encode(data).decode("ascii")
            timestamps = [word.content for word in words] if timed else None
            return {"audio": audio, "audio_format": type, "timestamps": timestamps}

        async def lines() -> AsyncIterator[str]:
            async for piece in _chained(first, pieces):
                words = written.push(piece) + (written.finish() if piece.sentence is None else [])
                if piece.data or words:
                    yield json.dumps(content(piece.data, words), ensure_ascii=False) + "\n"

        if asked.streamed:
            return StreamingResponse(lines(), media_type="application/json")
        whole = await _unless_gone(request, _joined(first, pieces))
        data = b"".join(piece.data for piece in whole)
        return JSONResponse(content(data, [word for piece in whole for word in written.push(piece)] + written.finish()))

    def _encoder(self, asked: SpeechRequest) -> Encoder:
        try:
            whole = not asked.streamed and not asked.as_events
            return make_encoder(asked.served.voice.mel.sample_rate, asked.format, asked.sample_rate, whole=whole)
        except InputError as error:
            raise ApiError(400, str(error), param="response_format", code="invalid_value") from error

    async def _first(self, request: Request, pieces: AsyncIterator[SpokenPiece]) -> SpokenPiece:
        """The first piece. What can be known is found by now, while the answer may still be an error."""
        try:
            return await _unless_gone(request, anext(pieces))
        except QueueFullError as error:
            raise ApiError(
                429, str(error), code="queue_full", type="requests", headers={"Retry-After": str(error.retry_after_s)}
            ) from error
        except InputError as error:
            raise ApiError(400, str(error), param="input", code="invalid_value") from error

    async def _counted(
        self, asked: SpeechRequest, encoder: Encoder, notes: dict[str, Any], started_s: float
    ) -> AsyncIterator[SpokenPiece]:
        """The pieces of a request, counted; a client that hangs up stops them."""
        spoken = self.speaker.speak(asked.text, asked.served, asked.options, encoder)
        finished, audio_s = False, 0.0
        try:
            async for piece in spoken:
                if "first_s" not in notes and piece.sentence is not None:
                    notes["first_s"] = round(time.monotonic() - started_s, 4)
                    self.metrics.first_sound_s.observe(time.monotonic() - started_s)
                audio_s += piece.duration_s
                self.metrics.audio_s.inc(piece.duration_s)
                yield piece
            finished = True
        except (InputError, QueueFullError):
            finished = True
            raise
        finally:
            await spoken.aclose()  # type: ignore[attr-defined]  # It is a generator.
            self.metrics.tasks.set(self.speaker.queue.n_tasks)
            notes["audio_s"] = round(audio_s, 3)
            if not finished:
                notes["cancelled"] = True
                self.metrics.cancelled.inc()

    def _notes(self, request: Request, asked: SpeechRequest) -> dict[str, Any]:
        """Fields of a request's line in the log."""
        notes: dict[str, Any] = request.scope["state"]["notes"]
        n_chars = len(str(asked.text)) if isinstance(asked.text, str) else 0
        notes |= {"voice": asked.served.id, "format": asked.format, "chars": n_chars}
        if asked.clamped:
            notes["rate"] = asked.options.rate
        self.metrics.characters.inc(n_chars)
        self.metrics.tasks.set(self.speaker.queue.n_tasks + 1)
        return notes

    # What there is

    def _model(self, id: str, *, detailed: bool = False) -> dict[str, Any]:
        found = {"id": id, "object": "model", "created": self.created, "owned_by": "glowtron"}
        if detailed:
            shelf = self.speaker.shelf
            found |= {
                "task": "text-to-speech",
                "sample_rate": shelf.default.voice.mel.sample_rate,
                "voices": [{"name": one, "language": "en-US", "gender": None} for one in shelf.voices],
            }
        return found

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`."""
        return JSONResponse({"object": "list", "data": [self._model(id) for id in self._model_ids]})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/ID`."""
        id = request.path_params["id"]
        if id not in self._model_ids:
            message = f"there is no model '{id[:60]}'; there are {', '.join(self._model_ids)}"
            raise ApiError(404, message, param="model", code="model_not_found")
        return JSONResponse(self._model(id, detailed=True))

    @property
    def _model_ids(self) -> tuple[str, ...]:
        return (*MODELS, *(voice for voice in self.speaker.shelf.voices if voice not in MODELS))

    async def audio_models(self, request: Request) -> Response:
        """`GET /v1/audio/models`."""
        return JSONResponse({"models": [{"id": id, "name": id} for id in self._model_ids]})

    async def voices(self, request: Request) -> Response:
        """`GET /v1/audio/voices`; the shelf's own and their aliases."""
        shelf = self.speaker.shelf
        found = [{"id": one.id, "name": one.id, "language": "en-US"} for one in shelf.voices.values()]
        found += [{"id": alias, "name": f"{alias} ({id})", "language": "en-US"} for alias, id in shelf.aliases.items()]
        if request.query_params.get("legacy") == "true":
            return JSONResponse({"voices": [one["id"] for one in found]})
        return JSONResponse({"voices": found})

    async def health(self, request: Request) -> Response:
        """`GET /health`."""
        queue = self.speaker.queue
        return JSONResponse(
            {"status": "healthy", "version": __version__, "requests": queue.n_tasks, "speaking": queue.n_in_turn}
        )

    async def metrics_text(self, request: Request) -> Response:
        """`GET /metrics`."""
        self.metrics.tasks.set(self.speaker.queue.n_tasks)
        return Response(self.metrics.text(), media_type=None, headers={"Content-Type": CONTENT_TYPE})

    async def test(self, request: Request) -> Response:
        """`GET /v1/test`, by which programs find out that they may ask for voices."""
        return JSONResponse({"status": "ok"})

    async def openapi(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        return Response(openapi_text(), media_type="application/json")

    async def root(self, request: Request) -> Response:
        """`GET /v1`."""
        return JSONResponse({"name": "glowtron", "version": __version__, "speech": "/v1/audio/speech"})

    @property
    def routes(self) -> list[BaseRoute]:
        """All paths; speech is also answered without `/v1`, which people leave out of the address they enter."""
        routes: list[BaseRoute] = []
        for prefix in ("/v1", ""):
            routes += [
                Route(f"{prefix}/audio/speech", self.speech, methods=["POST"]),
                Route(f"{prefix}/audio/models", self.audio_models),
                Route(f"{prefix}/audio/voices", self.voices),
                Route(f"{prefix}/models", self.models),
                Route(f"{prefix}/models/{{id}}", self.model),
            ]
        return [
            *routes,
            Route("/dev/captioned_speech", self.captioned_speech, methods=["POST"]),
            Route("/health", self.health),
            Route("/metrics", self.metrics_text),
            Route("/openapi.json", self.openapi),
            Route("/v1", self.root),
            Route("/v1/test", self.test),
        ]


def make_app(settings: ServerSettings, speaker: Speaker | None = None) -> Access:
    """The application, with its voices loaded and warm.

    speaker: one that other servers of this process share; None: a new one.
    Raises InputError for a voice that cannot be loaded.
    """
    if speaker is None:
        speaker = Speaker(settings, VoiceShelf(settings))
        speaker.warm_up()
    metrics = Metrics()
    service = Service(settings, speaker, metrics)
    app = Starlette(
        routes=[*service.routes, *Page(speaker).routes],
        exception_handlers={ApiError: _told, HTTPException: _told, ClientDisconnect: _gone, Exception: _failed},
    )
    app.state.service = service
    access = Access(app, settings, metrics)
    access.close = speaker.close
    return access


async def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        return JSONResponse(error.content, error.status, error.headers)
    assert isinstance(error, HTTPException)
    message = {404: f"there is nothing at {request.url.path[:100]}", 405: f"{request.method} is not answered here"}
    told = ApiError(error.status_code, message.get(error.status_code, error.detail), code="not_found")
    return JSONResponse(told.content, error.status_code, dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    return PlainTextResponse("", 499)


async def _failed(request: Request, error: Exception) -> Response:
    told = ApiError(500, "something went wrong here; the log tells what", type="server_error", code="internal_error")
    return JSONResponse(told.content, 500, {"x-should-retry": "false"})


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Result of `work`, which is cancelled if the client hangs up meanwhile: then ClientDisconnect is raised.

    The request's body must have been read.
    """

    async def hang_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(hang_up())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, gone):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _joined(first: SpokenPiece, pieces: AsyncIterator[SpokenPiece]) -> list[SpokenPiece]:
    return [piece async for piece in _chained(first, pieces)]


async def _chained(first: SpokenPiece, pieces: AsyncIterator[SpokenPiece]) -> AsyncIterator[SpokenPiece]:
    try:
        yield first
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]  # It is a generator.


async def _sound(first: SpokenPiece, pieces: AsyncIterator[SpokenPiece]) -> AsyncIterator[bytes]:
    async for piece in _chained(first, pieces):
        if piece.data:
            yield piece.data


async def _events(asked: SpeechRequest, first: SpokenPiece, pieces: AsyncIterator[SpokenPiece]) -> AsyncIterator[str]:
    """Server-sent events, as OpenAI's `SpeechAudioDeltaEvent` and `SpeechAudioDoneEvent`."""

    def event(content: dict[str, Any]) -> str:
        return f"data: {json.dumps(content)}\n\n"

    duration_s = 0.0
    try:
        async for piece in _chained(first, pieces):
            duration_s += piece.duration_s
            if piece.data:
                audio = base64.b64encode(piece.data).decode("ascii")
                yield event({"type": "speech.audio.delta", "audio": audio})
    except InputError as error:
        yield event({"type": "error", **ApiError(400, str(error)).content})
        return
    # There are no tokens here: about four characters of text, and twenty a second of sound, are what others count.
    n_in = -(-len(asked.text) // 4) if isinstance(asked.text, str) else 0
    n_out = round(20 * duration_s)
    usage = {"input_tokens": n_in, "output_tokens": n_out, "total_tokens": n_in + n_out}
    yield event({"type": "speech.audio.done", "usage": usage})


def openapi_text() -> str:
    """The OpenAPI document."""
    return (files("glowtron.serve") / "openapi.json").read_text("utf-8")
