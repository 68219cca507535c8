"""Untidy recordings, which several tests make corpora of."""

import numpy as np
import soundfile

RATE = 16_000


def record(path, seconds=1.5, text=None, seed=0, level=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    speech = level * rng.standard_normal(int(seconds * RATE))
    soundfile.write(path, np.concatenate([np.zeros(RATE), speech, np.zeros(RATE)]), RATE)
    if text is not None:
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
    return path


def untidy(folder):
    """Three recordings that make clips, r0 to r2, and eight that do not, each for a reason of its own."""
    for i in range(3):
        record(folder / f"r{i}.wav", 1.0 + i, f"This is number {i}.", i)
    record(folder / "silent.wav", level=0.0, text="Nothing.")
    record(folder / "untold.wav")
    record(folder / "dots.wav", text=" ... ")
    record(folder / "bars.wav", text="One|two")
    record(folder / "loud.wav", level=3.0, text="Loud.")
    record(folder / "long.flac", 14.0, text="Long.")
    record(folder / "brief.ogg", 0.1, text="Brief.")
    (folder / "broken.mp3").write_bytes(b"nothing like it")
    (folder / "broken.txt").write_text("Broken.")
    return folder
