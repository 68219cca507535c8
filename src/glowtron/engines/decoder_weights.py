"""The weights of Tacotron 2's decoder as a step wants them.

Both matrices of an LSTM are one, because its inputs lie side by side in one row; the location filters and the layer
behind them are one matrix; dropout's factor is in the matrix after it.

    row of a text:   [ squeezed | attention hidden | context | decoder hidden ]
    attention LSTM:  [--------------------------------------]
    decoder LSTM:               [---------------------------------------------]
    projections:                                   [--------------------------]

Letters: B texts, N symbols, M mel bands, r frames a step, P prenet, A attention LSTM, C encoder, D decoder LSTM, E the
width in which attention compares.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from glowtron.engines.products import Kind, Rows, round_rows
from glowtron.models.tacotron2 import Tacotron2


class DecoderWeights:
    """A model's decoder, laid out; never changed, so that any number of runs may share it."""

    def __init__(self, model: Tacotron2, kind: Kind) -> None:
        """kind: how the LSTMs' weights are held; all others are float32."""
        config = model.config
        p, c = config.prenet_channels, config.encoder_channels
        self.sizes = (p, config.attention_rnn_channels, c, config.decoder_rnn_channels)
        self.location_kernel = config.location_kernel
        self.n_mels = model.n_mels
        # Dropout makes what it keeps larger, each layer's in the matrix after it; so here it only has to cut off.
        larger = 1 / (1 - config.prenet_dropout)
        first, second = (cast(nn.Linear, layer).weight for layer in model.prenet.layers)
        self.first, self.second = exact_rows(first), exact_rows(second * larger)
        # The model's attention LSTM sees [squeezed, context] and its own hidden; rows here hold the hidden between.
        ih, hh = model.attention_rnn.weight_ih, model.attention_rnn.weight_hh
        sees = torch.cat((ih[:, :p] * larger, hh, ih[:, p:]), dim=1)
        self.attention_rnn = gate_rows(model.attention_rnn, sees, kind)
        ih, hh = model.decoder_rnn.weight_ih, model.decoder_rnn.weight_hh
        self.decoder_rnn = gate_rows(model.decoder_rnn, torch.cat((ih, hh), dim=1), kind)
        self.query = exact_rows(model.attention.query.weight)
        dense, filters = model.attention.location_dense.weight, model.attention.location.weight
        self.location = (dense.double() @ filters.double()).t().float().contiguous()  # (2 * location_kernel, E)
        self.energy = model.attention.energy.weight[0].clone()
        projections = torch.cat((model.projection.weight, model.stop.weight))  # Sees [decoder hidden, context].
        biases = torch.cat((model.projection.bias, model.stop.bias))
        self.projection = exact_rows(projections.roll(c, dims=1), biases)


def exact_rows(weight: Tensor, bias: Tensor | None = None) -> Rows:
    """Weights (N, K) as they are."""
    return round_rows(weight, weight.new_zeros(len(weight)) if bias is None else bias, "fp32")


def gate_rows(cell: nn.LSTMCell, weight: Tensor, kind: Kind) -> Rows:
    """An LSTM's matrix (4 H, K) and biases with the three sigmoid gates side by side: input, forget, output, cell."""
    order = torch.arange(4 * cell.hidden_size).unflatten(0, (4, -1))[[0, 1, 3, 2]].flatten()
    return round_rows(weight[order], (cell.bias_ih + cell.bias_hh)[order], kind)
