"""Documentation of configuration fields, read from the source that it stands in."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from textwrap import dedent
from typing import NamedTuple


class FieldText(NamedTuple):
    """The documentation of a field."""

    text: str
    default: str | None
    """The meaning of None, where the docstring ends with `None: ...`."""


def field_texts(kind: type) -> dict[str, FieldText]:
    """The attribute docstrings of a dataclass by field; none where the source is not installed."""
    try:
        source = inspect.getsource(kind)
    except OSError:
        return {}
    definition = ast.parse(dedent(source)).body[0]
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: _split(after.value.value)
        for field, after in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }


def _split(docstring: str) -> FieldText:
    text, _, default = re.sub(r"\s+", " ", docstring).strip().partition(" None: ")
    return FieldText(text, default.removesuffix(".") or None)
