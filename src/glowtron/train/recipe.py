"""Configurations of training runs: shipped by name, read from files, and changed key by key."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from glowtron import config as configuration
from glowtron.config import RunConfig, run_class
from glowtron.config.renamed import RENAMED_KEYS, renamed_change, with_present_names
from glowtron.errors import InputError, nearest, reason

Kind = Literal["acoustic", "fastspeech2", "vocoder", "postnet"]


def names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(entry.name.removesuffix(".json") for entry in _folder().iterdir() if entry.name.endswith(".json"))


def recipe(kind: Kind, name_or_path: str | Path, changes: Iterable[str] = ()) -> RunConfig:
    """The configuration of a run: a shipped recipe by name or a JSON file, with `key=value` changes.

    A key is a path such as `training.optimizer.lr`; a value is JSON, or else taken as a string. Raises InputError for
    an unknown name, key or value, and for a configuration of the other kind.
    """
    path = Path(name_or_path)
    if path.suffix == ".json" or path.exists():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a configuration: {reason(error)}") from error
    elif str(name_or_path) in names():
        text = (_folder() / f"{name_or_path}.json").read_text(encoding="utf-8")
    else:
        raise InputError(
            f"no file and no shipped recipe is called '{name_or_path}'{nearest(str(name_or_path), names())}"
        )
    value = _object(text, str(name_or_path))
    given = value.get("type", kind)
    if given != kind and (kind, given) != ("vocoder", "wavenet"):
        raise InputError(f"{name_or_path} is for `train {value['type']}`, not for `train {kind}`")
    target = run_class(given)
    value, former = with_present_names(value)
    _warn_of(former, str(name_or_path))
    config: RunConfig = configuration.from_dict(value, target, str(name_or_path))
    for change in changes:
        # One by one, so that an error names the change at fault.
        config = configuration.from_dict(_changed(configuration.to_dict(config), change), target, f"`changes` {change}")
    return config


def _warn_of(former: Mapping[str, str], source: str) -> None:
    """Warn that `source` has former names, which go on working for one release."""
    for name, present in former.items():
        warnings.warn(f"{source}: {name} is called {present} now", FutureWarning, stacklevel=4)


def _folder() -> Any:
    return files("glowtron") / "recipes"


def _object(text: str, source: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{source}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{source}: a configuration is a JSON object, this is {type(value).__name__}")
    return value


def _changed(value: dict[str, Any], change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not equals:
        raise InputError(f"`changes` {change}: give key=value, such as training.max_steps=1000")
    try:
        new = json.loads(text)
    except json.JSONDecodeError:
        new = text
    key, new, former = renamed_change(key.strip(), new)
    _warn_of(former, f"`changes` {change}")
    *parents, name = key.split(".")
    place = value
    for parent in parents:
        inner = place.get(parent)
        if not isinstance(inner, dict):
            raise InputError(f"`changes` {change}: unknown key '{parent}'{_hint(key, parent, place, value)}")
        place = inner
    if name not in place:
        raise InputError(f"`changes` {change}: unknown key '{key}'{_hint(key, name, place, value)}")
    place[name] = new
    return value


def _hint(key: str, part: str, place: dict[str, Any], value: dict[str, Any]) -> str:
    """The path that ends as `key` does, if there is one, else what `part` of it may have been meant for in `place`."""
    whole = next((path for path in (*_paths(value), *RENAMED_KEYS) if path.endswith(f".{key}")), None)
    whole = RENAMED_KEYS.get(whole, whole) if whole else None
    return f" (did you mean '{whole}'?)" if whole else nearest(part, list(place))


def _paths(value: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, inner in value.items():
        yield before + name
        if isinstance(inner, dict):
            yield from _paths(inner, f"{before}{name}.")
