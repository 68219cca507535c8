"""A voice for programs that speak the Model Context Protocol, on standard input and output (extra `mcp`).

Four tools: `speak` plays on this machine, `save` writes a sound file, `voices` lists, `stop` is silence. Sound itself
never goes to the model, whose context it would fill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from threading import Event, Lock
from typing import Annotated, TypeVar

from pydantic import Field

from glowtron import __version__
from glowtron.audio import FORMATS
from glowtron.config.synthesis import FASTEST, SLOWEST, SynthesisOptions
from glowtron.errors import InputError
from glowtron.serve.loudspeaker import Loudspeaker
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import ServedVoice, VoiceShelf

T = TypeVar("T")

try:
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError as _error:
    raise InputError("the MCP server needs the package mcp: pip install 'glowtron[mcp]'") from _error

Text = Annotated[str, Field(description="Plain English text of any length; figures and abbreviations are read out.")]
VoiceName = Annotated[str, Field(description="A name that the tool `voices` lists; empty: the first.")]
Speed = Annotated[float, Field(description="1 is the speaker's own speed.", ge=SLOWEST, le=FASTEST)]

INSTRUCTIONS = (
    "Speaks text aloud on the user's machine. Give whole sentences. Use `speak` to be heard, `save` for a file, `stop`"
    " to be silent at once."
)


class SpeakingTools:
    """Work of the tools, done in threads so that `stop` is heard."""

    def __init__(self, settings: ServerSettings, folder: Path, player: str | None) -> None:
        """folder: where files may be written. player: see `Loudspeaker`."""
        self._settings, self._folder = settings, folder.resolve()
        self._loudspeaker, self._loading = Loudspeaker(player), Lock()

    @cached_property
    def _shelf(self) -> VoiceShelf:
        return VoiceShelf(self._settings)

    def load(self) -> VoiceShelf:
        """The voices, which are loaded once."""
        with self._loading:
            return self._shelf

    def speak(self, text: str, voice: str, speed: float) -> str:
        """Play a text as it is made."""
        served, options = self._find(voice), self._options(voice, speed)
        served.voice.sentences(text)  # Which raises where there is nothing to say.
        stop = Event()
        played = self._loudspeaker.play(served.voice.stream(text, options, stop=stop), stop)
        if played.was_stopped:
            return f"stopped after {played.duration_s:.1f} s were made"
        return f"spoke {played.duration_s:.1f} s as {served.id}"

    def save(self, text: str, path: str, voice: str, speed: float, overwrite: bool) -> str:
        """Write a text as a sound file under the folder."""
        target = (self._folder / path).resolve()
        if not target.is_relative_to(self._folder):
            raise InputError(f"{path}: files are written under {self._folder} only")
        if target.suffix.lower() not in FORMATS:
            raise InputError(f"{path}: name a sound file, one of {', '.join(FORMATS)}")
        if target.exists() and not overwrite:
            raise InputError(f"{path}: is there already; set overwrite to replace it")
        served = self._find(voice)
        (audio,) = served.voice.say_many([text], self._options(voice, speed), workers=1)
        target.parent.mkdir(parents=True, exist_ok=True)
        audio.write(target)
        return f"wrote {target}: {audio.duration_s:.1f} s as {served.id}"

    def voices(self) -> str:
        """A line for each speaker."""
        lines = []
        for served in self.load().speakers:
            whole = served.voice.config.description.split(". ")[0].rstrip(".")
            lines.append(f"{served.id}: {whole}" if whole else served.id)
        return "\n".join(lines)

    def stop(self) -> str:
        """Silence."""
        n_stopped = self._loudspeaker.stop()
        return f"stopped {n_stopped}" if n_stopped else "nothing was playing"

    def _find(self, voice: str) -> ServedVoice:
        shelf = self.load()
        served = shelf.find(voice) if voice.strip() else shelf.default
        if served is None:
            raise InputError(f"there is no voice '{voice}'; there are {', '.join(shelf.voices)}")
        return served

    def _options(self, voice: str, speed: float) -> SynthesisOptions:
        return SynthesisOptions(speaker=self._find(voice).speaker, rate=speed)


def make_mcp_server(tools: SpeakingTools) -> MCPServer:
    """The server, ready to run."""
    server = MCPServer(
        "glowtron", title="Glowtron", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )

    async def in_thread(work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except InputError as error:
            raise ToolError(str(error)) from error

    @server.tool()
    async def speak(text: Text, voice: VoiceName = "", speed: Speed = 1.0) -> str:
        """Say a text aloud on this machine. Returns when it was heard, or stopped. Calls are spoken in order."""
        return await in_thread(lambda: tools.speak(text, voice, speed))

    @server.tool()
    async def save(
        text: Text,
        path: Annotated[str, Field(description="A file name ending in .wav, .flac, .mp3, .opus or .ogg.")],
        voice: VoiceName = "",
        speed: Speed = 1.0,
        overwrite: bool = False,
    ) -> str:
        """Write a text as a sound file, without playing it."""
        return await in_thread(lambda: tools.save(text, path, voice, speed, overwrite))

    @server.tool()
    async def voices() -> str:
        """List the voices, one a line."""
        return await in_thread(tools.voices)

    @server.tool()
    async def stop() -> str:
        """Be silent at once: ends what is being spoken and what waits to be."""
        return tools.stop()

    return server
