"""The JSON of a request's body, as long as it may be and as soon as it must come."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request

from glowtron.serve.errors import ApiError
from glowtron.serve.settings import ServerSettings

BYTES_PER_CHAR = 8
"""Room in a body: JSON may write a character as `\\uXXXX`, and other fields need some, too."""


async def read_json(request: Request, settings: ServerSettings) -> Any:
    """The body, as JSON. Raises ApiError if it is none, too long, or does not come."""
    limit = 65_536 + BYTES_PER_CHAR * settings.max_chars
    too_long = ApiError(413, f"the body is over {limit} bytes; send the text in parts", code="body_too_large")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_long

    async def read() -> bytes:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk
            if len(data) > limit:
                raise too_long
        return bytes(data)

    try:
        data = await asyncio.wait_for(read(), settings.body_timeout_s)
    except (TimeoutError, asyncio.TimeoutError) as error:  # Two classes before Python 3.11.
        raise ApiError(408, f"the body did not come within {settings.body_timeout_s:g} s", code="timeout") from error
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {str(error)[:100]}", code="invalid_json") from error
