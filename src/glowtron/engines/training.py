"""Models made fast for training: the same parameters under the same names, quicker operations around them."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from glowtron.engines.modules import MatrixConvolution, replace_modules
from glowtron.engines.train_dropout import FastDropout
from glowtron.engines.train_tacotron2 import TrainingTacotron2
from glowtron.engines.train_vocoder_wavenet import TrainingWaveNet
from glowtron.engines.train_wavenet import TrainingWN
from glowtron.models.convolution import Convolution
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WN
from glowtron.models.wavenet import WaveNet

M = TypeVar("M", bound=nn.Module)


def accelerate_training(model: M) -> M:
    """The model with faster modules in place of the textbook's; the model given must not be used any more.

    Parameters and buffers are the same tensors under the same names, so checkpoints of either fit the other. A model
    with nothing to accelerate is returned as it is.
    """
    return replace_modules(
        model,
        {
            Convolution: MatrixConvolution,
            nn.Dropout: FastDropout,
            WN: TrainingWN,
            Tacotron2: TrainingTacotron2,
            WaveNet: TrainingWaveNet,
        },
    )
