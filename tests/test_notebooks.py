"""The notebooks run from their first cell to their last."""

import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from small_tacotron2 import published_acoustic, save

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytestmark = pytest.mark.slow


def run(name: str, folder: Path, monkeypatch, **environment: object):
    """Run a notebook in a folder, with names of files in its environment; returns it with its outputs."""
    from nbclient import NotebookClient

    for key, value in environment.items():
        monkeypatch.setenv(key, str(value))
    # `!glowtron` is that of this environment.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def test_they_are_kept_without_outputs():
    notebooks = sorted(EXAMPLES.glob("*.ipynb"))
    assert [path.stem for path in notebooks] == ["text-to-speech", "train-your-voice", "waveglow"]
    for path in notebooks:
        for cell in nbformat.read(path, as_version=4).cells:
            assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)


@pytest.mark.parametrize("layout", ["waveglow_2018_11_09.pt", "waveglow_2018_11_22.pt"])
def test_waveglow(layout, parity, tmp_path, monkeypatch):
    recording = Path(__file__).parent / "parity" / "LJ001-0002.flac"
    run("waveglow.ipynb", tmp_path, monkeypatch, WAVEGLOW=parity(layout), RECORDING=recording)
    assert (tmp_path / "again.wav").stat().st_size > 10_000


def test_text_to_speech(parity, tmp_path, monkeypatch):
    # As many mel bands as the small WaveGlow has.
    acoustic = save(tmp_path / "tacotron2_statedict.pt", published_acoustic(), iteration=12)
    waveglow = parity("waveglow_2018_11_22.pt")
    run("text-to-speech.ipynb", tmp_path, monkeypatch, TACOTRON2=acoustic, WAVEGLOW=waveglow)
    assert (tmp_path / "hello.wav").is_file()


def test_train_your_voice(shared, tmp_path, monkeypatch):
    corpus = shared("data/kathleen")
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    lines = (corpus / "metadata.csv").read_text(encoding="utf-8").splitlines()[:8]
    texts = []
    for line in lines:
        id, text = line.split("|")[0], line.split("|")[-1]
        shutil.copy(corpus / "wavs" / f"{id}.flac", recordings)
        texts.append(f"{id}.flac|{text}\n")
    (recordings / "texts.txt").write_text("".join(texts), encoding="utf-8")
    run("train-your-voice.ipynb", tmp_path, monkeypatch, RECORDINGS=recordings, STEPS=4)
    assert (tmp_path / "me.wav").is_file()
