"""Small systems to listen to."""

from pathlib import Path

import numpy as np
import soundfile

from glowtron.audio import Audio

RATE = 16_000
NOISE = {"awful": 0.3, "clean": 0.0, "hiss": 0.02, "noisy": 0.08}


def say(text: str) -> Audio:
    """In place of a voice: a tone for each word."""
    time = np.arange(RATE // 10) / RATE
    words = [0.2 * np.sin(2 * np.pi * (150 + 10 * len(word)) * time) for word in text.split()]
    return Audio(np.concatenate(words).astype(np.float32), RATE)


def write_systems(folder: Path, n_items: int = 4, seconds: float = 0.4) -> dict[str, Path]:
    """Tones in noise, one folder for each of `NOISE`."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    for system, noise in NOISE.items():
        (folder / system).mkdir(parents=True)
        for i in range(n_items):
            wave = 0.3 * np.sin(2 * np.pi * (200 + 40 * i) * time) + noise * rng.standard_normal(len(time))
            soundfile.write(folder / system / f"item-{i}.wav", np.clip(wave, -1, 1), RATE)
    return {system: folder / system for system in NOISE}
