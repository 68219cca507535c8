"""WaveGlow made fast on a CPU: the same `generate` and `inverse`, and audio in pieces while mels arrive.

`models.waveglow` says what is computed. Here weights are packed once, matrices are inverted once, the time-major layout
(G, B, C) makes a step back in time B rows back, and a flow looks only as far as its dilations reach: a sound of any
length goes through in pieces of one size, and what it needs beyond its own samples is a few tens of megabytes.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor

from glowtron.engines.cpu_wn_native import LEVEL_VARIABLE, UNTRIED, Found, Kind, Level, NativeWN, Space, find_levels
from glowtron.engines.hardware import Precision
from glowtron.engines.measured import measure, remember
from glowtron.engines.pipeline import Stage, Window, run_stages
from glowtron.engines.waveglow import AT_ONCE, WaveGlowEngine
from glowtron.errors import InputError, nearest
from glowtron.mel import log_mel
from glowtron.models.waveglow import MEL_MEAN, MEL_SPREAD, WN, WaveGlow, draw_noise, inv_conv_inverse

if TYPE_CHECKING:
    from glowtron.engines.cpu_wn import FastWaveNet, Workspace

PRECISIONS = ("auto", "fp32", "int16", "bf16", "int8")
ALWAYS_EXACT = ("fp32", "int16", "bf16")
"""Precisions that `auto` may take of any model, the most exact first."""
EXACT_LOG_MEL_L1 = 0.01
"""Largest mean distance between the log-mels of a probe in int8 and in float32 for which `auto` takes int8: sentences
were found to be up to twice as far as their voice's probe, and are to stay within 0.02 on average."""


PROBE_FRAMES = 16
"""Mel frames by which that is found out."""


class Way(NamedTuple):
    """Precision of the layers, and the instruction set of our own kernel, or else torch."""

    precision: Kind
    level: Level | None = None

    def __str__(self) -> str:
        return f"{self.precision} by {'torch' if self.level is None else self.level.name}"

    @property
    def is_untried(self) -> bool:
        """True if its instructions have never run on a processor, as far as we know."""
        return self.level is not None and self.level.name in UNTRIED

    def is_right(self, net: WN, n_conditioning: int) -> bool:
        """True if it computes what the textbook does, roughly; a few rows tell."""
        generator, n_rows = torch.Generator().manual_seed(0), 77
        x = torch.randn(n_rows, 1, net.start.weight_v.shape[1], generator=generator)
        conditioning = torch.randn(n_rows, 1, n_conditioning, generator=generator)
        laid_out = self.lay_out(net)
        found = laid_out(x, laid_out.pack_conditioning(conditioning), laid_out.reserve(n_rows, 1))  # type: ignore[arg-type]
        wanted = net(x.transpose(0, 1), conditioning.transpose(0, 1)).transpose(0, 1)
        return float((found - wanted).square().sum()) < 0.01 * float(wanted.square().sum())

    def lay_out(self, net: WN) -> FastWaveNet | NativeWN:
        """The network ready to run this way."""
        if self.level is not None:
            return NativeWN(net, self.precision, self.level)
        from glowtron.engines.cpu_wn import FastWaveNet

        return FastWaveNet(net, {"fp32": torch.float32, "bf16": torch.bfloat16}[self.precision])

    def run_on(self, net: WN, n_conditioning: int) -> Callable[[int], object]:
        """A function of a number of rows that runs the network on them."""
        laid_out, n_in = self.lay_out(net), net.start.weight_v.shape[1]

        def run(n_rows: int) -> Tensor:
            x, conditioning = torch.ones(n_rows, 1, n_in), torch.ones(n_rows, 1, n_conditioning)
            space = laid_out.reserve(n_rows, 1)
            return laid_out(x, laid_out.pack_conditioning(conditioning), space)  # type: ignore[arg-type]

        return run


def find_ways(precisions: Sequence[str], found: Found) -> list[Way]:
    """The ways to compute in some precisions, in their order: by the two best levels that multiply each, by torch."""
    ways = []
    for precision in precisions:
        kind = cast(Kind, precision)
        ways += [Way(kind, level) for level in found.levels if kind in level.kinds][-2:]
        if kind in ("fp32", "bf16"):
            ways.append(Way(kind))
    return ways


def choose_way(model: WaveGlow, precision: str, found: Found | None = None) -> tuple[Way, str]:
    """The fastest way here in a precision, or in any that is exact enough for `auto`; and why, in words.

    found: the levels that may be used, if not those found here. What no way computes becomes fp32. `auto` is int8
    only where this very model stays near float32. Raises InputError for an unknown precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision '{precision}'{nearest(precision, PRECISIONS)}")
    found = find_levels() if found is None else found
    lacking = f"; not compiled: {found.why_not}" if found.why_not else ""
    ways = find_ways((*ALWAYS_EXACT, "int8") if precision == "auto" else (precision,), found)
    sample, n_conditioning = _sample(model), model.analysis.n_conditioning
    if wrong := [way for way in ways if way.is_untried and not way.is_right(sample, n_conditioning)]:
        ways = [way for way in ways if way not in wrong]
        lacking += "".join(f"; {way} left out: it computes something else here" for way in wrong)
    if not ways:
        ways, lacking = find_ways(("fp32",), found), f"{lacking}; this processor has no way to multiply {precision}"
    best, why = _fastest(ways, sample, n_conditioning)
    if precision == "auto" and best.precision == "int8":
        weights = hashlib.sha256()
        for net in (model.wavenets[0], model.wavenets[-1]):
            for tensor in net.state_dict().values():
                weights.update(tensor.numpy().tobytes())
        what = f"log-mel L1 of {best}, {weights.hexdigest()[:16]}"
        distance = remember(what, partial(_distance, model, best, found))
        why = f"{why}; log-mel L1 {distance:.2g} from fp32"
        if distance > EXACT_LOG_MEL_L1:
            exact = [way for way in ways if way.precision != "int8"]
            best, _ = _fastest(exact, sample, n_conditioning)
            why = f"{best}, as {why}"
    return best, f"{why}{lacking}"


def _sample(model: WaveGlow) -> WN:
    """Two layers of the sizes of the model's, with weights of their own."""
    n_in, n_out = model.channels[0] // 2, model.channels[0]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        sample = WN(n_in, n_out, model.analysis.n_conditioning, replace(model.config.wavenet, n_layers=2))
        sample.end.weight.normal_()  # It begins with zero, which would tell nothing.
    return sample.requires_grad_(False)


def _fastest(ways: Sequence[Way], sample: WN, n_conditioning: int) -> tuple[Way, str]:
    if len(ways) == 1:
        return ways[0], f"{ways[0]}, the only way here"
    n_in, n_out = sample.start.weight_v.shape[1], sample.end.out_features
    what = f"WN of {n_in} to {n_out}, {n_conditioning}, {sample.n_channels} x {sample.kernel_size}"
    measured = measure(what, {str(way): partial(way.run_on, sample, n_conditioning) for way in ways})
    best = next(way for way in ways if str(way) == measured.best)
    return best, f"{best}, {measured}"


@torch.no_grad()
def _distance(model: WaveGlow, way: Way, found: Found) -> float:
    """Mean difference of log-mels between what this way and float32 make of a mel with the spread of speech."""
    exact = next(iter(find_ways(("fp32",), found)))
    config, generator = model.config, torch.Generator().manual_seed(0)
    mel = MEL_MEAN + MEL_SPREAD * torch.randn(1, config.mel.n_mels, PROBE_FRAMES, generator=generator)
    noise = draw_noise(config, mel, generator)
    speaker = torch.zeros(1, dtype=torch.int64)
    mels = [
        log_mel(FastWaveGlow(model, each, "").generate(mel, noise=noise, speaker=speaker), config.mel)
        for each in (exact, way)
    ]
    return float((mels[0] - mels[1]).abs().mean())


def accelerate_waveglow(model: WaveGlow, precision: str = "auto", way: Way | None = None) -> FastWaveGlow:
    """A copy of the model's weights, laid out for speaking on a CPU.

    precision: `fp32` is the model within rounding, `int16` nearly so; `bf16` and `int8` multiply the layers' matrices
    in fewer bits; `auto` is what is fastest here, by measuring (`.precision` and `.why` say which). way: how it is
    computed, if that is not to be chosen. Raises InputError for an unknown precision.
    """
    chosen, why = choose_way(model, precision) if way is None else (way, f"{way} as asked")
    if chosen.is_untried:
        warnings.warn(
            f"{chosen} is experimental: its instructions have run in emulation only (docs/adr/0022); "
            f"{LEVEL_VARIABLE}=avx512bf16 does without them",
            stacklevel=4,
        )
    return FastWaveGlow(model, chosen, why)


class Coupling:
    """One flow, walked from noise to audio."""

    def __init__(self, model: WaveGlow, k: int, lay_out: Callable[[WN], FastWaveNet | NativeWN]) -> None:
        """lay_out: makes of a WN what computes it."""
        net, matrix = model.wavenets[k], model.mixing[k].detach().float()
        assert isinstance(net, WN)
        self.net = lay_out(net)
        self.swapped = model.config.alternate_halves and k % 2 == 1
        self.unmixing = inv_conv_inverse(torch.eye(len(matrix), device=matrix.device), matrix)
        stop = model.config.n_channels - model.channels[k]
        self.joining = slice(stop - model.early[k], stop)
        """Which channels of the noise left before this flow."""

    def __call__(self, x: Tensor, conditioning: Tensor, z: Tensor, space: Any) -> Tensor:
        """(G, B, C_k), packed conditioning, all noise (G, B, C) -> (G, B, C_k and those that join)."""
        first, second = x.chunk(2, dim=-1)
        kept, changed = (second, first) if self.swapped else (first, second)
        shift, log_s = self.net(kept, conditioning, space).chunk(2, dim=-1)
        changed = (changed - shift) * torch.exp(-log_s)
        x = torch.cat((changed, kept) if self.swapped else (kept, changed), dim=-1) @ self.unmixing
        return torch.cat((z[..., self.joining], x), dim=-1)


class FastWaveGlow(WaveGlowEngine):
    """A WaveGlow ready to speak; `accelerate_waveglow` makes one. Never changed, so that threads may share it."""

    piece_rows = 2**15
    """12 s of one published sound."""

    @torch.no_grad()
    def __init__(self, model: WaveGlow, way: Way, why: str) -> None:
        assert model.mixing[0].device.type == "cpu", "this is for CPUs"
        super().__init__(model, Precision(way.precision, why))
        self.way, self._why = way, why
        self.flows = [Coupling(model, k, way.lay_out) for k in range(model.config.n_flows)]

    @property
    def why(self) -> str:
        """See `WaveGlowEngine`."""
        return self._why

    @property
    def piece_frames(self) -> int:
        """Mel frames of one sound that are computed at once."""
        return max(self.piece_rows * self.config.n_channels // self.config.mel.hop_length, 1)

    @property
    def _flows_reach(self) -> int:
        return sum(flow.net.reach for flow in self.flows)

    def _inverse(self, z: Tensor, mel: Tensor, speaker: Tensor | None) -> Tensor:
        config, n_frames, at_once = self.config, mel.shape[2], self.piece_frames
        starts = range(0, n_frames, at_once)
        groups = [start * config.mel.hop_length // config.n_channels for start in starts] + [z.shape[2]]
        stream, waves = self.stream(speaker), []
        for start, first, stop in zip(starts, groups[:-1], groups[1:], strict=True):
            last = start + at_once >= n_frames
            waves.append(stream.push(z[..., first:stop], mel[..., start : start + at_once], last))
        return torch.cat(waves, dim=1) if waves else z.new_zeros(len(z), 0)

    def stream(self, speaker: Tensor | None = None) -> WaveStream:
        """Something that is given noise and mel in pieces and gives audio as soon as it is settled.

        speaker: as of `WaveGlow.forward`.
        """
        return WaveStream(self, speaker)


class WaveStream:
    """The inverse of one batch of sounds, in pieces: `push` noise and mel as they come, and get audio.

    Joined, the pieces are what `inverse` makes of the whole, within rounding. A piece of audio lags its mel by the
    second of `receptive_frames`; a flow computes its reach anew for each piece, so that short pieces cost more.
    """

    def __init__(self, fast: FastWaveGlow, speaker: Tensor | None) -> None:
        self._fast, self._analysis = fast, fast.analysis
        self._added = fast.speaker_conditioning(speaker)
        self._mel, self._z = Window(), Window()
        self._packed, self._exact = Window(), Window()
        """The conditioning of what is still needed, as the flows want it and as the synthesis does."""
        stages = [Stage(partial(self._couple, flow), flow.net.reach) for flow in reversed(fast.flows)]
        self._stages = [*stages, Stage(self._synthesise, fast.analysis.reach)]
        self._space: Workspace | Space | None = None
        self._ended = False

    @torch.no_grad()
    def push(self, z: Tensor, mel: Tensor, last: bool = False) -> Tensor:
        """The next noise (B, C, G) and mel (B, M, T) -> the audio (B, L) that is settled now; L may be 0.

        Either may run ahead of the other, and come in pieces of any length, 0 too. `last` says that nothing follows:
        there must have been noise for all the mel, and all that is left is given.
        """
        assert not self._ended, "this stream has ended"
        self._ended = last
        with torch.autocast("cpu", enabled=False):
            self._mel.append(mel.float().permute(2, 0, 1))  # (B, M, T) -> (T, B, M)
            self._z.append(z.float().permute(2, 0, 1))  # (B, C, G) -> (G, B, C)
            out = run_stages(self._stages, self.enter(last), last)
        needed = min(stage.needed for stage in self._stages)
        for window in (self._z, self._packed, self._exact):
            window.forget(min(needed, window.stop))
        if last:
            self._space = None
            self._stages = []  # They refer to this stream, which is freed at once without them.
        return z.new_zeros(len(z), 0) if out is None else out.transpose(0, 1).flatten(1)  # (G, B, C) -> (B, G * C)

    def enter(self, last: bool) -> Tensor | None:
        """The noise (G, B, C) of the groups whose conditioning is now settled, which is remembered."""
        first, stop = self._packed.stop, self._z.stop
        if not last:
            stop = min(self._analysis.groups_before(self._mel.stop), stop)
        if stop <= first:
            return None
        step = max(AT_ONCE * self._analysis.hop_length // self._analysis.n_channels, 1)
        packed: list[Tensor] = []
        exact: list[Tensor] = []
        for start in range(first, stop, step):
            mel = self._mel.between(self._analysis.first_frame(start), self._mel.stop)
            conditioning = self._analysis.condition(mel, start, min(start + step, stop))
            if self._added is not None:
                conditioning = conditioning + self._added
            packed.append(self._fast.flows[0].net.pack_conditioning(conditioning))
            if self._analysis.is_lapped:
                exact.append(conditioning)
        self._packed.append(torch.cat(packed))
        if exact:
            self._exact.append(torch.cat(exact))
        self._mel.forget(min(self._analysis.first_frame(stop), self._mel.stop))
        return self._z.between(first, stop)[..., self._fast.last_channels]

    def _couple(self, flow: Coupling, x: Tensor, start: int, stop: int) -> Tensor:
        if self._space is None or self._space.n_rows < x.shape[0] * x.shape[1]:
            self._space = flow.net.reserve(x.shape[0] * x.shape[1], x.shape[1])
        return flow(x, self._packed.between(start, stop), self._z.between(start, stop), self._space)

    def _synthesise(self, x: Tensor, start: int, stop: int) -> Tensor:
        return self._analysis.synthesise(x, self._exact.between(start, stop) if self._analysis.is_lapped else x)
