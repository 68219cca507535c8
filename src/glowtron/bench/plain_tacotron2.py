"""The published Tacotron 2 the usual way: `Conv1d` over (B, C, T), an `LSTMCell` a step, float32, autograd.

What speaking and training throughput are measured against. It is written as one would write the paper's network today
(Shen et al. 2018, with the sizes and habits of the published weights); nothing is made slow on purpose: keys are
computed once a text, frames are gathered in lists, nothing is copied that need not be.

`glowtron.bench.agreement` checks that it computes the same function as Glowtron's, with the same weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glowtron.config import Tacotron2Config
from glowtron.errors import InputError
from glowtron.models.convolution import Convolution
from glowtron.models.tacotron2 import Tacotron2


class PlainOutput(NamedTuple):
    before: Tensor
    """(B, M, T)"""
    after: Tensor
    """(B, M, T)"""
    stop_logits: Tensor
    """(B, S)"""
    alignment: Tensor
    """(B, S, N)"""


class State(NamedTuple):
    attention_h: Tensor
    attention_c: Tensor
    decoder_h: Tensor
    decoder_c: Tensor
    context: Tensor
    weights: Tensor
    cumulative: Tensor


class PlainConvolutions(nn.Module):
    """Convolution, batch normalisation, activation, dropout."""

    def __init__(self, widths: list[int], kernel_size: int, activations: list[str], dropout: float) -> None:
        super().__init__()
        self.activations, self.dropout = activations, dropout
        self.convolutions = nn.ModuleList(
            nn.Conv1d(a, b, kernel_size, padding=kernel_size // 2) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)."""
        for convolution, norm, activation in zip(self.convolutions, self.norms, self.activations, strict=True):
            x = norm(convolution(x))
            if activation:
                x = getattr(torch, activation)(x)
            x = F.dropout(x, self.dropout, self.training)
        return x


class PlainAttention(nn.Module):
    def __init__(self, config: Tacotron2Config) -> None:
        super().__init__()
        width, kernel_size = config.attention_channels, config.location_kernel
        self.query = nn.Linear(config.attention_rnn_channels, width, bias=False)
        self.key = nn.Linear(config.encoder_channels, width, bias=False)
        self.location = nn.Conv1d(2, config.location_filters, kernel_size, padding=kernel_size // 2, bias=False)
        self.location_dense = nn.Linear(config.location_filters, width, bias=False)
        self.energy = nn.Linear(width, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, history: Tensor, padding: Tensor) -> Tensor:
        """(B, H), (B, N, A), (B, 2, N), (B, N) -> weights (B, N)."""
        located = self.location_dense(self.location(history).transpose(1, 2))
        energies = self.energy(torch.tanh(self.query(query)[:, None] + located + keys)).squeeze(2)
        return F.softmax(energies.masked_fill(padding, -float("inf")), dim=1)


class PlainTacotron2(nn.Module):
    """The whole. Raises InputError for a configuration that is not of the published algorithm."""

    def __init__(self, config: Tacotron2Config, n_mels: int = 80) -> None:
        super().__init__()
        if config.n_speakers != 1:
            raise InputError(f"the published algorithm has one speaker; this model has {config.n_speakers}")
        self.config, self.n_mels = config, n_mels
        c, attention, decoder = config.encoder_channels, config.attention_rnn_channels, config.decoder_rnn_channels
        self.embedding = nn.Embedding(config.n_symbols, config.embedding_channels)
        n = config.encoder_layers
        widths = [config.embedding_channels] + n * [c]
        self.encoder = PlainConvolutions(widths, config.encoder_kernel, n * ["relu"], config.encoder_dropout)
        self.encoder_rnn = nn.LSTM(c, c // 2, batch_first=True, bidirectional=True)
        self.prenet = nn.ModuleList(
            nn.Linear(width, config.prenet_channels, bias=False) for width in (n_mels, config.prenet_channels)
        )
        self.attention_rnn = nn.LSTMCell(config.prenet_channels + c, attention)
        self.attention = PlainAttention(config)
        self.decoder_rnn = nn.LSTMCell(attention + c, decoder)
        self.projection = nn.Linear(decoder + c, n_mels * config.reduction_factor)
        self.stop = nn.Linear(decoder + c, 1)
        n = config.postnet_layers
        widths = [n_mels] + (n - 1) * [config.postnet_channels] + [n_mels]
        activations = (n - 1) * ["tanh"] + [""]
        self.postnet = PlainConvolutions(widths, config.postnet_kernel, activations, config.postnet_dropout)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(B, N) -> (B, N, C)."""
        x = self.encoder(self.embedding(ids).transpose(1, 2)).transpose(1, 2)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.encoder_rnn(packed)[0], batch_first=True, total_length=ids.shape[1])[0]

    def start(self, memory: Tensor) -> State:
        batch, n_symbols, channels = memory.shape
        sizes = (*2 * (self.config.attention_rnn_channels,), *2 * (self.config.decoder_rnn_channels,), channels)
        return State(*(memory.new_zeros(batch, size) for size in (*sizes, n_symbols, n_symbols)))

    def squeeze(self, frame: Tensor) -> Tensor:
        for layer in self.prenet:
            frame = F.dropout(F.relu(layer(frame)), self.config.prenet_dropout, training=True)
        return frame

    def step(
        self, squeezed: Tensor, state: State, memory: Tensor, keys: Tensor, padding: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """Returns frames (B, r * M), stop logit (B, 1), the next state."""
        dropout = self.config.rnn_dropout
        x = torch.cat((squeezed, state.context), dim=1)
        attention_h, attention_c = self.attention_rnn(x, (state.attention_h, state.attention_c))
        attention_h = F.dropout(attention_h, dropout, self.training)
        history = torch.stack((state.weights, state.cumulative), dim=1)
        weights = self.attention(attention_h, keys, history, padding)
        context = torch.bmm(weights[:, None], memory).squeeze(1)
        x = torch.cat((attention_h, context), dim=1)
        decoder_h, decoder_c = self.decoder_rnn(x, (state.decoder_h, state.decoder_c))
        decoder_h = F.dropout(decoder_h, dropout, self.training)
        x = torch.cat((decoder_h, context), dim=1)
        state = State(attention_h, attention_c, decoder_h, decoder_c, context, weights, state.cumulative + weights)
        return self.projection(x), self.stop(x), state

    def forward(self, ids: Tensor, lengths: Tensor, mel: Tensor) -> PlainOutput:
        """Teacher forcing. ids: (B, N); mel: (B, M, T)."""
        r = self.config.reduction_factor
        memory = self.encode(ids, lengths)
        keys, padding = self.attention.key(memory), _padding(lengths, ids.shape[1])
        previous = F.pad(mel[:, :, r - 1 :: r], (1, -1)).permute(2, 0, 1)  # (S, B, M)
        squeezed = self.squeeze(previous)
        state = self.start(memory)
        frames, stops, alignment = [], [], []
        for x in squeezed:
            frame, stop, state = self.step(x, state, memory, keys, padding)
            frames.append(frame)
            stops.append(stop)
            alignment.append(state.weights)
        return self._output(frames, stops, alignment)

    @torch.inference_mode()
    def generate(
        self, ids: Tensor, lengths: Tensor, max_frames: int, stop_threshold: float = 0.5
    ) -> tuple[PlainOutput, Tensor]:
        """Free running until every text has stopped. Returns also the mels' lengths (B,), stopping step included."""
        r = self.config.reduction_factor
        memory = self.encode(ids, lengths)
        keys, padding = self.attention.key(memory), _padding(lengths, ids.shape[1])
        state, frame = self.start(memory), memory.new_zeros(len(ids), self.n_mels)
        n_steps = -(-max_frames // r)
        mel_lengths = torch.full_like(lengths, n_steps * r)
        going = torch.ones_like(lengths, dtype=torch.bool)
        frames, stops, alignment = [], [], []
        for i in range(n_steps):
            new, stop, state = self.step(self.squeeze(frame), state, memory, keys, padding)
            frame = new[:, -self.n_mels :]
            frames.append(new)
            stops.append(stop)
            alignment.append(state.weights)
            stopping = going & (torch.sigmoid(stop.squeeze(1)) > stop_threshold)
            mel_lengths[stopping] = (i + 1) * r
            going &= ~stopping
            if not going.any():
                break
        return self._output(frames, stops, alignment), mel_lengths.clamp(max=max_frames)

    def _output(self, frames: list[Tensor], stops: list[Tensor], alignment: list[Tensor]) -> PlainOutput:
        before = torch.stack(frames, dim=1).unflatten(2, (-1, self.n_mels)).flatten(1, 2).transpose(1, 2)
        return PlainOutput(
            before, before + self.postnet(before), torch.cat(stops, dim=1), torch.stack(alignment, dim=1)
        )

    @torch.no_grad()
    def copy_weights(self, model: Tacotron2) -> None:
        """Take over Glowtron's weights, so that both compute the same function."""
        pairs: list[tuple[nn.Module, nn.Module]] = [
            (self.embedding, model.embedding),
            (self.encoder_rnn, model.encoder.lstm),
            (self.attention_rnn, model.attention_rnn),
            (self.decoder_rnn, model.decoder_rnn),
            (self.projection, model.projection),
            (self.stop, model.stop),
            *zip(self.prenet, model.prenet.layers, strict=True),
            *((getattr(self.attention, name), getattr(model.attention, name)) for name in _ATTENTION),
            *zip(self.encoder.norms, model.encoder.norms, strict=True),
            *zip(self.postnet.norms, model.postnet.norms, strict=True),
        ]
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())
        _copy([self.attention.location], [model.attention.location])
        _copy(self.encoder.convolutions, model.encoder.convolutions)
        _copy(self.postnet.convolutions, model.postnet.convolutions)


_ATTENTION = ("query", "key", "location_dense", "energy")


def _copy(convolutions: Iterable[nn.Module], matrices: Iterable[nn.Module]) -> None:
    for convolution, matrix in zip(convolutions, matrices, strict=True):
        assert isinstance(convolution, nn.Conv1d) and isinstance(matrix, Convolution)
        convolution.weight.copy_(matrix.weight.unflatten(1, (convolution.kernel_size[0], -1)).transpose(1, 2))
        if convolution.bias is not None and matrix.bias is not None:
            convolution.bias.copy_(matrix.bias)


def _padding(lengths: Tensor, size: int) -> Tensor:
    return torch.arange(size, device=lengths.device) >= lengths[:, None]


def plain_loss(output: PlainOutput, mel: Tensor) -> Tensor:
    """MSE before and after the postnet, and BCE of the stop logit; every clip as long as the batch."""
    stop = torch.zeros_like(output.stop_logits)
    stop[:, -1] = 1
    return (
        F.mse_loss(output.before, mel)
        + F.mse_loss(output.after, mel)
        + F.binary_cross_entropy_with_logits(output.stop_logits, stop)
    )
