"""Options of speech, as Python, the command line and servers take them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from numbers import Integral, Real
from typing import Literal

from glowtron.config.models import ProsodyOptions
from glowtron.errors import InputError, nearest

VOCODERS = ("waveglow", "wavenet", "griffin-lim")
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
    "seed": (0, inf),
    "max_frames": (1, inf),
}
"""The least and the greatest value of an option, here and on the command line."""

_PROSODY = ("rate", "pitch", "pitch_range", "energy")


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """Options of speech. `LIMITS` has their ranges.

    Command line and documentation take their texts from here. What follows `None:` is the default there.
    """

    speaker: str | None = None
    """Name of the speaker, in a voice of several. None: the first."""
    rate: float = 1.0
    """Speed, as a multiple of the speaker's own; the pitch stays. Pauses follow it."""
    pitch: float = 0.0
    """Semitones by which a voice that predicts pitch speaks higher."""
    pitch_range: float = 1.0
    """Factor on the melody's distance from the mean pitch, in a voice that predicts pitch; 0 is a monotone."""
    energy: float = 0.0
    """Decibels by which a voice that predicts energy speaks up: with more effort, not only louder."""
    pause_s: float = 0.4
    """Seconds of silence between sentences, twice that between paragraphs, at rate 1."""
    vocoder: Literal["waveglow", "wavenet", "griffin-lim"] | None = None
    """Turns mels into sound; Griffin-Lim needs no weights and works for any voice. None: the voice's own."""
    sigma: float | None = None
    """Standard deviation of the vocoder's noise: 1.0 in training, calmer and duller below. None: the voice's own."""
    correction: int | None = None
    """Rounds that bring each band of WaveGlow's sound to the loudness in the mel; 0: none. None: the voice's own."""
    denoise: float = 0.0
    """Strength at which WaveGlow's bias, its answer to an empty mel, is taken off the spectrum; 0: not at all."""
    seed: int = 0
    """Seed of all noise: the same text, options and seed give the same audio on the same machine."""
    max_frames: int | None = None
    """Mel frames at which a sentence that does not stop is cut. None: the voice's own limit."""
    attempts: int | None = None
    """Attempts at a sentence that fails its checks, before it is split; 0: one, whatever its failures. None: the
    voice's own."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), str(field.type))
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # NaN is refused too.
                allowed = f"from {low} to {high}" if high < inf else f"{low} or more"
                raise InputError(f"{name} must be {allowed}, got {value}")
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
