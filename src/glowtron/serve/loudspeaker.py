"""Sound played on this machine, by a player that takes samples on its standard input."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterable
from threading import Event, Lock
from typing import NamedTuple

from glowtron.audio import Audio
from glowtron.errors import InputError

PLAYERS = (
    "pw-cat --playback --format s16 --rate {rate} --channels 1 -",
    "paplay --raw --format=s16le --rate={rate} --channels=1",
    "aplay -q -t raw -f S16_LE -r {rate} -c 1",
    "play -q -t raw -r {rate} -e signed -b 16 -c 1 -",
    "ffplay -nodisp -autoexit -loglevel quiet -f s16le -ar {rate} -i -",
)
"""Commands that play 16-bit mono samples from standard input, in the order in which they are looked for."""


class Played(NamedTuple):
    """The part of the sound that was played."""

    duration_s: float
    """Seconds of sound that the player was given."""
    was_stopped: bool


def find_player(command: str | None = None) -> str:
    """The player to use: the given command, or the first one that is installed. Raises InputError if there is none."""
    for candidate in (command,) if command else PLAYERS:
        if candidate and shutil.which(shlex.split(candidate)[0]):
            return candidate
    if command:
        raise InputError(f"there is no program '{shlex.split(command)[0]}' to play sound")
    names = ", ".join(shlex.split(player)[0] for player in PLAYERS)
    raise InputError(f"no program to play sound is installed ({names}); install one, or name one by `player`")


class Loudspeaker:
    """Plays one sound at a time; any thread may stop it."""

    def __init__(self, player: str | None = None) -> None:
        """player: a command that takes 16-bit mono samples on standard input, with `{rate}` for their rate in Hz."""
        self._player = player
        self._turn = Lock()
        self._stops: set[Event] = set()

    def play(self, pieces: Iterable[Audio], stop: Event) -> Played:
        """Play a sound as it comes, once what plays is done; setting `stop` ends it at once.

        Raises InputError if there is no player, or it fails.
        """
        command = find_player(self._player)
        self._stops.add(stop)
        try:
            with self._turn:
                return _play(command, pieces, stop)
        finally:
            self._stops.discard(stop)

    def stop(self) -> int:
        """Stop what plays and what waits; returns how many."""
        stopped = [stop for stop in tuple(self._stops) if not stop.is_set()]
        for stop in stopped:
            stop.set()
        return len(stopped)


def _play(command: str, pieces: Iterable[Audio], stop: Event) -> Played:
    duration_s = 0.0
    process: subprocess.Popen[bytes] | None = None
    try:
        for piece in pieces:
            if stop.is_set():
                break
            if process is None:
                words = [word.replace("{rate}", str(piece.sample_rate)) for word in shlex.split(command)]
                process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            assert process.stdin is not None
            data = piece.pcm16().astype("<i2").tobytes()
            for start in range(0, len(data), 8192):
                if stop.is_set():
                    break
                process.stdin.write(data[start : start + 8192])
            duration_s += piece.duration_s
        if process is not None:
            _wait(process, stop)
    except BrokenPipeError:
        pass  # What it died of tells its exit status.
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
    if process is not None and process.returncode and not stop.is_set():
        raise InputError(f"'{shlex.split(command)[0]}' cannot play (exit status {process.returncode}); try `player`")
    return Played(duration_s, stop.is_set())


def _wait(process: subprocess.Popen[bytes], stop: Event) -> None:
    """Until the player has played what it holds, or is to stop."""
    assert process.stdin is not None
    process.stdin.close()
    while process.poll() is None and not stop.wait(0.02):
        pass
