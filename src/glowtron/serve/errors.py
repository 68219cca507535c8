"""Errors as clients of OpenAI's endpoint read them."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request that cannot be answered; becomes `{"error": {...}}` with a status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        """status: of HTTP. message: what is wrong and how to mend it. param: the field of the request that is wrong."""
        # What a client sent may hold half a surrogate pair, which no answer can.
        super().__init__(message.encode("utf-8", "replace").decode("utf-8"))
        self.status, self.param, self.code, self.type = status, param, code, type
        self.headers = headers or {}

    @property
    def content(self) -> dict[str, Any]:
        """The body; all four keys are always there."""
        return {"error": {"message": str(self), "type": self.type, "param": self.param, "code": self.code}}
