"""Sounds that check how somebody listens, all of them generated: tones for headphones, noise to set the volume by, and
spoken requests between the trials that show who attends.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.listen.methods import Method

HEADPHONE_TRIALS = 6
HEADPHONE_RIGHT = 5
"""Trials to get right (Woods, Siegel, Traer and McDermott 2017)."""
_TONE_HZ, _TONE_S, _RAMP_S, _GAP_S = 200.0, 1.0, 0.1, 0.5
_SOFTER_DB = -6.0
_TONE_PEAK = 0.25
_CUT = 0.4
"""Share of a clip that is heard before a request interrupts it."""
_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}

Say = Callable[[str], Audio]


def headphone_trials(seed: int, sample_rate: int) -> list[tuple[NDArray[np.float32], int]]:
    """Stereo sounds (L, 2) of three tones each, and the place (0, 1, 2) of the softest.

    One of the others is in antiphase: over loudspeakers its two sides meet in the air and cancel, so that it seems the
    softest; over headphones they do not (Woods et al. 2017).
    """
    draw = random.Random(f"{seed} headphones")
    softest = [k % 3 for k in range(HEADPHONE_TRIALS)]
    draw.shuffle(softest)
    return [
        (_three_tones(place, draw.choice([p for p in range(3) if p != place]), sample_rate), place) for place in softest
    ]


def _three_tones(softest: int, antiphase: int, sample_rate: int) -> NDArray[np.float32]:
    time = np.arange(round(_TONE_S * sample_rate)) / sample_rate
    ramp = np.minimum(1.0, np.minimum(time, time[::-1]) / _RAMP_S)
    tone = _TONE_PEAK * np.sin(2 * np.pi * _TONE_HZ * time) * np.sin(np.pi / 2 * ramp) ** 2
    gap = np.zeros((round(_GAP_S * sample_rate), 2))
    parts = []
    for place in range(3):
        gain = 10 ** (_SOFTER_DB / 20) if place == softest else 1.0
        sides = np.stack([tone, -tone if place == antiphase else tone], axis=1) * gain
        parts += [sides, gap]
    return np.concatenate(parts[:-1]).astype(np.float32)


def volume_noise(seed: int, sample_rate: int, seconds: float = 5.0) -> Audio:
    """Noise with about the long-term spectrum of speech (level to 500 Hz, then falling by 9 dB an octave)."""
    n = round(seconds * sample_rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    hertz = np.fft.rfftfreq(n, 1 / sample_rate)
    shape = np.where(hertz < 80, 0.0, np.minimum(1.0, (np.maximum(hertz, 1.0) / 500) ** -1.5))
    noise = np.fft.irfft(spectrum * shape, n)
    return Audio((0.1 * noise / np.sqrt(np.mean(noise**2))).astype(np.float32), sample_rate)


def attention_clips(method: Method, clip: Audio, say: Say, draw: random.Random) -> list[tuple[Audio, float]]:
    """The clips of a trial that asks for certain answers, each with the value to give; of a pair, both have the one.

    A single clip or a pair begins like any other and is then interrupted by the request. clip: any of the test's.
    """
    rate = clip.sample_rate
    start = Audio(clip.samples[: round(_CUT * len(clip.samples))], rate)
    if method.kind == "single":
        number = draw.choice([2, 4])
        word = dict(method.labels)[number].split(":")[0].lower()
        asked = say(f"Attention, please. Choose {_NUMBERS[number]}, {word}, whatever you heard.").resample(rate)
        return [(_joined(start, asked), float(number))]
    if method.kind == "pair":
        value = draw.choice([method.low, method.high])
        words = dict(method.labels)[value].lower()
        asked = say(f"Attention, please. Choose: {words}. Whatever you heard.").resample(rate)
        return [(clip, float(value)), (_joined(start, asked), float(value))]
    clips = [(say("Attention, please. Set this slider to zero.").resample(rate), method.low)]
    clips.append((say("Attention, please. Set this slider to one hundred.").resample(rate), method.high))
    draw.shuffle(clips)
    return clips


def _joined(first: Audio, second: Audio) -> Audio:
    n_fade = min(len(first.samples), first.sample_rate // 50)
    samples = first.samples.copy()
    if n_fade:
        samples[-n_fade:] *= np.linspace(1, 0, n_fade, dtype=np.float32)
    pause = np.zeros(first.sample_rate // 4, np.float32)
    return Audio(np.concatenate([samples, pause, second.samples]), first.sample_rate)
