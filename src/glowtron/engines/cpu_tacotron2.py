"""Tacotron 2 made fast on a CPU: the same `generate`, and mels in pieces while they are being spoken."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.config import DecodingOptions
from glowtron.engines.cpu_decoder import DecoderRun, DecoderWeights, Place
from glowtron.engines.cpu_decoder_native import Found, Kernel, KernelRun, NativeMatrix, find_kernel, matrices_of
from glowtron.engines.cpu_decoder_torch import PackedWeights, TorchRun
from glowtron.engines.hardware import Capabilities, Precision, choose_precision, find_capabilities
from glowtron.engines.modules import shifted_views
from glowtron.engines.products import Kind, bfloat16_is_packed, int8_is_exact, make_up
from glowtron.errors import InputError, nearest
from glowtron.models.convolution import Convolution
from glowtron.models.decode import (
    NOISE_STEPS,
    AcousticOutput,
    MelChunk,
    Segment,
    assemble,
    decode,
    step_limit,
    stream_mel,
)
from glowtron.models.monotonic import longest_dwells
from glowtron.models.tacotron2 import Encoder, MaskedBatchNorm, Memory, Postnet, Tacotron2, sequence_mask

PRECISIONS = ("auto", "int8", "int16", "bf16", "fp32")

_LARGE = 8_000_000
"""Weights in the decoder's LSTMs from which int8 is worth its rounding: the published network has 18 million."""


FEW_TEXTS: dict[Kind, int] = {"fp32": 8, "bf16": 16, "int8": 4}
"""Up to so many the kernel is faster than torch, whose products like many rows, or not much slower: eight are what a
voice says at once, and in float32 these are to be what it streams one by one."""


class FoldedConvolutions:
    """Tacotron 2's stack of convolutions in evaluation mode, the batch normalisation folded in."""

    def __init__(
        self,
        stack: Encoder | Postnet,
        activation: Literal["relu", "tanh"],
        *,
        last_is_linear: bool,
        dtype: torch.dtype,
    ) -> None:
        self.dtype = dtype
        self.layers: list[tuple[int, Tensor, Tensor]] = []
        for layer, norm in zip(stack.convolutions, stack.norms, strict=True):
            assert isinstance(layer, Convolution) and isinstance(norm, MaskedBatchNorm)
            self.layers.append((layer.kernel_size, *fold(layer, norm, dtype)))
        self.activation = {"relu": torch.relu_, "tanh": torch.tanh_}[activation]
        self.n_activations = len(self.layers) - last_is_linear
        self.reach = sum((kernel_size - 1) // 2 for kernel_size, _, _ in self.layers)
        """Steps on either side that an output depends on."""

    def __call__(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, C); mask: (B, T) real steps, all others become zero. Returns (B, T, C) in float32."""
        n_steps = x.shape[1]
        # What is behind the end stays zero, as a convolution finds it there.
        x = make_up(x.to(self.dtype))
        for i, (kernel_size, weight, bias) in enumerate(self.layers):
            x = F.linear(shifted_views(x, kernel_size), weight, bias)
            if i < self.n_activations:
                self.activation(x)
            if mask is not None:
                x[:, :n_steps] *= mask[..., None]
            x[:, n_steps:] = 0
        return x[:, :n_steps].float()


def fold(convolution: Convolution, norm: MaskedBatchNorm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """One matrix (out, kernel * in) and bias (out,) that convolve and normalise."""
    mean, variance, bias = norm.running_mean, norm.running_var, convolution.bias
    assert mean is not None and variance is not None and bias is not None
    gain = norm.weight.double() / (variance.double() + norm.eps).sqrt()
    weight = convolution.weight.double() * gain[:, None]
    return weight.to(dtype), ((bias.double() - mean.double()) * gain + norm.bias.double()).to(dtype)


class Decoder:
    """A model's decoder, ready to run; never changed, so that any number of runs may share it."""

    def __init__(self, model: Tacotron2, kind: Kind, kernel: Kernel | None) -> None:
        """kind: how the LSTMs' weights are held. kernel: None leaves all to torch."""
        self.weights, self.kind, self.kernel = DecoderWeights(model, kind), kind, kernel

    def start(self, memory: Memory, places: Sequence[Place] | None, stop_threshold: float) -> DecoderRun:
        """A run of some texts from their beginning.

        places: of each text, where the attention is to be monotonic. stop_threshold: as a logit.
        """
        run: DecoderRun
        if self.kernel is not None and len(memory.values) <= FEW_TEXTS[self.kind]:
            run = KernelRun(self.weights, self.kernel, self._matrices, memory, places, stop_threshold)
        else:
            run = TorchRun(self.weights, self._packed, memory, places, stop_threshold)
        run.begin = lambda memory, places: self.start(memory, places, stop_threshold)
        return run

    @cached_property
    def _matrices(self) -> dict[str, NativeMatrix]:
        """The weights for the kernel."""
        return matrices_of(self.weights)

    @cached_property
    def _packed(self) -> PackedWeights:
        """The weights for torch, which only batches of many need where there is a kernel."""
        return PackedWeights(self.weights)


def accelerate_tacotron2(
    model: Tacotron2,
    precision: str = "auto",
    capabilities: Capabilities | None = None,
    compiled: Found | None = None,
) -> FastTacotron2:
    """A copy of the model's weights, laid out for speaking on a CPU, as in evaluation mode.

    precision: of the decoder's LSTMs, whose weights are what a step has to read. `fp32` is the model within rounding;
    `bf16` and `int8` round the weights, and compute a large postnet in bf16 where that is fast; `auto` is int8 for
    models as large as the published one and bf16 for smaller ones, if that was measured to be fast here, and else fp32,
    as is int16. What the processor does not have becomes fp32 (`.precision` and `.why` say which). capabilities: what
    the processor can do, and compiled: our own operations, if not what is found here. Raises InputError for an unknown
    precision.
    """
    found = find_capabilities() if capabilities is None else capabilities
    compiled = find_kernel() if compiled is None else compiled
    chosen = choose(precision, found, is_large(model))
    return FastTacotron2(model, *chosen, compiled)


def is_large(model: Tacotron2) -> bool:
    """True if memory bandwidth for weights bounds a decoder step."""
    return sum(p.numel() for cell in (model.attention_rnn, model.decoder_rnn) for p in cell.parameters()) >= _LARGE


def choose(wanted: str, capabilities: Capabilities, large: bool) -> tuple[Precision, torch.dtype]:
    """The precision of the decoder, and what the postnet is computed in."""
    if wanted not in PRECISIONS:
        raise InputError(f"unknown precision '{wanted}'{nearest(wanted, PRECISIONS)}")
    if wanted == "fp32":
        return Precision("fp32", "fp32 as asked"), torch.float32
    if wanted == "int16":
        return Precision("fp32", "fp32: int16 is for WaveGlow's layers"), torch.float32
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

    predicts_prosody = False

    @torch.no_grad()
    def __init__(self, model: Tacotron2, precision: Precision, postnet_dtype: torch.dtype, compiled: Found) -> None:
        assert model.embedding.weight.device.type == "cpu", "this is for CPUs"
        self.config, self.n_mels = model.config, model.n_mels
        self.precision = precision.name
        self._why = f"{precision.why}; {'compiled' if compiled.kernel else f'not compiled: {compiled.why_not}'}"
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
    def why(self) -> str:
        """See `AcousticEngine`."""
        return self._why

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
    ) -> AcousticOutput:
        """As `Tacotron2.generate`; a text that has ended costs nothing more."""
        segments = self._segments(ids, id_lengths, options, generators, speaker, lambda: NOISE_STEPS)
        return assemble(segments, len(ids), ids.shape[1], options, self.config.reduction_factor, self.refine)

    @torch.inference_mode()
    def stream(
        self,
        ids: Tensor,
        options: DecodingOptions,
        generator: torch.Generator,
        *,
        speaker: Tensor | None = None,
        n_steps: Callable[[], int],
    ) -> Iterator[MelChunk]:
        """Decode one text, ids (1, N), in pieces: what `generate` makes of it, as soon as it is final.

        The postnet sees a few frames ahead (`frames_behind`), so that mel comes that much later; each piece holds what
        so many more decoder steps have settled as `n_steps` says before it, and the last one the rest.
        """
        length = torch.tensor([ids.shape[1]])
        yield from stream_mel(
            self._segments(ids, length, options, [generator], speaker, n_steps),
            options,
            self.config.reduction_factor,
            lambda window: self._postnet(window, None),
            self.frames_behind,
            mask_padding=self.config.mask_padding,
        )

    def _segments(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        options: DecodingOptions,
        generators: Sequence[torch.Generator],
        speaker: Tensor | None,
        n_steps: Callable[[], int],
    ) -> Iterator[Segment]:
        r = self.config.reduction_factor
        places = None
        if options.monotonic:
            longest = (longest_dwells(ids, options.max_dwell, options.max_sound_dwell) / r).tolist()
            places = [Place(row[:length]) for row, length in zip(longest, id_lengths.tolist(), strict=True)]
        run = self._decoder.start(self.encode(ids, id_lengths, speaker), places, _logit(options.stop_threshold))
        return decode(
            run,
            self._prenet,
            generators,
            run.row,
            step_limit(options, r),
            # Where padding leaks into what is heard, as in the published programs, it has to be decoded as well.
            drop_ended=self.config.mask_padding,
            steps_at_once=n_steps,
        )

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


def _logit(probability: float) -> float:
    """Logit of a probability."""
    if not 0 < probability < 1:
        return math.inf if probability >= 1 else -math.inf
    return math.log(probability / (1 - probability))
