"""Configurations from JSON values and back, and the checks that all share."""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from glowtron.config.renamed import with_present_names
from glowtron.errors import InputError, nearest


class Config:
    """Base of all configuration, frozen dataclasses. Raises InputError that names a field whose value is not of the
    type that its annotation says.
    """

    def __post_init__(self) -> None:
        own: Any = type(self)
        for name, kind in _field_types(own).items():
            value = getattr(self, name)
            try:
                exact = _exact(value, kind)
            except _Fault as fault:
                raise InputError(f"{'.'.join((name, *fault.path))}: {fault.reason}") from fault
            if exact is not value:
                object.__setattr__(self, name, exact)
        self.check()

    def check(self) -> None:
        """Raise InputError where a value is out of range, or values do not go together."""


class Untyped(NamedTuple):
    """In the annotation of a union: what a value is that names no `type`."""

    type: str


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
        return _parsed(value, kind)
    except _Fault as fault:
        path = ".".join(fault.path)
        if fault.is_unknown:
            raise InputError(f"{source}: unknown key '{path}'{fault.reason}") from fault
        raise InputError(f"{source}: {path + ': ' if path else ''}{fault.reason}") from fault


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, defaults written out."""
    assert is_dataclass(config) and not isinstance(config, type)
    return dict(json.loads(json.dumps(asdict(config))))


class _Fault(Exception):
    """A fault of a value, and the keys on the way to it."""

    def __init__(self, reason: str, path: tuple[str, ...] = (), *, is_unknown: bool = False) -> None:
        self.reason, self.path, self.is_unknown = reason, path, is_unknown

    def under(self, key: object) -> _Fault:
        return _Fault(self.reason, (str(key), *self.path), is_unknown=self.is_unknown)


@functools.cache
def _field_types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}


def _parsed(value: Any, kind: Any) -> Any:
    """A JSON value as Python has it: lists become tuples, objects become dataclasses. Raises _Fault."""
    kind, untyped = _plain(kind)
    classes = _classes(kind)
    if classes and not (value is None and type(None) in get_args(kind)):
        return _parsed_class(value, classes, untyped)
    if get_origin(kind) is tuple and isinstance(value, list):
        return _exact(tuple(_each(_parsed, value, kind)), kind)
    return _exact(value, kind)


def _parsed_class(value: Any, classes: list[Any], untyped: str | None) -> Any:
    if not isinstance(value, dict):
        raise _Fault(f"Input should be an object, got {_shown(value)}")
    kind = classes[0]
    if len(classes) > 1:
        tags = {one.type: one for one in classes}
        tag = value.get("type", untyped)
        if not isinstance(tag, str) or tag not in tags:
            known = ", ".join(f"'{one}'" for one in tags)
            what = f"Input tag {_shown(tag)}" if "type" in value else "Input has no 'type', which"
            raise _Fault(f"{what} should be one of {known}")
        kind = tags[tag]
    kinds = _field_types(kind)
    for name in value:
        if name not in kinds:
            raise _Fault(nearest(name, list(kinds)), (name,), is_unknown=True)
    found: dict[str, Any] = {}
    for field in fields(kind):
        if field.name in value:
            try:
                found[field.name] = _parsed(value[field.name], kinds[field.name])
            except _Fault as fault:
                raise fault.under(field.name) from fault
        elif field.default is MISSING and field.default_factory is MISSING:
            raise _Fault("Field required", (field.name,))
    try:
        return kind(**found)
    except InputError as error:
        raise _Fault(str(error)) from error


def _exact(value: Any, kind: Any) -> Any:
    """A value, if it is of a type; a whole number becomes a float where that is wanted. Raises _Fault."""
    kind, _ = _plain(kind)
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _one_of(value, get_args(kind))
    if origin is Literal:
        if any(value == one and type(value) is type(one) for one in get_args(kind)):
            return value
        names = [repr(one) for one in get_args(kind)]
        choices = " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        raise _Fault(f"Input should be {choices}, got {_shown(value)}")
    if origin is tuple and isinstance(value, tuple):
        exact = tuple(_each(_exact, value, kind))
        return exact if any(one is not other for one, other in zip(exact, value, strict=True)) else value
    if origin is dict and isinstance(value, dict):
        of_key, of_value = get_args(kind)
        return {_exact(key, of_key): _exact(inner, of_value) for key, inner in value.items()}
    if kind is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)  # One of NumPy's, too.
    if kind is float and isinstance(value, Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _Fault(f"Input should be a valid number, got {_shown(value)}") from None
    wanted = origin or kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise _Fault(f"Input should be {_NAMES.get(wanted, f'a {wanted.__name__}')}, got {_shown(value)}")
    return value


_NAMES: Mapping[type, str] = {
    int: "a valid integer",
    float: "a valid number",
    str: "a valid string",
    bool: "a valid boolean",
    tuple: "a list",
    dict: "an object",
    type(None): "null",
}


def _one_of(value: Any, kinds: tuple[Any, ...]) -> Any:
    """A value of one of several types; the first of them is what its fault is about."""
    first: _Fault | None = None
    for kind in kinds:
        try:
            return _exact(value, kind)
        except _Fault as fault:
            first = first or fault
    assert first is not None
    raise first


def _each(convert: Any, values: Any, kind: Any) -> list[Any]:
    """The members of a tuple, converted to the types that it has."""
    inner = get_args(kind)
    if inner[-1] is Ellipsis:
        inner = (inner[0],) * len(values)
    if len(values) != len(inner):
        raise _Fault(f"Input should have {len(inner)} members, got {len(values)}")
    found = []
    for place, (value, one) in enumerate(zip(values, inner, strict=True)):
        try:
            found.append(convert(value, one))
        except _Fault as fault:
            raise fault.under(place) from fault
    return found


def _plain(kind: Any) -> tuple[Any, str | None]:
    """A type without its annotation, and what is meant by a value that names no type."""
    if get_origin(kind) is not Annotated:
        return kind, None
    inner, *notes = get_args(kind)
    return inner, next((note.type for note in notes if isinstance(note, Untyped)), None)


def _classes(kind: Any) -> list[Any]:
    """The dataclasses that a type names: none, itself, or the members of a union."""
    if is_dataclass(kind):
        return [kind]
    if get_origin(kind) in (Union, types.UnionType):
        return [one for one in get_args(kind) if is_dataclass(one)]
    return []


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # An integer of thousands of figures.
        return "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
