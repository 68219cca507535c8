"""Gated dilated layers, as of WaveGlow's WN, in our own C (`wn.c`): a block of rows stays in the cache through each.

Weights are laid out here, for the level of instructions that multiplies them. Integers have a scale for each output
and each row, their sums are exact: so a row's result depends on no other row of its block, and pieces are the whole.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from glowtron.engines.hardware import load_library
from glowtron.errors import InputError, nearest
from glowtron.models.convolution import WeightNormConv
from glowtron.models.waveglow import WN

LIBRARY = Path(__file__).with_name("wn.so")
LEVELS = ("plain", "dotprod", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512bf16", "amx")
"""Sets of instructions, as `wn.c` names them, from the least to the best."""
UNTRIED = ("amx",)
"""Those that have run in emulation only, on no processor yet."""
TILE_WORDS = 16
"""Words of a row that AMX multiplies at once."""
LEVEL_VARIABLE = "GLOWTRON_CPU_LEVEL"
"""The environment variable that forbids the levels behind the one it names; `none` forbids the compiled code."""

Kind = Literal["fp32", "bf16", "int16", "int8"]
KINDS: tuple[Kind, ...] = ("fp32", "bf16", "int16", "int8")
"""As `wn.h` numbers them."""
PER_WORD = {"fp32": 1, "bf16": 2, "int16": 2, "int8": 4}
"""Numbers in a word of 32 bits."""
MOST_INT16, MOST_SUM = 8191, 2**31 - 1


class NativeMatrix(ctypes.Structure):
    """`Matrix` of `wn.h`."""

    _fields_ = (*((name, ctypes.c_void_p) for name in ("weight", "scale", "zero")), ("n_words", ctypes.c_int32))


class NativeLayer(ctypes.Structure):
    """`Layer` of `wn.h`."""

    _fields_ = (
        ("condition", NativeMatrix),
        ("taps", ctypes.c_void_p),
        ("out", NativeMatrix),
        *((name, ctypes.c_void_p) for name in ("bias", "out_bias")),
        *((name, ctypes.c_int32) for name in ("dilation", "has_residual")),
    )


class NativeNet(ctypes.Structure):
    """`Net` of `wn.h`."""

    _fields_ = (
        ("start", NativeMatrix),
        *((name, ctypes.c_void_p) for name in ("start_bias", "layers")),
        *((name, ctypes.c_int32) for name in ("n_layers", "n_taps", "kind", "width", "n_skip")),
    )


class NativeCall(ctypes.Structure):
    """`Call` of `wn.h`."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("n_rows", "step", "margin", "n_threads")),
        *((name, ctypes.c_void_p) for name in ("x", "conditions", "seen", "written", "hidden", "skip", "scratch")),
    )


class NativeRecurrence(ctypes.Structure):
    """`Recurrence` of `wn.h`."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("batch", "size", "n_in", "n_threads")),
        *((name, ctypes.c_void_p) for name in ("weight", "inputs", "keep", "gates", "states", "seen")),
        *((name, ctypes.c_void_p) for name in ("grad_seen", "grad_now", "grad_state", "grad_inputs")),
    )


_OneStep = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


class NativeLevel(ctypes.Structure):
    """`Level` of `wn.h`."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("lanes", "kinds", "zero", "most", "most_weight")),
        ("run", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)),
        (
            "write_rows",
            ctypes.CFUNCTYPE(
                None,
                ctypes.c_int32,
                ctypes.c_void_p,
                ctypes.c_int64,
                ctypes.c_int32,
                ctypes.c_int32,
                ctypes.c_void_p,
            ),
        ),
        ("scratch", ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)),
        ("step", _OneStep),
        ("step_back", _OneStep),
    )


class Level:
    """One set of instructions."""

    def __init__(self, name: str, native: Any) -> None:
        self.name, self.native = name, native
        self.lanes: int = native.lanes
        self.kinds = tuple(kind for i, kind in enumerate(KINDS) if native.kinds >> i & 1)
        """Kinds of products that it has."""

    def n_words(self, n: int, kind: Kind) -> int:
        """Words of n numbers; products take two at a time, and tiles sixteen."""
        at_once = TILE_WORDS if self.name == "amx" and kind != "fp32" else 2
        return at_once * -(-n // (at_once * PER_WORD[kind]))

    def rows(self, x: Tensor, kind: Kind) -> Tensor:
        """Rows (R, n) of float32 as products read them: (R, words + 1) of int32, the last the row's scale."""
        x, n_words = x.contiguous(), self.n_words(x.shape[1], kind)
        rows = torch.empty(len(x), n_words + 1, dtype=torch.int32)
        self.native.write_rows(KINDS.index(kind), x.data_ptr(), len(x), x.shape[1], n_words, rows.data_ptr())
        return rows


class Found(NamedTuple):
    """The levels that may be used here, from the least to the best, or why there is none."""

    levels: tuple[Level, ...]
    why_not: str = ""

    def best(self, kind: Kind) -> Level | None:
        """The best level that multiplies this kind."""
        return next((level for level in reversed(self.levels) if kind in level.kinds), None)


def allowed_levels(named: str | None) -> tuple[str, ...]:
    """The levels up to the one named. Raises InputError for a name that is none."""
    if named is None or not named:
        return LEVELS
    if named == "none":
        return ()
    if named not in LEVELS:
        raise InputError(f"{LEVEL_VARIABLE}: unknown level '{named}'{nearest(named, ('none', *LEVELS))}")
    return LEVELS[: LEVELS.index(named) + 1]


def find_levels() -> Found:
    """Finds the levels that were compiled, that this processor has and that `GLOWTRON_CPU_LEVEL` allows."""
    allowed = allowed_levels(os.environ.get(LEVEL_VARIABLE))
    if not allowed:
        return Found((), f"{LEVEL_VARIABLE} is none")
    found = _compiled(LIBRARY)
    return Found(tuple(level for level in found.levels if level.name in allowed), found.why_not)


def _fits(library: ctypes.CDLL) -> bool:
    sizes = (ctypes.sizeof(part) for part in (NativeNet, NativeCall, NativeLayer))
    layout = sum(size * 1000**i for i, size in enumerate(sizes))
    steps_fit = library.glowtron_steps_layout() == ctypes.sizeof(NativeRecurrence)
    return bool(library.glowtron_wn_layout() == layout and steps_fit)


@cache
def _compiled(path: Path) -> Found:
    library, why_not = load_library(path, _fits)
    if library is None:
        return Found((), why_not)
    find = library.glowtron_wn_level
    find.argtypes, find.restype = (ctypes.c_char_p,), ctypes.POINTER(NativeLevel)
    natives = [(name, find(name.encode())) for name in LEVELS]
    return Found(tuple(Level(name, native.contents) for name, native in natives if native))


class PackedMatrix:
    """Weights (n_out, n_in) in the order of panels, and what keeps them."""

    def __init__(self, weight: Tensor, kind: Kind, level: Level) -> None:
        """weight: its rows in the order of the outputs, whole panels of them; rounded to the kind."""
        n_out, n_in = weight.shape
        n_words, per_word, panel = level.n_words(n_in, kind), PER_WORD[kind], 2 * level.lanes
        weight = pad(weight.float(), (0, n_words * per_word - n_in))
        scale, zero = torch.ones(n_out), torch.zeros(n_out, dtype=torch.int32)
        if kind == "int8":
            scale = (weight.abs().amax(dim=1) / level.native.most_weight).clamp(min=1e-30)
            weight = (weight / scale[:, None]).round()
            zero = (-level.native.zero * weight.sum(dim=1)).to(torch.int32)
        elif kind == "int16":
            # As fine as 32 bits hold the sum whatever is multiplied.
            scale = torch.maximum(weight.abs().amax(dim=1) / 32767, weight.abs().sum(dim=1) * (MOST_INT16 / MOST_SUM))
            scale = (scale * 1.001).clamp(min=1e-30)
            weight = (weight / scale[:, None]).trunc()
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "int16": torch.int16, "int8": torch.int8}[kind]
        words = weight.to(dtype).view(n_out // panel, panel, n_words, per_word).transpose(1, 2).contiguous()
        self._kept = (words, scale, zero)
        self.native = NativeMatrix(*(tensor.data_ptr() for tensor in self._kept), n_words)


class Space:
    """Memory for calls over at most `n_rows` rows; one call at a time may use it."""

    def __init__(self, net: NativeLayers, n_rows: int, n_batch: int) -> None:
        self.n_rows, self.n_threads = n_rows, torch.get_num_threads()
        self.margin = net.margin * n_batch
        width, words = net.width, net.level.n_words(net.width, net.kind) + 1
        self.seen = [torch.empty((n_rows + 2 * self.margin) * words, dtype=torch.int32) for _ in range(2)]
        self.hidden = torch.empty(0 if net.kind == "fp32" else n_rows * width)
        self.scratch = torch.empty(self.n_threads * net.scratch_size)


class NativeLayers:
    """Gated dilated layers laid out for the kernel; never changed, so that any number of calls may share them."""

    def __init__(self, n_channels: int, dilations: Sequence[int], kernel_size: int, kind: Kind, level: Level) -> None:
        self.kind, self.level = kind, level
        self.n_channels, self.dilations, self.n_taps = n_channels, tuple(dilations), kernel_size
        self.reach = sum(dilations) * (kernel_size // 2)
        """Steps on either side that an output depends on."""
        self.margin = max(dilations) * (kernel_size // 2)
        self.panel = 2 * level.lanes
        self.width = width = -(-n_channels // self.panel) * self.panel
        self._channels = channels = torch.arange(width).clamp(max=n_channels)  # The one behind the last is zero.
        # A panel of the gates has the filters of some channels and their gates.
        real = channels < n_channels
        both = torch.stack([torch.where(real, channels + half, 2 * n_channels) for half in (0, n_channels)])
        self._gate_order = both.view(2, -1, level.lanes).transpose(0, 1).flatten()
        self._missing = (0, width - n_channels)
        self._kept: list[Any] = []

    def _layer(
        self,
        index: int,
        condition: Tensor,
        dilated: Tensor,
        bias: Tensor,
        outs: Sequence[tuple[Tensor, Tensor, Tensor]],
        has_residual: bool,
    ) -> NativeLayer:
        """One of the layers: condition (2C, K), dilated (2C, taps * C) and bias (2C,) enter the gates, filters first.

        outs: weight (n, C) and bias (n,) of what is made of them, and the order of its rows in whole panels.
        """
        taps = [
            self._pack(pad(_picked(tap, self._gate_order), self._missing)) for tap in dilated.chunk(self.n_taps, dim=1)
        ]
        return NativeLayer(
            self._pack(_picked(condition, self._gate_order)),
            self._array(NativeMatrix, taps),
            self._pack(pad(torch.cat([_picked(weight, order) for weight, _, order in outs]), self._missing)),
            self._keep(_picked(bias, self._gate_order)),
            self._keep(torch.cat([_picked(bias, order) for _, bias, order in outs])),
            self.dilations[index],
            has_residual,
        )

    def _finish(self, start: Tensor, start_bias: Tensor, layers: Sequence[NativeLayer], n_skip: int) -> None:
        """start: (C, n_in) what makes of an input what the first layer sees."""
        self._native = NativeNet(
            self._pack(_picked(start, self._channels), "fp32"),
            self._keep(_picked(start_bias, self._channels)),
            self._array(NativeLayer, layers),
            len(layers),
            self.n_taps,
            KINDS.index(self.kind),
            self.width,
            n_skip,
        )
        self.scratch_size: int = self.level.native.scratch(ctypes.addressof(self._native))

    def _run(self, x: Tensor, conditions: Tensor, skip: Tensor, space: Space, n_batch: int) -> None:
        """x: (R, n_in); conditions: (R, words + 1), packed; skip: (R, n_skip), added to."""
        rows = self.level.rows(x, "fp32")
        assert conditions.is_contiguous() and len(conditions) == len(rows) <= space.n_rows
        tensors = (rows, conditions, *space.seen, space.hidden, skip, space.scratch)
        call = NativeCall(len(rows), n_batch, space.margin, space.n_threads, *(tensor.data_ptr() for tensor in tensors))
        self.level.native.run(ctypes.addressof(self._native), ctypes.addressof(call))

    def _pack(self, weight: Tensor, kind: Kind | None = None) -> NativeMatrix:
        matrix = PackedMatrix(weight, kind or self.kind, self.level)
        self._kept.append(matrix)
        return matrix.native

    def _keep(self, tensor: Tensor) -> int:
        tensor = tensor.detach().float().contiguous()
        self._kept.append(tensor)
        return tensor.data_ptr()

    def _array(self, of: type[ctypes.Structure], items: Sequence[Any]) -> int:
        array = (of * len(items))(*items)
        self._kept.append(array)
        return ctypes.addressof(array)

    def pack_conditioning(self, x: Tensor) -> Tensor:
        """Conditioning (G, B, K) as a call wants it, the same for every coupling: (G, B, words + 1)."""
        return self.level.rows(x.flatten(0, 1).float(), self.kind).view(*x.shape[:2], -1)

    def reserve(self, n_rows: int, n_batch: int) -> Space:
        """Memory for calls with up to `n_rows` rows, of steps of `n_batch` items."""
        return Space(self, n_rows, n_batch)


class NativeWN(NativeLayers):
    """The same function as a `WN`."""

    @torch.no_grad()
    def __init__(self, net: WN, kind: Kind, level: Level) -> None:
        super().__init__(net.n_channels, net.dilations, net.kernel_size, kind, level)
        n_layers = len(net.dilations)
        end_first = net.end.out_features < net.n_channels
        self.n_skip = net.end.out_features if end_first else net.n_channels
        self.end = None if end_first else net.end.weight.detach().t().contiguous()
        self.end_bias = net.end.bias.detach().clone()
        skips = torch.arange(-(-self.n_skip // self.panel) * self.panel).clamp(max=self.n_skip)
        layers = []
        conditions = net.condition.effective_weight().chunk(n_layers)
        condition_biases = net.condition.bias.chunk(n_layers)
        for i in range(n_layers):
            dilated, res_skip = net.dilated[i], net.res_skip[i]
            assert isinstance(dilated, WeightNormConv) and isinstance(res_skip, WeightNormConv)
            out, out_bias = res_skip.effective_weight(), res_skip.bias
            residual, skip = out[: -net.n_channels], out[-net.n_channels :]
            skip_bias = out_bias[-net.n_channels :]
            if end_first:
                skip, skip_bias = net.end.weight @ skip, net.end.weight @ skip_bias
            outs = [(skip, skip_bias, skips)]
            if len(residual):
                outs.insert(0, (residual, out_bias[: -net.n_channels], self._channels))
            bias = condition_biases[i] + dilated.bias
            layers.append(
                self._layer(i, conditions[i], dilated.effective_weight(), bias, outs, has_residual=len(residual) > 0)
            )
        self._finish(net.start.effective_weight(), net.start.bias, layers, self.n_skip)

    def __call__(self, x: Tensor, conditioning: Tensor, space: Space) -> Tensor:
        """(G, B, n_in) float32 and packed conditioning -> (G, B, n_out) float32."""
        n_batch, n_rows = x.shape[1], x.shape[0] * x.shape[1]
        skip = (self.end_bias if self.end is None else torch.zeros(self.n_skip)).repeat(n_rows, 1)
        self._run(x.flatten(0, 1), conditioning.flatten(0, 1), skip, space, n_batch)
        output = skip if self.end is None else torch.addmm(self.end_bias, skip, self.end)
        return output.view(-1, n_batch, output.shape[1])


class NativeResidual(NativeLayers):
    """A stack of gated layers that is the sum of its input and what each layer adds, as in FastSpeech 2's decoder."""

    @torch.no_grad()
    def __init__(
        self,
        gates: Sequence[tuple[Tensor, Tensor]],
        outs: Sequence[tuple[Tensor, Tensor]],
        dilations: Sequence[int],
        kind: Kind,
        level: Level,
    ) -> None:
        """Of each layer the matrix (2C, taps * C) and bias of its gates, and (C, C) and bias of what it adds."""
        n_channels = len(outs[0][1])
        super().__init__(n_channels, dilations, gates[0][0].shape[1] // n_channels, kind, level)
        nothing = torch.zeros(2 * n_channels, 1)  # There is no conditioning.
        layers = [
            self._layer(i, nothing, weight, bias, [(*out, self._channels)], has_residual=True)
            for i, ((weight, bias), out) in enumerate(zip(gates, outs, strict=True))
        ]
        self._finish(torch.eye(n_channels), torch.zeros(n_channels), layers, 0)

    def __call__(self, x: Tensor) -> Tensor:
        """(T, C) -> (T, C), float32."""
        n_rows = len(x)
        space, nothing = self.reserve(n_rows, 1), self.pack_conditioning(torch.zeros(n_rows, 1, 1)).flatten(0, 1)
        self._run(x, nothing, torch.empty(0), space, 1)
        if self.kind != "fp32":
            return space.hidden.view(n_rows, -1)[:, : self.n_channels]
        last = space.seen[len(self.dilations) % 2].view(torch.float32)  # Floats are what the next layer would see.
        return last.view(n_rows + 2 * space.margin, -1)[space.margin :][:n_rows, : self.n_channels]


def _picked(rows: Tensor, order: Tensor) -> Tensor:
    """Rows in that order; the one behind the last is zero."""
    return torch.cat((rows, rows.new_zeros(1, *rows.shape[1:])))[order]
