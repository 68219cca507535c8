"""Configurations from JSON values and back, and the checks that all share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from glowtron.config.renamed import with_present_names
from glowtron.errors import InputError, nearest

STRICT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(otherwise)


def positive(config: Any, *names: str) -> None:
    for name in names:
        require(getattr(config, name) > 0, f"{name} must be over 0, got {getattr(config, name)}")


def not_negative(config: Any, *names: str) -> None:
    for name in names:
        require(getattr(config, name) >= 0, f"{name} must not be under 0, got {getattr(config, name)}")


def from_dict(value: Any, kind: Any, source: str) -> Any:
    """Read a configuration of class (or union) `kind` from parsed JSON; `source` names where it is from in errors.

    Keys and values may have their former names (`glowtron.config.renamed`). Raises InputError when a key is unknown,
    a value is missing, or its type or range is wrong.
    """
    try:
        value, _ = with_present_names(value)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    try:
        # Through JSON once more, since pydantic's strict mode reads tuples from lists only there.
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(_follow(kind, first["loc"])[0])
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            known = _follow(kind, first["loc"][:-1])[1]
            raise InputError(f"{source}: unknown key '{path}'{nearest(str(first['loc'][-1]), known)}") from error
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{source}: {path + ': ' if path else ''}{reason}") from error


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, defaults written out."""
    assert is_dataclass(config) and not isinstance(config, type)
    return dict(json.loads(json.dumps(asdict(config))))


def _follow(kind: Any, location: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """The keys on the way to `location` from `kind`, and the names of the fields where it ends.

    In the location of an error, the name of a class in a union follows the key of the union; it is no key.
    """
    keys: list[str] = []
    kind = _classes(kind)
    for part in location:
        if len(kind) > 1 and part in [one.type for one in kind]:
            kind = [one for one in kind if one.type == part]
            continue
        keys.append(str(part))
        kind = _classes(get_type_hints(kind[0]).get(str(part))) if kind else []
    return keys, [field.name for one in kind[:1] for field in fields(one)]


def _classes(kind: Any) -> list[Any]:
    """The dataclasses that a type names: none, itself, or the members of a union."""
    if is_dataclass(kind):
        return [kind]
    return [found for inner in get_args(kind) for found in _classes(inner)]
