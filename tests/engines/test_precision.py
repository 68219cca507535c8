"""The precision that a processor is given."""

from pathlib import Path

import pytest

from glowtron.engines import hardware as precision
from glowtron.engines.hardware import Capabilities, choose_precision, find_capabilities

SKYLAKE = "fpu sse avx avx2 avx512f avx512bw"
ZEN_4 = f"{SKYLAKE} avx512_vnni avx512_bf16"
SAPPHIRE_RAPIDS = f"{ZEN_4} amx_bf16 amx_tile amx_int8"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"processor\t: 0\nflags\t\t: {SAPPHIRE_RAPIDS}\nbugs\t: none\n", "AMX"),
        (f"flags\t\t: {ZEN_4}\n", None),
        (f"flags\t\t: {SKYLAKE}\nmodel name : amx_bf16\n", None),
        ("", None),
    ],
)
def test_processors(text: str, found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: True)
    assert find_capabilities() == Capabilities(bf16=found)
    assert choose_precision("auto").name == ("bf16" if found else "fp32")


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "missing")
    assert find_capabilities() == Capabilities(bf16=None)


def test_a_torch_without_onednn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cpuinfo").write_text(f"flags : {SAPPHIRE_RAPIDS}\n")
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    assert find_capabilities() == Capabilities(bf16=None)
