"""Settings of a server, read once when it starts. Imports neither torch nor a web framework."""

from __future__ import annotations

from dataclasses import dataclass, field

from glowtron.errors import InputError

STANDARD_VOICES = tuple("alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split())
"""Names that clients of OpenAI's endpoint ask for; some refuse any other before they send anything."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Settings of a server."""

    voices: tuple[str, ...] = ()
    """Names of voices that ship, or folders; none: the first voice that ships."""
    device: str = "auto"
    """As of `Voice.load`."""
    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` is every one of this machine."""
    port: int = 8880
    """TCP port to listen on; 0: any that is free."""
    api_key: str | None = None
    """Key that clients must send as `Authorization: Bearer KEY`; None: whatever they send will do."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Further names of voices; they go before the standard ones, which are given to the speakers by turns."""
    strict: bool = False
    """True if an unknown `model` is refused; many programs send what their user typed."""
    max_chars: int = 100_000
    """Characters of one request's text."""
    max_requests: int = 32
    """Requests in work and waiting; more are answered 429."""
    threads: int = 0
    """Sentences that are spoken at once; 0: as many as there are cores, 1 for large models, which use all cores."""
    rate_limit: int = 0
    """Requests a minute of one client (its key, else its address); 0: any number."""
    lead_silence_ms: int = 0
    """Silence before speech, for loudspeakers that need time to wake."""
    tail_silence_ms: int = 0
    """Silence after speech."""
    wyoming: str = ""
    """Address to speak Wyoming at, such as `tcp://127.0.0.1:10200`; empty: none."""
    ssml: bool = False
    """True if texts that begin with `<speak` are SSML."""
    body_timeout_s: float = 30.0
    """Seconds within which a client must have sent its request's body."""
    drain_timeout_s: float = 30.0
    """Seconds that requests in work have to finish once the server is told to stop."""

    def __post_init__(self) -> None:
        low = {"port": 0, "max_chars": 1, "max_requests": 1, "threads": 0, "rate_limit": 0}
        low |= {"lead_silence_ms": 0, "tail_silence_ms": 0}
        for name, least in low.items():
            if getattr(self, name) < least:
                raise InputError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if self.port > 65_535:
            raise InputError(f"port must be at most 65535, got {self.port}")
        for name in ("lead_silence_ms", "tail_silence_ms"):
            if getattr(self, name) > 10_000:
                raise InputError(f"{name} must be at most 10000, got {getattr(self, name)}")
        for name in ("body_timeout_s", "drain_timeout_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise InputError(f"{name} must be from 0 to 3600, got {getattr(self, name)}")
