"""FastSpeech 2 ready to speak: texts to mels, whole or in pieces, on a CPU by the kernel of WaveGlow's WN.

Nothing in it is autoregressive, so the model itself is fast; here it gets the interface of an acoustic engine. Texts go
through one by one: none is padded, and none depends on those beside it, not even in rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glowtron.config import DecodingOptions, ProsodyOptions
from glowtron.engines.cpu_wn_native import UNTRIED, Found, Kind, Level, NativeResidual, find_levels
from glowtron.engines.hardware import Precision, choose_precision
from glowtron.engines.measured import measure
from glowtron.models.convolution import matrix_from_taps
from glowtron.models.decode import AcousticOutput, MelChunk
from glowtron.models.fastspeech2 import FastSpeech2, GatedLayers, Plan, draw_noise


def accelerate_fastspeech2(model: FastSpeech2, precision: str = "auto") -> FastSpeech2Engine:
    """The model ready to speak where it is.

    precision: on a CPU `auto` (bf16 where that is faster, else float32 or int16, whichever way is the fastest here),
    `fp32`, `bf16` or `int16`, of the decoder's layers alone; fp16 on CUDA for `auto`. Raises InputError for another.
    """
    if model.speaker.weight.device.type == "cuda":
        return FastSpeech2Engine(model, Precision("fp16" if precision == "auto" else precision, "on CUDA"))
    if precision == "bf16" or (precision == "auto" and choose_precision("auto").name == "bf16"):
        return FastSpeech2Engine(model, choose_precision(precision))
    way, why = choose_gated_way(model, precision)
    if precision == "int8":
        why = f"{why}; int8 is for WaveGlow's layers and the decoder of Tacotron 2"
    return FastSpeech2Engine(with_native_layers(model, way), Precision(way.precision, why))


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


class GatedWay(NamedTuple):
    """A way to compute the layers: by torch in float32 where there is no level."""

    precision: Kind
    level: Level | None = None

    def __str__(self) -> str:
        return f"{self.precision} by {'torch' if self.level is None else self.level.name}"

    def run_on(self, layers: GatedLayers) -> Callable[[int], object]:
        """A function of a number of rows that runs the layers on them."""
        n_channels = len(_matrix(layers.outs[0])[0])
        if self.level is None:
            return lambda n_rows: layers(torch.ones(1, n_channels, n_rows), torch.ones(1, 1, n_rows))
        native = NativeGatedLayers(layers, self.precision, self.level)
        return lambda n_rows: native(torch.ones(1, n_channels, n_rows), torch.ones(1, 1, n_rows))


class NativeGatedLayers(nn.Module):
    """The same function as `GatedLayers` of one text without padding."""

    def __init__(self, layers: GatedLayers, kind: Kind, level: Level) -> None:
        super().__init__()
        self.reach = layers.reach
        gates, outs = ([_matrix(each) for each in part] for part in (layers.gates, layers.outs))
        self._native = NativeResidual(gates, outs, layers.dilations, kind, level)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (1, C, T); mask: (1, 1, T), which is 1. Returns the shape of x."""
        assert len(x) == 1, "texts go through one by one"
        return self._native(x[0].T).T[None]


def _matrix(layer: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, nn.Conv1d) and layer.bias is not None
    return matrix_from_taps(layer.weight), layer.bias


def choose_gated_way(model: FastSpeech2, precision: str, found: Found | None = None) -> tuple[GatedWay, str]:
    """The fastest way here for a precision, and why. `auto`: float32, or int16, which is nearly float32."""
    found = find_levels() if found is None else found
    lacking = f"; not compiled: {found.why_not}" if found.why_not else ""
    ways = [GatedWay("fp32")]
    kinds: tuple[Kind, ...] = ("fp32", "int16") if precision in ("auto", "int16") else ("fp32",)
    for kind in kinds:
        levels = [level for level in found.levels if kind in level.kinds and level.name not in UNTRIED]
        ways += [GatedWay(kind, level) for level in levels[-1:]]
    if precision == "int16" and ways[-1].precision == "int16":
        return ways[-1], f"{ways[-1]} as asked"
    if len(ways) == 1:
        return ways[0], f"{ways[0]}, the only way here{lacking}"
    n_channels = model.config.decoder_channels
    with torch.random.fork_rng(devices=[]):
        sample = GatedLayers(n_channels, (1, 2), 0.0).requires_grad_(False)
    ready = {str(way): partial(way.run_on, sample) for way in ways}
    measured = measure(f"gated layers of {n_channels}", ready)
    best = next(way for way in ways if str(way) == measured.best)
    return best, f"{best}, {measured}{lacking}"


def with_native_layers(model: FastSpeech2, way: GatedWay) -> FastSpeech2:
    """The model, all of whose other weights it shares, with its gated layers computed that way.

    Pitch decides what is said how, so its layers stay float32.
    """
    if way.level is None:
        return model
    fast = copy.copy(model)
    fast._modules = dict(model._modules)
    exact = way.level if "fp32" in way.level.kinds else None
    if exact is not None:
        fast.pitch_layers = NativeGatedLayers(model.pitch_layers, "fp32", exact)  # type: ignore[assignment]
    fast.decoder = NativeGatedLayers(model.decoder, way.precision, way.level)  # type: ignore[assignment]
    return fast
