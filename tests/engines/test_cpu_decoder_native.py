"""The compiled steps: built at installation, refused where they do not fit, done without where there is no compiler."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from glowtron.engines.cpu_decoder_native import LIBRARY, find_kernel


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for path in LIBRARY.parent.glob("decoder_step.[ch]"):
        shutil.copy(path, tmp_path)
    return tmp_path / "decoder_step.c"


@pytest.mark.slow
def test_it_compiles_and_loads(hook: ModuleType, source: Path) -> None:
    library = source.with_name("new.so")
    assert hook.compile_library(source, library)
    assert sorted(path.name for path in source.parent.iterdir()) == ["decoder_step.c", "decoder_step.h", "new.so"]
    assert find_kernel(library).kernel is not None


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_it_is_left_out(
    compiler: str, hook: ModuleType, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert not hook.compile_library(source, source.with_name("new.so"))
    assert sorted(path.name for path in source.parent.iterdir()) == ["decoder_step.c", "decoder_step.h"]


def test_no_library(tmp_path: Path) -> None:
    found = find_kernel(tmp_path / "missing.so")
    assert found.kernel is None
    assert "without a C compiler" in found.why_not


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "broken.so"
    path.write_bytes(b"\x7fELF, or so it says")
    found = find_kernel(path)
    assert found.kernel is None
    assert "cannot be loaded" in found.why_not


@pytest.mark.slow
def test_a_library_of_another_version(hook: ModuleType, source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("} Step;", "int32_t more[2]; } Step;"), encoding="utf-8")
    library = source.with_name("other.so")
    assert hook.compile_library(source, library)
    found = find_kernel(library)
    assert found.kernel is None
    assert "install again" in found.why_not
