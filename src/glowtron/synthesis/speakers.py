"""Speakers of a voice: their names, and their rows in the embeddings of its two models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glowtron.config import WaveGlowConfig, WaveNetConfig
from glowtron.errors import InputError, nearest

if TYPE_CHECKING:
    from glowtron.config import VoiceFile


def names(voice: VoiceFile) -> tuple[str, ...]:
    """The default first: those that the acoustic model knows or, where there is none, the vocoder."""
    if voice.acoustic is not None:
        return voice.acoustic.speakers
    vocoder = voice.vocoder or voice.wavenet
    return vocoder.speakers if isinstance(vocoder, WaveGlowConfig | WaveNetConfig) else ()


def acoustic_row(voice: VoiceFile, name: str | None) -> int:
    """Of a speaker, or the default, in the acoustic model. Raises InputError for a name that it does not know."""
    return 0 if name is None else _row(voice, voice.acoustic.speakers if voice.acoustic else (), name)


def vocoder_row(voice: VoiceFile, name: str | None) -> int | None:
    """The same in the vocoder; None where all speakers are alike to it."""
    vocoder = voice.vocoder or voice.wavenet
    if isinstance(vocoder, WaveNetConfig):
        return row_of(vocoder, voice, name)
    if not isinstance(vocoder, WaveGlowConfig) or vocoder.n_speakers == 1:
        return None
    return _row(voice, vocoder.speakers, names(voice)[0] if name is None else name)


def row_of(sizes: WaveNetConfig, voice: VoiceFile, name: str | None) -> int | None:
    """The same in a WaveNet; a default that it does not know is its first."""
    if not sizes.speakers:
        return None
    if name is None:
        default = next(iter(names(voice)), None)
        return sizes.speakers.index(default) if default in sizes.speakers else 0
    return _row(voice, sizes.speakers, name)


def check_vocoder_knows(voice: VoiceFile, name: str | None) -> None:
    """Raise InputError for a name that means nothing to the vocoder alone."""
    if name is not None and vocoder_row(voice, name) is None:
        raise InputError(f"voice '{voice.name}': all speakers are alike to its vocoder; leave the speaker out")


def _row(voice: VoiceFile, known: tuple[str, ...], name: str) -> int:
    if name not in known:
        raise InputError(f"voice '{voice.name}' has no speaker '{name}'{nearest(name, known)}")
    return known.index(name)
