"""Speech over HTTP, in the shape of OpenAI's speech endpoint (extra `serve`: starlette, uvicorn, prometheus-client)."""

from glowtron.serve.settings import ServerSettings

__all__ = ["ServerSettings"]
