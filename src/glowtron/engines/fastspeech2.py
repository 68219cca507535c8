"""FastSpeech 2 ready to speak: texts to mels, whole or in pieces.

Nothing in it is autoregressive, so the model itself is fast; here it gets the interface of an acoustic engine. Texts go
through one by one: none is padded, and none depends on those beside it, not even in rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.config import DecodingOptions, ProsodyOptions
from glowtron.engines.hardware import Precision, choose_precision
from glowtron.models.decode import AcousticOutput, MelChunk
from glowtron.models.fastspeech2 import FastSpeech2, Plan, draw_noise


def accelerate_fastspeech2(model: FastSpeech2, precision: str = "auto") -> FastSpeech2Engine:
    """The model ready to speak where it is. precision: as of `choose_precision` on a CPU; fp16 on CUDA for `auto`."""
    if model.speaker.weight.device.type == "cuda":
        chosen = Precision("fp16" if precision == "auto" else precision, "on CUDA")
    elif precision in ("int8", "int16"):
        chosen = Precision("fp32", f"fp32: {precision} is for WaveGlow's layers and the decoder of Tacotron 2")
    else:
        chosen = choose_precision(precision)
    return FastSpeech2Engine(model, chosen)


class FastSpeech2Engine:
    """A FastSpeech 2 ready to speak, on any device. Never changed, so that threads may share it."""

    predicts_prosody = True
    frames_behind = 0
    """Mel frames by which a piece is behind the steps that settled it."""

    def __init__(
        self, model: FastSpeech2, precision: Precision, prosody: Sequence[ProsodyOptions] | None = None
    ) -> None:
        """prosody: of each symbol of the one text that is spoken; None: the options'."""
        self.config, self.n_mels = model.config, model.n_mels
        self.precision, self._why, self._dtype = precision.name, precision.why, precision.dtype
        self._chosen, self._prosody = precision, prosody
        self._model = model.eval()

    def with_prosody(self, prosody: Sequence[ProsodyOptions]) -> FastSpeech2Engine:
        """See `ProsodicEngine`."""
        return FastSpeech2Engine(self._model, self._chosen, prosody)

    @property
    def why(self) -> str:
        """See `AcousticEngine`."""
        return self._why

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
        """Mels of texts, ids (B, N), each with a generator of its noise.

        The alignment has a row for each frame, with weight 1 at its symbol. Of `options` the frame limit and the
        prosody count; a text that reaches the limit has not stopped by itself.
        """
        speaker = ids.new_zeros(len(ids)) if speaker is None else speaker
        mel = torch.zeros(len(ids), 1, self.n_mels, device=ids.device)
        alignment = torch.zeros(len(ids), 1, ids.shape[1], device=ids.device)
        lengths: list[int] = []
        for row, n_ids in enumerate(id_lengths.tolist()):
            plan, noise = self._plan(ids[row : row + 1, :n_ids], options, generators[row], speaker[row : row + 1])
            frames = self._decode(plan, noise, slice(0, noise.shape[2]))[0].T
            lengths.append(len(frames))
            longer = max(len(frames) - mel.shape[1], 0)
            mel, alignment = F.pad(mel, (0, 0, 0, longer)), F.pad(alignment, (0, 0, 0, longer))
            mel[row, : len(frames)] = frames
            alignment[row, : len(frames), :n_ids] = hard_alignment(plan.durations)[0]
        mel_lengths = torch.tensor(lengths, device=ids.device)
        return AcousticOutput(mel.transpose(1, 2), mel_lengths, alignment, mel_lengths < options.max_frames)

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
        """The mel of one text, ids (1, N), in pieces of as many frames as `n_steps` says before each."""
        speaker = ids.new_zeros(1) if speaker is None else speaker
        plan, noise = self._plan(ids, options, generator, speaker)
        alignment, n_frames, start = hard_alignment(plan.durations), noise.shape[2], 0
        while start < n_frames:
            stop = min(start + n_steps(), n_frames)
            ended = stop == n_frames
            mel = self._decode(plan, noise, slice(start, stop))
            yield MelChunk(mel, alignment[:, start:stop], ended, ended and n_frames < options.max_frames)
            start = stop

    def _plan(
        self, ids: Tensor, options: DecodingOptions, generator: torch.Generator, speaker: Tensor
    ) -> tuple[Plan, Tensor]:
        """The plan of one text, and the noise (1, Z, T) of its frames."""
        with self._autocast(ids):
            n_ids = torch.tensor([ids.shape[1]], device=ids.device)
            plan = self._model.plan(ids, n_ids, speaker, self._prosody or options.prosody, options.max_frames)
        return plan, draw_noise(self.config, plan.durations.sum(1), [generator])

    def _decode(self, plan: Plan, noise: Tensor, frames: slice) -> Tensor:
        """Some frames of a plan's mel, (1, M, T), computed from no more than they depend on."""
        first, last = max(frames.start - self._model.reach, 0), min(frames.stop + self._model.reach, noise.shape[2])
        window = slice(first, last)
        with self._autocast(noise):
            mel = self._model.decode(
                plan.frames[..., window],
                plan.pitch[:, window],
                plan.voiced[:, window],
                noise[..., window],
                plan.mask[..., window],
            )
        return mel[..., frames.start - first : frames.stop - first].float()

    def _autocast(self, like: Tensor) -> torch.autocast:
        return torch.autocast(like.device.type, self._dtype, enabled=self._dtype != torch.float32)


def hard_alignment(durations: Tensor) -> Tensor:
    """(B, N) frames -> (B, T, N) with 1 at the symbol of each frame."""
    ends = durations.cumsum(1)
    frame = torch.arange(int(ends[:, -1].max()), device=durations.device)[:, None]
    return ((frame >= (ends - durations)[:, None]) & (frame < ends[:, None])).float()
