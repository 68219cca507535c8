"""Middleware of every request: id, authorisation, rate limit, limits of its body, and a line in the log."""

from __future__ import annotations

import hmac
import json
import re
import sys
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TextIO

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glowtron.serve.errors import ApiError
from glowtron.serve.metrics import Metrics
from glowtron.serve.settings import ServerSettings

OPEN_PATHS = ("/health", "/", "/openapi.json")
"""Paths that are open to anybody; the page and its files are as well (`/static`)."""

_ID = re.compile(r"[\w.-]{1,64}")
_MAX_CLIENTS = 10_000


class RateLimiter:
    """Requests a minute of each client: a bucket that fills evenly and holds a minute's."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, now_s: float) -> float:
        """Take one from a client's bucket; returns the seconds until there is one, if it is empty."""
        left, then_s = self._buckets.pop(client, (float(self._per_minute), now_s))
        left = min(self._per_minute, left + (now_s - then_s) * self._per_minute / 60)
        wait_s = max(0.0, (1 - left) * 60 / self._per_minute)
        self._buckets[client] = (left - (0 if wait_s else 1), now_s)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return wait_s


class Access:
    """Wraps an application."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, metrics: Metrics, log: TextIO | None = None) -> None:
        """log: where a line of JSON is written for each request; None: standard output."""
        self._app, self._settings, self._metrics, self._log = app, settings, metrics, log
        self._limiter = RateLimiter(settings.rate_limit) if settings.rate_limit else None
        self.close: Callable[[], None] = lambda: None
        """Ends what the application holds."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, started_s = Request(scope), time.monotonic()
        given = request.headers.get("x-request-id", "")
        id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        notes: dict[str, Any] = scope.setdefault("state", {}).setdefault("notes", {})
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = id
                headers["Access-Control-Allow-Origin"] = "*"
                headers["Access-Control-Expose-Headers"] = "*"
            await send(message)

        try:
            if request.method == "OPTIONS":
                await _preflight()(scope, receive, send_on)
                return
            try:
                self._admit(request)
            except ApiError as error:
                await JSONResponse(error.content, error.status, error.headers)(scope, receive, send_on)
                return
            await self._app(scope, receive, send_on)
        finally:
            endpoint = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.requests.labels(endpoint, str(status)).inc()
            self._write(request, id, status, time.monotonic() - started_s, notes)

    def _admit(self, request: Request) -> None:
        """Raise ApiError for who has no key, or asks too often."""
        path = request.url.path
        sent = request.headers.get("authorization", "")
        key = sent[7:].strip() if sent[:7].lower() == "bearer " else ""
        if path in OPEN_PATHS or path.startswith("/static/"):
            return
        if self._settings.api_key is not None and not hmac.compare_digest(
            key.encode(), self._settings.api_key.encode()
        ):
            message = "a valid API key is needed: Authorization: Bearer KEY"
            raise ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})
        if self._limiter is not None:
            address = request.client.host if request.client else ""
            wait_s = self._limiter.wait_s(key or address, time.monotonic())
            if wait_s:
                raise ApiError(
                    429,
                    f"over {self._settings.rate_limit} requests a minute; try again in {wait_s:.0f} s",
                    code="rate_limit_exceeded",
                    type="requests",
                    headers={"Retry-After": str(max(1, round(wait_s)))},
                )

    def _write(self, request: Request, id: str, status: int, taken_s: float, notes: dict[str, Any]) -> None:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": id,
            "client": request.client.host if request.client else None,
            "method": request.method,
            "path": request.url.path,
            "status": status,
            "taken_s": round(taken_s, 4),
            **notes,
        }
        print(json.dumps(line, ensure_ascii=False), file=self._log or sys.stdout, flush=True)


def _preflight() -> Response:
    """Answers a browser's CORS preflight for pages of other origins."""
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
            "Access-Control-Max-Age": "86400",
        },
    )
