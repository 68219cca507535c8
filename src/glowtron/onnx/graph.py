"""A graph as it is written in Python: values with the operators that NumPy's arrays have.

    graph = Graph("double")
    x = graph.input("x", "float32", ["n"])
    graph.output("y", 2.0 * x, ["n"])
    graph.model()  # the bytes of a file

Numbers in expressions become constants: a float is float32, an int is int64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from glowtron.onnx import protobuf
from glowtron.onnx.protobuf import Attribute

Array: TypeAlias = "NDArray[np.generic]"
Operand: TypeAlias = "Value | float | int | Array"

END = 2**62
"""Behind the end of any axis."""
LARGE = 4096
"""Numbers from which on a weight is fed, where weights are."""


class Value:
    """A tensor in a graph; `dtype` is not known here."""

    __array_ufunc__ = None  # An array that is added to a value leaves that to the value.

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def _with(self, op: str, other: Operand, *, swapped: bool = False) -> Value:
        pair = (other, self) if swapped else (self, other)
        return self.graph.op(op, *pair)

    def __add__(self, other: Operand) -> Value:
        return self._with("Add", other)

    def __radd__(self, other: Operand) -> Value:
        return self._with("Add", other, swapped=True)

    def __sub__(self, other: Operand) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: Operand) -> Value:
        return self._with("Sub", other, swapped=True)

    def __mul__(self, other: Operand) -> Value:
        return self._with("Mul", other)

    def __rmul__(self, other: Operand) -> Value:
        return self._with("Mul", other, swapped=True)

    def __truediv__(self, other: Operand) -> Value:
        return self._with("Div", other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self._with("Div", other, swapped=True)

    def __matmul__(self, other: Operand) -> Value:
        return self._with("MatMul", other)

    def __rmatmul__(self, other: Operand) -> Value:
        return self._with("MatMul", other, swapped=True)

    def __lt__(self, other: Operand) -> Value:
        return self._with("Less", other)

    def __le__(self, other: Operand) -> Value:
        return self._with("LessOrEqual", other)

    def __gt__(self, other: Operand) -> Value:
        return self._with("Greater", other)

    def __ge__(self, other: Operand) -> Value:
        return self._with("GreaterOrEqual", other)

    def __and__(self, other: Value) -> Value:
        return self._with("And", other)

    def __or__(self, other: Value) -> Value:
        return self._with("Or", other)

    def __invert__(self) -> Value:
        return self.graph.op("Not", self)

    def __neg__(self) -> Value:
        return self.graph.op("Neg", self)

    def equals(self, other: Operand) -> Value:
        """True if each is the other."""
        return self._with("Equal", other)

    def tanh(self) -> Value:
        """Of each."""
        return self.graph.op("Tanh", self)

    def sigmoid(self) -> Value:
        """Of each."""
        return self.graph.op("Sigmoid", self)

    def relu(self) -> Value:
        """Of each."""
        return self.graph.op("Relu", self)

    def exp(self) -> Value:
        """Of each."""
        return self.graph.op("Exp", self)

    def log(self) -> Value:
        """Of each."""
        return self.graph.op("Log", self)

    def sqrt(self) -> Value:
        """Of each."""
        return self.graph.op("Sqrt", self)

    def floor(self) -> Value:
        """Of each."""
        return self.graph.op("Floor", self)

    def round(self) -> Value:
        """Of each, halves to even."""
        return self.graph.op("Round", self)

    def at_least(self, other: Operand) -> Value:
        """The larger of each pair."""
        return self._with("Max", other)

    def at_most(self, other: Operand) -> Value:
        """The smaller of each pair."""
        return self._with("Min", other)

    def to(self, dtype: str) -> Value:
        """As another type, by NumPy's name."""
        return self.graph.op("Cast", self, to=protobuf.DATA_TYPES[dtype])

    def sum(self, axis: int, *, keep: bool = True) -> Value:
        """Along an axis."""
        return self.graph.op("ReduceSum", self, np.array([axis]), keepdims=int(keep))

    def max(self, axis: int, *, keep: bool = True) -> Value:
        """Along an axis."""
        return self.graph.op("ReduceMax", self, axes=[axis], keepdims=int(keep))

    def argmax(self, axis: int) -> Value:
        """The first of the largest along an axis, which stays with length 1."""
        return self.graph.op("ArgMax", self, axis=axis, keepdims=1)

    def cumsum(self, axis: int) -> Value:
        """Along an axis."""
        return self.graph.op("CumSum", self, np.array(axis))

    def softmax(self) -> Value:
        """Along the last axis."""
        return self.graph.op("Softmax", self, axis=-1)

    def gather(self, indices: Operand, axis: int = 0) -> Value:
        """Parts along an axis."""
        return self.graph.op("Gather", self, indices, axis=axis)

    def cut(self, axis: int, start: Operand = 0, stop: Operand = END, step: int = 1) -> Value:
        """From start to stop along an axis; both are numbers, or values of shape (1,)."""
        ends = [np.array([end]) if isinstance(end, int) else end for end in (start, stop)]
        steps = () if step == 1 else (np.array([step]),)
        return self.graph.op("Slice", self, *ends, np.array([axis]), *steps)

    def flip(self, axis: int) -> Value:
        """In the other direction along an axis."""
        return self.cut(axis, -1, -END, -1)

    def split(self, sizes: Sequence[int], axis: int) -> list[Value]:
        """Parts of these sizes along an axis."""
        return self.graph.op_many("Split", len(sizes), self, np.array(sizes), axis=axis)

    def transpose(self, *order: int) -> Value:
        """With its axes in another order."""
        return self.graph.op("Transpose", self, perm=order)

    def reshape(self, *shape: int) -> Value:
        """0 keeps an axis, -1 is what is left."""
        return self.graph.op("Reshape", self, np.array(shape))

    def unsqueeze(self, *axes: int) -> Value:
        """With axes of length 1."""
        return self.graph.op("Unsqueeze", self, np.array(axes))

    def squeeze(self, *axes: int) -> Value:
        """Without axes of length 1."""
        return self.graph.op("Squeeze", self, np.array(axes))

    def size(self, axis: int) -> Value:
        """Its length along an axis, (1,)."""
        return self.graph.op("Shape", self, start=axis, end=axis + 1)

    def pad(self, axis: int, n_axes: int, before: Operand = 0, after: Operand = 0) -> Value:
        """With zeros around it along an axis; before and after are numbers, or values of shape (1,)."""
        if isinstance(before, int) and isinstance(after, int):
            widths = np.zeros(2 * n_axes, np.int64)
            widths[axis], widths[n_axes + axis] = before, after
            return self.graph.op("Pad", self, widths)
        pair = [np.array([width]) if isinstance(width, int) else width for width in (before, after)]
        nothing = [np.zeros(axis, np.int64), np.zeros(n_axes - 1, np.int64), np.zeros(n_axes - 1 - axis, np.int64)]
        widths_of = self.graph.concat([nothing[0], pair[0], nothing[1], pair[1], nothing[2]], 0)
        return self.graph.op("Pad", self, widths_of)


class Graph:
    """Nodes in the order in which they were asked for."""

    def __init__(self, name: str, outer: Graph | None = None, *, int8: bool = False, fed: bool = False) -> None:
        """outer: the graph whose values the body of a loop may use. int8: how large weights are kept. fed: whether they
        are left out, and become inputs whose arrays are in `weights`.
        """
        self.name, self._outer, self._int8, self._fed = name, outer, int8, fed
        self.weights: dict[str, Array] = {}
        """Inputs that every run of a graph that is `fed` must be given."""
        self._root: Graph = outer._root if outer is not None else self
        self._nodes: list[bytes] = []
        self._initializers: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._n_names = 0

    def input(self, name: str, dtype: str, shape: Sequence[int | str]) -> Value:
        """A value that is given; dimensions with a name may have any length."""
        self._inputs.append(protobuf.value_info(name, dtype, shape))
        return Value(self, name)

    def output(self, name: str, value: Value, shape: Sequence[int | str], dtype: str = "float32") -> None:
        """A value that is asked for; dimensions with a name may have any length."""
        self._nodes.append(protobuf.node("Identity", [value.name], [name], {}))
        self._outputs.append(protobuf.value_info(name, dtype, shape))

    def constant(self, array: Array) -> Value:
        """A constant; small ones that are equal are kept once, and all of them in the outermost graph."""
        if self._outer is not None:
            return Value(self, self._root.constant(array).name)
        if array.size > 64:
            return self._kept(array)
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._kept(array)
        return self._constants[key]

    def _kept(self, array: Array) -> Value:
        name = self._new_name()
        if self._fed and array.size >= LARGE and array.dtype == np.float32:
            self._inputs.append(protobuf.value_info(name, "float32", array.shape))
            self.weights[name] = np.ascontiguousarray(array)
        else:
            self._initializers.append(protobuf.tensor(name, array))
        return Value(self, name)

    def weight(self, array: NDArray[np.float32]) -> Value:
        """A weight, in bytes where that was asked for: with a scale for each row, which onnxruntime multiplies out
        once, when it reads the file.
        """
        if not self._root._int8 or array.ndim < 2 or array.size < 1024:
            return self.constant(array)
        largest = np.abs(array).max(axis=tuple(range(1, array.ndim)), keepdims=True)
        scale = np.maximum(largest, np.float32(1e-12)) / np.float32(127)
        return self.constant(np.round(array / scale).astype(np.int8)).to("float32") * self.constant(scale)

    def op(self, op: str, *inputs: Operand | None, **attributes: Attribute) -> Value:
        """A node with one output. An input that is None is left out."""
        return self.op_many(op, 1, *inputs, **attributes)[0]

    def op_many(self, op: str, n_outputs: int, *inputs: Operand | None, **attributes: Attribute) -> list[Value]:
        """A node with several outputs."""
        names = ["" if one is None else self._value(one).name for one in inputs]
        outputs = [self._root._new_name() for _ in range(n_outputs)]
        self._nodes.append(protobuf.node(op, names, outputs, attributes))
        return [Value(self, name) for name in outputs]

    def concat(self, values: Sequence[Operand], axis: int) -> Value:
        """Joined along an axis."""
        return self.op("Concat", *values, axis=axis) if len(values) > 1 else self._value(values[0])

    def where(self, condition: Value, yes: Operand, no: Operand) -> Value:
        """Of each, by the condition."""
        return self.op("Where", condition, yes, no)

    def arange(self, stop: Value) -> Value:
        """0, 1, ... (n,) for a value of shape (1,)."""
        return self.op("Range", np.array(0), stop.squeeze(0), np.array(1))

    def full(self, shape: Sequence[Value | int], value: float) -> Value:
        """A tensor of one number; sizes are numbers, or values of shape (1,)."""
        sizes = self.concat([np.array([size]) if isinstance(size, int) else size for size in shape], 0)
        return self.op("Expand", np.array(value, np.float32), sizes)

    def body(self, name: str) -> Graph:
        """The body of a loop in this graph, which sees all that this graph has, by `outer`."""
        return Graph(name, self)

    def outer(self, value: Value) -> Value:
        """A value of the graph around this one, as one of this."""
        return Value(self, value.name)

    def proto(self) -> bytes:
        """The graph as bytes."""
        return protobuf.graph(self.name, self._nodes, self._initializers, self._inputs, self._outputs)

    def model(self, metadata: Mapping[str, str] | None = None) -> bytes:
        """The contents of a file."""
        return protobuf.model(self.proto(), metadata or {})

    def _value(self, operand: Operand) -> Value:
        if isinstance(operand, Value):
            return operand
        if isinstance(operand, float):
            return self.constant(np.array(operand, np.float32))
        if isinstance(operand, int):
            return self.constant(np.array(operand, np.int64))
        return self.constant(np.asarray(operand))

    def _new_name(self) -> str:
        self._n_names += 1
        return f"v{self._n_names}"
