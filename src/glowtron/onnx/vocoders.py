"""Mels to samples by onnxruntime and NumPy: `synthesis.interfaces.Vocoder` without torch.

Each flow is a session of its own, and what it needs of its neighbours in time is remembered, so that a sound that
comes in pieces is computed once, and is the same as whole.

Letters: G groups of samples, C channels, K conditioning channels, M mel bands, T mel frames, L samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glowtron.config import GriffinLimConfig, GroupingConfig, MelConfig, WaveGlowConfig
from glowtron.errors import InputError
from glowtron.onnx import griffin_lim, waveglow
from glowtron.onnx.correction_stream import Correction
from glowtron.onnx.graph import Graph, Value
from glowtron.onnx.layers import Weights
from glowtron.onnx.noise import Noise
from glowtron.onnx.sessions import Session

Floats = NDArray[np.float32]

NOISE_FRAMES = 64
"""As in the textbook: mel frames whose noise is drawn at once."""
MOST_GROUPS = 4096
"""Groups that go through a flow at once: the published one makes 16 kB of each."""


class OnnxWaveGlow:
    """A WaveGlow's sessions. Never changed once they are made, so that threads may share it."""

    def __init__(self, weights: Weights, config: WaveGlowConfig, n_threads: int) -> None:
        self.config = config
        self.early, self.channels = waveglow.schedule(config)
        self.is_lapped = not isinstance(config.analysis, GroupingConfig)
        self._weights, self._n_threads = weights, n_threads
        net = config.wavenet
        dilations = [2 ** (i % net.dilation_cycle) for i in range(net.n_layers)]
        self.flow_reach: int = sum(dilations) * (net.kernel_size - 1) // 2
        """Groups on either side that one flow looks at."""
        self.last_reach = 4 if self.is_lapped else 0
        """The same of what makes samples: the transform's neighbours, through three layers of three taps."""
        self.condition = self._condition()
        self.flows = [self._flow(k) for k in range(config.n_flows)]
        self.synthesise = self._synthesise()

    @property
    def frames_before(self) -> int:
        """Mel frames before its own that a group's conditioning is made of."""
        analysis = self.config.analysis
        if isinstance(analysis, GroupingConfig):
            return analysis.upsample_kernel // self.config.mel.hop_length - 1
        return 0

    @property
    def frames_after(self) -> int:
        """The same after it: interpolation looks at the next frame."""
        return 1 if self.is_lapped else 0

    @property
    def lookahead_frames(self) -> int:
        """Mel frames by which the sound lags the mel."""
        reach = self.flow_reach * self.config.n_flows + self.last_reach
        return -(-reach * self.config.n_channels // self.config.mel.hop_length) + self.frames_after

    def first_frame(self, group: int) -> int:
        """The first frame that the conditioning of `group` and all after it looks at."""
        hop, size = self.config.mel.hop_length, self.config.n_channels
        # Groups begin where frames do only every so many frames.
        step = math.lcm(hop, size) // hop
        return max((group * size // hop - self.frames_before) // step * step, 0)

    def stream(self, speaker: int | None) -> FlowStream:
        """The inverse pass over one sound."""
        return FlowStream(self, speaker)

    def _condition(self) -> Session:
        graph, config = Graph("condition", fed=True), self.config
        mel = graph.input("mel", "float32", [1, config.mel.n_mels, "T"])
        n_groups = graph.input("n_groups", "int64", [1])
        speaker = graph.input("speaker", "int64", [1]) if config.n_speakers > 1 else None
        conditioning = waveglow.condition(graph, self._weights, config, mel, n_groups, speaker)
        graph.output("conditioning", conditioning, [1, "K", "G"])
        return Session(graph, self._n_threads)

    def _inputs(self, graph: Graph, n_channels: int) -> tuple[Value, Value]:
        config = self.config
        size = config.mel.n_mels * (config.n_channels if not self.is_lapped else 1)
        return (
            graph.input("x", "float32", [1, n_channels, "G"]),
            graph.input("conditioning", "float32", [1, size, "G"]),
        )

    def _flow(self, k: int) -> Session:
        graph = Graph(f"flow {k}", fed=True)
        x, conditioning = self._inputs(graph, self.channels[k])
        y = waveglow.flow(graph, self._weights, self.config, k, x, conditioning)
        graph.output("y", y, [1, self.channels[k], "G"])
        return Session(graph, self._n_threads)

    def _synthesise(self) -> Session:
        graph = Graph("synthesise", fed=True)
        x, conditioning = self._inputs(graph, self.config.n_channels)
        graph.output("wave", waveglow.synthesise(graph, self._weights, self.config, x, conditioning), [1, "L"])
        return Session(graph, self._n_threads)


class _Window:
    """The latest part of a sequence that grows along its last axis."""

    def __init__(self) -> None:
        self.start = 0
        self._steps: Floats | None = None

    @property
    def stop(self) -> int:
        """Number of steps that have come."""
        return self.start + (0 if self._steps is None else self._steps.shape[-1])

    def append(self, steps: Floats) -> None:
        """Add what came next."""
        self._steps = steps if self._steps is None else np.concatenate([self._steps, steps], axis=-1)

    def between(self, start: int, stop: int) -> Floats:
        """Steps from `start` to `stop`, counted from the first that ever came."""
        assert self._steps is not None and self.start <= start <= stop <= self.stop
        return self._steps[..., start - self.start : stop - self.start]

    def forget(self, before: int) -> None:
        """Drop the steps before one."""
        if self._steps is not None and before > self.start:
            self._steps = self._steps[..., before - self.start :]
            self.start = before


class _Stage:
    """One stage's memory of one sequence: it waits until it has seen as far ahead as it looks."""

    def __init__(self, compute: Callable[[Floats, int, int], Floats], reach: int) -> None:
        """compute: the stage's input and where it starts and stops -> its output, true but for `reach` steps from ends
        that are not the sequence's own.
        """
        self._compute, self._reach = compute, reach
        self._done = 0
        self._seen = _Window()

    @property
    def needed(self) -> int:
        """The first step that the next output looks at."""
        return max(self._done - self._reach, 0)

    def push(self, steps: Floats | None, last: bool) -> Floats | None:
        """Returns the output that `steps` complete, the last ones or not; None: nothing new."""
        if steps is not None:
            self._seen.append(steps)
        start, done, have = self.needed, self._done, self._seen.stop
        self._done = have if last else max(have - self._reach, done)
        if self._done == done:
            return None
        out = self._compute(self._seen.between(start, have), start, have)[..., done - start : self._done - start]
        self._seen.forget(self.needed)
        return out


class FlowStream:
    """One sound on its way through the flows, from noise and mel to samples."""

    def __init__(self, engine: OnnxWaveGlow, speaker: int | None) -> None:
        self._engine, self._config = engine, engine.config
        self._speaker = {} if speaker is None else {"speaker": np.array([speaker])}
        self._mel, self._conditioning, self._z = _Window(), _Window(), _Window()
        starts, start = {}, self._config.n_channels - engine.channels[-1]
        for k in reversed(range(self._config.n_flows)):
            starts[k] = (start - engine.early[k], start)
            start -= engine.early[k]
        self._joining = starts
        self._stages = [
            *(_Stage(self._flow(k), engine.flow_reach) for k in reversed(range(self._config.n_flows))),
            _Stage(self._synthesise, engine.last_reach),
        ]

    def push(self, z: Floats, mel: Floats, last: bool) -> Floats:
        """The next noise (C, G) and frames (M, T) -> samples (L,) that are settled now."""
        self._mel.append(mel)
        self._z.append(z[None])
        x = self._enter(last)
        for stage in self._stages:
            x = stage.push(x, last)
        needed = min(stage.needed for stage in self._stages)
        self._conditioning.forget(needed)
        self._z.forget(needed)
        # (1, C, G), the channels of a group together.
        return np.zeros(0, np.float32) if x is None else np.ascontiguousarray(x[0].T).ravel()

    def _enter(self, last: bool) -> Floats | None:
        """The noise of the groups whose conditioning is now settled, which is remembered."""
        engine, size, hop = self._engine, self._config.n_channels, self._config.mel.hop_length
        first, stop = self._conditioning.stop, self._z.stop
        if not last:
            stop = min(max(self._mel.stop - engine.frames_after, 0) * hop // size, stop)
        if stop <= first:
            return None
        frame = engine.first_frame(first)
        n_ahead = first - frame * hop // size
        mel = self._mel.between(frame, self._mel.stop)[None]
        (conditioning,) = engine.condition(mel=mel, n_groups=np.array([n_ahead + stop - first]), **self._speaker)
        self._conditioning.append(conditioning[..., n_ahead:])
        self._mel.forget(min(engine.first_frame(stop), self._mel.stop))
        start = size - engine.channels[-1]
        return self._z.between(first, stop)[:, start:]

    def _flow(self, k: int) -> Callable[[Floats, int, int], Floats]:
        def compute(x: Floats, start: int, stop: int) -> Floats:
            (y,) = self._engine.flows[k](x=x, conditioning=self._conditioning.between(start, stop))
            first, last = self._joining[k]
            if first == last:
                return y
            return np.concatenate([self._z.between(start, stop)[:, first:last], y], axis=1)

        return compute

    def _synthesise(self, x: Floats, start: int, stop: int) -> Floats:
        (wave,) = self._engine.synthesise(x=x, conditioning=self._conditioning.between(start, stop))
        groups: Floats = wave.reshape(1, -1, self._config.n_channels).transpose(0, 2, 1)
        return groups


class WaveGlowNoise:
    """The noise of one sound, drawn in blocks, so that it does not depend on the pieces in which the mel comes."""

    def __init__(self, config: WaveGlowConfig, sigma: float, seed: int) -> None:
        self._config, self._sigma, self._noise = config, np.float32(sigma), Noise(seed)
        self._drawn = np.zeros((config.n_channels, 0), np.float32)
        self._n_frames = self._n_groups = 0

    def draw(self, n_frames: int) -> Floats:
        """Noise (C, G) for the next frames."""
        config = self._config
        self._n_frames += n_frames
        n_groups = self._n_frames * config.mel.hop_length // config.n_channels - self._n_groups
        self._n_groups += n_groups
        while self._drawn.shape[1] < n_groups:
            self._drawn = np.concatenate([self._drawn, draw_block(config, self._noise)], axis=1)
        drawn, self._drawn = self._drawn[:, :n_groups], self._drawn[:, n_groups:]
        scaled: Floats = drawn * self._sigma
        return scaled


def draw_block(config: WaveGlowConfig, noise: Noise) -> Floats:
    """Standard normal (C, G) of the next frames, in the published drawing order (`models.waveglow.draw_block`)."""
    early, channels = waveglow.schedule(config)
    n_groups = max(NOISE_FRAMES * config.mel.hop_length // config.n_channels, 1)
    parts = [noise.normal(n, n_groups) for n in (channels[-1], *(n for n in reversed(early) if n))]
    return np.concatenate(parts[::-1])


class WaveGlowVocoder:
    """WaveGlow, and the correction of its sound towards the mel."""

    def __init__(self, engine: OnnxWaveGlow, correction: Correction, sigma: float, rounds: int, speaker: int | None):
        self._engine, self._correction = engine, correction
        self._sigma, self._rounds, self._speaker = sigma, rounds, speaker

    @property
    def lookahead_frames(self) -> int | None:
        """See `Vocoder`."""
        return self._engine.lookahead_frames + self._correction.frames_after(self._rounds)

    def stream(self, seed: int) -> WaveGlowStream:
        """See `Vocoder`."""
        noise = WaveGlowNoise(self._engine.config, self._sigma, seed)
        return WaveGlowStream(self._engine.stream(self._speaker), self._correction, self._rounds, noise)


class WaveGlowStream:
    """See `VocoderStream`."""

    def __init__(self, flow: FlowStream, correction: Correction, rounds: int, noise: WaveGlowNoise) -> None:
        self._flow, self._correction, self._noise = flow, correction.stream(rounds), noise
        mel, n_channels = correction.config, flow._config.n_channels
        self._most_frames = max(MOST_GROUPS * n_channels // mel.hop_length, 1)

    def push(self, mel: Floats, last: bool) -> Floats:
        """See `VocoderStream`. What the flow computes at once is bounded, and so is its memory."""
        starts = range(0, mel.shape[1], self._most_frames) or [0]
        pieces = [mel[:, start : start + self._most_frames] for start in starts]
        waves = [
            self._flow.push(self._noise.draw(piece.shape[1]), piece, last and i == len(pieces) - 1)
            for i, piece in enumerate(pieces)
        ]
        return self._correction.push(np.concatenate(waves), mel, last)


class WholeMelVocoder:
    """A vocoder that needs the whole mel: its stream holds back until the end."""

    lookahead_frames: int | None = None

    def __init__(self, generate: Callable[[Floats, int], Floats]) -> None:
        """generate: a mel (M, T) and the seed of its noise -> samples (L,)."""
        self._generate = generate

    def stream(self, seed: int) -> WholeMelStream:
        """See `Vocoder`."""
        return WholeMelStream(self._generate, seed)


class WholeMelStream:
    """See `VocoderStream`."""

    def __init__(self, generate: Callable[[Floats, int], Floats], seed: int) -> None:
        self._generate, self._seed = generate, seed
        self._pieces: list[Floats] = []

    def push(self, mel: Floats, last: bool) -> Floats:
        """See `VocoderStream`."""
        self._pieces.append(mel)
        return self._generate(np.concatenate(self._pieces, axis=1), self._seed) if last else np.zeros(0, np.float32)


class OnnxGriffinLim:
    """Griffin-Lim, with the phases that torch would begin with."""

    def __init__(self, config: GriffinLimConfig, n_threads: int) -> None:
        check_overlap(config.mel)
        self._config, self._n_threads = config, n_threads

    @cached_property
    def _session(self) -> Session:
        graph, mel = Graph("griffin-lim"), self._config.mel
        x = graph.input("mel", "float32", [1, mel.n_mels, "T"])
        turns = graph.input("turns", "float32", [1, mel.n_fft // 2 + 1, "U"])
        graph.output("wave", griffin_lim.generate(graph, self._config, x, turns), [1, "L"])
        return Session(graph, self._n_threads)

    def __call__(self, mel: Floats, seed: int) -> Floats:
        """A mel (M, T) -> samples (L,)."""
        config = self._config.mel
        if not np.isfinite(np.exp(mel)).all():
            raise InputError("griffin-lim: the mel holds NaN or values too large for a log-mel")
        n_frames = max(mel.shape[1], config.n_fft // 2 // config.hop_length + 1)
        turns = Noise(seed).uniform(1, config.n_fft // 2 + 1, n_frames)
        wave: Floats = self._session(mel=mel[None], turns=turns)[0][0]
        return wave


def check_overlap(mel: MelConfig) -> None:
    """Raise InputError for a transform whose windows overlap too little for Griffin-Lim."""
    if 2 * mel.hop_length > mel.win_length:
        raise InputError(
            f"griffin-lim needs windows that overlap by half or more; mel.hop_length {mel.hop_length} is over "
            f"half of mel.win_length {mel.win_length}"
        )
