"""Products of few rows with a large matrix, which cost what it takes to read the matrix.

A decoder step multiplies a vector for each text with matrices of millions of weights: the fewer bytes a weight has, the
faster. `Rows` holds them in one of three precisions; `pack` lays them out for torch, `product.write` multiplies.
A product owns its scratch space, so that a decoding run makes its own by `matrix.reserve(batch)`.

`made_up` and `make_up` keep the numbers of rows few. torch's products in bfloat16 are oneDNN's, which writes a program
for every number of rows that it meets: half a megabyte each, and it keeps a thousand. No two sentences have one length,
and a voice that spoke for some minutes held 800 MB more than at its beginning. Made-up rows have to be finite: with
some sizes oneDNN reads beyond a row's end, and multiplies that by zero.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

FEW = 32
"""Rows are made up to a multiple of this, which is what a processor's tiles hold anyway."""


def made_up(n_rows: int, dtype: torch.dtype) -> int:
    """`n_rows` or some more, a sixteenth where they are many: sixteen sizes from one power of two to the next."""
    if dtype == torch.float32:
        return n_rows
    step = max(FEW, 1 << max(n_rows.bit_length() - 5, 0))
    return -(-n_rows // step) * step


def make_up(rows: Tensor) -> Tensor:
    """Rows (..., R, C) with as many zeros behind them as their type needs."""
    n_more = made_up(rows.shape[-2], rows.dtype) - rows.shape[-2]
    return F.pad(rows, (0, 0, 0, n_more)) if n_more else rows


Kind = Literal["fp32", "bf16", "int8"]
"""Storage format of the weights."""


class Rows(NamedTuple):
    """A matrix (N, K) with a row for each output, and its bias (N,)."""

    kind: Kind
    weight: Tensor
    """(N, K) float32, bfloat16 or int8"""
    scale: Tensor
    """(N,) what a weight of each output counts: 1 but for int8."""
    bias: Tensor
    """(N,) float32"""


def round_rows(weight: Tensor, bias: Tensor, kind: Kind) -> Rows:
    """Weights (N, K) in the precision `kind`; int8 has a scale for each output."""
    scale = torch.ones(len(weight))
    if kind == "int8":
        scale = (weight.abs().amax(dim=1).float() / 127).clamp(min=1e-20)
        weight = (weight / scale[:, None]).round()
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}[kind]
    return Rows(kind, weight.detach().to(dtype, copy=True).contiguous(), scale, bias.detach().float().clone())


class Product(Protocol):
    """x times a packed matrix, plus its bias, for one batch size."""

    def write(self, x: Tensor, out: Tensor) -> None:
        """x: (B, K) float32, rows may be apart; out: (B, N) float32, overwritten."""


class Matrix(Protocol):
    """A packed matrix (N, K) and its bias (N,)."""

    def reserve(self, batch: int) -> Product:
        """Returns a function that multiplies `batch` rows; threads must not share it."""


def pack(rows: Rows) -> Matrix:
    """Rows as torch multiplies them fastest."""
    kinds: dict[Kind, type[Float32Matrix | PackedMatrix | Int8Matrix]] = {
        "fp32": Float32Matrix,
        "bf16": PackedMatrix,
        "int8": Int8Matrix,
    }
    return kinds[rows.kind](rows)


class Float32Matrix:
    """As it is: in rows for few texts, in oneDNN's own order for more."""

    FEW = 8
    """Rows up to which the plain order is faster."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.weight = rows.weight.t().contiguous()

    def reserve(self, batch: int) -> Product:
        """See `Matrix`."""
        return self if batch <= self.FEW or not torch.backends.mkldnn.is_available() else self._packed

    @cached_property
    def _packed(self) -> PackedMatrix:
        return PackedMatrix(self.rows)

    def write(self, x: Tensor, out: Tensor) -> None:
        """See `Product`."""
        torch.addmm(self.rows.bias, x, self.weight, out=out)


class PackedMatrix:
    """In one dtype and oneDNN's own order; sums are float32."""

    def __init__(self, rows: Rows) -> None:
        self.dtype = rows.weight.dtype
        self.weight = torch.ops.mkldnn._reorder_linear_weight(rows.weight)
        self.bias = rows.bias.to(self.dtype)

    def reserve(self, batch: int) -> PackedMatrix:
        """Itself: nothing is kept between calls."""
        return self

    def write(self, x: Tensor, out: Tensor) -> None:
        """See `Product`."""
        out.copy_(torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), self.weight, self.bias, "none", [], ""))


class Int8Matrix:
    """Weights in eight bits; what they are multiplied with keeps fifteen.

    Reading the matrix is what costs, so a second row is free: each row of x goes in as two, its high and its low byte.
    All sums are of integers and exact, so that a row's result does not depend on the rows beside it.
    """

    def __init__(self, rows: Rows) -> None:
        self.packed = torch.ops.onednn.qlinear_prepack(rows.weight, None)
        self.scale, self.bias = rows.scale, rows.bias
        self.zero_points = torch.zeros(len(rows.weight), dtype=torch.int32)
        self.n_in = rows.weight.shape[1]

    def reserve(self, batch: int) -> Int8Product:
        """See `Matrix`."""
        return Int8Product(self, batch)


class Int8Product:
    """Splits rows into bytes, multiplies, and puts the halves together."""

    LARGEST = 32_512.0
    """The value that a row's largest becomes: the low byte's sign can still add 128 without reaching 2 ** 15."""
    ZERO = 32_768 + 128 + 0.5
    """Makes a number of 16 bits unsigned, gives its low byte a sign, and turns cutting off into rounding."""

    def __init__(self, matrix: Int8Matrix, batch: int) -> None:
        self.matrix = matrix
        self.zero = torch.tensor(self.ZERO)
        self.largest = torch.empty(batch, 1)
        self.scaled = torch.empty(batch, matrix.n_in)
        self.integers = torch.empty(batch, matrix.n_in, dtype=torch.int32)
        halves = self.integers.view(torch.uint8).view(batch, matrix.n_in, 4)[..., :2]
        self.halves = halves.permute(2, 0, 1)  # Low bytes, then high bytes: (2, B, K).
        self.rows = torch.empty(2 * batch, matrix.n_in, dtype=torch.uint8)
        self.halves_of_rows = self.rows.view(2, batch, matrix.n_in)

    def write(self, x: Tensor, out: Tensor) -> None:
        """See `Product`."""
        torch.linalg.vector_norm(x, float("inf"), 1, keepdim=True, out=self.largest).clamp_(min=1e-20)
        torch.addcdiv(self.zero, x, self.largest, value=self.LARGEST, out=self.scaled)
        self.integers.copy_(self.scaled)
        self.halves_of_rows.copy_(self.halves)
        low, high = multiply_bytes(self.rows, self.matrix).chunk(2)
        torch.add(low, high, alpha=256, out=out)
        torch.addcmul(self.matrix.bias, out, self.largest, value=1 / self.LARGEST, out=out)


def multiply_bytes(rows: Tensor, matrix: Int8Matrix) -> Tensor:
    """(R, K) of uint8 where 128 means zero, times the matrix. Returns (R, N) in float32."""
    product: Tensor = torch.ops.onednn.qlinear_pointwise(
        rows,
        1.0,
        128,
        matrix.packed,
        matrix.scale,
        matrix.zero_points,
        None,
        1.0,
        0,
        torch.float32,
        "none",
        [],
        "",
    )
    return product


def int8_is_exact() -> bool:
    """True if this machine and this torch multiply bytes without losing bits.

    Processors without VNNI add pairs of products in 16 bits, which overflow; the largest values there are show it.
    """
    try:
        matrix = Int8Matrix(round_rows(torch.full((32, 128), 127.0), torch.zeros(32), "int8"))
        found = multiply_bytes(torch.full((2, 128), 255, dtype=torch.uint8), matrix)
    except (AttributeError, RuntimeError):  # This torch has no such operation, or was built without oneDNN.
        return False
    return bool((found == 127 * 127 * 128).all())


def bfloat16_is_packed() -> bool:
    """True if this machine and this torch multiply with packed matrices of bfloat16."""
    try:
        out = torch.empty(2, 32)
        PackedMatrix(round_rows(torch.ones(32, 128), torch.zeros(32), "bf16")).write(torch.ones(2, 128), out)
    except (AttributeError, RuntimeError):
        return False
    return bool((out == 128).all())
