"""Settings written as Python, read as data: assignments of literals, nothing of which is ever run.

FlagPerf's vendors write `config_A100x1x8.py`, users of NVIDIA's tacotron2 edit `hparams.py`. Both are programs only in
name. What is not a plain value is refused, and the line is named.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from glowtron.errors import InputError, reason

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
"""Of numbers only; powers and repeated lists could make a small file endless."""


def read_settings(path: Path) -> dict[str, Any]:
    """The values that a file of settings assigns to names.

    A line is an assignment (`batch_size = 10`, `seed: int = 1`) or `from NAME import *` of a file beside it. A value is
    a literal, a name assigned before, or sums and products of numbers. Raises InputError for anything else.
    """
    return _settings(path, ())


def read_keywords(path: Path, function: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of the one call of `function`, or of its dictionary, in a file such as `hparams.py`.

    known: values of expressions that are no literals, by their text, such as `len(symbols)`. Raises InputError if
    there is no such call, and for a value that is none.
    """
    for node in ast.walk(_parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == function and node.keywords:
            pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
            return {key: _value(value, known, path) for key, value in pairs if key is not None}
    raise InputError(f"{path}: holds no call {function}(name=value, ...); give the program's own file of settings")


def _settings(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path in above:
        raise InputError(f"{path}: imports itself; leave one of the imports out")
    values: dict[str, Any] = {}
    for node in _parsed(path).body:
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                continue
            case ast.Assign(targets=targets, value=value) if all(isinstance(one, ast.Name) for one in targets):
                names_of = [one.id for one in targets if isinstance(one, ast.Name)]
                values |= dict.fromkeys(names_of, _value(value, values, path))
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                values[name] = _value(value, values, path)
            case ast.ImportFrom(module=str(module), names=names) if "." not in module:
                inner = _settings(path.with_name(f"{module}.py"), (*above, path))
                for one in names:
                    if one.name != "*" and one.name not in inner:
                        raise InputError(f"{path}, line {node.lineno}: {module}.py assigns no {one.name}")
                    values |= inner if one.name == "*" else {one.asname or one.name: inner[one.name]}
            case _:
                raise InputError(
                    f"{path}, line {node.lineno}: is no assignment of a value; settings are read as data and never run"
                )
    return values


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: is no file of settings: {error}") from error


def _value(node: ast.expr, known: Mapping[str, Any], path: Path) -> Any:
    match node:
        case ast.Constant(value=value) if not isinstance(value, bytes | complex) and value is not ...:
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part, known, path) for part in parts]
        case ast.Dict(keys=keys, values=parts) if all(isinstance(key, ast.Constant) for key in keys):
            names = [key.value for key in keys if isinstance(key, ast.Constant)]
            return dict(zip(names, (_value(part, known, path) for part in parts), strict=True))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, known, path)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATIONS:
            try:
                return _OPERATIONS[type(op)](_number(left, known, path), _number(right, known, path))
            except (ArithmeticError, ValueError) as error:
                raise InputError(f"{path}, line {node.lineno}: {ast.unparse(node)}: {error}") from error
    if (text := ast.unparse(node)) in known:
        return known[text]
    raise InputError(
        f"{path}, line {node.lineno}: {text:.60} is no plain value; settings are read as data and never run"
    )


def _number(node: ast.expr, known: Mapping[str, Any], path: Path) -> int | float:
    value = _value(node, known, path)
    if not isinstance(value, int | float):
        raise InputError(f"{path}, line {node.lineno}: {ast.unparse(node):.60} is no number")
    return value
