"""Voices of the kinds that a runtime has to speak with, beside those that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from conftest import random_voice
from glowtron.checkpoint import save_voice
from glowtron.config import DecodingOptions, GroupingConfig, WaveGlowConfig, WNConfig
from test_fastspeech2_voice import folder as parallel

__all__ = ["parallel", "published"]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Attends softly, squeezes samples into groups, stops by itself or at 60 frames, in half precision."""
    vocoder = WaveGlowConfig(
        analysis=GroupingConfig(upsample_kernel=512),
        wavenet=WNConfig(n_layers=2, n_channels=8),
        n_flows=4,
        early_every=2,
        speakers=("ann", "bob"),
    )
    stored = random_voice("published", reduction_factor=2, vocoder=vocoder, decoding=DecodingOptions(max_frames=60))
    folder = tmp_path_factory.mktemp("voices") / "published"
    save_voice(stored, folder, dtype=torch.float16)
    return folder
