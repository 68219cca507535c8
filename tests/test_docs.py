"""The API reference: every public name is in it, and its docstring says what its signature takes and raises."""

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import glowtron

ROOT = Path(__file__).resolve().parent.parent
NAMES = [name for name in glowtron.__all__ if name != "__version__"]


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public functions, and methods written in the classes that are public."""
    for name in NAMES:
        thing = getattr(glowtron, name)
        if inspect.isclass(thing):
            for member in vars(thing):
                method = getattr(thing, member)
                if not member.startswith("_") and (inspect.isfunction(method) or inspect.ismethod(method)):
                    yield f"{name}.{member}", method
        else:
            yield name, thing


def section(docstring: str, title: str) -> str:
    """The indented lines under `title:`."""
    found = re.search(rf"^{title}:\n((?:[ ]+.*\n?|\n)+)", docstring, re.M)
    return found[1] if found else ""


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: glowtron\.(\w+)$", page, re.M)) == sorted(NAMES)


def test_every_public_name_has_a_docstring() -> None:
    assert not [name for name in NAMES if not inspect.getdoc(getattr(glowtron, name))]


@pytest.mark.parametrize(("name", "function"), functions())
def test_every_parameter_is_told_of(name: str, function: Callable[..., Any]) -> None:
    told = re.findall(r"^ +\*{0,2}(\w+):", section(inspect.getdoc(function) or "", "Args"), re.M)
    assert told == [one for one in inspect.signature(function).parameters if one not in ("self", "cls")], name


@pytest.mark.parametrize(("name", "function"), functions())
def test_an_error_of_the_user_is_told_of(name: str, function: Callable[..., Any]) -> None:
    """Of what a function raises itself; what it calls is beyond this test."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    told = section(inspect.getdoc(function) or "", "Raises")
    assert "InputError" not in raised or "InputError:" in told, name


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("needs mkdocstrings, of the extra `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'id="glowtron.Voice.say"' in (tmp_path / "api.html").read_text(encoding="utf-8")
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"((?:https?:)?//[^\"]*)", page.read_text()
        )
        assert not loaded, page.name


def test_links_lead_to_sections_that_are_there() -> None:
    """Of a link `page.md#section`, that the section is there; `test_readme.py` looks for the page."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target, wanted in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
            text = ((page.parent / target) if target else page).read_text(encoding="utf-8")
            titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
            slugs = [re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles]
            assert wanted in slugs, f"{page.name} links to {target}#{wanted}"
