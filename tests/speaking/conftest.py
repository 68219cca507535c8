"""A voice that speaks as the one that ships does, and is small."""

from pathlib import Path

import pytest
import torch

from glowtron.checkpoint import StoredVoice, VoiceFile, save_voice
from glowtron.config import AcousticConfig, LappedConfig, Tacotron2Config, VocodingConfig, WaveGlowConfig, WaveNetConfig
from glowtron.models.tacotron2 import DecodingOptions, Tacotron2
from glowtron.models.waveglow import WaveGlow


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice of two speakers that reads on at random, with correction, and stops by itself."""
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
            reduction_factor=3,
            postnet_channels=8,
        ),
        speakers=("ann", "bob"),
    )
    vocoder = WaveGlowConfig(
        analysis=LappedConfig(scale_channels=8),
        n_flows=4,
        early_every=2,
        early_size=2,
        wavenet=WaveNetConfig(n_layers=2, n_channels=8),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tacotron2, waveglow = Tacotron2(acoustic.model, acoustic.mel.n_mels), WaveGlow(vocoder)
        with torch.no_grad():
            for parameter in (*tacotron2.parameters(), *waveglow.parameters()):
                parameter += 0.02 * torch.randn_like(parameter)  # What starts at zero would change nothing.
            tacotron2.projection.bias -= 2.0
            waveglow.analysis.scale_out.bias -= 3.0
    config = VoiceFile(
        name="reader",
        description="Random.",
        acoustic=acoustic,
        vocoder=vocoder,
        attempts=0,
        decoding=DecodingOptions(monotonic=True, max_dwell=24, max_sound_dwell=15),
        vocoding=VocodingConfig(correction=3),
    )
    folder = tmp_path_factory.mktemp("voices") / "reader"
    save_voice(StoredVoice(config, tacotron2, waveglow), folder)
    return folder
