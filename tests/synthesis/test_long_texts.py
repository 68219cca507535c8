"""A long text takes no more memory than a short one, and ends where its listener goes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

STATM = Path("/proc/self/statm")
pytestmark = pytest.mark.skipif(not STATM.exists(), reason="needs a system that tells the memory of a process in /proc")

SENTENCE_S = 1.0
"""Seconds of speech that a sentence of the tiny voice has at least, on average."""
SAMPLE_BYTES_PER_S = 2 * 22_050
MOST_KB = 8_000
"""That memory may grow by: half of what three minutes of sound are, in float32 or as PCM twice over."""
MINUTES = [3, pytest.param(20, marks=pytest.mark.slow)]
WORDS = "a river ran on to the sea because it had nowhere else where anybody could ever have wanted it more".split()


def long_text(minutes: int) -> str:
    """Thirty sentences in ever another order: for each number of symbols that it meets, oneDNN keeps an LSTM."""
    drawn = random.Random(0)
    sentences = [" ".join(drawn.choices(WORDS, k=3 + i % 10)).capitalize() + "." for i in range(30)]
    return " ".join(drawn.choices(sentences, k=round(60 * minutes / SENTENCE_S)))


def assert_level(sizes_kb: list[int]) -> None:
    """Whether memory stays where it was after the first third."""
    n_first = len(sizes_kb) // 3
    assert n_first > 5
    assert max(sizes_kb[n_first:]) - max(sizes_kb[:n_first]) < MOST_KB


_STREAM = """
import gc, json, sys
from pathlib import Path
import torch
from glowtron import Voice
voice = Voice.load(sys.argv[1], device="cpu", precision="fp32")
sizes_kb, n_tensors = [], []
def look(_):
    sizes_kb.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4)
    if len(sizes_kb) % 50 == 1:
        n_tensors.append(sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects()))
n_samples = sum(len(audio.samples) for audio in voice.stream(sys.stdin.read(), progress=look))
print(json.dumps([n_samples, sizes_kb, n_tensors]))
"""


@pytest.mark.parametrize("minutes", MINUTES)
def test_a_stream_holds_no_more_for_being_long(reader: Path, minutes: int) -> None:
    """In a process of its own, which tells what it holds after each sentence."""
    command = [sys.executable, "-c", _STREAM, reader]
    done = subprocess.run(command, input=long_text(minutes), capture_output=True, text=True, check=True)
    n_samples, sizes_kb, n_tensors = json.loads(done.stdout)
    assert n_samples > 60 * minutes * 22_050
    assert_level(sizes_kb)
    assert max(n_tensors[1:]) - min(n_tensors[1:]) < 10


@pytest.mark.parametrize("minutes", MINUTES)
def test_the_command_holds_no_more_and_ends_quietly_when_the_listener_goes(
    reader: Path, tmp_path: Path, minutes: int
) -> None:
    """The listener takes half of it, and looks at the memory of who speaks every second."""
    file = tmp_path / "long.txt"
    file.write_text(long_text(minutes), encoding="utf-8")
    command = [sys.executable, "-m", "glowtron", "say", "--stream", "--voice", reader, "--file", file]
    sizes_kb = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as speaker:
        assert speaker.stdout is not None and speaker.stderr is not None
        for _ in range(30 * minutes):
            assert len(speaker.stdout.read(SAMPLE_BYTES_PER_S)) == SAMPLE_BYTES_PER_S
            sizes_kb.append(int(Path(f"/proc/{speaker.pid}/statm").read_text().split()[1]) * 4)
        assert speaker.poll() is None
        speaker.stdout.close()
        assert speaker.wait(60) == 0
        assert speaker.stderr.read() == b""
    assert_level(sizes_kb)
