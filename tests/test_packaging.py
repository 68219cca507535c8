"""What is installed: declared libraries, the import of the package, limits of size."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import glowtron

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "glowtron"
OWNERS = importlib.metadata.packages_distributions()
"""Distributions by the top-level modules they install."""
SOURCES = sorted(PACKAGE.rglob("*.py"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None) -> set[str]:
    """Distributions that installing glowtron, with an extra or without, asks for."""
    found = set()
    for line in importlib.metadata.requires("glowtron") or []:
        name = canonical(re.match(r"[A-Za-z0-9._-]+", line)[0])
        marker = re.search(r"extra == ['\"](\w+)['\"]", line)
        if marker is None or marker[1] == extra:
            found.add(name)
    return found


def imports(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a source file imports anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def extra_of(path: Path) -> str | None:
    """The extra that a source file may count on."""
    place = path.relative_to(PACKAGE).parts
    files = {"alignment.py": "align", "train_letter_to_sound.py": "align", "pictures.py": "train"}
    return {"train": "train", "evaluate": "eval"}.get(place[0], files.get(place[-1]))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_import_is_declared(path):
    for name in set(imports(path)) - set(sys.stdlib_module_names) - {"glowtron"}:
        owners = {canonical(owner) for owner in OWNERS.get(name, [name])}
        assert owners & declared(extra_of(path)), f"{path.name} imports {name}, which pyproject.toml does not ask for"


def test_constraints_pin_what_is_declared():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonical(line.split("==")[0]) for line in lines if "==" in line}
    wanted = declared("train") | declared("align") | declared("eval") | declared("whisper") | declared("dev")
    assert wanted - {"glowtron"} <= pinned
    assert "torch==2.13.0" in lines
    assert not [line for line in lines if "nvidia" in line or "cuda" in line]


def test_version_is_told_once():
    assert glowtron.__version__ == importlib.metadata.version("glowtron")


def test_importing_the_package_imports_nothing_heavy():
    code = "import glowtron, sys; sys.exit(int(any(name in sys.modules for name in ('torch', 'numpy', 'soundfile'))))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_are_there():
    for name in glowtron.__all__:
        assert getattr(glowtron, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        glowtron.nothing_like_it  # noqa: B018


def test_licence_and_types_ship():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (PACKAGE / "py.typed").is_file()
    assert importlib.metadata.metadata("glowtron")["License-Expression"] == "Apache-2.0"


def test_files_stay_readable():
    assert not {str(path): n for path in SOURCES if (n := len(path.read_text("utf-8").splitlines())) >= 450}


def test_voices_stay_small():
    size = sum(path.stat().st_size for path in (PACKAGE / "voices").rglob("*") if path.is_file())
    assert size <= 30e6
