"""Checks that all configurations share."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from glowtron.errors import InputError

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
