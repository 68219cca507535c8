"""`scripts/release.py` refuses a tree that is not ready."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    pytest.skip("the script reads TOML, which Python 3.10 cannot", allow_module_level=True)

spec = importlib.util.spec_from_file_location("release", Path(__file__).parent.parent / "scripts" / "release.py")
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository that is ready to be released as 1.2.3."""
    (tmp_path / "src/glowtron").mkdir(parents=True)
    (tmp_path / "src/glowtron/__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n## [Unreleased]\n## [1.2.3] - 2026-11-28\n- More.\n## [1.0.0]\n"
    )
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -q -m First"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    return tmp_path


def test_a_tree_that_is_ready(tree: Path) -> None:
    assert release.find_faults(tree, "1.2.3") == []


@pytest.mark.parametrize(
    ("version", "faults"),
    [
        ("1.2.4", ["__version__ is 1.2.3", "no section '## [1.2.4]"]),
        ("1.0.0", ["__version__ is 1.2.3", "no section '## [1.0.0]"]),
        ("1.2", ["not of the form", "__version__", "no section"]),
    ],
)
def test_a_version_that_is_told_otherwise(version: str, faults: list[str], tree: Path) -> None:
    found = release.find_faults(tree, version)
    assert len(found) == len(faults)
    assert all(fault in line for fault, line in zip(faults, found, strict=True))


def test_changes_and_a_tag_that_is_there(tree: Path) -> None:
    (tree / "more.txt").write_text("x")
    assert release.find_faults(tree, "1.2.3") == ["the tree has changes; commit them"]
    (tree / "more.txt").unlink()
    subprocess.run(["git", "tag", "v1.2.3"], cwd=tree, check=True)
    (found,) = release.find_faults(tree, "1.2.3")
    assert "raise the version" in found


def test_a_section_without_content_is_none() -> None:
    assert release.changelog_section("## [1.2.3] - 2026-11-28\n\n## [1.2.2] - 2026-11-01\n- x\n", "1.2.3") == ""
    assert release.changelog_section("## [1.2.3] - 2026-11-28\n- a\n\n## [1.2.2] - 2026-11-01\n", "1.2.3") == "- a"


WHOLE = (
    "voices/duet/acoustic.safetensors",
    "text/dictionary/us_gold.json",
    *(f"engines/{name}.so" for name in release.LIBRARIES),
)


def wheel(folder: Path, tag: str, *lacking: str) -> Path:
    path = folder / f"glowtron-1.2.3-py3-none-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in WHOLE:
            if name not in lacking:
                archive.writestr(f"glowtron/{name}", "")
    return path


def test_a_wheel_is_whole_and_has_a_tag_that_an_index_takes(tmp_path: Path) -> None:
    release.check_wheel(wheel(tmp_path, "manylinux_2_31_x86_64"))
    release.check_wheel(wheel(tmp_path, "macosx_14_0_arm64"))
    with pytest.raises(release.ReleaseError, match=r"linux_x86_64.*refuses its tag; auditwheel"):
        release.check_wheel(wheel(tmp_path, "linux_x86_64"))
    with pytest.raises(release.ReleaseError, match=r"lacks engines/wn.so; a C compiler makes it"):
        release.check_wheel(wheel(tmp_path, "any", "engines/wn.so"))
    with pytest.raises(release.ReleaseError, match=r"lacks voices/duet"):
        release.check_wheel(wheel(tmp_path, "any", "voices/duet/acoustic.safetensors"))


def test_a_command_that_fails_is_a_line_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "LOG", tmp_path / "release.log")
    assert release.run("asking", [sys.executable, "-c", "print(1)"], "mend") == "1\n"
    fails = [sys.executable, "-c", "import sys; sys.exit('Much.\\nNo room is left.\\n')"]
    with pytest.raises(release.ReleaseError) as told:
        release.run("building", fails, "make room")
    assert str(told.value) == f"building failed: No room is left.; make room (all of it in {tmp_path / 'release.log'})"
    assert "Much." in (tmp_path / "release.log").read_text()
    with pytest.raises(release.ReleaseError, match=r"cannot be run .*; install it"):
        release.run("building", [str(tmp_path / "nothing")], "install it")
    with pytest.raises(release.ReleaseError, match=r"git status failed: .*not a git repository.*in a clone"):
        release.git(tmp_path, "status")


def test_what_fails_ends_the_script_without_a_tag(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(version: str) -> list[Path]:
        raise release.ReleaseError("no room; make some")

    monkeypatch.setattr(release, "ROOT", tree)
    monkeypatch.setattr(release, "LOG", tree / "build" / "release.log")
    (tree / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tree / ".gitignore").write_text("build\n")
    for command in ("add .", "-c user.name=a -c user.email=a@b commit -q -m More"):
        subprocess.run(["git", *command.split()], cwd=tree, check=True)
    monkeypatch.setattr(release, "build", fail)
    assert release.main([]) == "error: no room; make some"
    monkeypatch.setattr(release, "build", lambda version: [])
    monkeypatch.setattr(release, "try_out", lambda built, version: None)
    assert release.main(["--dry"]) is None and release.git(tree, "tag", "--list") == ""
