"""`glowtron serve`: speech over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from glowtron.errors import InputError
from glowtron.serve.settings import ServerSettings

F = TypeVar("F", bound=Callable[..., Any])

DEFAULTS = ServerSettings()


def _number(name: str, help: str) -> Callable[[F], F]:
    return click.option(
        f"--{name.replace('_', '-')}",
        type=int,
        metavar="N",
        default=getattr(DEFAULTS, name),
        show_default=True,
        help=help,
    )


@click.command()
@click.option(
    "--voice",
    "voices",
    multiple=True,
    metavar="NAME|FOLDER",
    help="A voice that ships, or a voice folder; several, each with --voice.  [default: the first that ships]",
)
@click.option("--host", metavar="ADDRESS", default=DEFAULTS.host, show_default=True, help="0.0.0.0 is every one.")
@_number("port", "0 is any that is free.")
@click.option(
    "--api-key", metavar="KEY", envvar="GLOWTRON_API_KEY", help="What clients must send; GLOWTRON_API_KEY too."
)
@click.option(
    "--alias", "aliases", multiple=True, metavar="NAME=ID", help="A further name of a voice, as in alloy=duet-kathleen."
)
@click.option("--strict", is_flag=True, help="Refuse a model that is not known, in place of taking any name.")
@click.option(
    "--wyoming",
    metavar="ADDRESS",
    default=DEFAULTS.wyoming,
    help="Speak Wyoming, too, for Home Assistant: tcp://127.0.0.1:10200.",
)
@click.option("--ssml", is_flag=True, help="Read texts that begin with <speak as SSML.")
@_number("max_chars", "Characters of one text.")
@_number("max_requests", "Requests in work and waiting; more are answered 429.")
@_number("threads", "Sentences spoken at once; 0: one a core, and one in all for large models.")
@_number("rate_limit", "Requests a minute of one client; 0: any number.")
@_number("lead_silence_ms", "Silence before speech, for loudspeakers that need time to wake.")
@_number("tail_silence_ms", "Silence after speech.")
@click.option("--device", metavar="DEVICE", default=DEFAULTS.device, show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Processes that share the port, each with its own voices and limits.",
)
def serve(voices: tuple[str, ...], aliases: tuple[str, ...], workers: int, **options: Any) -> None:
    """Speak over HTTP, in the shape of OpenAI's speech endpoint.

    What speaks through that endpoint speaks through this one when it is given the address that is told at the start.
    One line of JSON a request goes to standard output.

    \b
    Examples:
      glowtron serve
      glowtron serve --voice my-voice --voice duet --port 9000
      glowtron serve --wyoming tcp://0.0.0.0:10200
      glowtron serve --host 0.0.0.0 --api-key secret --workers 2
      curl http://127.0.0.1:8880/v1/audio/speech -d '{"input": "Hello.", "voice": "lj"}' > hello.mp3
    """
    pairs = {}
    for entry in aliases:
        name, equals, id = entry.partition("=")
        if not (name and equals and id):
            raise InputError(f"--alias {entry}: give NAME=ID, as in alloy=duet-kathleen")
        pairs[name] = id
    settings = ServerSettings(voices=voices, aliases=pairs, **options)
    try:
        from glowtron.serve import server
    except ImportError as error:
        raise InputError(f"serving takes pip install 'glowtron[serve]' ({error.name} is missing)") from error
    server.serve(settings, workers, lambda line: click.echo(f"glowtron: {line}", err=True))
