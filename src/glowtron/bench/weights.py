"""Weights for full-size models that nobody has to download: random, but at the scale of trained ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glowtron.models.convolution import WeightNormConv
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WN, Squeeze, WaveGlow
from glowtron.models.wavenet import WaveNet

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
        assert isinstance(net, WN)
        _draw(net.start, 1.0, generator)
        _draw(net.condition, 0.7, generator)
        for dilated in net.dilated:
            _draw(dilated, 0.7, generator)
        for res_skip in net.res_skip:
            _draw(res_skip, 1.0, generator)
        _draw(net.end, 0.3, generator)
        net.end.bias[len(net.end.bias) // 2 :] += 0.3
    if isinstance(model.analysis, Squeeze):
        _draw(model.analysis.upsample, 1 / MEL_RMS, generator)
        model.analysis.bias.zero_()
    else:
        model.analysis.scale_out.weight.normal_(std=0.02, generator=generator)
    return model


@torch.no_grad()
def realistic_wavenet_weights(model: WaveNet, generator: torch.Generator) -> WaveNet:
    """Give the model's last layer the scale of a trained one, and return it.

    The other layers begin with the variance that keeps a signal's; a last one such as theirs would draw samples from
    all over the scale, each clipped. Here components lie within a tenth of full scale and are a hundredth wide.
    """
    last = model.last[1]
    assert isinstance(last, WeightNormConv)
    _draw(last, 0.1, generator)
    last.bias.zero_()
    last.bias[2 * model.config.n_mixtures :] = math.log(0.01)
    return model


@torch.no_grad()
def realistic_acoustic_weights(model: Tacotron2, generator: torch.Generator) -> Tacotron2:
    """Draw the model's weights anew so that it works as a trained one does, and return it. It never stops.

    An untrained Tacotron 2 attends everywhere alike and says one frame for ever, so that nothing goes wrong when its
    weights are rounded. Here matrices are drawn at the gains (variance times inputs, square root) that training gave a
    compact one: 1.2 from what LSTMs are told and 0.9 from what they remember, 2.2 for queries and keys, 3.9 for
    energies. Batch normalisation finds a variance of about 1, frames spread by about 2 around -5.
    """
    model.embedding.weight.normal_(generator=generator)
    for convolution in model.encoder.convolutions:
        _draw(convolution, math.sqrt(2), generator)
    for i, convolution in enumerate(model.postnet.convolutions):
        _draw(convolution, 1.6 if i else 1 / MEL_RMS, generator)
    for lstm in (model.encoder.lstm, model.attention_rnn, model.decoder_rnn):
        for name, parameter in lstm.named_parameters():
            gain = 1.2 if "weight_ih" in name else 0.9
            parameter.normal_(
                std=gain / math.sqrt(parameter.shape[-1]) if "weight" in name else 0.06, generator=generator
            )
    for layer, gain in (
        *zip(model.prenet.layers, (0.6, 0.9), strict=True),
        (model.attention.query, 2.2),
        (model.attention.key, 2.2),
        (model.attention.location, 1.2),
        (model.attention.location_dense, 1.2),
        (model.attention.energy, 3.9),
        (model.projection, 6.0),
        (model.stop, 2.4),
    ):
        _draw(layer, gain, generator)
    model.projection.bias.sub_(5)
    model.stop.bias.fill_(-30)
    return model


def _draw(layer: nn.Module, gain: float, generator: torch.Generator) -> None:
    weight, bias = _weight(layer), layer.bias
    weight.normal_(std=gain / math.sqrt(weight.shape[1]), generator=generator)
    if isinstance(layer, WeightNormConv) and layer.weight is None:
        layer.weight_g.copy_(weight.norm(dim=1, keepdim=True))
    if isinstance(bias, Tensor):
        bias.normal_(std=0.05, generator=generator)


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight if layer.weight is not None else layer.weight_v
    assert isinstance(weight, Tensor)
    return weight
