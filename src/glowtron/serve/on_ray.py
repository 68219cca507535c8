"""The server's application as a deployment of Ray Serve: replicas on many machines, as many as their queues ask for.

serve run glowtron.serve.on_ray:application voices=duet max_replicas=8
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.routing import Mount

from glowtron.errors import InputError, nearest
from glowtron.serve.app import make_app
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import VoiceShelf
from glowtron.serve.speaker import Speaker, quiet_about_faults


@dataclass(frozen=True, kw_only=True)
class ReplicaSettings:
    """Number of replicas, and the resources of each."""

    min_replicas: int = 1
    """Replicas at rest."""
    max_replicas: int = 4
    """Replicas under load; the cluster needs `cores` for each."""
    requests_each: float = 2.0
    """Requests in work and waiting of one replica that are aimed at: over it another replica is started, under it one
    is stopped. Low is quick to answer, high is cheap.
    """
    cores: float = 1.0
    """Cores that a replica is given."""
    gpus: float = 0.0
    """GPUs that a replica is given."""
    upscale_delay_s: float = 10.0
    """Seconds for which the queues must be too long before replicas are added."""
    downscale_delay_s: float = 300.0
    """Seconds for which they must be short before replicas are taken away."""

    def __post_init__(self) -> None:
        if not 0 < self.min_replicas <= self.max_replicas:
            message = f"min_replicas must be from 1 to max_replicas, got {self.min_replicas} and {self.max_replicas}"
            raise InputError(message)
        for name in ("requests_each", "cores"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be over 0, got {getattr(self, name)}")
        for name in ("gpus", "upscale_delay_s", "downscale_delay_s"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be 0 or more, got {getattr(self, name)}")


NOT_OURS = ("host", "port", "wyoming")
"""Settings of a server that Ray Serve has its own for."""


def application(args: Mapping[str, Any]) -> Any:
    """The application for `serve run`, `serve.run` and the `import_path` of a RayService.

    Args:
        args: Fields of `ServerSettings` (but those of `NOT_OURS`) and of `ReplicaSettings`; texts are read as what the
            field is, so that `serve run` may give them, and `voices` may be one name, or several with commas.

    Returns:
        A `ray.serve.Application` with one deployment, `Speech`.

    Raises:
        InputError: Ray Serve is not installed, or a field is unknown or has a value that it cannot have.
    """
    server, replicas = read_settings(args)
    try:
        from ray import serve
    except ImportError as error:
        raise InputError("Ray Serve takes pip install 'glowtron[ray]' on all machines") from error

    def make() -> Starlette:  # Ray asks for a function, and for no other that can be called.
        return replica_app(server, replicas.cores)

    speech = serve.deployment(
        serve.ingress(make)(),
        name="Speech",
        # What is over it waits at Ray Serve's proxies for whichever replica is free first.
        max_ongoing_requests=server.max_requests,
        graceful_shutdown_timeout_s=server.drain_timeout_s,
        ray_actor_options={"num_cpus": replicas.cores, "num_gpus": replicas.gpus},
        autoscaling_config={
            "min_replicas": replicas.min_replicas,
            "max_replicas": replicas.max_replicas,
            "target_ongoing_requests": replicas.requests_each,
            "upscale_delay_s": replicas.upscale_delay_s,
            "downscale_delay_s": replicas.downscale_delay_s,
        },
    )
    return cast(Any, speech).bind()


def replica_app(server: ServerSettings, cores: float) -> Starlette:
    """The server's application as a replica runs it.

    Ray adds handlers of its own errors to an application, which must be Starlette's; so ours stands in one.
    """
    quiet_about_faults()
    shelf = VoiceShelf(server)
    # A replica's share of its machine, not all of it.
    threads = server.threads or min(shelf.threads, max(1, int(cores)))
    speaker = Speaker(replace(server, threads=threads), shelf)
    speaker.warm_up()
    app = make_app(server, speaker)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        app.close()

    return Starlette(routes=[Mount("/", app=app)], lifespan=lifespan)


def read_settings(args: Mapping[str, Any]) -> tuple[ServerSettings, ReplicaSettings]:
    """The two parts of `args`; see `application`."""
    given = dict(args)
    if isinstance(given.get("voices"), str):
        given["voices"] = tuple(name for name in given["voices"].split(",") if name)
    names = {kind: {field.name for field in fields(kind)} for kind in (ServerSettings, ReplicaSettings)}
    names[ServerSettings] -= {*NOT_OURS}
    for name in given:
        if name in NOT_OURS:
            raise InputError(f"{name} is for `glowtron serve`; Ray Serve has options of its own for it")
        if not any(name in known for known in names.values()):
            raise InputError(f"unknown setting '{name}'{nearest(name, sorted(set().union(*names.values())))}")

    def read(kind: type[Any]) -> Any:
        try:
            return TypeAdapter(kind).validate_python({name: given[name] for name in given if name in names[kind]})
        except ValidationError as error:
            first = error.errors()[0]
            said = first["msg"].removeprefix("Value error, ")
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"{place}: {said}, got {first['input']!r}" if place else said) from error

    return read(ServerSettings), read(ReplicaSettings)
