import pytest
import torch

from glowtron.config import MelConfig, WaveNetConfig
from glowtron.engines.train_vocoder_wavenet import TrainingWaveNet
from glowtron.engines.training import accelerate_training
from glowtron.models.wavenet import WaveNet

MEL = MelConfig(hop_length=16, n_fft=64, win_length=64, n_mels=5)
SIZES = {"mel": MEL, "upsample_scales": (4, 4), "residual_channels": 6, "gate_channels": 8, "skip_channels": 7}


@pytest.mark.parametrize(
    "changes",
    [
        {"n_layers": 4, "dilation_cycle": 2},
        {"n_layers": 9, "dilation_cycle": 8, "speakers": ("ann", "bob")},
        {"n_layers": 3, "output": "softmax", "n_levels": 16, "kernel_size": 2},
        {"n_layers": 3, "layout": "2018", "context_frames": 0, "speakers": ("ann", "bob")},
    ],
)
def test_outputs_and_gradients_are_the_textbooks(changes):
    torch.manual_seed(0)
    config = WaveNetConfig(**(SIZES | changes))
    plain = WaveNet(config).double()
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    fast = accelerate_training(WaveNet(config)).double()
    assert isinstance(fast, TrainingWaveNet)
    fast.load_state_dict(plain.state_dict())
    signal = torch.randint(16, (2, 60)) if config.output == "softmax" else torch.rand(2, 60).double()
    mel = torch.randn(2, 5, 4 + 2 * config.context_frames).double()
    speaker = torch.tensor([1, 0]) if config.speakers else None
    found = []
    for model in (plain, fast):
        outputs = model.distributions(signal, mel, speaker)
        outputs.square().sum().backward()
        found.append((outputs, {name: p.grad for name, p in model.named_parameters()}))
    torch.testing.assert_close(found[1][0], found[0][0])
    torch.testing.assert_close(found[1][1], found[0][1])
