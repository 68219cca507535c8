"""What a user may ask of speech."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Literal

from glowtron.config import ProsodyOptions
from glowtron.errors import InputError, nearest

VOCODERS = ("waveglow", "griffin-lim")
SLOWEST, FASTEST = 0.7, 1.4
"""Rates at which speech still sounds like speech; see docs/adr/0007."""
LIMITS: dict[str, tuple[float, float]] = {
    "rate": (SLOWEST, FASTEST),
    "pause_s": (0, 60),
    "sigma": (0, 2),
    "correction": (0, 100),
    "denoise": (0, 10),
    "attempts": (0, 20),
    "pitch": (-12, 12),
    "pitch_range": (0, 3),
    "energy": (-12, 12),
}
"""The least and the greatest value of an option, here and on the command line."""

_PROSODY = ("rate", "pitch", "pitch_range", "energy")


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """How a text is spoken."""

    speaker: str | None = None
    """One of the voice's speakers; None: its first."""
    rate: float = 1.0
    """Speed, from 0.7 to 1.4; the pitch stays. Pauses go with it."""
    pitch: float = 0.0
    """Semitones, from -12 to 12, by which a voice that predicts pitch speaks higher."""
    pitch_range: float = 1.0
    """Such a voice's melody moves this many times as far, from 0 to 3; 0 is a monotone."""
    energy: float = 0.0
    """Decibels, from -12 to 12, by which a voice that predicts energy speaks up: more effortful, not only louder."""
    pause_s: float = 0.4
    """Seconds of silence between sentences at rate 1; the others follow it (`glowtron.synthesis.trimming.pause`)."""
    vocoder: Literal["waveglow", "griffin-lim"] | None = None
    """What turns mels into sound; None: the voice's own. Griffin-Lim needs no weights and does for any voice."""
    sigma: float | None = None
    """Standard deviation of WaveGlow's noise, from 0 to 2: 1.0 in training, calmer below; None: the voice's own."""
    correction: int | None = None
    """Rounds, up to 100, in which WaveGlow's sound is brought back to its mel; None: as the voice has it."""
    denoise: float = 0.0
    """How much of WaveGlow's answer to an empty mel is taken off the spectrum of what it says; 0: nothing."""
    seed: int = 0
    """The same text, options and seed give the same audio on the same machine."""
    max_frames: int | None = None
    """Mel frames at which a sentence that does not stop is cut; None: the voice's own limit."""
    attempts: int | None = None
    """Takes of a sentence until one has no fault, before it is split, up to 20; 0: one, whatever its faults; None: as
    the voice has it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), str(field.type))
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # NaN is refused too.
                raise InputError(f"{name} must be from {low} to {high}, got {value}")
        if self.seed < 0:
            raise InputError(f"seed must be 0 or more, got {self.seed}")
        if self.max_frames is not None and self.max_frames < 1:
            raise InputError(f"max_frames must be 1 at least, got {self.max_frames}")
        if self.vocoder not in (None, *VOCODERS):
            raise InputError(f"unknown vocoder '{self.vocoder}'{nearest(self.vocoder, VOCODERS)}")

    @property
    def prosody(self) -> ProsodyOptions:
        """Changes of what the acoustic model predicts."""
        return ProsodyOptions(rate=self.rate, pitch=self.pitch, pitch_range=self.pitch_range, energy=self.energy)


def within_limits(prosody: ProsodyOptions) -> ProsodyOptions:
    """The nearest changes that a caller may ask for."""
    limited = {name: min(max(getattr(prosody, name), LIMITS[name][0]), LIMITS[name][1]) for name in _PROSODY}
    return ProsodyOptions(pause=prosody.pause, **limited)


def _check_type(name: str, value: object, annotation: str) -> None:
    """Raise InputError if an option's value is not of the type that its annotation names."""
    if value is None and annotation.endswith("| None"):
        return
    kind: type = str
    words = "a text"
    if annotation.startswith("float"):
        kind, words = Real, "a number"
    elif annotation.startswith("int"):
        kind, words = Integral, "a whole number"
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"{name} must be {words}, got {value!r}")


DEFAULTS = SynthesisOptions()
