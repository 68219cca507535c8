"""Tacotron 2: symbols in, mel spectrogram out (Shen et al. 2018, "Natural TTS Synthesis by Conditioning WaveNet on Mel
Spectrogram Predictions").

Where NVIDIA's published weights differ from the paper we follow the weights: one projection sees the decoder's output
beside the context, the prenet has no bias, and the attention is that of Chorowski et al. 2015 over previous and
cumulative weights. Two things are added, and change nothing where they are not asked for: several frames a decoder step
(`reduction_factor`), and several speakers.

Read order: parts (encoder, prenet, attention, postnet), then the whole, which `step` defines. Inside, everything is
time-major (B, T, C). `engines.training` makes training fast, `engines.cpu_tacotron2` inference.

Letters: B batch, N symbols, T mel frames, S decoder steps, r frames a step, M mel bands, C channels, H hidden
channels of an LSTM, P of the prenet, E width of the attention.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glowtron.config import DecodingOptions, Tacotron2Config
from glowtron.models.convolution import Convolution
from glowtron.models.decode import NOISE_STEPS, AcousticOutput, DecoderRun, Steps, assemble, decode, step_limit
from glowtron.models.monotonic import finish, longest_dwells, move_on

STOP_LOGIT_OF_PADDING = 1000.0


class Memory(NamedTuple):
    """An encoded text, as the decoder attends to it."""

    values: Tensor
    """(B, N, C) the encoder's output."""
    keys: Tensor
    """(B, N, E) the same, as queries are compared with it."""
    mask: Tensor
    """(B, N) whether a symbol is real."""


class DecoderState(NamedTuple):
    """All that one decoder step hands to the next."""

    attention_h: Tensor
    attention_c: Tensor
    decoder_h: Tensor
    decoder_c: Tensor
    context: Tensor
    """(B, C) of the last step."""
    weights: Tensor
    """(B, N) attention weights of the last step."""
    cumulative: Tensor
    """(B, N) sum of the weights so far."""
    survival: Tensor
    """(B,) probability of still being at this symbol; only the monotonic attention uses it."""


class Tacotron2Output(NamedTuple):
    """Teacher-forced outputs; padding holds mel 0 and stop logit 1000."""

    mel_before: Tensor
    """(B, M, T) before the postnet."""
    mel: Tensor
    """(B, M, T)."""
    stop_logits: Tensor
    """(B, S) one a decoder step."""
    alignment: Tensor
    """(B, S, N) attention weights."""


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, T, C) whose statistics leave padding out."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """mask: (B, T), True where x is real; the result is 0 elsewhere."""
        if mask is None:
            return super().forward(x.flatten(0, 1)).view_as(x)
        real = mask.flatten().nonzero().squeeze(1)
        rows = super().forward(x.flatten(0, 1).index_select(0, real))
        return rows.new_zeros(mask.numel(), x.shape[2]).index_copy(0, real, rows).view_as(x)


class Encoder(nn.Module):
    """Convolutions and a bidirectional LSTM over symbol embeddings (sec. 2.2)."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.dropout = nn.Dropout(config.encoder_dropout)
        widths = [config.embedding_channels] + [config.encoder_channels] * config.encoder_layers
        self.convolutions = nn.ModuleList(
            Convolution(a, b, config.encoder_kernel, gain=nn.init.calculate_gain("relu"))
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in widths[1:])
        self.lstm = nn.LSTM(widths[-1], config.encoder_channels // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, N, E) embeddings; lengths: (B,). Returns (B, N, C), zero in padding."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = self.dropout(norm(convolution(x), mask).relu())
        # Packing makes the backward direction start at each text's own end. Lengths of a packed sequence live on CPU.
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class Prenet(nn.Module):
    """Two layers that squeeze the previous frame, with dropout that never ends (sec. 2.2)."""

    def __init__(self, n_mels: int, config: Tacotron2Config):
        super().__init__()
        self.dropout, self.channels = config.prenet_dropout, config.prenet_channels
        self.layers = nn.ModuleList(
            nn.Linear(n_in, config.prenet_channels, bias=False) for n_in in (n_mels, config.prenet_channels)
        )

    def forward(self, frames: Tensor, keep: Tensor) -> Tensor:
        """frames: (..., M); keep: (2, ..., P) dropout masks already divided by their mean. Returns (..., P)."""
        for layer, kept in zip(self.layers, keep, strict=True):
            frames = layer(frames).relu() * kept
        return frames

    def draw(self, *shape: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Dropout masks (2, *shape, P) of `like`'s device and dtype."""
        # Dropout stays on at inference: the weights were trained to need it (sec. 2.2).
        keep = torch.empty(2, *shape, self.channels, device=like.device, dtype=like.dtype)
        return keep.bernoulli_(1 - self.dropout, generator=generator) / (1 - self.dropout)


class Attention(nn.Module):
    """Location-sensitive attention (Chorowski et al. 2015; sec. 2.2)."""

    def __init__(self, config: Tacotron2Config):
        super().__init__()
        self.dropout = config.attention_dropout
        channels = config.attention_channels
        self.query = nn.Linear(config.attention_rnn_channels, channels, bias=False)
        self.key = nn.Linear(config.encoder_channels, channels, bias=False)
        self.location = Convolution(2, config.location_filters, config.location_kernel, bias=False)
        self.location_dense = nn.Linear(config.location_filters, channels, bias=False)
        self.energy = nn.Linear(channels, 1, bias=False)
        for layer, gain in ((self.query, 5 / 3), (self.key, 5 / 3), (self.location_dense, 5 / 3), (self.energy, 1.0)):
            nn.init.xavier_uniform_(layer.weight, gain)

    def keys(self, values: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, E), encoded symbols as queries are compared with them."""
        keys: Tensor = self.key(F.dropout(values, self.dropout, self.training))
        return keys

    def forward(self, query: Tensor, weights: Tensor, cumulative: Tensor, memory: Memory) -> Tensor:
        """Attention weights of S steps whose history is known.

        query: (B, S, H); weights, cumulative: (B, S, N) of the step before. Returns log-weights (B, S, N) in float32.
        """
        history = torch.stack((weights, cumulative), dim=-1)  # (B, S, N, 2)
        located = self.location_dense(self.location(history.flatten(0, 1))).unflatten(0, weights.shape[:2])
        query = F.dropout(query, self.dropout, self.training)
        features = self.query(query)[:, :, None] + located + memory.keys[:, None]
        energies = self.energy(features.tanh()).squeeze(-1).float()
        return energies.masked_fill(~memory.mask[:, None], float("-inf")).log_softmax(-1)


class Postnet(nn.Module):
    """Convolutions that predict a residual to add to the mel (sec. 2.2)."""

    def __init__(self, n_mels: int, config: Tacotron2Config):
        super().__init__()
        self.dropout = nn.Dropout(config.postnet_dropout)
        widths = [n_mels] + [config.postnet_channels] * (config.postnet_layers - 1) + [n_mels]
        gains = [nn.init.calculate_gain("tanh")] * (config.postnet_layers - 1) + [1.0]
        self.convolutions = nn.ModuleList(
            Convolution(a, b, config.postnet_kernel, gain=gain)
            for a, b, gain in zip(widths, widths[1:], gains, strict=False)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(width) for width in widths[1:])

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, M); mask: (B, T) real frames. Returns the residual (B, T, M)."""
        last = len(self.convolutions) - 1
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x), mask)
            x = self.dropout(x.tanh() if i < last else x)
        return x


class Tacotron2(nn.Module):
    """The whole: `encode` a text once, then `step` after step, then the postnet."""

    def __init__(self, config: Tacotron2Config, n_mels: int = 80):
        super().__init__()
        self.config = config
        self.n_mels = n_mels
        self.embedding = nn.Embedding(config.n_symbols, config.embedding_channels)
        bound = (6 / (config.n_symbols + config.embedding_channels)) ** 0.5
        nn.init.uniform_(self.embedding.weight, -bound, bound)
        self.encoder = Encoder(config)
        self.prenet = Prenet(n_mels, config)
        self.attention_rnn = nn.LSTMCell(
            config.prenet_channels + config.encoder_channels, config.attention_rnn_channels
        )
        self.attention = Attention(config)
        self.decoder_rnn = nn.LSTMCell(
            config.attention_rnn_channels + config.encoder_channels, config.decoder_rnn_channels
        )
        decoded = config.decoder_rnn_channels + config.encoder_channels
        self.projection = nn.Linear(decoded, n_mels * config.reduction_factor)
        self.stop = nn.Linear(decoded, 1)
        self.postnet = Postnet(n_mels, config)
        self.rnn_dropout = nn.Dropout(config.rnn_dropout)
        if config.n_speakers > 1:
            self.speaker = nn.Embedding(config.n_speakers, config.encoder_channels)
            nn.init.normal_(self.speaker.weight, std=0.1)

    def encode(self, ids: Tensor, id_lengths: Tensor, speaker: Tensor | None = None) -> Memory:
        """Read a batch of texts.

        ids: (B, N); id_lengths: (B,); speaker: (B,) indices, needed with several speakers.
        """
        mask = sequence_mask(id_lengths, ids.shape[1])
        x = self.embedding(ids)
        conv_mask = mask if self.config.mask_padding else None
        if conv_mask is not None:
            x = x * mask[..., None]
        values = self.encoder(x, id_lengths, conv_mask)
        if self.config.n_speakers > 1:
            assert speaker is not None, "a model of several speakers needs `speaker`"
            values = values + self.speaker(speaker)[:, None]
        return Memory(values, self.attention.keys(values), mask)

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first step."""
        batch, n_symbols, channels = memory.values.shape
        zeros = memory.values.new_zeros
        attention, decoder = self.config.attention_rnn_channels, self.config.decoder_rnn_channels
        return DecoderState(
            attention_h=zeros(batch, attention),
            attention_c=zeros(batch, attention),
            decoder_h=zeros(batch, decoder),
            decoder_c=zeros(batch, decoder),
            context=zeros(batch, channels),
            weights=zeros(batch, n_symbols),
            cumulative=zeros(batch, n_symbols),
            survival=memory.values.new_ones(batch),
        )

    def step(
        self, squeezed: Tensor, state: DecoderState, memory: Memory, max_dwell: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One decoder step: pure, state in and state out.

        squeezed: (B, P) the prenet's view of the last frame. With `max_dwell` (steps) the attention is monotonic.
        Returns frames (B, r, M), stop logit (B,), and the next state.
        """
        x = torch.cat((squeezed, state.context), dim=-1)
        attention_h, attention_c = self.attention_rnn(x, (state.attention_h, state.attention_c))
        attention_h = self.rnn_dropout(attention_h)
        log_weights = self.attention(
            attention_h[:, None], state.weights[:, None], state.cumulative[:, None], memory
        ).squeeze(1)
        weights, survival = log_weights.exp().to(x.dtype), state.survival
        if max_dwell is not None:
            weights, survival = move_on(
                weights, state.weights, state.cumulative, state.survival, memory.mask, max_dwell
            )
        context = (weights[:, None] @ memory.values).squeeze(1)
        x = torch.cat((attention_h, context), dim=-1)
        decoder_h, decoder_c = self.decoder_rnn(x, (state.decoder_h, state.decoder_c))
        decoder_h = self.rnn_dropout(decoder_h)
        frames, stop_logit = self.project(decoder_h, context)
        cumulative = state.cumulative + weights
        state = DecoderState(attention_h, attention_c, decoder_h, decoder_c, context, weights, cumulative, survival)
        return frames, stop_logit, state

    def forward(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        mel: Tensor,
        mel_lengths: Tensor,
        *,
        speaker: Tensor | None = None,
        symbols: Tensor | None = None,
        every: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tacotron2Output:
        """Teacher forcing: every step sees the recorded frame before it.

        ids: (B, N); mel: (B, M, T), T a multiple of the reduction factor; lengths: (B,); speaker: (B,).
        symbols: (B, S), the forced alignment: the symbol of each decoder step. With it the decoder attends there, all
        steps run at once, and `alignment` holds the weights that the attention proposes at each `every`-th step, so
        that it can be supervised.
        """
        r = self.config.reduction_factor
        assert mel.shape[2] % r == 0, f"{mel.shape[2]} frames are no multiple of the reduction factor {r}"
        memory = self.encode(ids, id_lengths, speaker)
        last_frames = mel.transpose(1, 2)[:, r - 1 :: r]  # (B, S, M)
        squeezed = self.squeeze(F.pad(last_frames, (0, 0, 1, -1)), generator)
        if symbols is None:
            frames, stop_logits, alignment = self.teacher_force(squeezed, memory)
        else:
            frames, stop_logits, alignment = self.force_alignment(symbols, every, squeezed, memory)
        before = frames.flatten(1, 2).to(mel.dtype)  # (B, S, r, M) -> (B, T, M)
        mask = sequence_mask(mel_lengths, mel.shape[2])
        after = self.refine(before, mask)
        step_mask = mask[:, ::r]
        return Tacotron2Output(
            before.masked_fill(~mask[..., None], 0).transpose(1, 2),
            after.masked_fill(~mask[..., None], 0).transpose(1, 2),
            stop_logits.to(mel.dtype).masked_fill(~step_mask, STOP_LOGIT_OF_PADDING),
            alignment,
        )

    def squeeze(self, frames: Tensor, generator: torch.Generator | None) -> Tensor:
        """The prenet over frames (B, S, M) that are known: (B, S, P)."""
        squeezed: Tensor = self.prenet(frames, self.prenet.draw(*frames.shape[:2], like=frames, generator=generator))
        return squeezed

    def teacher_force(self, squeezed: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """`step` after step, squeezed (B, S, P): frames (B, S, r, M), stop logits (B, S) and weights (B, S, N)."""
        state = self.start(memory)
        frames, stop_logits, alignment = [], [], []
        for x in squeezed.unbind(1):
            frame, stop_logit, state = self.step(x, state, memory)
            frames.append(frame)
            stop_logits.append(stop_logit)
            alignment.append(state.weights)
        return torch.stack(frames, dim=1), torch.stack(stop_logits, dim=1), torch.stack(alignment, dim=1)

    def force_alignment(
        self, symbols: Tensor, every: int, squeezed: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All steps at once: none waits for the attention, since each step's symbol is known.

        symbols: (B, S); squeezed: (B, S, P). Returns as `teacher_force`, the weights of each `every`-th step. Dropout
        acts on the output of an LSTM, and not on what its next step sees.
        """
        weights = F.one_hot(symbols, memory.values.shape[1]).to(memory.values.dtype)
        before = F.pad(weights, (0, 0, 1, -1))
        contexts = weights @ memory.values
        x = torch.cat((squeezed, F.pad(contexts, (0, 0, 1, -1))), dim=-1)
        attention_h = self.rnn_dropout(self.unroll(self.attention_rnn, x))
        supervised = slice(None, None, every)
        log_weights = self.attention(
            attention_h[:, supervised], before[:, supervised], before.cumsum(1)[:, supervised], memory
        )
        x = torch.cat((attention_h, contexts), dim=-1)
        decoder_h = self.rnn_dropout(self.unroll(self.decoder_rnn, x))
        frames, stop_logits = self.project(decoder_h, contexts)
        return frames, stop_logits, log_weights.exp()

    def unroll(self, cell: nn.LSTMCell, x: Tensor) -> Tensor:
        """An LSTM over x (B, S, C) from a state of zeros. Returns (B, S, H)."""
        hidden = state = x.new_zeros(len(x), cell.hidden_size)
        hiddens = []
        for inputs in x.unbind(1):
            hidden, state = cell(inputs, (hidden, state))
            hiddens.append(hidden)
        return torch.stack(hiddens, dim=1)

    def project(self, decoder_h: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """(..., H), (..., C) -> frames (..., r, M), stop logits (...)."""
        x = torch.cat((decoder_h, context), dim=-1)
        return self.projection(x).unflatten(-1, (self.config.reduction_factor, self.n_mels)), self.stop(x).squeeze(-1)

    def refine(self, before: Tensor, mask: Tensor) -> Tensor:
        """(B, T, M), (B, T) -> (B, T, M) with the postnet's addition."""
        if not self.config.mask_padding:
            return before + self.postnet(before, None)
        before = before * mask[..., None]
        return before + self.postnet(before, mask)

    @torch.inference_mode()
    def generate(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        options: DecodingOptions,
        generators: Sequence[torch.Generator],
        *,
        speaker: Tensor | None = None,
    ) -> AcousticOutput:
        """Synthesise mels of texts; each has the noise of its own generator, so that company changes nothing.

        ids: (B, N); id_lengths: (B,); speaker: (B,). Texts that have ended wait for the others.
        """
        r = self.config.reduction_factor
        run = _StepByStep(self, self.encode(ids, id_lengths, speaker), ids, id_lengths, options)
        segments = decode(
            run,
            self.prenet,
            generators,
            run.frame,
            step_limit(options, r),
            drop_ended=False,
            steps_at_once=lambda: NOISE_STEPS,
        )

        def refine(before: Tensor, lengths: Tensor) -> Tensor:
            mask = sequence_mask(lengths, before.shape[1])
            return self.refine(before, mask) * mask[..., None]

        return assemble(segments, len(ids), ids.shape[1], options, r, refine)


class _StepByStep:
    """The textbook's `DecoderRun`: `Tacotron2.step` after step."""

    def __init__(
        self, model: Tacotron2, memory: Memory, ids: Tensor, id_lengths: Tensor, options: DecodingOptions
    ) -> None:
        self._model, self._memory, self._lengths, self._options = model, memory, id_lengths, options
        self._max_dwell: Tensor | None = None
        if options.monotonic:
            longest = longest_dwells(ids, options.max_dwell, options.max_sound_dwell)
            self._max_dwell = longest / model.config.reduction_factor
        self._state = model.start(memory)
        self.frame = memory.values.new_zeros(len(ids), model.n_mels)
        """(B, M) the last one."""

    def advance(self, keep: Tensor, active: Sequence[bool]) -> Steps:
        """See `DecoderRun`."""
        frames, alignment, ended = [], [], []
        for kept in keep.unbind(1):
            squeezed = self._model.prenet(self.frame, kept)
            new, stop_logit, self._state = self._model.step(squeezed, self._state, self._memory, self._max_dwell)
            self.frame = new[:, -1]
            frames.append(new)
            alignment.append(self._state.weights)
            ended = [row for row, ends in enumerate(self._ends(stop_logit.sigmoid()).tolist()) if ends and active[row]]
            if ended:
                break
        return Steps(torch.stack(frames, dim=1), torch.stack(alignment, dim=1), dict.fromkeys(ended, len(frames)))

    def select(self, rows: list[int]) -> DecoderRun:
        """See `DecoderRun`."""
        run = copy.copy(self)
        run._memory = Memory(*(tensor[rows] for tensor in self._memory))
        run._state = DecoderState(*(tensor[rows] for tensor in self._state))
        run._lengths, run.frame = self._lengths[rows], self.frame[rows]
        run._max_dwell = None if self._max_dwell is None else self._max_dwell[rows]
        return run

    def _ends(self, stop: Tensor) -> Tensor:
        """(B,) whether each text ends here, where it stops with the probability (B,)."""
        if self._max_dwell is None:
            return stop > self._options.stop_threshold
        s = self._state
        ends, survival = finish(stop, s.weights, s.cumulative, s.survival, self._lengths, self._max_dwell)
        self._state = s._replace(survival=survival)
        return ends


def sequence_mask(lengths: Tensor, size: int) -> Tensor:
    """Lengths (B,) -> (B, size), True before each length: the part of a padded batch that is not padding."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]
