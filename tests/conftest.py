"""Fixtures that every test may use."""

import gc
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings

from glowtron.checkpoint import StoredVoice, save_voice
from glowtron.config import (
    AcousticConfig,
    DecodingOptions,
    LappedConfig,
    Tacotron2Config,
    TextConfig,
    VocodingConfig,
    VoiceFile,
    WaveGlowConfig,
    WNConfig,
)
from glowtron.data.manifest import read_manifest
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.text.frontend import make_frontend
from parity_files import PARITY, unpack_checkpoints

# The same examples every time, on machines of any speed; --hypothesis-profile=default looks for new ones.
settings.register_profile("repeatable", max_examples=50, derandomize=True, deadline=None, print_blob=True)
settings.register_profile("few", settings.get_profile("repeatable"), max_examples=20)
settings.load_profile("repeatable")

# What is fastest here is measured once for all tests and processes of a run, and leaves the user's cache alone.
os.environ.setdefault("XDG_CACHE_HOME", str(Path(tempfile.gettempdir()) / f"glowtron-tests-{os.getuid()}"))


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples where the slow tests are left out."""
    if config.option.markexpr == "not slow" and not config.getoption("--hypothesis-profile"):
        settings.load_profile("few")


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what is imported and collected, which lives until the end."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of `tests/parity`, unpacked."""
    folder = tmp_path_factory.mktemp("checkpoints")
    unpack_checkpoints(folder)
    return folder


@pytest.fixture(scope="session")
def parity(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """A checkpoint in a published format, or what its own program computes from it; see `tests/parity/README.md`."""

    def find(name: str) -> Path:
        packed = name.endswith((".pt", ".pth"))
        path = (request.getfixturevalue("checkpoints") if packed else PARITY) / name
        assert path.is_file(), f"no file {name} in tests/parity"
        return path

    return find


@pytest.fixture(scope="session")
def kept_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny_corpus`, to be left as it is."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("corpus") / "corpus"
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for i in range(8):
        time = np.arange(int(22_050 * (0.2 + 0.1 * i))) / 22_050
        wave = 0.3 * np.sin(2 * np.pi * (200 + 50 * i) * time) + 0.01 * rng.standard_normal(len(time))
        soundfile.write(folder / "wavs" / f"tiny-{i}.{'wav' if i % 2 else 'flac'}", wave, 22_050, "PCM_16")
        lines.append(f"tiny-{i}|No. {i}.|Number {'one two three four five six seven eight'.split()[i]}.\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def tiny_corpus(kept_corpus: Path, tmp_path: Path) -> Path:
    """A folder in LJSpeech's layout with eight clips of 0.2 to 0.9 s, tones with a little noise, in WAV and FLAC."""
    return Path(shutil.copytree(kept_corpus, tmp_path / "corpus"))


@pytest.fixture(scope="session")
def kept_alignments(kept_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `alignments`, to be left as they are."""
    encode = make_frontend(TextConfig(frontend="nvidia")).ids
    path = tmp_path_factory.mktemp("alignments") / "alignments.jsonl"
    with path.open("w") as file:
        for i, clip in enumerate(read_manifest(kept_corpus)):
            ids = encode(clip.text)
            ends = [(0.2 + 0.1 * i) * (n + 1) / len(ids) for n in range(len(ids))]
            file.write(json.dumps({"id": clip.id, "symbols": ids, "ends": ends}) + "\n")
    return path


@pytest.fixture
def alignments(kept_alignments: Path, tmp_path: Path) -> Path:
    """Forced alignments of `tiny_corpus`: all symbols of a clip last equally long."""
    return Path(shutil.copy(kept_alignments, tmp_path))


@pytest.fixture(scope="session")
def tiny_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice folder with small random weights and two speakers; each sentence becomes 20 mel frames, and stops."""
    stored = random_voice("tiny", reduction_factor=20, vocoder=small_waveglow(n_flows=2, early_size=0))
    stored.acoustic.stop.bias.data.fill_(100.0)
    folder = tmp_path_factory.mktemp("voices") / "tiny"
    save_voice(stored, folder)
    return folder


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice folder like that of the voice which ships: it reads on at random, with correction, stops by itself."""
    stored = random_voice(
        "reader",
        reduction_factor=3,
        vocoder=small_waveglow(n_flows=4, early_every=2, early_size=2),
        decoding=DecodingOptions(monotonic=True, max_dwell=24, max_sound_dwell=15),
        vocoding=VocodingConfig(correction=3),
    )
    stored.acoustic.projection.bias.data -= 2.0
    stored.vocoder.analysis.scale_out.bias.data -= 3.0
    folder = tmp_path_factory.mktemp("voices") / "reader"
    save_voice(stored, folder)
    return folder


def small_waveglow(**shape: int) -> WaveGlowConfig:
    wavenet = WNConfig(n_layers=2, n_channels=8)
    return WaveGlowConfig(analysis=LappedConfig(scale_channels=8), wavenet=wavenet, **shape)


def random_voice(name: str, reduction_factor: int, vocoder: WaveGlowConfig, **how: Any) -> StoredVoice:
    """Two speakers; how: what else its file says."""
    acoustic = AcousticConfig(
        model=Tacotron2Config(
            n_speakers=2,
            embedding_channels=16,
            encoder_channels=16,
            prenet_channels=8,
            attention_rnn_channels=16,
            attention_channels=8,
            location_filters=4,
            decoder_rnn_channels=16,
            reduction_factor=reduction_factor,
            postnet_channels=8,
        ),
        speakers=("ann", "bob"),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tacotron2, waveglow = Tacotron2(acoustic.model, acoustic.mel.n_mels), WaveGlow(vocoder)
        for parameter in (*tacotron2.parameters(), *waveglow.parameters()):
            parameter.data += 0.02 * torch.randn_like(parameter)  # What starts at zero would change nothing.
    # The attention is random too, so that no take could ever be found good.
    config = VoiceFile(name=name, description="Random.", acoustic=acoustic, vocoder=vocoder, attempts=0, **how)
    return StoredVoice(config, tacotron2, waveglow)
