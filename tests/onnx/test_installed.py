"""What `pip install 'glowtron[onnx]'` brings: no torch, not much else, and the sound of the voice that ships."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glowtron import Voice
from glowtron.audio import read_audio

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 195
"""What it is, and a little room. The aim is 150, of which onnxruntime and NumPy are 141."""
TEXT = "A small voice without torch."


@pytest.mark.slow
def test_a_fresh_installation_without_torch_speaks(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    before = size_mb(packages)
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", f"{ROOT}[onnx]"]
    done = subprocess.run(install, capture_output=True, text=True, env=environment)
    if done.returncode and ("No matching distribution" in done.stderr or "Could not find" in done.stderr):
        pytest.skip("no package index can be reached from here")
    assert done.returncode == 0, done.stderr
    assert not (packages / "torch").exists()
    assert size_mb(packages) - before <= MOST_MB
    wav = tmp_path / "said.wav"
    command = [python, "-m", "glowtron", "say", TEXT, "-o", wav]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    wanted = Voice.load("duet", runtime="torch", device="cpu", precision="fp32").say(TEXT).samples
    found = read_audio(wav).samples
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-3, "16 bits, and what is added up in another order"


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6
