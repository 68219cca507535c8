"""`glowtron mcp`: a voice for assistants."""

from __future__ import annotations

from pathlib import Path

import click

from glowtron.errors import InputError


@click.command()
@click.option(
    "--voice",
    "voices",
    metavar="NAME|FOLDER",
    multiple=True,
    help="A voice that ships or a voice folder; several, each with --voice.  [default: the first that ships]",
)
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where the tool `save` may write.  [default: the folder it is started in]",
)
@click.option(
    "--player",
    metavar="COMMAND",
    help="What plays: it takes 16-bit mono samples on standard input, {rate} is their rate.  [default: pw-cat, paplay, "
    "aplay, play or ffplay]",
)
def mcp(voices: tuple[str, ...], device: str, folder: Path, player: str | None) -> None:
    """Let an assistant speak: a Model Context Protocol server on standard input and output.

    Its tools: speak (plays on this machine), save (writes a sound file), voices, stop. A program that knows MCP starts
    it by itself, given this command.

    \b
    Examples:
      glowtron mcp
      glowtron mcp --voice duet --folder ~/speech
      claude mcp add glowtron -- glowtron mcp
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make it, or give another --folder")
    import logging
    import threading

    from glowtron.serve.mcp_server import SpeakingTools, make_mcp_server
    from glowtron.serve.settings import ServerSettings

    logging.basicConfig(level=logging.WARNING)  # On standard error: standard output is the protocol's.
    tools = SpeakingTools(ServerSettings(voices=voices, device=device), folder, player)
    server = make_mcp_server(tools)
    # Voices take some seconds to load, and a client asks who we are at once.
    threading.Thread(target=tools.load, daemon=True).start()
    server.run("stdio")
