"""Fixtures that every test may use."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """A path in the folder of reference data beside the checkout; the test is skipped where it is missing."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs ../shared/{name}, which is not beside this checkout")
        return path

    return find


@pytest.fixture
def tiny_corpus(tmp_path: Path) -> Path:
    """A folder in LJSpeech's layout with eight clips of 0.2 to 0.9 s, tones with a little noise, in WAV and FLAC."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for i in range(8):
        time = np.arange(int(22_050 * (0.2 + 0.1 * i))) / 22_050
        wave = 0.3 * np.sin(2 * np.pi * (200 + 50 * i) * time) + 0.01 * rng.standard_normal(len(time))
        soundfile.write(folder / "wavs" / f"tiny-{i}.{'wav' if i % 2 else 'flac'}", wave, 22_050, "PCM_16")
        lines.append(f"tiny-{i}|No. {i}.|Number {'one two three four five six seven eight'.split()[i]}.\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder
