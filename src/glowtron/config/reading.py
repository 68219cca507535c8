"""Configurations from JSON values and back."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from glowtron.errors import InputError, nearest


def from_dict(value: Any, kind: Any, source: str) -> Any:
    """Read a configuration of class (or union) `kind` from parsed JSON; `source` names where it is from in errors.

    Raises InputError when a key is unknown, a value is missing, or its type or range is wrong.
    """
    try:
        # Through JSON once more, since pydantic's strict mode reads tuples from lists only there.
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"] if part not in _UNION_TAGS)
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            known = _fields_at(kind, first["loc"][:-1])
            raise InputError(f"{source}: unknown key '{path}'{nearest(str(first['loc'][-1]), known)}") from error
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{source}: {path + ': ' if path else ''}{reason}") from error


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, defaults written out."""
    assert is_dataclass(config) and not isinstance(config, type)
    return dict(json.loads(json.dumps(asdict(config))))


_UNION_TAGS = ("grouping", "lapped", "waveglow", "griffin-lim", "tacotron2", "fastspeech2")


def _fields_at(kind: Any, location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the dataclass that `location` leads to from `kind`."""
    schema = TypeAdapter(kind).json_schema()
    definitions = schema.get("$defs", {})
    node = schema
    for part in (None, *location):
        if part is not None and "properties" in node:
            node = node["properties"].get(part, node)
        node = next((option for option in node.get("anyOf", ()) if option.get("type") != "null"), node)
        tags = node.get("discriminator", {}).get("mapping", {})
        if part in tags:
            node = {"$ref": tags[part]}
        elif "oneOf" in node and part in _UNION_TAGS:
            node = next(option for option in node["oneOf"] if _tag(definitions, option) == part)
        while "$ref" in node or "allOf" in node:
            node = definitions[(node.get("$ref") or node["allOf"][0]["$ref"]).rsplit("/", 1)[1]]
    return list(node.get("properties", {}))


def _tag(definitions: dict[str, Any], option: dict[str, Any]) -> str:
    """The `type` of the class that an option of a union refers to."""
    return str(definitions[option["$ref"].rsplit("/", 1)[1]]["properties"]["type"]["const"])
