"""The plain implementations compute what Glowtron's models do."""

import pytest
import torch

from glowtron.bench.agreement import free_running, free_sound, training_tacotron2, training_waveglow
from glowtron.bench.plain_tacotron2 import PlainTacotron2
from glowtron.bench.plain_waveglow import PlainWaveGlow
from glowtron.bench.weights import realistic_weights
from glowtron.config import LappedConfig, MelConfig, Tacotron2Config, WaveGlowConfig, WaveNetConfig
from glowtron.errors import InputError
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow

# The published upsampling is 80 x 80 x 1024, and torch takes a second to lay it out.
MEL = MelConfig(n_mels=16)
WAVEGLOW = WaveGlowConfig(mel=MEL, n_flows=5, early_every=2, wavenet=WaveNetConfig(n_layers=3, n_channels=12))
SIZES = dict.fromkeys(
    ("embedding_channels", "encoder_channels", "attention_rnn_channels", "decoder_rnn_channels", "postnet_channels"), 12
)


def waveglow() -> WaveGlow:
    return realistic_weights(WaveGlow(WAVEGLOW), torch.Generator().manual_seed(0))


def waves_and_mels(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(batch, 1000, generator=generator), torch.randn(
        batch, MEL.n_mels, 4, generator=generator
    ) - 5


@pytest.mark.parametrize("batch", [1, 3])
def test_waveglow(batch: int) -> None:
    model = waveglow()
    wave, mel = waves_and_mels(batch)
    found = {**training_waveglow(model, wave, mel), "sound": free_sound(model, mel)}
    assert max(found.values()) < 1e-4, found


def test_a_folded_waveglow_is_the_same_sound() -> None:
    model = waveglow()
    mel = waves_and_mels(2)[1]
    model.fold_weight_norm()
    assert free_sound(model, mel) < 1e-4


def test_other_weights_are_told_apart() -> None:
    model, mel = waveglow(), waves_and_mels(1)[1]
    plain = PlainWaveGlow(WAVEGLOW)
    plain.copy_weights(model)
    with torch.no_grad():
        plain.wavenets[2].end.bias += 0.1
    plain.prepare_inference()
    noise = [torch.zeros(1, n, 128) for n in (4, 2, 2)]
    ours = model.generate(mel, 1.0, noise=noise)
    assert (plain.generate(mel, 1.0, noise) - ours).abs().max() > 1e-2


@pytest.mark.parametrize(("batch", "reduction_factor"), [(1, 1), (3, 1), (2, 2)])
def test_tacotron2(batch: int, reduction_factor: int) -> None:
    torch.manual_seed(0)
    model = Tacotron2(Tacotron2Config(**SIZES, reduction_factor=reduction_factor))
    ids, mel = torch.randint(1, 148, (batch, 9)), torch.randn(batch, 80, 12) - 5
    found = {**training_tacotron2(model, ids, mel), "free": free_running(model, 9, 12, batch)}
    assert max(found.values()) < 1e-4, found


def test_what_was_not_published_is_refused() -> None:
    with pytest.raises(InputError, match="lapped"):
        PlainWaveGlow(WaveGlowConfig(mel=MelConfig(), analysis=LappedConfig(), early_size=0))
    with pytest.raises(InputError, match="2"):
        PlainTacotron2(Tacotron2Config(n_speakers=2))
