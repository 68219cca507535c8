"""Nothing in a pickle is run, whichever way it asks; what it may hold comes out as plain data."""

import copyreg
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from assembly import MACHINE, WRITERS, Call, Name, Object, Outside, Raw, opcodes, program, storage, tensor
from hypothesis import example, given
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.importers import pickles, read_published
from glowtron.importers.pickles import Global, Instance, View, read


def line(text: str) -> bytes:
    return b"V" + text.encode("unicode_escape") + b"\n"


def gadgets(marker: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that make a folder `marker` when Python unpickles them, and what each asks for."""
    path = str(marker)
    code = f"__import__('os').mkdir({path!r})"
    name, module = opcodes("mkdir"), opcodes("os")
    return {
        "reduce": (program(Call("os mkdir", (path,))), "os.mkdir"),
        "shell": (program(Call("os system", (f"mkdir '{path}'",))), "os.system"),
        "eval": (program(Call("builtins eval", (code,))), "builtins.eval"),
        "exec, python 2 name": (program(Call("__builtin__ eval", (code,))), "__builtin__.eval"),
        "stack global": (b"\x80\x04" + module + name + b"\x93" + opcodes((path,)) + b"R.", "os.mkdir"),
        "inst": (b"(" + line(path) + b"ios\nmkdir\n.", "os.mkdir"),
        "obj": (b"(cos\nmkdir\n" + line(path) + b"o.", "os.mkdir"),
        "names from the memo": (
            b"\x80\x04" + name + b"q\x05" + module + b"q\x0700h\x07h\x05\x93" + opcodes((path,)) + b"R.",
            "os.mkdir",
        ),
        "protocol 0": (pickle.dumps(Live(path), 0), "mkdir"),
        "protocol 5 in frames": (pickle.dumps({"state_dict": [Live(path)] * 3}, 5), "mkdir"),
        "called by a partial": (
            program(Object("functools partial", (Name("os mkdir"), (path,), {}, None))),
            "functools.partial",
        ),
        "getattr": (
            program(Raw(opcodes(Call("builtins getattr", (Name("os path"), "os"))) + b"0" + opcodes(Name("os mkdir")))),
            "builtins.getattr",
        ),
        "thrown away": (program(Raw(opcodes(Call("os mkdir", (path,))) + b"0" + opcodes({}))), "os.mkdir"),
        "a key": (program({Call("os mkdir", (path,)): 1}), "os.mkdir"),
        "beside good things": (
            program({"iteration": 3, "optimizer": {"state": [Call("os mkdir", (path,))]}}),
            "os.mkdir",
        ),
        "inside a listed call": (program(Call("collections OrderedDict", (Call("os mkdir", (path,)),))), "os.mkdir"),
        "a module's state": (program(Object("torch.nn.modules.conv Conv1d", Call("os mkdir", (path,)))), "os.mkdir"),
        "through another name": (program(Call("torch._utils os.mkdir", (path,))), "torch._utils.os.mkdir"),
        "another pickle": (program(Call("pickle loads", (program(Call("os mkdir", (path,))),))), "pickle.loads"),
    }


class Live:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


INDIRECT = ("called by a partial", "getattr", "through another name")
"""Ask for a dangerous name without using it."""
KINDS = list(gadgets(Path("x")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["bare", "zip", "legacy"])
def test_hostile_pickle_is_refused_unrun(kind: str, form: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code, asked = gadgets(marker)[kind]
    path = tmp_path / "hostile.pt"
    if form == "bare":
        path.write_bytes(code)
    else:
        WRITERS[form](path, code, {})
    with pytest.raises(InputError) as error:
        read_published(path)
    assert not marker.exists()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    if form != "bare" or code[:1] == b"\x80":
        assert asked in str(error.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in INDIRECT])
def test_gadgets_are_live(kind: str, tmp_path: Path) -> None:
    """Python's own unpickler does fall for them, so the test above can fail."""
    marker = tmp_path / "marker"
    code, _ = gadgets(marker)[kind]
    try:
        pickle.loads(code)
    except Exception:
        assert marker.exists()
    assert marker.exists()


@pytest.mark.parametrize("position", [0, 1, 2, 4])
def test_hostile_part_of_a_legacy_file(position: int, tmp_path: Path) -> None:
    """Each of the five pickles of the old format is as inert as the one that holds the content."""
    marker = tmp_path / "marker"
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, MACHINE, {}, [])]
    parts[position] = program(Call("os mkdir", (str(marker),)))
    path = tmp_path / "hostile.pt"
    path.write_bytes(b"".join(parts))
    with pytest.raises(InputError, match=r"os\.mkdir"):
        read_published(path)
    assert not marker.exists()


def test_extension_codes_are_refused() -> None:
    copyreg.add_extension("os", "mkdir", 201)
    try:
        with pytest.raises(InputError, match="opcode EXT1"):
            read(b"\x80\x02\x82\xc9.", "f")
    finally:
        copyreg.remove_extension("os", "mkdir", 201)


@pytest.mark.parametrize(
    "name",
    [
        "os system",
        "posix system",
        "nt system",
        "builtins getattr",
        "builtins __import__",
        "subprocess Popen",
        "functools partial",
        "operator attrgetter",
        "importlib import_module",
        "runpy run_path",
        "torch.hub load",
        "torch.serialization load",
        "torch load",
        "torch._utils _rebuild_sparse_tensor",
        "torch._utils _rebuild_qtensor",
        "torch QInt8Storage",
        "torch.nn.modules.conv Conv2d",
        "torch.nn.modules.conv Conv1d.forward",
        "glow WaveGlow.__init__.__globals__",
        "glow os",
        "copyreg _reconstructor",
        "collections defaultdict",
        "__main__ WaveGlow",
        "numpy.core.multiarray _reconstruct",
    ],
)
def test_a_name_alone_is_refused_by_its_name(name: str) -> None:
    for code in (
        program(Name(name)),
        b"\x80\x04" + b"".join(map(opcodes, name.split())) + b"\x93.",
        b"(i" + Name(name).name.replace(" ", "\n").encode() + b"\n.",
    ):
        with pytest.raises(InputError, match=f"f: asks for '{name.replace(' ', '.')}'") as error:
            read(code, "f")
        assert "nothing in the file was run" in str(error.value)


def test_listed_names_are_only_names() -> None:
    assert read(program(Name("glow WaveGlow")), "f").value == Global("glow.WaveGlow")
    made = read(program(Object("glow WaveGlow", {"n_flows": 6})), "f").value
    assert made == Instance("glow.WaveGlow", {"n_flows": 6})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Call("torch FloatStorage", (3,)), "wants to call torch.FloatStorage"),
        (Object("torch.nn.modules.conv Conv1d", {1: 2}), "str expected"),
        (Object("torch.nn.modules.conv Conv1d", ({}, {"slot": 1})), "dict expected"),
        (Raw(opcodes(Name("glow WaveGlow")) + opcodes({"x": 1}) + b"b"), "sets attributes of a Global"),
        (Raw(opcodes([]) + opcodes({"x": 1}) + b"b"), "sets attributes of a list"),
        (Raw(opcodes(7) + opcodes(()) + b"R"), "Global expected"),
        (Raw(opcodes(Name("glow WN")) + opcodes([]) + b"R"), "tuple expected"),
        (Raw(opcodes(Object("glow WN", {})) + opcodes("x") + opcodes(1) + b"s"), "dict expected"),
        (Raw(opcodes(Object("glow WN", {})) + opcodes("x") + b"a"), "list expected"),
        (Raw(b"h\x07"), "never stored"),
        (Raw(b"0"), "damaged"),
        (Raw(b"s"), "damaged"),
        (Raw(b"\x87"), "too few items"),
        (Raw(b"}(" + opcodes(1) + b"u"), "without a value"),
        (Outside(("storage", Name("glow WN"), "0", "cpu", 3)), "unknown form"),
        (Outside(("storage", Name("torch FloatStorage"), "0", "cpu", -3)), "range"),
        (Outside(("storage", Name("torch FloatStorage"), "0", "cpu", 3, (1, 2))), "damaged"),
        (Outside(("storage", Name("torch FloatStorage"), "0", "cpu", 3, (1, 2, 3), 4)), "damaged"),
        (Outside(("module", "x")), "unknown form"),
        (Outside("storage"), "unknown form"),
        (Outside(7), "unknown form"),
        (Raw(b"Pstorage\n"), "unknown form"),
        (tensor("storage", 0, (1,), (1,)), "Storage expected"),
        (tensor(storage("0", 3), -1, (1,), (1,)), "range"),
        (tensor(storage("0", 3), 0, (True,), (1,)), "range"),
        (tensor(storage("0", 3), 0, (2**62,), (1,)), "range"),
        (tensor(storage("0", 3), 0, [1], (1,)), "tuple expected"),
        (tensor(storage("0", 3), 0, (1,), (1,), {"conj": True}), "flags"),
        (Call("torch._utils _rebuild_parameter", (3, True, {})), "View expected"),
        (Call("torch._utils _rebuild_tensor_v2", ()), "damaged"),
        (Call("collections OrderedDict", (7,)), "damaged"),
        (Call("__builtin__ set", ({},)), "list expected"),
    ],
)
def test_nonsense_is_an_input_error(value: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(program(value), "f")


def test_plain_values_come_out_whole() -> None:
    value = {"a": [1, -2, 2**70, 1.5, None, True, "ü\n"], "b": (1, (2, ()), {}), "c": {3: b"x"}}
    for protocol in range(3, 6):
        assert read(pickle.dumps(value, protocol), "f").value == value
    assert read(pickle.dumps(OrderedDict(a=1), 2), "f").value == {"a": 1}
    assert read(pickle.dumps({1, 2}, 2), "f").value == {1, 2}
    assert read(pickle.dumps(frozenset("ab"), 4), "f").value == {"a", "b"}


def test_length_is_where_the_pickle_ends() -> None:
    first = pickle.dumps([1, 2], 2)
    assert read(first + b"rest", "f").length == len(first)


def test_tensors_are_claims_and_storages_are_listed() -> None:
    value, storages, _ = read(program([tensor(storage("7", 6), 1, (2, 2), (2, 1))]), "f")
    assert isinstance(value[0], View)
    assert value[0][1:] == (1, (2, 2), (2, 1))
    assert storages["7"].numel == 6


# What would exhaust memory, time or the C stack of an ordinary unpickler.
def test_huge_memo_index_costs_nothing() -> None:
    assert read(b"\x80\x02]r\xff\xff\xff\x7f.", "f").value == []


def test_huge_stated_length_is_not_allocated() -> None:
    for opcode in (b"\x8d", b"\x8e"):  # BINUNICODE8, BINBYTES8
        with pytest.raises(InputError, match="damaged"):
            read(b"\x80\x04" + opcode + struct.pack("<q", 2**40) + b"x.", "f")


def test_key_nested_deep_enough_to_overflow_the_stack() -> None:
    with pytest.raises(InputError, match="tuple as the key"):
        read(b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s.", "f")


def test_deep_nesting_alone_is_harmless() -> None:
    value = read(b"\x80\x02)" + b"\x85" * 100_000 + b".", "f").value
    assert isinstance(value, tuple)


@pytest.mark.parametrize(
    "again",
    [
        opcodes(Name("collections OrderedDict")) + b"h\x01\x85R0",
        opcodes(Name("__builtin__ set")) + b"h\x02\x85R0",
        b"(" + b"h\x02" + b"iglow\nWN\n0",
        opcodes(Object("glow WN", {}))[:-3] + b"h\x03b0",
    ],
)
def test_one_list_copied_over_and_over(again: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear in the file, quadratic in memory and time for whoever copies it each time."""
    monkeypatch.setattr(pickles, "MAX_OPCODES", 10_000)
    pairs, numbers = opcodes([("a", 1)] * 500), opcodes(list(range(500)))
    state = opcodes({str(i): i for i in range(500)})
    code = pairs + b"q\x010" + numbers + b"q\x020" + state + b"q\x030" + again * 40
    with pytest.raises(InputError, match="over and over"):
        read(b"\x80\x02" + code + b"N.", "f")


def test_too_many_opcodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_OPCODES", 1000)
    with pytest.raises(InputError, match="pickle opcodes"):
        read(b"\x80\x02" + b"]" * 1000 + b".", "f")


def test_keys_that_collide_are_refused() -> None:
    with pytest.raises(InputError, match="range"):
        read(program({2**61 - 1: 0, 2 * (2**61 - 1): 0}), "f")


def check_outcome(data: bytes) -> None:
    message = ""
    try:
        read(data, "f")
    except InputError as error:
        message = str(error)
    assert "\n" not in message


@given(st.binary(max_size=200))
@example(b"\x80\x02(((")
def test_any_bytes_are_data_or_an_input_error(data: bytes) -> None:
    check_outcome(data)


_OPCODES = [bytes([code]) for code in b"()tldseau012Rbco\x81\x85\x86\x87\x90\x91\x93\x94}]NQ\x88q\x00h\x00K\x01"]
_PIECES = [
    *map(opcodes, ["x", 3, ("a", 1), {"b": 2}, Name("glow WN"), Name("torch FloatStorage"), storage("0", 4)]),
    *map(opcodes, [tensor(storage("0", 4), 0, (2,), (1,)), Name("collections OrderedDict"), Object("glow WN", {})]),
    opcodes(Name("torch._utils _rebuild_parameter")),
    opcodes(Name("torch._utils _rebuild_tensor_v2")),
    opcodes(Name("__builtin__ set")),
    opcodes(Name("torch Size")),
]


@given(st.lists(st.sampled_from(_OPCODES + _PIECES), max_size=40))
def test_any_program_of_listed_parts_is_data_or_an_input_error(parts: list[bytes]) -> None:
    check_outcome(b"\x80\x02" + b"".join(parts) + b".")


@pytest.mark.parametrize("number", [np.float64(0.25), np.float32(-3), np.int64(7), np.uint8(200), np.bool_(True)])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numbers_of_numpy_become_plain_ones(number, protocol):
    assert read(pickle.dumps({"lr": number}, protocol), "f").value == {"lr": number.item()}


@pytest.mark.parametrize("number", [np.complex64(1), np.datetime64("2018"), np.array(1.0)])
def test_other_things_of_numpy_are_refused(number):
    with pytest.raises(InputError, match=r"^f: "):
        read(pickle.dumps(number, 2), "f")
