"""Tacotron 2 made fast on a CPU: the same `generate`, and mels in pieces while they are being spoken."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from glowtron.engines.convolutions import FoldedConvolutions
from glowtron.engines.decoder import Decoder
from glowtron.engines.kernel import Found, find_kernel
from glowtron.engines.monotonic import Place
from glowtron.engines.precision import Capabilities, Precision, choose_precision, find_capabilities
from glowtron.engines.products import Kind, bfloat16_is_packed, int8_is_exact
from glowtron.errors import InputError, nearest
from glowtron.models.monotonic import longest_dwells
from glowtron.models.tacotron2 import DecodingOptions, Memory, Prenet, Spoken, Tacotron2, sequence_mask

PRECISIONS = ("auto", "int8", "bf16", "fp32")

_LARGE = 8_000_000
"""Weights in the decoder's LSTMs from which int8 is worth its rounding: the published network has 18 million."""

_AT_ONCE = 64
"""Decoder steps between allocations."""


_MORE_THAN_ANY = 1e38
"""No activation of the prenet is as large."""


class MelChunk(NamedTuple):
    """The next piece of a text's mel."""

    mel: Tensor
    """(1, M, T); T may be 0 in the last piece."""
    alignment: Tensor
    """(1, S, N) of the steps that this piece added, which are some frames ahead of its mel."""
    ended: bool
    """Whether this is the last piece."""
    stopped: bool
    """Whether the text ended by itself; False before the last piece, and where the frame limit ended it."""


class _Segment(NamedTuple):
    """Consecutive steps of the texts that were still being spoken."""

    rows: list[int]
    """Which K texts."""
    frames: Tensor
    """(K, T, M) before the postnet."""
    alignment: Tensor
    """(K, S, N), N of the longest among them."""
    ended: list[int]
    """Which texts ended with the last of these steps."""


def accelerate_tacotron2(
    model: Tacotron2,
    precision: str = "auto",
    capabilities: Capabilities | None = None,
    compiled: Found | None = None,
) -> FastTacotron2:
    """A copy of the model's weights, laid out for speaking on a CPU, as in evaluation mode.

    precision: of the decoder's LSTMs, whose weights are what a step has to read. `fp32` is the model within rounding;
    `bf16` and `int8` round the weights, and compute a large postnet in bf16 where that is fast; `auto` is int8 for
    models as large as the published one and bf16 for smaller ones, if the processor has instructions for it, and else
    fp32. What the processor does not have becomes fp32 (`.precision` and `.why` say which). capabilities: what the
    processor can do, and compiled: our own operations, if not what is found here. Raises InputError for an unknown
    precision.
    """
    found = find_capabilities() if capabilities is None else capabilities
    compiled = find_kernel() if compiled is None else compiled
    chosen = choose(precision, found, is_large(model))
    return FastTacotron2(model, *chosen, compiled)


def is_large(model: Tacotron2) -> bool:
    """Whether a decoder step mostly waits for weights."""
    return sum(p.numel() for cell in (model.attention_rnn, model.decoder_rnn) for p in cell.parameters()) >= _LARGE


def choose(wanted: str, capabilities: Capabilities, large: bool) -> tuple[Precision, torch.dtype]:
    """The precision of the decoder, and what the postnet is computed in."""
    if wanted not in PRECISIONS:
        raise InputError(f"unknown precision '{wanted}'{nearest(wanted, PRECISIONS)}")
    if wanted == "fp32":
        return Precision("fp32", "fp32 as asked"), torch.float32
    # A small postnet costs little, and rounding it was most of what the compact voice's sound was from float32.
    dtype = choose_precision("auto", capabilities).dtype if large else torch.float32
    if wanted == "int8" or (wanted == "auto" and large):
        if int8_is_exact():
            return Precision("int8", "int8: this processor sums products of bytes exactly"), dtype
        lacking = "exact products of bytes"
    else:
        if bfloat16_is_packed() and (wanted == "bf16" or capabilities.bf16):
            return Precision("bf16", f"bf16: {'as asked' if wanted == 'bf16' else capabilities.bf16}"), dtype
        lacking = "fast products in bf16"
    return Precision("fp32", f"fp32: this processor and this torch have no {lacking}"), dtype


class FastTacotron2:
    """A Tacotron 2 ready to speak; `accelerate_tacotron2` makes one. Never changed, so that threads may share it."""

    @torch.no_grad()
    def __init__(self, model: Tacotron2, precision: Precision, postnet_dtype: torch.dtype, compiled: Found) -> None:
        assert model.embedding.weight.device.type == "cpu", "this is for CPUs"
        self.config, self.n_mels = model.config, model.n_mels
        self.precision = precision.name
        self.why = f"{precision.why}; {'compiled' if compiled.kernel else f'not compiled: {compiled.why_not}'}"
        self._decoder = Decoder(model, cast(Kind, precision.name), compiled.kernel)
        encoder = model.encoder
        self._postnet = FoldedConvolutions(model.postnet, "tanh", last_is_linear=True, dtype=postnet_dtype)
        # In bf16 the encoder would be 4 dB further from the model, all through the text, and a text 1 % sooner.
        self._encoder = FoldedConvolutions(encoder, "relu", last_is_linear=False, dtype=torch.float32)
        self._embedding, self._lstm, self._key = (
            copy.deepcopy(part).requires_grad_(False) for part in (model.embedding, encoder.lstm, model.attention.key)
        )
        self._speaker = copy.deepcopy(model.speaker).requires_grad_(False) if self.config.n_speakers > 1 else None
        self._prenet = copy.deepcopy(model.prenet).requires_grad_(False)

    @property
    def frames_behind(self) -> int:
        """Mel frames by which a piece is behind the steps that settled it."""
        return self._postnet.reach

    @torch.inference_mode()
    def generate(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        options: DecodingOptions,
        generators: Sequence[torch.Generator],
        *,
        speaker: Tensor | None = None,
    ) -> Spoken:
        """As `Tacotron2.generate`; a text that has ended costs nothing more, and its alignment is zero from there."""
        r = self.config.reduction_factor
        segments = list(self._segments(ids, id_lengths, options, generators, speaker, lambda: _AT_ONCE))
        n_taken = sum(segment.frames.shape[1] for segment in segments) // r
        before = torch.zeros(len(ids), n_taken * r, self.n_mels)
        alignment = torch.zeros(len(ids), n_taken, ids.shape[1])
        lengths, stopped = (
            torch.full_like(id_lengths, _n_steps(options, r)),
            torch.zeros_like(id_lengths, dtype=torch.bool),
        )
        done = 0
        for segment in segments:
            n_new, n_symbols = segment.alignment.shape[1:]
            before[segment.rows, done * r : (done + n_new) * r] = segment.frames
            alignment[segment.rows, done : done + n_new, :n_symbols] = segment.alignment
            done += n_new
            lengths[segment.ended] = done - 1 + options.keep_stop_frame
            stopped[segment.ended] = True
        mel_lengths = (lengths * r).clamp(max=options.max_frames)
        mel = self.refine(before, mel_lengths)[:, : int(mel_lengths.max())]
        return Spoken(mel.transpose(1, 2), mel_lengths, alignment, stopped)

    @torch.inference_mode()
    def chunks(
        self,
        ids: Tensor,
        options: DecodingOptions,
        generator: torch.Generator,
        *,
        speaker: Tensor | None = None,
        n_steps: Callable[[], int],
    ) -> Iterator[MelChunk]:
        """Speak one text, ids (1, N), piece by piece: what `generate` makes of it, as soon as it is final.

        The postnet sees a few frames ahead (`frames_behind`), so that mel comes that much later; each piece holds what
        so many more decoder steps have settled as `n_steps` says before it, and the last one the rest.
        """
        r, reach = self.config.reduction_factor, self.frames_behind
        left = _n_steps(options, r)
        window = torch.zeros(1, 0, self.n_mels)  # Frames before the postnet, from `start` on.
        start = given = 0
        for segment in self._segments(ids, torch.tensor([ids.shape[1]]), options, [generator], speaker, n_steps):
            left -= segment.alignment.shape[1]
            stopped = bool(segment.ended)
            window = torch.cat((window, segment.frames), dim=1)
            end = start + window.shape[1]
            if stopped or not left:
                settled = min(end - r * (stopped and not options.keep_stop_frame), options.max_frames)
                if self.config.mask_padding:
                    window = window[:, : settled - start]
            else:
                settled = max(end - reach, given)
            mel = (window + self._postnet(window, None))[:, given - start : settled - start]
            yield MelChunk(mel.transpose(1, 2), segment.alignment, stopped or not left, stopped)
            given = settled
            window = window[:, max(given - reach, 0) - start :]
            start = max(given - reach, 0)

    def _segments(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        options: DecodingOptions,
        generators: Sequence[torch.Generator],
        speaker: Tensor | None,
        n_steps: Callable[[], int],
    ) -> Iterator[_Segment]:
        """Speak, telling after so many steps as `n_steps` says before them, and whenever a text ends."""
        r = self.config.reduction_factor
        places = None
        if options.monotonic:
            longest = (longest_dwells(ids, options.max_dwell, options.max_sound_dwell) / r).tolist()
            places = [Place(row[:length]) for row, length in zip(longest, id_lengths.tolist(), strict=True)]
        run = self._decoder.start(self.encode(ids, id_lengths, speaker), places)
        noise = _Noise(self._prenet, generators, like=run.row)
        rows = list(range(len(ids)))  # Of the texts that `run` speaks.
        speaking = set(rows)
        left, stop_threshold = _n_steps(options, r), _logit(options.stop_threshold)
        while left and speaking:
            room = run.room(min(left, n_steps()))
            limits = noise.limits(len(room.outputs))
            n_taken, ending = run.take(limits, room, [row in speaking for row in rows], stop_threshold)
            noise.forget(n_taken)
            outputs, alignment = room
            ended = {rows[i] for i in ending}
            frames = outputs[:n_taken, :, :-1].unflatten(2, (r, self.n_mels)).transpose(0, 1).flatten(1, 2)
            yield _Segment(rows, frames, alignment[:n_taken].transpose(0, 1), sorted(ended))
            left -= n_taken
            speaking -= ended
            # Where padding leaks into what is heard, as in the published programs, it has to be spoken as well.
            if ended and speaking and self.config.mask_padding:
                going = [i for i, row in enumerate(rows) if row in speaking]
                rows = [rows[i] for i in going]
                run = self._decoder.keep(run, going)
                noise.keep(going)

    def encode(self, ids: Tensor, id_lengths: Tensor, speaker: Tensor | None) -> Memory:
        """As `Tacotron2.encode`."""
        mask = sequence_mask(id_lengths, ids.shape[1])
        masked = mask if self.config.mask_padding and not bool(mask.all()) else None
        x = self._embedding(ids)
        if masked is not None:
            x = x * masked[..., None]
        x = self._encoder(x, masked)
        values = x.new_zeros(*ids.shape, self.config.encoder_channels)
        # One by one, as fast as a packed batch: so no text depends on those beside it, not even in rounding.
        for row, symbols, length in zip(values, x, id_lengths.tolist(), strict=True):
            row[:length] = self._lstm(symbols[None, :length])[0][0]
        if self._speaker is not None:
            assert speaker is not None, "a model of several speakers needs `speaker`"
            values = values + self._speaker(speaker)[:, None]
        return Memory(values, self._key(values), mask)

    def refine(self, before: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, M) and lengths (B,) -> (B, T, M) with the postnet's addition, zero behind each text."""
        mel = before * sequence_mask(lengths, before.shape[1])[..., None]
        if not self.config.mask_padding:
            return mel + self._postnet(before, None) * sequence_mask(lengths, before.shape[1])[..., None]
        # One by one, so that each text is convolved as long as it is.
        for row, length in zip(mel, lengths.tolist(), strict=True):
            row[:length] += self._postnet(row[None, :length], None)[0]
        return mel


class _Noise:
    """The prenet's dropout, step after step; each text has its own generator."""

    def __init__(self, prenet: Prenet, generators: Sequence[torch.Generator], like: Tensor) -> None:
        self.prenet, self.generators, self.like = prenet, list(generators), like
        self.drawn = (like.new_zeros(0, len(like), 0),) * 2

    def limits(self, n_steps: int) -> tuple[Tensor, Tensor]:
        """Of the next steps, (S, B, P) each; see `DecoderRun.take`."""
        while len(self.drawn[0]) < n_steps:
            # Many steps at a time, and as many as the model draws, so that the noise is the same.
            each = [self.prenet.draw(64, like=self.like, generator=generator) for generator in self.generators]
            more = torch.stack(each, dim=2) * _MORE_THAN_ANY  # (2, S, B, P)
            parts = zip(self.drawn, more, strict=True) if len(self.drawn[0]) else ((part,) for part in more)
            first, second = (torch.cat(tuple(part)) for part in parts)
            self.drawn = first, second
        first, second = self.drawn
        return first[:n_steps], second[:n_steps]

    def forget(self, n_steps: int) -> None:
        """These have been taken."""
        first, second = self.drawn
        self.drawn = first[n_steps:], second[n_steps:]

    def keep(self, rows: list[int]) -> None:
        """Go on for these texts only."""
        self.generators = [self.generators[row] for row in rows]
        first, second = self.drawn
        self.drawn = first[:, rows], second[:, rows]


def _n_steps(options: DecodingOptions, reduction_factor: int) -> int:
    return -(-options.max_frames // reduction_factor)


def _logit(probability: float) -> float:
    """What the sigmoid makes a probability of."""
    if not 0 < probability < 1:
        return math.inf if probability >= 1 else -math.inf
    return math.log(probability / (1 - probability))
