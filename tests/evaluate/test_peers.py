"""The benchmark beside an outside program, here one that writes tones."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from glowtron.audio import Audio
from glowtron.errors import InputError

pytest.importorskip("pesq", reason="needs the extra 'eval'")

FILE = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "peers" / "piper.py"
TONES = """
import sys
import numpy as np, soundfile
lines, folder = sys.argv[1:]
for number, line in enumerate(open(lines).read().splitlines()):
    soundfile.write(f"{folder}/{number}.wav", np.zeros(100 * len(line)), 8000)
"""


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    if not FILE.is_file():
        pytest.skip("needs benchmarks/peers, which is not in the wheel")
    spec = importlib.util.spec_from_file_location("peers_piper", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not hasattr(__import__("os"), "sched_setaffinity"), reason="pins processes to a core, as on Linux")
def test_sounds_answer_texts_in_order(peers: ModuleType) -> None:
    system = peers.System("tones", [sys.executable, "-c", TONES, "LINES", "FOLDER"], [])
    speech = peers.speak(system, ["four", "sixsix", "a"])
    assert [len(audio.samples) for audio in speech.audios] == [400, 600, 100]
    assert speech.run.wall_s > 0 and speech.run.cpu_s > 0 and speech.run.memory_mb > 1
    silent = peers.System("silent", [sys.executable, "-c", ""], [])
    with pytest.raises(InputError, match="silent: 0 sounds of 1 texts"):
        peers.speak(silent, ["a"])
    failing = peers.System("broken", [sys.executable, "-c", "raise SystemExit('no voice')"], [])
    with pytest.raises(InputError, match="no voice"):
        peers.speak(failing, ["a"])


def test_the_cost_of_a_sentence_leaves_the_start_out(peers: ModuleType, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(bytes(2_000_000))
    one = peers.Speech([Audio([0.0] * 8000, 8000)], peers.Run(2.0, 1.5, 100.0))
    whole = peers.Speech([Audio([0.0] * 8000, 8000)] * 11, peers.Run(3.0, 2.0, 200.0))
    figures = peers.speed(peers.System("x", [], [model]), [], [(one, whole)])
    assert figures == {"rtf": 0.1, "cpu_rtf": 0.05, "cold_start_s": 2.0, "memory_mb": 200.0, "size_mb": 2.0}


def test_the_table_has_the_rows_that_are_known(peers: ModuleType) -> None:
    text = peers.table({"real": {"word_error_rate": 0.015}, "Piper": {"word_error_rate": 0.02, "rtf": 0.13}})
    assert "| word error rate | 1.5 % | 2.0 % |" in text
    assert "| real-time factor, one core |  | 0.130 |" in text
    assert "DistillMOS" not in text
