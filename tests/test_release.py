"""`scripts/release.py` refuses a tree that is not ready."""

import importlib.util
import subprocess
import sys
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
