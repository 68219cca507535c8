"""WaveNet on a CPU, sample after sample in our own C (`wavenet_step.c`).

Layers keep what they have read (fast WaveNet: Le Paine et al. 2016), past taps are multiplied for several samples at
once, and several clips go in step. Conditioning is made frame by frame here, in torch, always in the same pieces, so
that a stream gives the same samples as the whole.

Letters: B batch, M mel bands, T mel frames, L samples.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from glowtron.config import LinearPredictionConfig, PlainSignalConfig, WaveNetConfig
from glowtron.engines.hardware import load_library
from glowtron.models.linear_prediction import LinearPrediction
from glowtron.models.wavenet import (
    NOISE_FRAMES,
    CausalConv,
    Layer,
    Noise,
    SmoothUpsampling,
    WaveNet,
    draw_block,
    mu_law_inverse,
)

LIBRARY = Path(__file__).with_name("wavenet_step.so")
KINDS = ("fp32", "int16", "int8")
"""As `wavenet_step.c` numbers them: in float; weights of 8 bits and inputs of 14; weights and inputs of 7 bits."""
LARGEST = {"int16": 127, "int8": 63}
"""Of rounded weights."""
CHUNK = 32
"""Inputs whose products, of bytes, are added up in 16 bits, in two halves."""
LARGEST_SUM = (2**15 - 1) // 63 - CHUNK // 4
"""Of the weights of such a half, without their signs and before they are rounded: times 63 they fit 15 bits."""
TOGETHER = {"int16": 2, "int8": 4}
"""Of how many neighbouring inputs a row's weights lie side by side."""
LAYOUT = 3
"""Of packed weights, as `wavenet_step.c` numbers it."""
OUTPUTS = ("logistic", "gaussian", "softmax")
AHEAD = 16
"""Samples at most for which past taps are multiplied at once."""
FILL = 32
"""Channels are filled up to a multiple of this."""
AT_ONCE = 64
"""Clips at most that go in step."""


class NativeMatrix(ctypes.Structure):
    """A matrix as the library sees it."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weight", "bias", "scale")),
        *((name, ctypes.c_int32) for name in ("n_in", "n_out")),
    )


class NativeLayer(ctypes.Structure):
    """A layer as the library sees it."""

    _fields_ = (
        *((name, NativeMatrix) for name in ("past", "now", "out")),
        *((name, ctypes.c_int32) for name in ("dilation", "ahead", "has_residual", "unused")),
        *((name, ctypes.c_void_p) for name in ("ring", "gates")),
    )


class NativeNet(ctypes.Structure):
    """A network with its state as the library sees it."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("n_layers", "n_taps", "residual", "half", "skip", "n_outputs")),
        *((name, ctypes.c_int32) for name in ("batch", "kind", "level", "output", "n_mixtures", "clamp_scale")),
        *((name, ctypes.c_float) for name in ("log_scale_min", "sigma")),
        ("step", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("layers", "first", "first_bias")),
        *((name, NativeMatrix) for name in ("head", "last")),
        ("previous", ctypes.c_void_p),
    )


class Kernel:
    """The library's functions."""

    def __init__(self, library: ctypes.CDLL, level: int | None = None) -> None:
        """level: of instructions, 0 those that every processor has; None: the best that this one has."""
        self.n_levels: int = library.glowtron_wavenet_n_levels()
        self.level = self.n_levels - 1 if level is None else level
        assert 0 <= self.level < self.n_levels
        pointer, number = ctypes.c_void_p, ctypes.c_int32
        self.run = library.glowtron_wavenet_run
        self.run.argtypes = (pointer, number, pointer, pointer, number, *(pointer,) * 4)
        self.run.restype = number
        self.column = library.glowtron_wavenet_column
        self.all_pole = library.glowtron_all_pole
        self.all_pole.argtypes = (pointer, number, pointer, pointer, number, number, pointer, pointer)
        self.all_pole.restype = None


class Found(NamedTuple):
    """The kernel, or why there is none."""

    kernel: Kernel | None
    why_not: str = ""


@cache
def find_kernel(path: Path = LIBRARY, level: int | None = None) -> Found:
    """Load the library once; level: see `Kernel`."""
    sizes = [*(ctypes.sizeof(one) for one in (NativeNet, NativeLayer, NativeMatrix)), LAYOUT]
    library, why_not = load_library(path, lambda found: [found.glowtron_wavenet_sizes(i) for i in range(4)] == sizes)
    return Found(None, why_not) if library is None else Found(Kernel(library, level))


def address(tensor: Tensor) -> int:
    """Address of a tensor's values, one after the other without gaps."""
    assert tensor.is_contiguous()
    return tensor.data_ptr()


class Packed:
    """A matrix (n_out, n_in), or several of one shape, packed for the library."""

    def __init__(self, weights: Sequence[Tensor], bias: Tensor | None, kind: str) -> None:
        blocks = [filled(weight) for weight in weights]
        self.n_out, self.n_in = blocks[0].shape
        self.bias = None if bias is None else filled(bias).contiguous()
        self.scale = torch.zeros(0)
        if kind == "fp32":
            # (groups, 32, inputs) -> (groups, inputs, 32)
            packed = [block.unflatten(0, (-1, FILL)).transpose(1, 2) for block in blocks]
            self.weight = torch.stack(packed).contiguous()
            return
        scales = [row_scales(block, kind) for block in blocks]
        blocks = [(block / scale[:, None]).round() for block, scale in zip(blocks, scales, strict=True)]
        self.scale = torch.stack(scales)
        # (groups, 32, inputs / 4, 4) -> (groups, inputs / 4, 32, 4), or the same by 2
        packed = [block.unflatten(1, (-1, TOGETHER[kind])).unflatten(0, (-1, FILL)).transpose(1, 2) for block in blocks]
        # Bytes are stored without a sign.
        more = LARGEST["int8"] if kind == "int8" else 0
        self.weight = (torch.stack(packed) + more).to(torch.int8).contiguous()

    @property
    def native(self) -> NativeMatrix:
        """For the library; `self` has to be kept as long."""
        bias = None if self.bias is None else address(self.bias)
        return NativeMatrix(address(self.weight), bias, address(self.scale), n_in=self.n_in, n_out=self.n_out)


def row_scales(block: Tensor, kind: str) -> Tensor:
    """Value of one in whole numbers for each row of (n_out, n_in) weights, one of the kinds that are rounded."""
    scales = block.abs().amax(1).clamp(min=1e-12) / LARGEST[kind]
    if kind == "int8":
        # (rows, chunks, 8, 2, 2): of a chunk's inputs, those that are added up in the same 16 bits, two beside two.
        sums = block.abs().unflatten(1, (-1, CHUNK // 4, 2, 2)).sum((2, 4)).flatten(1).amax(1)
        scales = torch.maximum(scales, sums / LARGEST_SUM)
    return scales


def filled(tensor: Tensor) -> Tensor:
    """The same in float, each dimension filled up with zeros to a multiple of `FILL`, which changes no result."""
    pads = [part for size in reversed(tensor.shape) for part in (0, -size % FILL)]
    return F.pad(tensor.detach().float(), pads)


def halves_filled(tensor: Tensor) -> Tensor:
    """Rows of gates as the library has them: halves filled up, sixteen of the one before sixteen of the other."""
    halves = torch.stack([filled(half) for half in tensor.chunk(2)])
    # (2, rows / 16, 16, ...) -> (rows / 16, 2, 16, ...)
    interleaved: Tensor = halves.unflatten(1, (-1, FILL // 2)).transpose(0, 1).flatten(0, 2)
    return interleaved


class FastWaveNet:
    """A WaveNet's weights ready to speak. Threads may share it; each sound has a `WaveNetStream`."""

    def __init__(self, model: WaveNet, kernel: Kernel, kind: str = "int8") -> None:
        """kind: of products, one of `KINDS`."""
        self.model, self.config, self.kernel, self.kind = model, model.config, kernel, kind
        config = model.config
        scale_of = self._skip_scales()
        layers = [cast(Layer, layer) for layer in model.layers]
        self.packed: list[tuple[Packed | None, Packed, Packed]] = []
        """Of each layer: past taps, the nearest first; the newest tap; residual over skip rows."""
        kept = 1.0
        for layer, skip_scale in zip(layers, scale_of, strict=True):
            bias: Tensor = layer.dilated.bias
            for extra in (layer.condition, layer.speaker):
                if extra is not None and extra.bias is not None:
                    bias = bias + extra.bias
            # The residual stream is not multiplied by sqrt(0.5) after each layer: weights that read it are, and weights
            # that add to it are divided.
            *past, now = (layer.dilated.effective_weight() * kept).chunk(config.kernel_size, dim=1)
            rows, biases = [filled(layer.skip.effective_weight() * skip_scale)], [filled(layer.skip.bias * skip_scale)]
            if layer.residual is not None:
                rows.insert(0, filled(layer.residual.effective_weight() / kept))
                biases.insert(0, filled(layer.residual.bias / kept))
            kept *= math.sqrt(0.5)
            self.packed.append(
                (
                    Packed([halves_filled(tap) for tap in reversed(past)], None, kind) if past else None,
                    Packed([halves_filled(now)], halves_filled(bias), kind),
                    Packed([torch.cat(rows)], torch.cat(biases), kind),
                )
            )
        head, last = (cast(CausalConv, layer) for layer in model.last)
        self.head = Packed([head.effective_weight()], head.bias, kind)
        self.last = Packed([last.effective_weight()], last.bias, kind)
        self.first = filled(model.first.effective_weight().T).contiguous()
        self.first_bias = filled(model.first.bias).contiguous()
        self.condition = torch.cat([halves_filled(layer.condition.effective_weight()) for layer in layers])[
            :, : config.mel.n_mels
        ].contiguous()
        self.speaker = None
        if config.speakers:
            rows = [halves_filled(cast(CausalConv, layer.speaker).effective_weight()) for layer in layers]
            self.speaker = torch.cat(rows)[:, : config.speaker_channels].contiguous()
        self.reach = self._reach()
        self._matrices: dict[tuple[int, int], Tensor] = {}

    @property
    def why(self) -> str:
        """One line for people: why this precision and these operations."""
        what = {"fp32": "float32", "int16": "8-bit weights, 14-bit inputs", "int8": "7-bit weights and inputs"}
        return f"{what[self.kind]}; own C, instructions of level {self.kernel.level} of {self.kernel.n_levels - 1}"

    @property
    def lookahead_frames(self) -> int:
        """Mel frames by which the sound lags the mel."""
        return max(self.reach + self.config.context_frames, 1)

    def _skip_scales(self) -> list[float]:
        """Factor on each layer's skip output in the sum."""
        n = self.config.n_layers
        if self.config.layout == "2020":
            return [math.sqrt(1 / n)] * n
        return [math.sqrt(0.5) ** (n - max(layer, 1)) for layer in range(n)]

    def _reach(self) -> int:
        """Frames on either side that the upsampling smears a frame over."""
        if self.config.layout == "2018":
            return 0
        total, rate = 0.0, 1
        for scale in self.config.upsample_scales:
            total, rate = total + 1 / rate, rate * scale
        return math.ceil(total)

    def upsampling_matrix(self, before: int, after: int) -> Tensor:
        """(hop_length, before + 1 + after): how frames make the samples of one that has so many neighbours."""
        if (before, after) not in self._matrices:
            one, hop = torch.eye(before + 1 + after), self.config.mel.hop_length
            rows = cast(SmoothUpsampling, self.model.upsampling).smoothed(one)  # (frames, frames * hop)
            self._matrices[before, after] = rows[:, before * hop : (before + 1) * hop].T.contiguous()
        return self._matrices[before, after]

    def stream(
        self, noise: NoiseSource, n_batch: int = 1, sigma: float = 1.0, speaker: Tensor | None = None
    ) -> WaveNetStream:
        """A stream for mels (B, M, T) that come in pieces; speaker: (B,) indices."""
        return WaveNetStream(self, noise, n_batch, sigma, speaker)

    @torch.no_grad()
    def generate(
        self,
        mel: Tensor,
        sigma: float = 1.0,
        generator: torch.Generator | None = None,
        noise: Noise | None = None,
        speaker: Tensor | None = None,
        *,
        n_threads: int = 1,
    ) -> Tensor:
        """As `WaveNet.generate`: mel (B, M, T) -> audio (B, T * hop_length). Clips go in step, a group a thread."""
        drawn: NoiseSource = NoiseBlocks(self.config, len(mel), generator) if noise is None else GivenNoise(noise)
        n_groups = max(min(n_threads, len(mel)), -(-len(mel) // AT_ONCE))
        if n_groups == 1:
            return self.stream(drawn, len(mel), sigma, speaker).push(mel, True)
        if noise is None:
            noise = drawn.next(mel.shape[2] * self.config.mel.hop_length)
        who: Sequence[Tensor | None] = (
            [None] * n_groups if speaker is None else speaker.expand(len(mel)).tensor_split(n_groups)
        )
        choices = [None] * n_groups if noise.choice is None else noise.choice.tensor_split(n_groups)
        parts = zip(mel.tensor_split(n_groups), noise.value.tensor_split(n_groups), choices, who, strict=True)

        def one(part: tuple[Tensor, Tensor, Tensor | None, Tensor | None]) -> Tensor:
            frames, value, choice, speaking = part
            with torch.no_grad():
                stream = self.stream(GivenNoise(Noise(choice, value)), len(frames), sigma, speaking)
                return stream.push(frames, True)

        with ThreadPoolExecutor(n_threads) as pool:
            return torch.cat(list(pool.map(one, parts)))

    def generate_each(
        self,
        mels: Sequence[Tensor],
        generators: Sequence[torch.Generator],
        sigma: float = 1.0,
        speaker: Tensor | None = None,
        *,
        n_threads: int = 1,
    ) -> list[Tensor]:
        """Mels (M, T) of any lengths -> a sound (T * hop_length,) for each, the same as alone; clips go in step.

        generators: Of each mel's noise. speaker: (1,) index of the one who speaks all.
        """
        longest_first = sorted(range(len(mels)), key=lambda place: -mels[place].shape[1])
        n_groups = max(min(n_threads, len(mels)), -(-len(mels) // AT_ONCE))
        groups = [longest_first[first::n_groups] for first in range(n_groups)]

        def sounds(group: Sequence[int]) -> list[Tensor]:
            noise = NoiseOfEach([NoiseBlocks(self.config, 1, generators[place]) for place in group])
            with torch.no_grad():
                return self.stream(noise, len(group), sigma, speaker).whole([mels[place] for place in group])

        with ThreadPoolExecutor(n_threads) as pool:
            made = dict(
                zip((place for group in groups for place in group), chain(*pool.map(sounds, groups)), strict=True)
            )
        return [made[place] for place in range(len(mels))]


class NoiseSource(Protocol):
    """Source of a stream's noise."""

    def next(self, n_samples: int) -> Noise:
        """Noise of the next samples."""


class NoiseBlocks:
    """Noise drawn block after block, as `draw_noise` draws it, so that it does not depend on pieces."""

    def __init__(self, config: WaveNetConfig, n_batch: int, generator: torch.Generator | None) -> None:
        self._config, self._n_batch, self._generator = config, n_batch, generator
        self._left: Noise | None = None

    def next(self, n_samples: int) -> Noise:
        """See `NoiseSource`."""
        block = NOISE_FRAMES * self._config.mel.hop_length
        while self._left is None or self._left.value.shape[1] < n_samples:
            more = draw_block(self._config, self._n_batch, block, self._generator, torch.device("cpu"))
            self._left = more if self._left is None else joined_noise(self._left, more)
        given = GivenNoise(self._left)
        noise, self._left = given.next(n_samples), given.noise
        return noise


def joined_noise(first: Noise, second: Noise) -> Noise:
    """One noise after the other."""
    choice = None
    if first.choice is not None and second.choice is not None:
        choice = torch.cat((first.choice, second.choice), dim=1)
    return Noise(choice, torch.cat((first.value, second.value), dim=1))


class GivenNoise:
    """Noise (B, L, ...) that is there already."""

    def __init__(self, noise: Noise) -> None:
        self.noise = noise
        """Rest of the piece."""

    def next(self, n_samples: int) -> Noise:
        """See `NoiseSource`."""
        choice, value = self.noise
        assert n_samples <= value.shape[1], f"noise for {value.shape[1]} samples more, {n_samples} are to be drawn"
        self.noise = Noise(None if choice is None else choice[:, n_samples:], value[:, n_samples:])
        return Noise(None if choice is None else choice[:, :n_samples], value[:, :n_samples])


class NoiseOfEach:
    """Noise of clips that each have their own, of which the last ones may fall away."""

    def __init__(self, sources: Sequence[NoiseSource]) -> None:
        self._sources = sources

    def next(self, n_samples: int) -> Noise:
        """See `NoiseSource`."""
        drawn = [source.next(n_samples) for source in self._sources]
        choices = [noise.choice for noise in drawn if noise.choice is not None]
        return Noise(torch.cat(choices) if choices else None, torch.cat([noise.value for noise in drawn]))

    def keep(self, n_clips: int) -> None:
        """Go on with the first ones."""
        self._sources = self._sources[:n_clips]


class WaveNetStream:
    """The sound of mels that come in pieces: several clips in step."""

    def __init__(
        self, engine: FastWaveNet, noise: NoiseSource, n_batch: int, sigma: float, speaker: Tensor | None
    ) -> None:
        assert 1 <= n_batch <= AT_ONCE, f"from 1 to {AT_ONCE} clips go in step, not {n_batch}"
        self.engine, self._noise, self._n_batch = engine, noise, n_batch
        config, kernel = engine.config, engine.kernel
        kind = KINDS.index(engine.kind)
        width, half, hop = engine.packed[0][1].n_in, engine.packed[0][2].n_in, config.mel.hop_length
        self._who: Tensor | None = None
        if engine.speaker is not None:
            embedded = cast(Tensor, engine.model.speaker_embedding(speaker))
            # One by one: products of several rows are rounded otherwise.
            self._who = torch.stack([F.linear(row, engine.speaker) for row in embedded]).expand(n_batch, -1)
        ahead = [math.gcd(dilation, hop, max(AHEAD // n_batch, 1)) for dilation in config.dilations]
        reach = [(config.kernel_size - 1) * dilation for dilation in config.dilations]
        column = kernel.column(kind, width)
        self._rings = [torch.zeros(n + more, n_batch, column) for n, more in zip(reach, ahead, strict=True)]
        self._gates = [torch.zeros(more, n_batch, 2 * half) for more in ahead]
        self._previous = torch.full((n_batch,), float(engine.model.silence))
        empty = NativeMatrix()
        self._layers = (NativeLayer * config.n_layers)(
            *(
                NativeLayer(
                    empty if past is None else past.native,
                    now.native,
                    out.native,
                    dilation=dilation,
                    ahead=more,
                    has_residual=int(index < config.n_layers - 1),
                    ring=address(ring),
                    gates=address(gates),
                )
                for index, ((past, now, out), dilation, more, ring, gates) in enumerate(
                    zip(engine.packed, config.dilations, ahead, self._rings, self._gates, strict=True)
                )
            )
        )
        self._net = NativeNet(
            n_layers=config.n_layers,
            n_taps=config.kernel_size,
            residual=width,
            half=half,
            skip=engine.head.n_out,
            n_outputs=config.n_outputs,
            batch=n_batch,
            kind=kind,
            level=kernel.level,
            output=OUTPUTS.index(config.output),
            n_mixtures=config.n_mixtures,
            clamp_scale=int(config.layout == "2018"),
            log_scale_min=config.log_scale_min,
            sigma=sigma,
            layers=ctypes.addressof(self._layers),
            first=address(engine.first),
            first_bias=address(engine.first_bias),
            head=engine.head.native,
            last=engine.last.native,
            previous=address(self._previous),
        )
        self._order = config.signal.order if isinstance(config.signal, LinearPredictionConfig) else 1
        self._past = torch.zeros(n_batch, self._order)
        """The last samples of the sound, which the filter looks back on."""
        self._mel = torch.zeros(n_batch, config.mel.n_mels, 0)
        """Frames that are still looked at."""
        self._known: list[dict[int, Tensor]] = [{} for _ in range(n_batch)]
        """Of each clip, what frames say to the gates of all layers, (layers * gates)."""
        self._first = 0
        """Number of the first of them."""
        self._done = 0
        """Frames whose samples have been made."""

    @torch.no_grad()
    def push(self, mel: Tensor, last: bool, outputs: list[Tensor] | None = None) -> Tensor:
        """The next frames (B, M, T) -> the samples (B, L) that are settled; with `last`, all the rest.

        outputs: What the network said, (L, B, n_outputs) a frame, is appended to it.
        """
        self._mel = torch.cat((self._mel, mel.float()), dim=2)
        end = self._first + self._mel.shape[2]
        settled = end if last else max(end - self.engine.lookahead_frames, self._done)
        if settled == self._done:
            return torch.zeros(self._n_batch, 0)
        ends = [end] * self._n_batch
        signal = torch.cat([self._frame(frame, ends, outputs) for frame in range(self._done, settled)], dim=1)
        frames = self._mel[:, :, self._done - self._first : settled - self._first + 1]
        wave = self._to_wave(signal, frames, self._past)
        self._done = settled
        keep = max(settled - self.engine.lookahead_frames - 1, self._first)
        self._mel, self._first = self._mel[:, :, keep - self._first :], keep
        return wave

    def whole(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """All sounds (L,) of mels (M, T) of any lengths, the longest first, by a stream that has said nothing yet."""
        ends = [mel.shape[1] for mel in mels]
        assert ends == sorted(ends, reverse=True) and len(ends) == self._n_batch and not self._done
        self._mel = torch.stack([F.pad(mel.float(), (0, ends[0] - mel.shape[1])) for mel in mels])
        signals: list[list[Tensor]] = [[] for _ in mels]
        for frame in range(ends[0]):
            speaking = sum(end > frame for end in ends)
            if speaking < self._n_batch:
                self._keep(speaking)
            for rows, row in zip(signals, self._frame(frame, ends[:speaking], None), strict=False):
                rows.append(row)
        return [
            self._to_wave(torch.cat(rows)[None], mel.float()[None], torch.zeros(1, self._order))[0]
            for rows, mel in zip(signals, mels, strict=True)
        ]

    def _keep(self, n_clips: int) -> None:
        """Go on with the first ones, between two frames, where no gates are waiting."""
        self._n_batch = self._net.batch = n_clips
        self._rings = [ring[:, :n_clips].contiguous() for ring in self._rings]
        self._known = self._known[:n_clips]
        self._previous = self._previous[:n_clips].clone()
        self._net.previous = address(self._previous)
        for layer, ring in zip(self._layers, self._rings, strict=True):
            layer.ring = address(ring)
        if isinstance(self._noise, NoiseOfEach):
            self._noise.keep(n_clips)

    def _frame(self, frame: int, ends: Sequence[int], outputs: list[Tensor] | None) -> Tensor:
        """The signal (B, hop_length) of a frame; ends: of each clip, its frames, or more than can matter."""
        config, hop, n_batch = self.engine.config, self.engine.config.mel.hop_length, self._n_batch
        conditioning, upsampling = self._conditioning(frame, ends)
        choice, value = self._noise.next(hop)
        value = value.T.contiguous().float()
        choices = None if choice is None else choice.transpose(0, 1).contiguous().float()
        signal = torch.empty(hop, n_batch)
        said = None if outputs is None else torch.empty(hop, n_batch, config.n_outputs)
        failed = self.engine.kernel.run(
            ctypes.addressof(self._net),
            hop,
            address(conditioning),
            address(upsampling),
            upsampling.shape[2],
            None if choices is None else address(choices),
            address(value),
            address(signal),
            None if said is None else address(said),
        )
        if failed:
            raise MemoryError("there is no memory left to vocode in")
        if outputs is not None and said is not None:
            outputs.append(said)
        return signal.T

    def _conditioning(self, frame: int, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Conditioning of the gates by the mel around a frame, (F, layers, B, gates), and its share (B, L, F) in each
        sample. Each clip's is computed by itself, so that company changes nothing.
        """
        parts = [self._conditioning_of(clip, frame, end) for clip, end in enumerate(ends)]
        n_frames = max(len(gates) for gates, _ in parts)
        gates = torch.stack([F.pad(own, (0, 0, 0, 0, 0, n_frames - len(own))) for own, _ in parts], dim=2)
        return gates, torch.stack([F.pad(share, (0, n_frames - share.shape[1])) for _, share in parts])

    def _conditioning_of(self, clip: int, frame: int, end: int) -> tuple[Tensor, Tensor]:
        """That of one clip: (F, layers, gates) and (L, F)."""
        engine, context = self.engine, self.engine.config.context_frames
        if engine.config.layout == "2018":
            upsampled = engine.model.upsampling(self._standardised(clip, frame, end, context))
            gates, upsampling = F.linear(upsampled[0].T, engine.condition), torch.eye(engine.config.mel.hop_length)
        else:
            before, after = min(engine.reach, frame), min(engine.reach, end - 1 - frame)
            known = self._known[clip]
            for near in range(frame - before, frame + after + 1):
                if near not in known:
                    mixed = cast(SmoothUpsampling, engine.model.upsampling).mixed(
                        self._standardised(clip, near, end, context)
                    )
                    known[near] = F.linear(mixed[0].T, engine.condition)[0]
            known.pop(frame - engine.reach - 1, None)
            gates = torch.stack([known[near] for near in range(frame - before, frame + after + 1)])
            upsampling = engine.upsampling_matrix(before, after)
        if self._who is not None and engine.config.layout == "2018":
            gates = gates + self._who[clip]
        elif self._who is not None:  # One frame more, which all samples have a whole share in.
            gates = torch.cat((self._who[clip : clip + 1], gates))
            upsampling = torch.cat((torch.ones(len(upsampling), 1), upsampling), dim=1)
        return gates.unflatten(1, (engine.config.n_layers, -1)), upsampling

    def _standardised(self, clip: int, frame: int, end: int, context: int) -> Tensor:
        """A frame of a clip and `context` frames on either side, (1, M, 1 + 2 * context); the ends are repeated."""
        places = torch.arange(frame - context, frame + context + 1).clamp(0, end - 1)
        return self.engine.model.standardise(self._mel[clip : clip + 1, :, places - self._first])

    def _to_wave(self, signal: Tensor, frames: Tensor, past: Tensor) -> Tensor:
        """As `WaveNet.to_wave`: signal (B, L) of mel frames (B, M, T), which the next frame follows where there is one.

        past: (B, order) the last samples of the sound before, which are renewed.
        """
        config, model = self.engine.config, self.engine.model
        kind = config.signal
        if isinstance(kind, LinearPredictionConfig):
            prediction = LinearPrediction(frames, config.mel, kind)
            n_blocks = signal.shape[1] // config.mel.hop_length * kind.blocks_per_frame
            level = prediction.level[:, :n_blocks] / kind.level
            return self._filtered(signal, past, prediction.coefficients[:, :n_blocks], level, prediction.block_length)
        assert isinstance(kind, PlainSignalConfig)
        wave = mu_law_inverse(signal, model.mu) if config.output == "softmax" else signal
        if kind.pre_emphasis:
            coefficients = torch.full((len(signal), 1, 1), kind.pre_emphasis)
            wave = self._filtered(wave, past, coefficients, torch.ones(len(signal), 1), wave.shape[1], limited=False)
        return (wave / kind.gain).clamp(-1, 1)

    def _filtered(
        self, rest: Tensor, past: Tensor, coefficients: Tensor, level: Tensor, block: int, *, limited: bool = True
    ) -> Tensor:
        """Through an all-pole filter: rest (B, L), coefficients (B, N, P) and level (B, N) of blocks."""
        rest, coefficients, level = rest.contiguous(), coefficients.contiguous(), level.contiguous()
        wave = torch.empty_like(rest)
        for row in range(len(rest)):
            self.engine.kernel.all_pole(
                address(rest[row]),
                rest.shape[1],
                address(coefficients[row]),
                address(level[row]),
                coefficients.shape[2],
                block,
                address(past[row]),
                address(wave[row]),
            )
        return wave.clamp(-1, 1) if limited else wave
