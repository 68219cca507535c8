"""Tacotron 2 made fast on CUDA: the same `generate`, many decoder steps to a launch.

A step is the model's own (`Tacotron2.step`), with the matrices of its LSTMs, most of what it reads, in half precision;
what is added up from step to step stays float32. Steps are recorded many at a time; only between recordings does the
host look at which texts have ended. Batches and texts are padded to few sizes, so that few recordings serve all: texts
with symbols that the attention's mask hides, batches with copies of a text.

Nothing here asks for CUDA: on a CPU the same code is tested.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glowtron.config import DecodingOptions
from glowtron.engines.cuda_info import Card, choose_on_card, exact_float32, find_card
from glowtron.engines.cuda_launches import Fused, Launches, Recorded, Tensors, bucket, find_launches
from glowtron.engines.hardware import Precision
from glowtron.models.decode import AcousticOutput, DecoderRun, Steps, assemble, decode, step_limit
from glowtron.models.monotonic import finish, longest_dwells
from glowtron.models.tacotron2 import DecoderState, Memory, Tacotron2, sequence_mask

STEPS = 32
"""Decoder steps between looks at what has ended."""
SMALLEST = 16
"""Symbols to which shorter texts are padded."""


def accelerate_tacotron2_on_cuda(
    model: Tacotron2, precision: str = "auto", card: Card | None = None, launches: Launches | None = None
) -> CudaTacotron2:
    """A copy of the model, as in evaluation mode, for speaking on the CUDA device that it is on.

    precision: of the decoder's LSTMs and the postnet. `fp32` is the model within rounding, and neither compiled nor
    recorded; `auto` picks `fp16`, `bf16` or `fp32` (`choose_on_card`; `.precision` and `.why` say which). card and
    launches: what the machine has, if not what is found. Raises InputError for an unknown precision.
    """
    device = model.embedding.weight.device
    card = find_card(device) if card is None else card
    chosen = choose_on_card(precision, card, model)
    if chosen.name == "fp32":
        return CudaTacotron2(model, chosen, Launches(None, None, "float32 is computed as the model does"))
    return CudaTacotron2(model, chosen, find_launches(device, card) if launches is None else launches)


class NarrowRecurrence(nn.Module):
    """A step of an LSTM whose matrix is in half precision, and whose gates and states are float32."""

    def __init__(self, cell: nn.LSTMCell, dtype: torch.dtype) -> None:
        super().__init__()
        weight = torch.cat((cell.weight_ih, cell.weight_hh), dim=1).detach().to(dtype)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter((cell.bias_ih + cell.bias_hh).detach(), requires_grad=False)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """x: (B, C), state: two of (B, H). Returns the new state."""
        inputs = torch.cat((x, state[0]), dim=1).to(self.weight.dtype)
        gates = F.linear(inputs, self.weight).float() + self.bias
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * state[1] + enter.sigmoid() * candidate.tanh()
        return leave.sigmoid() * cell.tanh(), cell


def take_step(
    model: Tacotron2,
    monotonic: bool,
    keep: Tensor,
    frame: Tensor,
    dwells: Tensor,
    lengths: Tensor,
    values: Tensor,
    keys: Tensor,
    mask: Tensor,
    *state: Tensor,
) -> Tensors:
    """One step after `frame` (B, M): frames (B, r, M), the wish to stop (B,), and the next state.

    keep: (2, B, P) the prenet's dropout; dwells: (B, N) of monotonic attention, in steps; lengths: (B,) symbols;
    values, keys, mask: a `Memory`'s; state: a `DecoderState`'s. A monotonic text ends where the wish is over one half,
    others where it is over the threshold of their options.
    """
    memory = Memory(values, keys, mask)
    squeezed = model.prenet(frame, keep)
    frames, logit, after = model.step(squeezed, DecoderState(*state), memory, dwells if monotonic else None)
    stop = logit.sigmoid()
    if monotonic:
        ends, survival = finish(stop, after.weights, after.cumulative, after.survival, lengths, dwells)
        stop, after = ends.to(stop.dtype), after._replace(survival=survival)
    return frames, stop, *after


class CudaTacotron2:
    """A Tacotron 2 ready to speak; `accelerate_tacotron2_on_cuda` makes one. Threads that share it take turns."""

    predicts_prosody = False

    @torch.no_grad()
    def __init__(self, model: Tacotron2, precision: Precision, launches: Launches) -> None:
        self.config, self.n_mels = model.config, model.n_mels
        self.precision, self._why, self._dtype = precision.name, precision.why, precision.dtype
        self._model = copy.deepcopy(model).eval().requires_grad_(False)
        if self._dtype != torch.float32:
            for name in ("attention_rnn", "decoder_rnn"):
                self._model.register_module(name, NarrowRecurrence(getattr(model, name), self._dtype))
        self._step, self._recorded = Fused(take_step, launches), Recorded(self._steps, launches)

    @property
    def why(self) -> str:
        """Why this precision, and whether operations are compiled and recorded, which is known after the first text."""
        return f"{self._why}; {self._step.why}; {self._recorded.why}"

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
        """As `Tacotron2.generate`; a text that has ended leaves."""
        r, is_exact = self.config.reduction_factor, self._dtype == torch.float32
        with exact_float32(), torch.autocast(ids.device.type, enabled=False):
            # In float32: it is a hundredth of the work, and its rounding would be in all that follows.
            memory = self._model.encode(ids, id_lengths, speaker)

        def refine(before: Tensor, lengths: Tensor) -> Tensor:
            mask = sequence_mask(lengths, before.shape[1])
            with exact_float32(), torch.autocast(ids.device.type, self._dtype, enabled=not is_exact):
                return self._model.refine(before, mask).float() * mask[..., None]

        with exact_float32() if is_exact else nullcontext(), torch.autocast(ids.device.type, enabled=False):
            run = _CudaRun(self, self._begin(memory, ids, id_lengths, options), len(ids), ids.shape[1], options)
            segments = list(
                decode(
                    run,
                    self._model.prenet,
                    generators,
                    memory.values,
                    step_limit(options, r),
                    # Where padding leaks into what is heard, as in the published programs, it has to be decoded too.
                    drop_ended=self.config.mask_padding,
                    steps_at_once=lambda: STEPS,
                )
            )
        return assemble(segments, len(ids), ids.shape[1], options, r, refine)

    def _begin(self, memory: Memory, ids: Tensor, id_lengths: Tensor, options: DecodingOptions) -> list[Tensor]:
        """All that a step takes besides its noise, before the first one, for a batch and texts of one of few sizes."""
        longest = longest_dwells(ids, options.max_dwell, options.max_sound_dwell) / self.config.reduction_factor
        parts = [memory.values, memory.keys, memory.mask, longest, id_lengths]
        parts = [part[_filled(range(len(ids)))] for part in parts]
        n_more = bucket(ids.shape[1], SMALLEST) - ids.shape[1]
        values, keys = (F.pad(part, (0, 0, 0, n_more)) for part in parts[:2])
        mask, longest = (F.pad(part, (0, n_more)) for part in parts[2:4])
        frame = values.new_zeros(len(values), self.n_mels)
        return [frame, longest, parts[4], values, keys, mask, *self._model.start(Memory(values, keys, mask))]

    def _steps(self, monotonic: bool, keep: Tensor, frame: Tensor, *rest: Tensor) -> Tensors:
        """Some steps. keep: (2, S, B, P). Returns frames (S, B, r, M), wishes to stop (S, B), weights (S, B, N), and
        all inputs but `keep` for the next ones.
        """
        text, state = rest[:5], rest[5:]
        all_frames, stops, weights = [], [], []
        for kept in keep.unbind(1):
            frames, stop, *after = self._step(self._model, monotonic, kept, frame, *text, *state)
            state, frame = tuple(after), frames[:, -1]
            all_frames.append(frames)
            stops.append(stop)
            weights.append(DecoderState(*state).weights)
        return torch.stack(all_frames), torch.stack(stops), torch.stack(weights), frame, *text, *state


class _CudaRun:
    """A batch of texts that takes `STEPS` recorded steps at a time."""

    def __init__(
        self, engine: CudaTacotron2, batch: list[Tensor], n_texts: int, n_symbols: int, options: DecodingOptions
    ) -> None:
        """batch: of `CudaTacotron2._begin`; it may have more texts and symbols than n_texts and n_symbols."""
        self._engine, self._batch, self._n_texts, self._n_symbols = engine, batch, n_texts, n_symbols
        self._options = options
        self._threshold = 0.5 if options.monotonic else options.stop_threshold

    def advance(self, keep: Tensor, active: Sequence[bool]) -> Steps:
        """See `DecoderRun`. A text that ends is decoded to the end of these steps."""
        n_steps, rows = keep.shape[1], _filled(range(self._n_texts))
        keep = F.pad(keep[:, :, rows], (0, 0, 0, 0, 0, STEPS - n_steps))
        found = self._engine._recorded(self._options.monotonic, keep, *self._batch)
        frames, stops, weights, *self._batch = found
        frames, stops, weights = (part[:n_steps, : self._n_texts].transpose(0, 1) for part in (frames, stops, weights))
        wishes = (stops > self._threshold).tolist()
        ended = {row: wish.index(True) + 1 for row, wish in enumerate(wishes) if active[row] and True in wish}
        n_taken = max(ended.values()) if len(ended) == sum(active) else n_steps
        return Steps(frames[:, :n_taken], weights[:, :n_taken, : self._n_symbols], ended)

    def select(self, rows: list[int]) -> DecoderRun:
        """See `DecoderRun`."""
        batch = [part[_filled(rows)] for part in self._batch]
        return _CudaRun(self._engine, batch, len(rows), self._n_symbols, self._options)


def _filled(rows: Sequence[int]) -> list[int]:
    """Rows, and copies of the first, so that there is a power of two of them."""
    n_rows = 1 << (len(rows) - 1).bit_length()
    return [*rows, *[rows[0]] * (n_rows - len(rows))]
