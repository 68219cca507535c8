"""The MCP server in a process of its own, driven by the client of the official package."""

import asyncio
import os
import shlex
import sys
from pathlib import Path

import mcp
import numpy as np
import pytest
import soundfile

from glowtron import Voice

PLAYER = (
    "import pathlib, sys, time\n"
    "out = pathlib.Path(sys.argv[1])\n"
    "whole = b''\n"
    "while data := sys.stdin.buffer.read1(4096):\n"
    "    whole += data\n"
    "    out.write_bytes(whole)\n"
    "    time.sleep(float(sys.argv[2]))\n"
)
"""Plays into a file, slowly where it is told to."""


def server(voice: Path, folder: Path, delay_s: float = 0.0) -> mcp.StdioServerParameters:
    program = folder / "player.py"
    program.write_text(PLAYER)
    player = f"{shlex.quote(sys.executable)} {program} {folder / 'heard.pcm'} {delay_s}"
    arguments = ["-m", "glowtron", "mcp", "--voice", str(voice), "--device", "cpu", "--folder", str(folder)]
    arguments += ["--player", player]
    return mcp.StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))


def said(result: object) -> str:
    assert not result.is_error, result.content[0].text
    (content,) = result.content
    return content.text


def test_a_client_finds_the_tools_is_heard_gets_files_and_stops_it(tiny_voice, tmp_path):
    async def talk() -> None:
        async with mcp.Client(server(tiny_voice, tmp_path, delay_s=0.05)) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"speak", "save", "voices", "stop"}
            assert all(tool.description for tool in tools.values())
            assert tools["speak"].input_schema["required"] == ["text"]
            names = said(await client.call_tool("voices", {})).splitlines()
            assert [name.split(":")[0] for name in names] == ["tiny-ann", "tiny-bob"]
            assert said(await client.call_tool("speak", {"text": "One. Two.", "voice": "tiny-bob"})) == (
                "spoke 0.9 s as tiny-bob"
            )
            heard = np.frombuffer((tmp_path / "heard.pcm").read_bytes(), "<i2")
            wanted = Voice.load(tiny_voice, device="cpu").say("One. Two.", speaker="bob").pcm16()
            np.testing.assert_allclose(heard, wanted, atol=2)
            assert said(await client.call_tool("stop", {})) == "nothing was playing"
            await write(client, tmp_path)
            await stop(client, tmp_path)

    async def write(client: mcp.Client, tmp_path: Path) -> None:
        """Files are written in the folder and nowhere else."""
        answer = said(await client.call_tool("save", {"text": "Three.", "path": "a/three.flac", "speed": 1.2}))
        assert answer.startswith(f"wrote {tmp_path / 'a' / 'three.flac'}: 0.2 s as tiny")
        assert soundfile.info(tmp_path / "a" / "three.flac").frames > 0
        for arguments, message in [
            ({"path": "../out.wav"}, "files are written under"),
            ({"path": "/tmp/out.wav"}, "files are written under"),
            ({"path": "x.txt"}, "name a sound file"),
            ({"path": "a/three.flac"}, "is there already"),
            ({"path": "x.wav", "voice": "nobody"}, "there is no voice 'nobody'; there are tiny"),
            ({"path": "x.wav", "text": "..."}, "nothing"),
            ({"path": "x.wav", "speed": 9}, "1.4"),
        ]:
            result = await client.call_tool("save", {"text": "Hello.", **arguments})
            assert result.is_error and message in result.content[0].text
        assert said(await client.call_tool("save", {"text": "4.", "path": "a/three.flac", "overwrite": True}))

    async def stop(client: mcp.Client, tmp_path: Path) -> None:
        """It is heard while it speaks, and nothing follows."""
        (tmp_path / "heard.pcm").unlink()
        speaking = [asyncio.create_task(client.call_tool("speak", {"text": "One. " * 200})) for _ in range(2)]
        while not (tmp_path / "heard.pcm").exists():
            await asyncio.sleep(0.02)
        started = asyncio.get_running_loop().time()
        assert said(await client.call_tool("stop", {})) == "stopped 2"
        answers = [said(await task) for task in speaking]
        assert asyncio.get_running_loop().time() - started < 5
        assert all(answer.startswith("stopped after ") for answer in answers)
        heard = (tmp_path / "heard.pcm").stat().st_size
        await asyncio.sleep(0.3)
        assert (tmp_path / "heard.pcm").stat().st_size == heard < 200 * 2 * 20 * 256

    asyncio.run(talk())
    assert not (tmp_path.parent / "out.wav").exists() and not (tmp_path / "x.wav").exists()


def test_without_a_player_or_a_folder_it_says_so(tiny_voice, tmp_path, capsys):
    from glowtron.cli import main
    from glowtron.errors import InputError
    from glowtron.serve.loudspeaker import find_player

    with pytest.raises(SystemExit) as exit_:
        main(["mcp", "--folder", str(tmp_path / "none")])
    assert exit_.value.code == 2 and "no such folder" in capsys.readouterr().err
    with pytest.raises(InputError, match="there is no program 'nothing-like-it'"):
        find_player("nothing-like-it --raw")
