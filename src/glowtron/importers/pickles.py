"""A pickle read as data: a small interpreter in which nothing can be run.

Published checkpoints are pickles, and a pickle is a program: Python's own unpickler imports what it names and calls it.
Here the opcodes are told apart by `pickletools.genops`, which only parses, and interpreted by `read`, which imports
nothing, looks no name up, and calls nothing that the file supplies. A name the file asks for is either on the lists
below, and then becomes a plain value (`Global`), or the file is refused. "Calling" a listed name builds one of the few
plain objects below; a pickled module becomes an `Instance`, a dictionary of what it held; a tensor becomes a `View`, a
claim about a storage which whoever has the file checks and reads. Why it is done so: docs/adr/0003.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from glowtron.errors import InputError

MAX_OPCODES = 2_000_000
"""A WaveGlow object with its optimizer takes a tenth of this; more is a file made to exhaust memory."""

MAX_DIMENSIONS = 8
"""Of a tensor; weights have 3 at most."""

MAX_ARRAY = 2**20
"""Bytes of an array within a pickle; statistics of mel bands take under 1 KiB."""

ARRAY_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
"""The class of joblib's notes on an array, whose numbers follow it in the stream."""

STORAGES = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
"""Storage class to the name of its dtype."""

MODULES = frozenset(
    [f"{file}.{name}" for file in ("glow", "glow_old") for name in ("WaveGlow", "WN", "Invertible1x1Conv")]
    + [
        "torch.nn.modules.container.ModuleList",
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.conv.Conv1d",
        "torch.nn.modules.conv.ConvTranspose1d",
        "torch.nn.parallel.data_parallel.DataParallel",
        "torch.nn.parallel.distributed.DistributedDataParallel",
        "torch.nn.utils.weight_norm.WeightNorm",
    ]
)
"""Classes whose pickled objects are read as `Instance`."""

STATISTICS = frozenset(
    [f"sklearn.preprocessing.{file}.StandardScaler" for file in ("data", "_data")] + [ARRAY_WRAPPER, "numpy.ndarray"]
)
"""Names that a file which joblib wrote of a scaler mentions besides, read as `Instance`."""

NUMBERS = {
    **{f"{kind}{size}": f"<{kind}{size}" for kind in "fiu" for size in (2, 4, 8)},
    "i1": "i1",
    "u1": "u1",
    "b1": "?",
}
"""Names of NumPy's types of numbers, and what they are as little-endian ones."""


class Global(NamedTuple):
    """A listed name that the file mentions; only ever a name."""

    name: str


@dataclass
class Instance:
    """A pickled object of a listed class: what it held, without what it could do."""

    name: str
    """Full name of the class."""
    state: dict[str, Any] = field(default_factory=dict)
    """Its attributes."""


class Storage(NamedTuple):
    """A reference in a pickle to numbers that lie elsewhere in the file."""

    key: str
    dtype: str
    numel: int
    """Numbers in the record `key`, by the pickle's word."""
    offset: int
    """First number of this storage in the record (old files have storages that are views of others)."""
    length: int
    """Numbers in this storage."""


class Dtype(NamedTuple):
    """One of NumPy's types of numbers, little-endian."""

    name: str


class View(NamedTuple):
    """A tensor as the pickle describes it; nothing of it is checked against the storage yet."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class Pickle(NamedTuple):
    """The result of `read`."""

    value: Any
    storages: dict[str, Storage]
    """The storages it mentions, by their keys."""
    length: int
    """Bytes that the pickle took."""


def read(data: bytes, source: str) -> Pickle:
    """Interpret the pickle at the start of `data`; `source` names the file in errors.

    Returns dictionaries, lists, tuples, sets, strings, numbers, None, and the classes above. Raises InputError for a
    damaged pickle and for one that asks for anything unlisted, which the message names.
    """
    stream = BytesIO(data)
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= MAX_OPCODES:
                raise _Refused(f"has over {MAX_OPCODES} pickle opcodes, more than any checkpoint needs")
            machine.step(opcode.name, argument)
            if opcode.name == "BUILD" and isinstance(machine.stack[-1], Instance):
                # The generator reads on from wherever the stream is by then.
                machine.stack[-1] = _with_numbers(machine.stack[-1], stream)
        return Pickle(machine.stack.pop(), machine.storages, stream.tell())
    except _Refused as refusal:
        raise InputError(f"{source}: {refusal}; refused, nothing in the file was run") from refusal
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        # genops and the stack raise these on opcodes that make no sense; no code of the file is ever on the call stack.
        reason = str(error)[:100]
        raise InputError(f"{source}: its pickle is cut short or damaged ({reason}); fetch the file again") from error


class _Refused(Exception):
    """The pickle asks for something it shall not get."""


class _Machine:
    """The stack machine of the pickle protocol (opcodes are documented in Python's pickletools)."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # stacks put aside at each MARK
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.budget = MAX_OPCODES  # items that calls may still copy

    def step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:  # frequent ones first
            case "GET" | "BINGET" | "LONG_BINGET":
                if argument not in self.memo:
                    raise ValueError("it recalls what it never stored")
                stack.append(self.memo[argument])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[_count(argument)] = stack[-1]
            case _ if opcode in _LITERALS:
                stack.append(argument)
            case "EMPTY_TUPLE":
                stack.append(())
            case "MARK":
                self.outer.append(stack)
                self.stack = []
            case "POP":
                stack.pop() if stack else self.popped()
            case "POP_MARK":
                self.popped()
            case "DUP":
                stack.append(stack[-1])
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GLOBAL":
                stack.append(_global(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                name = stack.pop()
                stack.append(_global(f"{_typed(stack.pop(), str)}.{_typed(name, str)}"))
            case "REDUCE" | "NEWOBJ":
                arguments = self.paid(stack.pop())
                stack.append(_call(stack.pop(), arguments))
            case "INST":
                items = self.paid(tuple(self.popped()))
                self.stack.append(_call(_global(argument.replace(" ", ".")), items))
            case "OBJ":
                what, *items = self.popped()
                self.stack.append(_call(what, self.paid(tuple(items))))
            case "BUILD":
                state = self.paid(stack.pop())
                _build(stack[-1], state)
            case "PERSID" | "BINPERSID":
                stack.append(self.persistent(argument if opcode == "PERSID" else self.paid(stack.pop())))
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _:
                self.container(opcode)

    def container(self, opcode: str) -> None:
        """The opcodes of tuples, lists, dictionaries and sets; any other is refused by its name."""
        stack = self.stack
        match opcode:
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                n = int(opcode[-1])
                if len(stack) < n:
                    raise ValueError("too few items for a tuple")
                stack[-n:] = [tuple(stack[-n:])]
            case "TUPLE" | "LIST" | "DICT" | "FROZENSET":
                items = self.popped()
                self.stack.append(_BUILDERS[opcode](items))
            case "EMPTY_LIST" | "EMPTY_DICT" | "EMPTY_SET":
                stack.append(_BUILDERS[opcode.removeprefix("EMPTY_")]([]))
            case "APPEND":
                item = stack.pop()
                _typed(stack[-1], list).append(item)
            case "APPENDS":
                items = self.popped()
                _typed(self.stack[-1], list).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _typed(stack[-1], dict)[_key(key)] = value
            case "SETITEMS":
                items = self.popped()
                _typed(self.stack[-1], dict).update(_dict(items))
            case "ADDITEMS":
                items = self.popped()
                _typed(self.stack[-1], set).update(map(_key, items))
            case _:
                raise _Refused(f"uses the pickle opcode {opcode}")

    def persistent(self, identity: Any) -> Storage | Global:
        """Resolves a persistent id: a storage or, in old files, the source text of a class."""
        match identity:
            case ("storage", Global(name), str() | int() as key, str(), numel, *view) if name in STORAGES:
                offset, length = 0, _count(numel)
                if view and view != [None]:  # in old files: (key of the view, its offset, its length)
                    ((_, offset, length),) = view
                    offset, length = _count(offset), _count(length)
                key = key if isinstance(key, str) else str(_count(key))
                self.storages[key] = storage = Storage(key, STORAGES[name], numel, offset, length)
                return storage
            case ("module", Global() as module, _, _):
                return module
            case _:
                raise ValueError("a reference of unknown form to the rest of the file")

    def paid(self, value: Any) -> Any:
        """`value`, of which a copy will be made, and of what is in it.

        The memo makes it cheap to say "that list of a million again" a million times; a copy each would never end.
        """
        if isinstance(value, tuple | list | dict):
            self.budget -= len(value)
            if self.budget >= 0 and isinstance(value, tuple):
                self.budget -= sum(len(item) for item in value if isinstance(item, tuple | list | dict))
            if self.budget < 0:
                raise _Refused("has the same parts copied over and over")
        return value

    def popped(self) -> list[Any]:
        """Everything above the last MARK, taken off."""
        items = self.stack
        self.stack = self.outer.pop()
        return items


_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}


def _dict(items: list[Any]) -> dict[Any, Any]:
    """Keys and values that alternate, as a dictionary."""
    if len(items) % 2:
        raise ValueError("a key without a value")
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


_BUILDERS: dict[str, Callable[[list[Any]], Any]] = {
    "TUPLE": tuple,
    "LIST": list,
    "DICT": _dict,
    "SET": lambda items: set(map(_key, items)),
    "FROZENSET": lambda items: frozenset(map(_key, items)),
}


def _typed(value: Any, kind: type) -> Any:
    """`value` if it is exactly a `kind`."""
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected, found {type(value).__name__}")
    return value


def _count(value: Any) -> int:
    """A size, stride or offset: an int that fits a file."""
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError("a number out of any tensor's range")
    return value


def _key(value: Any) -> Any:
    """A dictionary's key: a string or a moderate number.

    Nothing nested, since hashing a tuple nested a million deep overflows the C stack; nothing huge, since numbers that
    are equal modulo 2**61 - 1 share a hash and make a dictionary quadratic.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return _count(value)
    raise _Refused(f"uses a {type(value).__name__} as the key of a dictionary or in a set")


def _with_numbers(instance: Instance, stream: BytesIO) -> Any:
    """An array in place of joblib's notes on one, its numbers read from the stream; any other object as it is."""
    if instance.name != ARRAY_WRAPPER:
        return instance
    dtype = _typed(instance.state.get("dtype"), Dtype)
    shape = tuple(map(_count, _typed(instance.state.get("shape"), tuple)))
    if len(shape) > MAX_DIMENSIONS or instance.state.get("order") not in ("C", "F"):
        raise ValueError("an array of an unknown order, or of too many dimensions")
    if instance.state.get("numpy_array_alignment_bytes") is not None:
        stream.read(stream.read(1)[0])
    size = math.prod(shape) * np.dtype(dtype.name).itemsize
    if size > MAX_ARRAY:
        raise _Refused(f"holds an array of {size} bytes, more than any statistics need")
    numbers = np.frombuffer(stream.read(size), dtype.name)
    return numbers.reshape(shape, order=instance.state["order"])


def _global(name: str) -> Global:
    if name not in MODULES and name not in STATISTICS and name not in STORAGES and name not in _MAKERS:
        shown = name if len(name) <= 100 else name[:97] + "..."
        raise _Refused(f"asks for {shown!r}, which is no plain tensor, container or known module")
    return Global(name)


def _call(what: Any, arguments: Any) -> Any:
    """Calls our own code for a listed name with `arguments`."""
    _typed(arguments, tuple)
    name = _typed(what, Global).name
    if name in MODULES or name in STATISTICS:
        return Instance(name)
    if name not in _MAKERS:
        raise _Refused(f"wants to call {name}")
    return _MAKERS[name](*arguments)


def _build(target: Any, state: Any) -> None:
    """Give an object its attributes."""
    if isinstance(target, Instance):
        target.state.update({_typed(key, str): value for key, value in _typed(state, dict).items()})
    elif isinstance(target, Dtype):  # its byte order
        if _typed(state, tuple)[1:2] not in (("<",), ("|",)):
            raise ValueError("numbers that are not little-endian")
    elif not isinstance(target, dict):  # an OrderedDict's attributes are torch's notes on versions
        raise _Refused(f"sets attributes of a {type(target).__name__}")


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    return {_key(key): value for key, value in pairs}


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> View:
    """Tensor from (storage, offset, size, stride[, requires_grad, hooks[, metadata]])."""
    if len(rest) > 3 or (len(rest) == 3 and rest[2]):
        raise _Refused("holds a tensor with flags (conjugate or negative view), not a plain one")
    if len(size) > MAX_DIMENSIONS or len(size) != len(stride):
        raise ValueError("a tensor of too many dimensions, or of fewer strides than sizes")
    sizes = tuple(map(_count, _typed(size, tuple)))
    strides = tuple(map(_count, _typed(stride, tuple)))
    return View(_typed(storage, Storage), _count(offset), sizes, strides)


def _parameter(data: Any, *_: Any) -> View:
    """Parameter from (tensor, requires_grad, hooks)."""
    view: View = _typed(data, View)
    return view


def _dtype(name: Any, *_: Any) -> Dtype:
    """Dtype from (name, align, copy)."""
    return Dtype(NUMBERS[_typed(name, str)])


def _scalar(dtype: Any, data: Any) -> int | float:
    """A NumPy number from (dtype, its bytes), as a plain one."""
    numbers = np.frombuffer(_typed(data, bytes), _typed(dtype, Dtype).name)
    number: int | float = numbers.item()
    return number


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes as old protocols write them: (the same as text, "latin1")."""
    if encoding != "latin1":
        raise ValueError("bytes in an unknown encoding")
    return bytes(_typed(text, str).encode("latin1"))


_MAKERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "__builtin__.set": lambda items=(): _BUILDERS["SET"](_typed(items, list)),
    "builtins.set": lambda items=(): _BUILDERS["SET"](_typed(items, list)),
    "torch.Size": lambda sizes=(): tuple(map(_count, _typed(sizes, tuple))),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "_codecs.encode": _encoded,
    # Every module of 2018 mentions the table of functions it was going to call.
    "torch.nn.backends.thnn._get_thnn_function_backend": lambda: None,
}
"""Our own plain and total replacements of listed names when called. Wrong arguments raise ValueError or TypeError."""
