"""The voices that a server speaks with, and the names by which clients ask for them."""

from __future__ import annotations

from typing import NamedTuple

from glowtron.errors import InputError
from glowtron.machine import usable_cores
from glowtron.serve.settings import STANDARD_VOICES, ServerSettings
from glowtron.voice import Voice


class ServedVoice(NamedTuple):
    """A speaker of a voice."""

    id: str
    """Name by which clients ask for it: no spaces, commas or slashes."""
    voice: Voice
    speaker: str | None
    """None: the voice tells none apart."""


class VoiceShelf:
    """Loaded voices by their ids and aliases."""

    def __init__(self, settings: ServerSettings) -> None:
        """Load all voices. Raises InputError for one that cannot be loaded, and for an alias that leads nowhere."""
        self.loaded = [Voice.load(name, device=settings.device) for name in settings.voices or (None,)]
        self.voices: dict[str, ServedVoice] = {}
        """By id: `NAME` (its first speaker), and `NAME-SPEAKER` for each."""
        for voice in self.loaded:
            _ = voice.frontend  # What lacks an acoustic model cannot be served.
            name = _as_id(voice.config.name)
            if name in self.voices:
                raise InputError(f"two voices are called '{name}'; rename one in its voice.json")
            self.voices[name] = ServedVoice(name, voice, voice.speakers[0] if voice.speakers else None)
            if len(voice.speakers) > 1:
                for speaker in voice.speakers:
                    id = f"{name}-{_as_id(speaker)}"
                    self.voices[id] = ServedVoice(id, voice, speaker)
        whole = {_as_id(voice.config.name) for voice in self.loaded if len(voice.speakers) > 1}
        self.speakers = [one for one in self.voices.values() if one.id not in whole]
        """Each speaker once."""
        self.aliases = self._aliases(settings)
        """Alias -> id."""

    def _aliases(self, settings: ServerSettings) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self.speakers:  # The speaker's name alone, where it is no one else's.
            if one.speaker and sum(other.speaker == one.speaker for other in self.speakers) == 1:
                found[_as_id(one.speaker)] = one.id
        for place, name in enumerate(STANDARD_VOICES):
            found[name] = self.speakers[place % len(self.speakers)].id
        for alias, id in settings.aliases.items():
            if id not in self.voices and id not in found:
                raise InputError(f"alias {alias}={id}: there is no voice '{id}'; there are {', '.join(self.voices)}")
            found[alias] = found.get(id, id)
        return {alias: id for alias, id in found.items() if alias not in self.voices}

    def find(self, name: str) -> ServedVoice | None:
        """A voice by its id or alias, in any case."""
        wanted = name.strip()
        for known in (wanted, wanted.lower()):
            if served := self.voices.get(self.aliases.get(known, known)):
                return served
        return None

    @property
    def default(self) -> ServedVoice:
        """The first one."""
        return next(iter(self.voices.values()))

    @property
    def threads(self) -> int:
        """Sentences that are best spoken at once: as many as there are cores, but one where products use all cores."""
        alone = all(voice.runtime.is_small and str(voice.runtime.device) == "cpu" for voice in self.loaded)
        return usable_cores() if alone else 1


def _as_id(name: str) -> str:
    return "".join(character if character.isalnum() or character in "._-" else "-" for character in name.lower())
