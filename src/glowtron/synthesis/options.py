"""What a user may ask of speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from glowtron.config import ProsodyOptions
from glowtron.errors import InputError, nearest

VOCODERS = ("waveglow", "griffin-lim")
SLOWEST, FASTEST = 0.7, 1.4
"""Rates at which speech still sounds like speech; see docs/adr/0007."""


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
        if not SLOWEST <= self.rate <= FASTEST:  # NaN is refused too.
            raise InputError(f"rate must be from {SLOWEST} to {FASTEST}, got {self.rate}")
        for name, high in (("sigma", 2), ("correction", 100), ("denoise", 10), ("pause_s", 60), ("attempts", 20)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= high:
                raise InputError(f"{name} must be from 0 to {high}, got {value}")
        for name, low, high in (("pitch", -12, 12), ("pitch_range", 0, 3), ("energy", -12, 12)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} must be from {low} to {high}, got {getattr(self, name)}")
        if self.max_frames is not None and self.max_frames < 1:
            raise InputError(f"max_frames must be 1 at least, got {self.max_frames}")
        if self.vocoder not in (None, *VOCODERS):
            raise InputError(f"unknown vocoder '{self.vocoder}'{nearest(self.vocoder, VOCODERS)}")

    @property
    def prosody(self) -> ProsodyOptions:
        """Changes of what the acoustic model predicts."""
        return ProsodyOptions(rate=self.rate, pitch=self.pitch, pitch_range=self.pitch_range, energy=self.energy)


DEFAULTS = SynthesisOptions()
