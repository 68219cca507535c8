"""Make a release: check, build, try what was built, tag. Nothing is pushed and nothing is uploaded.

    python scripts/release.py --check    whether the tree could be released as the version that it says
    python scripts/release.py            the same; wheel and sdist in dist/, each tried in a fresh environment; the tag

Before: set the version in pyproject.toml and src/glowtron/__init__.py, turn CHANGELOG's [Unreleased] into the section
of that version with the day, and commit. After: `git push --follow-tags`, and upload what is in dist/.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
SENTENCE = "A release says a sentence before it is one."


def main(arguments: list[str]) -> str | None:
    """Run the script; returns what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="Only look whether the tree could be released.")
    only_check = parser.parse_args(arguments).check
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    faults = find_faults(ROOT, version)
    if faults:
        return "\n".join(faults)
    print(f"{version} can be released")
    if only_check:
        return None
    for path in build(version):
        try_out(path, version)
    git(ROOT, "tag", "-a", f"v{version}", "-m", f"Glowtron {version}")
    print(f"tagged v{version}; now: git push --follow-tags, and upload {DIST}")
    return None


def find_faults(root: Path, version: str) -> list[str]:
    """Reasons, a line each, not to release the tree as this version; none if there are none."""
    faults = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        faults.append(f"pyproject.toml: version '{version}' is not of the form 1.2.3")
    code = re.search(r'^__version__ = "(.*)"$', (root / "src/glowtron/__init__.py").read_text(encoding="utf-8"), re.M)
    if code is None or code[1] != version:
        told = code[1] if code else "none"
        faults.append(f"src/glowtron/__init__.py: __version__ is {told}, pyproject.toml says {version}; make them one")
    section = changelog_section((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    if not section:
        faults.append(
            f"CHANGELOG.md: no section '## [{version}] - YEAR-MONTH-DAY' with content; cut it from [Unreleased]"
        )
    if git(root, "status", "--porcelain"):
        faults.append("the tree has changes; commit them")
    if git(root, "tag", "--list", f"v{version}"):
        faults.append(f"the tag v{version} is there already; raise the version")
    return faults


def changelog_section(text: str, version: str) -> str:
    """What CHANGELOG says of a version; nothing where it has no dated section of it."""
    found = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)", text, re.M | re.S)
    return found[1].strip() if found else ""


def build(version: str) -> list[Path]:
    """Wheel and sdist in dist/, which is emptied before."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(DIST)], cwd=ROOT, check=True)
    (wheel,), (sdist,) = DIST.glob(f"glowtron-{version}-*.whl"), DIST.glob(f"glowtron-{version}.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert any(name.endswith("voices/duet/acoustic.safetensors") for name in names), "the wheel lacks the voice"
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert any(name.endswith("tests/parity/checkpoints.tar.xz") for name in names), "the sdist lacks the tests' data"
    return [wheel, sdist]


def try_out(path: Path, version: str) -> None:
    """Install a distribution into a fresh environment, away from the tree, and let it speak there."""
    print(f"trying {path.name}")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        scripts = Path(folder) / ("Scripts" if os.name == "nt" else "bin")
        python = scripts / ("python.exe" if os.name == "nt" else "python")

        def run(*command: str) -> str:
            done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            return done.stdout

        constraints = str(ROOT / "constraints.txt")
        run(str(python), "-m", "pip", "install", "--quiet", "--constraint", constraints, f"{path}[torch]")
        told = run(str(python), "-c", "import glowtron; print(glowtron.__version__)").strip()
        assert told == version, f"{path.name} says it is {told}"
        run(str(scripts / "glowtron"), "say", SENTENCE, "-o", "release.wav", "--quiet")
        assert (Path(folder) / "release.wav").stat().st_size > 44_100


def git(root: Path, *arguments: str) -> str:
    """The output of git."""
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
