"""Files of torch's two formats: sound ones are read exactly, all others are told apart, and nothing is ever run."""

import codecs
import random
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from assembly import (
    MAGIC,
    PROTOCOL,
    WRITERS,
    Call,
    Object,
    Raw,
    numbers,
    opcodes,
    program,
    storage,
    tensor,
    write_legacy,
    write_zip,
)

from glowtron.errors import InputError
from glowtron.importers import read_published
from glowtron.importers.torch_files import TorchFile


def state_dict() -> dict[str, torch.Tensor]:
    """Names of a Tacotron 2, tensors of every kind that occurs."""
    numbers = torch.arange(24, dtype=torch.float32)
    return {
        "embedding.weight": numbers.view(4, 6) / 7,
        "decoder.attention_rnn.weight_ih": numbers.view(4, 6).t(),  # strided
        "half": (numbers / 7).half(),
        "bfloat16": (numbers / 7).bfloat16(),
        "double": numbers.double() / 7,
        "count": torch.tensor(3),
        "view": numbers[5:9],
        "parameter": torch.nn.Parameter(numbers),
    }


def save(path: Path, content: Any, form: str) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    return path


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_reads_what_torch_saved(form: str, tmp_path: Path) -> None:
    state = state_dict()
    published = read_published(save(tmp_path / "x.pt", {"state_dict": state, "iteration": 5}, form))
    assert published.kind == "tacotron2"
    assert published.extras == {"iteration": 5}
    assert list(published.state) == list(state)
    for name, value in state.items():
        expected = value.detach().float() if value.is_floating_point() else value
        assert torch.equal(published.state[name], expected)
        assert published.state[name].is_contiguous()


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 1}])
def test_state_dicts_wherever_they_lie(wrap: Callable[[Any], Any], form: str, tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in state_dict().items()}
    published = read_published(save(tmp_path / "x.pt", wrap(state), form))
    assert list(published.state) == list(state_dict())


def test_storages_that_are_views(tmp_path: Path) -> None:
    """Old files could store one storage as a part of another."""
    whole = storage("0", 6, "Float", None)
    part = storage("0", 6, "Float", ("view", 2, 3))
    names = ("embedding.weight", "decoder.attention_rnn.weight_ih")
    content = {name: tensor(store, 1, (2,), (1,)) for name, store in zip(names, (whole, part), strict=True)}
    path = write_legacy(tmp_path / "x.pt", program(content), {"0": numbers(*range(6))})
    published = read_published(path)
    assert [value.tolist() for value in published.state.values()] == [[1, 2], [3, 4]]


def test_modules_of_2018_mention_their_backend(tmp_path: Path) -> None:
    """Modules pickled by torch 0.4 and 1.0 call for a table of functions; it is not there and not needed."""
    content = {"epoch": 1, "x": Call("torch.nn.backends.thnn _get_thnn_function_backend", ())}
    file = TorchFile(write_legacy(tmp_path / "x.pt", program(content), {}))
    assert file.content == {"epoch": 1, "x": None}


ONE = {"0": numbers(1, 2, 3, 4)}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (tensor(storage("0", 4), 1, (4,), (1,)), "beyond the numbers"),
        (tensor(storage("0", 4), 5, (1,), (1,)), "beyond the numbers"),
        (tensor(storage("0", 4), 0, (2, 2), (3, 1)), "beyond the numbers"),
        (tensor(storage("0", 4), 0, (2, 2), (1,)), "dimensions"),
        (tensor(storage("0", 4), 0, (1,) * 9, (1,) * 9), "dimensions"),
        (tensor(storage("0", 4), 2**40, (1,), (1,)), "beyond the numbers"),
        (tensor(storage("0", 4), 0, (2**40,), (0,)), "more numbers than"),
        (tensor(storage("0", 4), 0, (2**30, 2**30), (0, 0)), "more numbers than"),
        (tensor(storage("0", 4), 0, (2, 3), (1, 1)), "more numbers than"),
        (tensor(storage("0", 4), 0, (0, 2**40), (1, 1)), "is empty"),
        (tensor(storage("0", 4, "Bool"), 0, (4,), (1,)), "size|truth|damaged"),
        (tensor(storage("0", 4, "Double"), 0, (4,), (1,)), "another size|cut short|damaged"),
        (tensor(storage("0", 3), 0, (3,), (1,)), "another size|damaged"),
        (tensor(storage("0", 4, "Float", ("v", 2, 3)), 0, (1,), (1,)), "another size"),
    ],
)
def test_claims_are_checked(write: Any, claim: Call, reason: str, tmp_path: Path) -> None:
    content = {"embedding.weight": claim, "decoder.attention_rnn.weight_ih": claim}
    path = write(tmp_path / "x.pt", program(content), ONE)
    with pytest.raises(InputError, match=reason) as error:
        read_published(path)
    assert str(path) in str(error.value)


def test_many_tensors_of_one_record_cannot_fill_memory(tmp_path: Path) -> None:
    claim = tensor(storage("0", 4000), 0, (4000,), (1,))
    content = {"upsample.weight": claim} | {str(i): claim for i in range(9)}
    path = write_zip(tmp_path / "x.pt", program(content), {"0": bytes(16000)})
    with pytest.raises(InputError, match="more numbers than"):
        read_published(path)


def test_record_missing(tmp_path: Path) -> None:
    content = program(
        {"embedding.weight": (claim := tensor(storage("../../x", 4), 0, (4,), (1,))), "upsample.weight": claim}
    )
    with pytest.raises(InputError, match=r"no record '\.\./\.\./x'"):
        read_published(write_zip(tmp_path / "x.pt", content, ONE))


# Zip archives.
GOOD = program({"upsample.weight": tensor(storage("0", 4), 0, (4,), (1,))})


def test_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", GOOD)
        archive.writestr("archive/data/0", bytes(10**7))
    with pytest.raises(InputError, match="compressed or encrypted"):
        read_published(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for code in (GOOD, program(Call("os mkdir", ("x",)))):
            archive.writestr("archive/data.pkl", code)
    with pytest.raises(InputError, match="same record twice"):
        read_published(path)


def test_names_that_lead_elsewhere_touch_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in" / "x.pt"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", GOOD)
        archive.writestr("archive/data/0", ONE["0"])
        archive.writestr("../outside", b"x")
        archive.writestr("/absolute", b"x")
    assert read_published(path).state["upsample.weight"].tolist() == [1, 2, 3, 4]
    assert [found.name for found in tmp_path.rglob("*")] == ["in", "x.pt"]


@pytest.mark.parametrize(
    ("others", "reason"),
    [({"constants_pkl": b""}, "TorchScript"), ({"byteorder": b"big"}, "twice|big-endian")],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_archives(others: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        read_published(write_zip(tmp_path / "x.pt", GOOD, ONE, **others))


def test_big_endian_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.pt", GOOD, ONE)
    with zipfile.ZipFile(tmp_path / "y.pt", "w") as archive:
        archive.writestr("archive/data.pkl", GOOD)
        archive.writestr("archive/byteorder", "big")
    with pytest.raises(InputError, match="big-endian"):
        read_published(tmp_path / "y.pt")
    assert read_published(path).state


def test_damage_to_a_record_is_told_by_its_checksum(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.pt", GOOD, ONE)
    data = bytearray(path.read_bytes())
    data[data.index(ONE["0"])] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"tensor upsample\.weight: is damaged \(its checksum"):
        read_published(path)


# Other files.
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"Dear sir,\nhere are the weights.\n", "is a text file"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", "is no checkpoint"),
        (struct.pack("<Q", 40) + b'{"x":{"dtype":"F32"}}', "safetensors"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
        (b"\x80\x02}.", "plain pickle"),
        (b"\x80", "damaged"),
        (b"\x80\x99", "is a text file"),
        (b"PK\x05\x06" + bytes(18), "without data.pkl"),
        (b"PK\x03\x04", "cut short or damaged"),
    ],
)
def test_other_kinds_of_files(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as error:
        read_published(path)
    assert str(error.value).startswith(f"{path}: ")


def test_other_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"without data\.pkl"):
        read_published(tmp_path / "x.zip")


def test_folder_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_published(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_published(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"iteration": 3}, "holds no model"),
        ([1, 2], "holds no model"),
        ({"state_dict": {0: torch.ones(2)}, "attributes": 3}, "neither a Tacotron 2 nor a WaveGlow"),
        ({"state_dict": {}}, "neither a Tacotron 2 nor a WaveGlow"),
        ({"conv1.weight": torch.ones(2)}, r"neither .*its tensors begin conv1\.weight"),
    ],
)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_other_models(content: Any, reason: str, form: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        read_published(save(tmp_path / "x.pt", content, form))


def test_unknown_legacy_version(tmp_path: Path) -> None:
    parts = (MAGIC, PROTOCOL + 1, {"little_endian": True}, {}, [])
    (tmp_path / "x.pt").write_bytes(b"".join(map(program, parts)))
    with pytest.raises(InputError, match="no version"):
        read_published(tmp_path / "x.pt")


@pytest.mark.parametrize("keys", [["0", "0"], ["1"], [["0"]], {}, 7])
def test_legacy_keys_that_make_no_sense(keys: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_published(write_legacy(tmp_path / "x.pt", GOOD, {"0": ONE["0"], "1": ONE["0"]}, keys=keys))


# Damage at random. An audit hook sees every import, compilation, process, and opened file.
_events: list[tuple[str, Any]] | None = None


def _hook(event: str, arguments: Any) -> None:
    if _events is not None:
        _events.append((event, arguments))


@contextmanager
def nothing_runs(path: Path) -> Iterator[None]:
    """Fails if anything is imported, executed, or opened but `path` itself, inside."""
    global _events
    events = _events = []
    try:
        yield
    finally:
        _events = None
    opened = {str(arguments[0]) for event, arguments in events if event == "open"}
    assert opened <= {str(path)}
    rest = {event for event, _ in events if event != "open"}
    assert not {e for e in rest if e.startswith(("import", "exec", "compile", "os.", "subprocess", "pickle", "ctypes"))}


@pytest.fixture(scope="module", autouse=True)
def _audit() -> None:
    for encoding in ("raw_unicode_escape", "unicode_escape", "cp437", "latin-1", "utf-8"):
        codecs.lookup(encoding)  # Python's own, imported when first used
    sys.addaudithook(_hook)


def test_the_hook_sees(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), nothing_runs(tmp_path):
        (tmp_path / "x").mkdir()


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut short, a few bytes changed, a piece left out or doubled."""
    where = chance.randrange(len(data))
    match chance.randrange(5):
        case 0:
            return data[:where]
        case 1:
            return data[:where] + data[where + chance.randrange(1, 64) :]
        case 2:
            return data[:where] + data[max(0, where - 16) :]
        case _:
            copy = bytearray(data)
            # Half of the changes near the front or the end, where the description of most small files lies.
            for _ in range(chance.randrange(1, 8)):
                edge = chance.choice((len(copy), min(len(copy), 4000)))
                copy[chance.randrange(edge) * chance.choice((1, -1))] = chance.randrange(256)
            return bytes(copy)


def check_damage(data: bytes, path: Path, rounds: int) -> None:
    chance = random.Random(0)
    refused = 0
    for _ in range(rounds):
        path.write_bytes(damaged(data, chance))
        with nothing_runs(path):
            try:
                read_published(path)
            except InputError as error:
                refused += "\n" not in str(error)
    assert refused > rounds / 4


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_damaged_small_files(form: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.pt", {"state_dict": state_dict(), "optimizer": {"state": {0: torch.ones(3)}}}, form)
    check_damage(path.read_bytes(), path, rounds=300)


@pytest.mark.parametrize(
    "name", ["tacotron2", "waveglow_2020_09_02", "waveglow_2018_11_09_legacy_format", "waveglow_dle"]
)
def test_damaged_published_files(name: str, parity: Callable[[str], Path], tmp_path: Path) -> None:
    data = parity(f"{name}.pt").read_bytes()
    check_damage(data, tmp_path / "x.pt", rounds=15)


@pytest.mark.parametrize(
    ("name", "kind", "tensors"),
    [
        ("waveglow_2018_11_09", "waveglow", 236),
        ("waveglow_2018_11_09_legacy_format", "waveglow", 236),
        ("waveglow_old", "waveglow_old", 236),
        ("waveglow_2018_11_22", "waveglow", 200),
        ("waveglow_2020_09_02", "waveglow", 164),
        ("waveglow_dle", "waveglow", 200),
        ("tacotron2", "tacotron2", 84),
        ("tacotron2_dle", "tacotron2", 84),
    ],
)
def test_published_layouts(name: str, kind: str, tensors: int, parity: Callable[[str], Path]) -> None:
    path = parity(f"{name}.pt")
    with nothing_runs(path):
        published = read_published(path)
    assert (published.kind, len(published.state)) == (kind, tensors)
    assert not any(name.startswith("module.") for name in published.state)


def test_both_file_formats_hold_the_same(parity: Callable[[str], Path]) -> None:
    new, old = (read_published(parity(f"waveglow_2018_11_09{end}.pt")) for end in ("", "_legacy_format"))
    assert new.extras == old.extras
    assert new.extras["attributes"]["upsample.stride"] == 256
    assert list(new.state) == list(old.state)
    assert all(torch.equal(new.state[name], old.state[name]) for name in new.state)


def test_state_dict_is_what_torch_reads(parity: Callable[[str], Path]) -> None:
    for name in ("tacotron2", "tacotron2_dle", "waveglow_dle"):
        expected = torch.load(parity(f"{name}.pt"), weights_only=True)["state_dict"]
        state = read_published(parity(f"{name}.pt")).state
        assert all(torch.equal(state[key.removeprefix("module.")], value) for key, value in expected.items())


def test_module_that_contains_itself(tmp_path: Path) -> None:
    """Walked without end, its state dict would never be done."""
    inside = Raw(b"cglow\nWN\n)\x81q\x01}(" + opcodes("_modules") + b"}(" + opcodes("x") + b"h\x01uub")
    with pytest.raises(InputError, match="without end"):
        read_published(write_zip(tmp_path / "x.pt", program({"model": inside}), {}))


def test_wrapped_for_several_gpus(tmp_path: Path) -> None:
    claim = tensor(storage("0", 4), 0, (4,), (1,))
    upsample = Object("torch.nn.modules.conv ConvTranspose1d", {"_parameters": {"weight": claim}, "stride": (300,)})
    model = Object("glow_old WaveGlow", {"_modules": {"upsample": upsample}, "n_flows": 3})
    wrapped = Object("torch.nn.parallel.data_parallel DataParallel", {"_modules": {"module": model}})
    published = read_published(write_zip(tmp_path / "x.pt", program(wrapped), ONE))
    assert published.kind == "waveglow_old"
    assert list(published.state) == ["upsample.weight"]
    assert published.extras["attributes"] == {"n_flows": 3, "upsample.stride": 300}


def test_a_hundred_modules_that_share_their_parts(tmp_path: Path) -> None:
    """Each of 30 levels has the next one twice: walked name by name, a billion modules."""
    module = opcodes(Object("glow WN", {}))
    for _ in range(30):
        twice = b"}(" + opcodes("a") + b"h\x01" + opcodes("b") + b"h\x01u"
        module += b"q\x010cglow\nWN\n)\x81}(" + opcodes("_modules") + twice + b"ub"
    with pytest.raises(InputError, match="without end"):
        read_published(write_zip(tmp_path / "x.pt", program({"model": Raw(module)}), {}))


def test_extras_that_share_their_parts(tmp_path: Path) -> None:
    """As above, in plain lists; the model beside them is read all the same."""
    program_ = opcodes([])
    for _ in range(40):
        program_ += b"q\x010](h\x01h\x01e"
    claim = tensor(storage("0", 4), 0, (4,), (1,))
    content = {"state_dict": {"upsample.weight": claim}, "iteration": 3, "endless": Raw(program_)}
    published = read_published(write_zip(tmp_path / "x.pt", program(content), ONE))
    assert published.extras == {"iteration": 3}
