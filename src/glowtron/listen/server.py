"""The server of a listening test: the page, its clips, and answers that are kept the moment they are given.

No address is kept or logged, no cookie set, and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from glowtron.errors import InputError
from glowtron.listen.answers import HEADPHONES, TRIAL, check_about, check_answer
from glowtron.listen.listening_test import ListeningTest
from glowtron.listen.page import served_page
from glowtron.listen.store import Rater, Store

_LARGEST_BODY = 20_000
"""Bytes; an answer has some hundred."""
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
        "media-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The link holds the rater's id.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def make_app(test: ListeningTest, store: Store) -> Starlette:
    """The application: `/`, `/clips/ID`, and JSON under `/api`."""
    handlers = _Handlers(test, store)
    return Starlette(
        routes=[
            Route("/", handlers.page),
            Route("/clips/{id}", handlers.clip),
            Route("/api/raters", _answered(handlers.begin), methods=["POST"]),
            Route("/api/raters/{rater}", _answered(handlers.state), methods=["GET"]),
            Route("/api/raters/{rater}", _answered(handlers.forget), methods=["DELETE"]),
            Route("/api/raters/{rater}/answers", _answered(handlers.answer), methods=["POST"]),
        ]
    )


def _answered(handler: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose value is the answer in JSON, and whose refusals are told."""

    async def handle(request: Request) -> Response:
        try:
            value = await handler(request)
        except _Refusal as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status, headers=_HEADERS)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422, headers=_HEADERS)
        return JSONResponse(value, headers=_HEADERS)

    return handle


class _Handlers:
    def __init__(self, test: ListeningTest, store: Store) -> None:
        self._test, self._store = test, store
        self._page = served_page(test)

    async def page(self, request: Request) -> Response:
        return HTMLResponse(self._page, headers=_HEADERS)

    async def clip(self, request: Request) -> Response:
        id = request.path_params["id"]
        if id not in self._test.clip_ids:
            return Response(status_code=404, headers=_HEADERS)
        # The file's time and a tag by it would tell when a clip was made.
        headers = {**_HEADERS, "Cache-Control": "private, max-age=86400"}
        return FileResponse(self._test.clip_path(id), media_type="audio/wav", headers=headers)

    async def begin(self, request: Request) -> Any:
        about = check_about(await _body(request))
        rater = await run_in_threadpool(self._store.begin, len(self._test.file.sessions), about)
        return self._told(rater, [])

    async def state(self, request: Request) -> Any:
        rater = await self._rater(request)
        stored = await run_in_threadpool(self._store.answers, rater.id)
        return self._told(rater, [{"part": one.part, "trial": one.trial} for one in stored])

    async def answer(self, request: Request) -> Any:
        rater = await self._rater(request)
        body = await _body(request)
        if not isinstance(body, dict) or set(body) != {"part", "trial", "answer"}:
            raise InputError("give part, trial and answer")
        answer = check_answer(self._test, rater.session, body["part"], body["trial"], body["answer"])
        new = await run_in_threadpool(self._store.save, rater.id, body["part"], body["trial"], answer)
        finished = await run_in_threadpool(self._finish, rater)
        return {"saved": new, "code": self._test.file.completion_code if finished else None}

    async def forget(self, request: Request) -> Any:
        rater = await self._rater(request)
        await run_in_threadpool(self._store.forget, rater.id)
        return {"deleted": rater.id}

    def _finish(self, rater: Rater) -> bool:
        stored = self._store.answers(rater.id)
        wanted = {(HEADPHONES, n) for n in range(len(self._test.file.headphones))}
        wanted |= {(TRIAL, n) for n in range(len(self._test.session(rater.session)))}
        finished = wanted <= {(one.part, one.trial) for one in stored}
        if finished and not rater.finished:
            self._store.finish(rater.id)
        return finished

    def _told(self, rater: Rater, done: list[dict[str, Any]]) -> dict[str, Any]:
        code = self._test.file.completion_code if rater.finished else None
        trials = self._test.public_session(rater.session)
        return {"rater": rater.id, "session": rater.session, "trials": trials, "done": done, "code": code}

    async def _rater(self, request: Request) -> Rater:
        rater = await run_in_threadpool(self._store.rater, request.path_params["rater"])
        if rater is None:
            raise _Refusal(404, "no such rater; the answers may have been deleted")
        return rater


async def _body(request: Request) -> Any:
    """The request's JSON. Raises _Refusal if it is too long, and InputError if it is none."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _LARGEST_BODY:
            raise _Refusal(413, f"more than {_LARGEST_BODY} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError("the body must be JSON") from error


def serve(test: ListeningTest, store: Store, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve until interrupted. ready: called with the address once the test can be taken.

    Raises InputError if the address cannot be listened on.
    """
    import asyncio
    import socket

    import uvicorn

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"{host}:{port}: cannot be listened on: {error.strerror}; choose another `port`") from error
    place = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
    # No access log: it would keep addresses.
    config = uvicorn.Config(make_app(test, store), log_level="warning", access_log=False, server_header=False)
    server = uvicorn.Server(config)

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.02)
        if server.started:
            ready(place)
        await serving

    asyncio.run(run())
