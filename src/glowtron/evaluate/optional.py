"""The optional libraries behind the measures, which come with the extra `eval`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from glowtron.errors import InputError


def require(module: str) -> ModuleType:
    """Import `module`, which the extra `eval` installs; InputError names the extra when it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module) from error


def folder_of(package: str) -> Path:
    """Folder of an installed package without importing it; InputError names the extra when it is missing."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(package)
    return Path(next(iter(spec.submodule_search_locations)))


def _missing(module: str) -> InputError:
    return InputError(f"this measure needs the library '{module}': pip install 'glowtron[eval]'")
