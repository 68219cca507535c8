"""What is installed: declared libraries, the import of the package, limits of size."""

import ast
import importlib
import importlib.metadata
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import glowtron

tomllib = None if sys.version_info < (3, 11) else importlib.import_module("tomllib")

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
PACKAGE = ROOT / "src" / "glowtron"
OWNERS = importlib.metadata.packages_distributions()
"""Distributions by the top-level modules they install."""
SOURCES = sorted(PACKAGE.rglob("*.py"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None) -> set[str]:
    """Distributions that installing glowtron, with an extra or without, asks for: by its project file, where it is."""
    if tomllib is None or not PROJECT.exists():
        lines = importlib.metadata.requires("glowtron") or []
        markers = [re.search(r"extra == ['\"](\w+)['\"]", line) for line in lines]
        asked = [line for line, marker in zip(lines, markers, strict=True) if marker is None or marker[1] == extra]
    else:
        project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
        asked = project["dependencies"] + project["optional-dependencies"].get(extra, [])
    found = set()
    for line in asked:
        name = canonical(re.match(r"[A-Za-z0-9._-]+", line)[0])
        if name == "glowtron":  # An extra that brings others.
            for other in re.search(r"\[([\w,-]+)\]", line)[1].split(","):
                found |= declared(other)
        else:
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
    files = {"alignment.py": "align", "pictures.py": "train", "hub.py": "hub"}
    if place == ("serve", "mcp_server.py"):
        return "mcp"
    if place[-1] == "on_ray.py":
        return "ray"
    if place == ("serve", "aac.py"):
        return "aac"
    folders = {"train": "train", "evaluate": "eval", "book": "book", "onnx": "onnx", "serve": "serve"}
    folders |= {"listen": "listen", "compare": "eval", "bulk": "bulk", "vendor": "train"}
    return folders.get(place[0], files.get(place[-1], "torch" if _computes_by_torch(place) else None))


def _computes_by_torch(place: tuple[str, ...]) -> bool:
    """Whether a file is one of those that torch stands in."""
    files = ("mel.py", "checkpoint.py", "machine.py", "torch_runtime.py", "vocoders.py", "wavenet.py")
    return place[0] in ("models", "engines", "data", "importers", "bench") or place[-1] in files


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_import_is_declared(path):
    for name in set(imports(path)) - set(sys.stdlib_module_names) - {"glowtron"}:
        owners = {canonical(owner) for owner in OWNERS.get(name, [name])}
        assert owners & declared(extra_of(path)), f"{path.name} imports {name}, which pyproject.toml does not ask for"


def test_constraints_pin_what_is_declared():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonical(line.split("==")[0]) for line in lines if "==" in line}
    wanted = declared("train") | declared("align") | declared("eval") | declared("whisper") | declared("book")
    wanted |= declared("docs") | declared("dev")
    assert wanted - {"glowtron"} <= pinned
    assert "torch==2.13.0" in lines
    assert not [line for line in lines if "nvidia" in line or "cuda" in line]


def test_version_is_told_once():
    assert glowtron.__version__ == importlib.metadata.version("glowtron")


def test_importing_the_package_imports_nothing_heavy():
    code = "import glowtron, sys; sys.exit(int(any(name in sys.modules for name in ('torch', 'numpy', 'soundfile'))))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


RIDDLE = re.compile(r"(What|How|Who|Where|Whether)\b")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_begin_with_a_noun_a_verb_or_true_if(path):
    """Those of modules, classes, functions and attributes: a newcomer looks for the thing, not for a question."""
    bodies = [node.body for node in ast.walk(ast.parse(path.read_text("utf-8"))) if hasattr(node, "body")]
    texts = [
        statement
        for body in bodies
        if isinstance(body, list)
        for statement in body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    ]
    assert [(text.lineno, text.value.value) for text in texts if RIDDLE.match(str(text.value.value).strip())] == []


def test_public_names_are_there():
    for name in glowtron.__all__:
        assert getattr(glowtron, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        glowtron.nothing_like_it  # noqa: B018


def test_licence_and_types_ship():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (PACKAGE / "py.typed").is_file()
    assert importlib.metadata.metadata("glowtron")["License-Expression"] == "Apache-2.0"


_SAY = """
import json, sys
from glowtron import Voice
Voice.load("duet", device="cpu").say("Hello.")
print(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "glowtron")))
"""
MOST_MODULES = 66
"""Modules of ours that are loaded to say a sentence: what a reader has to look at. ADR 16 tells what they are."""


def test_few_modules_are_loaded_to_say_a_sentence():
    loaded = json.loads(subprocess.run([sys.executable, "-c", _SAY], capture_output=True, check=True, text=True).stdout)
    assert len(loaded) <= MOST_MODULES, loaded
    # What only training, CUDA, import or evaluation needs is not among them.
    assert not [name for name in loaded if re.search(r"train|cuda|importers|evaluate|bench|\.data|cli", name)]


_WITHOUT_POSIX = """
import builtins, os, sys
for name in ("fork", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
whole_import = builtins.__import__
def without_posix(name, *rest, **more):
    if name in ("fcntl", "resource", "termios", "pwd", "grp"):
        raise ImportError(f"{name} is not on this system")
    return whole_import(name, *rest, **more)
import accelerate, soundfile, torch  # Libraries may use what they find.
builtins.__import__ = without_posix
import glowtron
voice = glowtron.Voice.load("duet", device="cpu")
n_said = len(voice.say("Hello.").samples)
n_streamed = sum(len(audio.samples) for audio in voice.stream("Hello."))
(audio,) = voice.say_many(["Hello."], workers=1)
assert n_said == n_streamed == len(audio.samples) > 0
import glowtron.train.acoustic_task, glowtron.train.export, glowtron.train.loop, glowtron.train.postnet_task
import glowtron.train.vocoder_task
"""


def test_speaking_and_training_are_imported_without_what_only_posix_has():
    done = subprocess.run([sys.executable, "-c", _WITHOUT_POSIX], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_public_names_and_signatures_are_those_that_were_agreed_on():
    """A change here is a change for users: it belongs into CHANGELOG, and old names go on working for a release."""
    agreed = (Path(__file__).parent / "public_names.txt").read_text(encoding="utf-8")
    assert public_names() == agreed, (
        "if this is meant, write tests/public_names.txt anew: python tests/test_packaging.py"
    )


def public_names() -> str:
    lines = []
    for name in sorted(glowtron.__all__):
        thing = getattr(glowtron, name)
        lines.append(f"{name}{_signature(thing)}")
        if isinstance(thing, type) and not issubclass(thing, BaseException):
            members = (member for member in dir(thing) if not member.startswith("_"))
            own = (m for m in members if m not in dir(tuple))
            lines += [f"  .{member}{_signature(getattr(thing, member))}" for member in sorted(own)]
    return "\n".join(lines) + "\n"


def _signature(thing: object) -> str:
    if not callable(thing) or (isinstance(thing, type) and issubclass(thing, BaseException)):
        return ""
    # Versions of Python write references to types in other ways.
    return (
        re.sub(r"ForwardRef\('([^']*)'[^)]*\)", r"\1", str(inspect.signature(thing))).replace("'", "").replace('"', "")
    )


def test_voices_stay_small():
    size = sum(path.stat().st_size for path in (PACKAGE / "voices").rglob("*") if path.is_file())
    assert size <= 30e6


if __name__ == "__main__":
    (Path(__file__).parent / "public_names.txt").write_text(public_names(), encoding="utf-8")
