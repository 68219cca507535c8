"""One recording of one's own: what is wrong with it, and the clip that becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio, read_audio, read_header
from glowtron.data.loudness import loudness, true_peak
from glowtron.data.manifest import SILENT_PEAK, Clip
from glowtron.data.trimming import speech_span
from glowtron.errors import InputError

PEAK_DB = -1.0
"""dB of full scale that no clip's true peak exceeds, as EBU R 128 has it."""

_LONGEST_READ_S = 300.0
"""Seconds from which on a recording is not even decoded: hours of one would fill the memory."""
_RUN = 3
"""Samples in a row at a recording's own peak that no sound has, only a converter at its limit."""
_CLIPPED = 6
"""Samples in such runs from which on a recording is clipped; of 1,457 clean clips none has one."""
_LOUD_ENOUGH = 0.1
"""Recordings that peak lower have few levels, and so equal samples, without being clipped."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Requirements of clips."""

    sample_rate: int = 22_050
    """Hz."""
    shortest_s: float = 0.5
    """Seconds, after trimming."""
    longest_s: float = 12.0
    loudness: float = -23.0
    """LUFS (ITU-R BS.1770) that every clip is brought to, as broadcasters do (EBU R 128); LJSpeech is at -22."""

    def __post_init__(self) -> None:
        if not 8000 <= self.sample_rate <= 192_000:
            raise InputError(f"a sample rate of {self.sample_rate} Hz is not usual; give 22050, as the recipes have")
        if not 0 < self.shortest_s < self.longest_s:
            raise InputError(f"clips of {self.shortest_s:g} to {self.longest_s:g} s: the first must be over 0 and less")
        if not self.longest_s <= _LONGEST_READ_S:
            raise InputError(f"clips of up to {self.longest_s:g} s are no sentences; give 12 or thereabouts")
        if not -70 < self.loudness < 0:
            raise InputError(f"a loudness of {self.loudness:g} LUFS is none; give -23 or thereabouts")


class Fault(NamedTuple):
    """Why a recording makes no clip."""

    reason: str
    """One of few words, so that faults can be counted."""
    detail: str


class Examined(NamedTuple):
    """A recording that makes a clip."""

    audio: Audio
    recorded_s: float
    """Seconds, before trimming."""
    recorded_rate: int
    """Hz."""
    loudness: float
    """LUFS, before levelling."""
    gain_db: float
    """Gain of levelling."""
    limited: bool
    """True if the true peak limited the gain."""


def examine(clip: Clip, rules: Rules) -> Examined | Fault:
    """Read, judge, trim, resample and level one recording."""
    try:
        header = read_header(clip.audio)
        if 0 < _LONGEST_READ_S * header.sample_rate < header.n_samples:
            return Fault("too long", f"{header.n_samples / header.sample_rate / 60:.0f} min; cut it into sentences")
        recorded = read_audio(clip.audio)
    except InputError as error:
        return Fault("unreadable", str(error).removeprefix(f"{clip.audio}: "))
    if (n := clipped_samples(recorded.samples)) >= _CLIPPED:
        peak_db = 20 * math.log10(float(np.abs(recorded.samples).max()))
        return Fault("clipped", f"{n} samples are cut off at {peak_db:.1f} dB of full scale")
    centred = Audio(recorded.samples - np.float32(recorded.samples.mean(dtype=np.float64)), recorded.sample_rate)
    if float(np.abs(centred.samples).max()) < SILENT_PEAK:
        return Fault("silent", f"never over {SILENT_PEAK:g} of full scale")
    span = speech_span(centred)
    speech = Audio(centred.samples[span.start : span.end], recorded.sample_rate).resample(rules.sample_rate)
    if speech.duration_s < rules.shortest_s:
        return Fault("too short", f"{speech.duration_s:.2f} s of sound, under {rules.shortest_s:g} s")
    if speech.duration_s > rules.longest_s:
        return Fault(
            "too long", f"{speech.duration_s:.2f} s of sound, over {rules.longest_s:g} s; cut it into sentences"
        )
    if (level := loudness(speech)) == -math.inf:
        return Fault("silent", "under -70 LUFS throughout")
    room_db = PEAK_DB - 20 * math.log10(true_peak(speech))
    gain_db = min(rules.loudness - level, room_db)
    levelled = Audio(speech.samples * np.float32(10 ** (gain_db / 20)), speech.sample_rate)
    limited = room_db < rules.loudness - level
    return Examined(levelled, recorded.duration_s, recorded.sample_rate, level, gain_db, limited)


def clipped_samples(samples: NDArray[np.float32]) -> int:
    """Samples in runs of three and more that stay exactly at the recording's peak, as what a converter cuts off does.

    Found of a recording that was made quieter since, too; not of one that was resampled or encoded with losses since.
    """
    magnitude = np.abs(samples)
    peak = magnitude.max(initial=0.0)
    if peak < _LOUD_ENOUGH:
        return 0
    at_peak = np.concatenate([[0], (magnitude >= peak - 1e-6).astype(np.int8), [0]])
    edges = np.diff(at_peak)
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths[lengths >= _RUN].sum())
