"""Runs the application: one process or several on one port, until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from glowtron.errors import InputError
from glowtron.serve.access import Access
from glowtron.serve.app import make_app
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import VoiceShelf
from glowtron.serve.speaker import Speaker, quiet_about_faults
from glowtron.serve.wyoming import WyomingServer, parse_uri

SETTINGS = "GLOWTRON_SERVER_SETTINGS"
"""Environment variable that tells a worker process its settings, as JSON."""

HEAD_TIMEOUT_S = 10.0
"""Seconds within which a client must have sent its first request's head."""

STALLED_S = 120.0
"""Seconds after which a client that takes nothing of its answer is hung up on: its request holds a place."""

MAX_CONNECTIONS = 1_000
"""Of one process; further ones are answered 503."""


def serve(settings: ServerSettings, workers: int = 1, tell: Callable[[str], object] = print) -> None:
    """Serve until SIGTERM or Ctrl-C; then requests in work are finished.

    Args:
        settings: How the server behaves.
        workers: Processes that share the port; each has its own voices, turns and limits.
        tell: Called with lines for people.

    Raises:
        InputError: The address cannot be listened on, or a voice cannot be loaded.
    """
    if workers < 1:
        raise InputError(f"workers must be 1 or more, got {workers}")
    if workers > 1 and settings.wyoming:
        raise InputError("Wyoming is spoken by one process; leave `workers` out")
    if settings.wyoming:
        parse_uri(settings.wyoming)  # Before voices are loaded.
    quiet_about_faults()
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    tell(f"a page to try it at http://{host}:{port}/")
    tell(f"speech at http://{host}:{port}/v1 (OpenAI's shape: /v1/audio/speech); stop with Ctrl-C")
    if settings.host not in ("127.0.0.1", "::1", "localhost") and settings.api_key is None:
        tell("anybody who reaches this address may use it; --api-key asks for a key")
    if workers > 1:
        _serve_in_processes(settings, listening, workers)
        return
    speaker = Speaker(settings, VoiceShelf(settings))
    try:
        wyoming = WyomingServer(settings.wyoming, speaker) if settings.wyoming else None
        speaker.warm_up()
        app = make_app(settings, speaker)
        Server(_config(app, settings), wyoming, tell).run([listening])
    finally:
        speaker.close()
        listening.close()


class Server(uvicorn.Server):
    """The web server, and the Wyoming server beside it in its event loop."""

    def __init__(self, config: uvicorn.Config, wyoming: WyomingServer | None, tell: Callable[[str], object]) -> None:
        super().__init__(config)
        self._wyoming, self._tell = wyoming, tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`. Raises InputError if the address of Wyoming cannot be had."""
        if self._wyoming is not None:
            await self._wyoming.start()
            self._tell(f"Wyoming at {self._wyoming.address}, for Home Assistant")
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        if self._wyoming is not None:
            await self._wyoming.stop()
        await super().shutdown(sockets)


def _serve_in_processes(settings: ServerSettings, listening: socket.socket, workers: int) -> None:
    from uvicorn.supervisors import Multiprocess

    os.environ[SETTINGS] = json.dumps(asdict(settings))
    counters = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="glowtron-metrics-")
    config = _config("glowtron.serve.server:app_of_worker", settings, workers)
    try:
        Multiprocess(config, sockets=[listening]).run()
    finally:
        shutil.rmtree(counters, ignore_errors=True)


def app_of_worker() -> Access:
    """The application of one of several processes."""
    quiet_about_faults()
    told: dict[str, Any] = json.loads(os.environ[SETTINGS])
    told["voices"] = tuple(told["voices"])
    return make_app(ServerSettings(**told))


def _config(app: Any, settings: ServerSettings, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        http=ImpatientProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=round(settings.drain_timeout_s),
        h11_max_incomplete_event_size=65_536,
    )


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that hangs up on who sends no whole head in time, first or later, and on who stops reading an answer:
    uvicorn would wait for ever.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = self.loop.call_later(HEAD_TIMEOUT_S, self._hang_up)
        self._stalled: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._is_between_requests and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._hang_up)
        super().data_received(data)
        if not self._is_between_requests:
            self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._forget_deadline()
        self._read_again()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client takes nothing for now."""
        super().pause_writing()
        # To close would wait for what is not taken.
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._read_again()

    def _read_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    @property
    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self._deadline = None
        if self._is_between_requests and not self.transport.is_closing():
            self.transport.close()


def _listen(settings: ServerSettings) -> socket.socket:
    """A socket that listens, so that what is wrong with the address is told before voices are loaded."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise InputError(f"host '{settings.host}' is no address of this machine: {error.strerror}") from error
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        place = f"{settings.host}:{settings.port}"
        raise InputError(f"cannot listen on {place}: {error.strerror}; choose another port") from error
    listening.set_inheritable(True)
    return listening
