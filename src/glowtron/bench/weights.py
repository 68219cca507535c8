"""Weights for full-size models that nobody has to download: random, but at the scale of trained ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glowtron.models.waveglow import Grouping, WaveGlow
from glowtron.models.wavenet import NormedLinear, WaveNet

MEL_RMS = 6.0
"""Root mean square of a log-mel of speech."""


@torch.no_grad()
def realistic_weights(model: WaveGlow, generator: torch.Generator) -> WaveGlow:
    """Draw the model's weights anew so that it works as a trained one does, and return it.

    An untrained WaveGlow hides what is computed: its couplings end in zeros. Here each matrix is drawn with the
    variance gain^2 / inputs, so that conditioning and residual stream have a root mean square of about 1, gates are
    entered with about 1, shifts spread by about 0.3, and log-scales by 0.3 around 0.3: over the six couplings that
    change a sample this makes noise as loud as speech. The 1x1 convolutions stay the rotations they are.
    """
    for net in model.wavenets:
        assert isinstance(net, WaveNet)
        _draw(net.start, 1.0, generator)
        _draw(net.condition, 0.7, generator)
        for dilated in net.dilated:
            _draw(dilated, 0.7, generator)
        for res_skip in net.res_skip:
            _draw(res_skip, 1.0, generator)
        _draw(net.end, 0.3, generator)
        net.end.bias[len(net.end.bias) // 2 :] += 0.3
    if isinstance(model.analysis, Grouping):
        _draw(model.analysis.upsample, 1 / MEL_RMS, generator)
        model.analysis.bias.zero_()
    else:
        model.analysis.scale_out.weight.normal_(std=0.02, generator=generator)
    return model


def _draw(layer: nn.Module, gain: float, generator: torch.Generator) -> None:
    weight, bias = _weight(layer), layer.bias
    weight.normal_(std=gain / math.sqrt(weight.shape[1]), generator=generator)
    if isinstance(layer, NormedLinear) and layer.weight is None:
        layer.weight_g.copy_(weight.norm(dim=1, keepdim=True))
    if isinstance(bias, Tensor):
        bias.normal_(std=0.05, generator=generator)


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight if layer.weight is not None else layer.weight_v
    assert isinstance(weight, Tensor)
    return weight
