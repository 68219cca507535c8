"""Models of several speakers are measured as the first of them, by the engine and by the textbook."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glowtron.bench.vocoder import Vocoder, VocoderWork
from glowtron.checkpoint import StoredVoice, save_voice
from glowtron.config import VoiceFile, WaveGlowConfig, WNConfig
from glowtron.models.waveglow import WaveGlow

SEVERAL = WaveGlowConfig(n_flows=2, wavenet=WNConfig(n_layers=2, n_channels=8), speakers=("ann", "bob"))


@pytest.mark.parametrize("kind", ["fast", "plain"])
def test_a_voice_speaks_as_the_first_speaker(kind: str, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        save_voice(StoredVoice(VoiceFile(name="two", vocoder=SEVERAL), None, WaveGlow(SEVERAL)), tmp_path / "two")
    assert Vocoder(VocoderWork(str(tmp_path / "two"), seconds=0.1), kind).run().any()
