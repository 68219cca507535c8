"""A small Tacotron 2 in the form of published checkpoints."""

from pathlib import Path

import torch
from torch import Tensor

from glowtron.config import Tacotron2Config
from glowtron.models.published_tacotron2 import published_layout
from glowtron.models.tacotron2 import Tacotron2

CONFIG = Tacotron2Config(
    embedding_channels=6,
    encoder_channels=8,
    encoder_layers=2,
    encoder_kernel=3,
    prenet_channels=5,
    attention_rnn_channels=7,
    attention_channels=4,
    location_filters=3,
    location_kernel=9,
    decoder_rnn_channels=9,
    postnet_channels=10,
    postnet_layers=4,
    postnet_kernel=7,
)


def published_acoustic(n_mels: int = 16, config: Tacotron2Config = CONFIG) -> dict[str, Tensor]:
    """A small Tacotron 2 in the published form, no two sizes alike."""
    ours = Tacotron2(config, n_mels).state_dict()
    state = {}
    for name, (published, shape) in published_layout(config, n_mels).items():
        value = ours[name]
        if len(shape) == 3:
            value = value.unflatten(1, (shape[2], shape[1])).transpose(1, 2).contiguous()
        state[published] = value
    return state


def save(path: Path, state: dict[str, Tensor], **extras: object) -> Path:
    torch.save({"state_dict": state, **extras}, path)
    return path
