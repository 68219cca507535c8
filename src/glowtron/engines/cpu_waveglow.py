"""WaveGlow made fast on a CPU: the same `generate` and `inverse`, and audio in pieces while mels arrive.

`models.waveglow` says what is computed. Here weights are packed once, matrices are inverted once, the time-major layout
(G, B, C) makes a step back in time B rows back, and a flow looks only as far as its dilations reach: a sound of any
length goes through in pieces of one size, and what it needs beyond its own samples is a few tens of megabytes.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from glowtron.engines.cpu_wn import CONSTANT, FastWaveNet, Workspace
from glowtron.engines.hardware import Capabilities, Precision, choose_precision
from glowtron.engines.pipeline import Stage, Window, run_stages
from glowtron.engines.waveglow import AT_ONCE, WaveGlowEngine
from glowtron.models.waveglow import WN, WaveGlow, inv_conv_inverse


def accelerate_waveglow(
    model: WaveGlow, precision: str = "auto", capabilities: Capabilities | None = None
) -> FastWaveGlow:
    """A copy of the model's weights, laid out for speaking on a CPU.

    precision: `fp32` is the model within rounding; `bf16` multiplies the layers' matrices in bfloat16; `auto` is bf16
    where the processor has instructions for it and fp32 elsewhere (`.precision` and `.why` say which).
    capabilities: what the processor can do, if not what is found here. Raises InputError for an unknown precision.
    """
    return FastWaveGlow(model, choose_precision(precision, capabilities))


class Coupling:
    """One flow, walked from noise to audio."""

    def __init__(self, model: WaveGlow, k: int, dtype: torch.dtype) -> None:
        net, matrix = model.wavenets[k], model.mixing[k].detach().float()
        assert isinstance(net, WN)
        self.net = FastWaveNet(net, dtype)
        self.swapped = model.config.alternate_halves and k % 2 == 1
        self.unmixing = inv_conv_inverse(torch.eye(len(matrix), device=matrix.device), matrix)
        stop = model.config.n_channels - model.channels[k]
        self.joining = slice(stop - model.early[k], stop)
        """Which channels of the noise left before this flow."""

    def __call__(self, x: Tensor, conditioning: Tensor, z: Tensor, space: Workspace) -> Tensor:
        """(G, B, C_k), conditioning with its constant, all noise (G, B, C) -> (G, B, C_k and those that join)."""
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
    def __init__(self, model: WaveGlow, precision: Precision) -> None:
        assert model.mixing[0].device.type == "cpu", "this is for CPUs"
        super().__init__(model, precision)
        self._why = precision.why
        self.flows = [Coupling(model, k, self.dtype) for k in range(model.config.n_flows)]

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
        self._space: Workspace | None = None
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
        n_batch, n_conditioning = self._z.between(stop, stop).shape[1], self._analysis.n_conditioning
        packed = torch.ones(stop - first, n_batch, n_conditioning + CONSTANT, dtype=self._fast.dtype)
        exact: list[Tensor] = []
        for start in range(first, stop, step):
            mel = self._mel.between(self._analysis.first_frame(start), self._mel.stop)
            conditioning = self._analysis.condition(mel, start, min(start + step, stop))
            if self._added is not None:
                conditioning = conditioning + self._added
            packed[start - first :][: len(conditioning), :, :n_conditioning] = conditioning
            if self._analysis.is_lapped:
                exact.append(conditioning)
        self._packed.append(packed)
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
