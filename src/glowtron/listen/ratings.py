"""Ratings in long form: one row for what one rater said of one system on one item."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from glowtron.errors import InputError, reason
from glowtron.files import write_text


class Rating(NamedTuple):
    """Rating of one system on one item by one rater."""

    rater: str
    item: str
    system: str
    value: float
    """On the method's scale; of a pair: how much better `system` is than `against`."""
    against: str = ""
    """The other system of a pair."""
    order: int | None = None
    """Place of the trial in the rater's session, from 1."""
    seconds: float | None = None
    """From the trial's appearance to its answer."""
    plays: int | None = None
    """Number of times the clip was begun."""
    least_seconds: float | None = None
    """Duration of the trial's clips, heard once each."""
    repeat: bool = False
    """True if the rater had rated this before: it counts for consistency, not for the system."""


class Check(NamedTuple):
    """An answer to something whose right answer is known."""

    rater: str
    kind: str
    """`attention` or `headphones`."""
    right: bool


COLUMNS = ("rater", "item", "system", "against", "rating", "order", "seconds", "plays", "least_seconds", "repeat")


def write_ratings(path: Path, ratings: Iterable[Rating]) -> None:
    """Write ratings as CSV with the columns `COLUMNS`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for r in ratings:
        times = [None if x is None else round(x, 3) for x in (r.seconds, r.least_seconds)]
        row = [
            r.rater,
            r.item,
            r.system,
            r.against,
            f"{r.value:g}",
            r.order,
            times[0],
            r.plays,
            times[1],
            int(r.repeat),
        ]
        writer.writerow(["" if cell is None else _inert(cell) for cell in row])
    write_text(path, out.getvalue())


def _inert(cell: object) -> object:
    # A spreadsheet runs what begins with these; no number of ours is a text.
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "@", "\t", "\r") else cell


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by its head; commas, semicolons or tabs. Raises InputError if it is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as CSV: {reason(error)}") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    if not rows.fieldnames:
        raise InputError(f"{path}: is empty; give a CSV file with a head")
    result = []
    try:
        for number, row in enumerate(rows, 2):
            if None in row or None in row.values():
                raise InputError(f"{path}: row {number} has not as many cells as the head; mend the file")
            result.append({(key or "").strip(): (value or "").strip() for key, value in row.items()})
    except csv.Error as error:
        raise InputError(f"{path}: not CSV: {error}") from error
    return result


def read_ratings(path: Path) -> list[Rating]:
    """Ratings from CSV with columns `rater`, `item`, `system` and `rating`; further ones of `COLUMNS` if there are.

    Raises InputError that names the row.
    """
    rows = read_table(path)
    needed = ("rater", "item", "system", "rating")
    if rows and (missing := [name for name in needed if name not in rows[0]]):
        raise InputError(f"{path}: has no column {' and '.join(missing)}; a table of ratings has {', '.join(needed)}")
    ratings = []
    for number, row in enumerate(rows, 2):
        where = f"{path}: row {number}"
        if not (row["rater"] and row["item"] and row["system"]):
            raise InputError(f"{where}: rater, item and system must not be empty")
        ratings.append(
            Rating(
                row["rater"],
                row["item"],
                row["system"],
                number_of(row["rating"], where, "rating"),
                row.get("against", ""),
                _whole(row.get("order", ""), where, "order"),
                _optional(row.get("seconds", ""), where, "seconds"),
                _whole(row.get("plays", ""), where, "plays"),
                _optional(row.get("least_seconds", ""), where, "least_seconds"),
                row.get("repeat", "") in ("1", "true", "True"),
            )
        )
    return ratings


def number_of(text: str, where: str, what: str) -> float:
    """A finite number. Raises InputError that names it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {what} '{text}' is no number")
    return value


def _optional(text: str, where: str, what: str) -> float | None:
    return number_of(text, where, what) if text else None


def _whole(text: str, where: str, what: str) -> int | None:
    return round(number_of(text, where, what)) if text else None


def first_only(ratings: Sequence[Rating]) -> list[Rating]:
    """Without repeats."""
    return [rating for rating in ratings if not rating.repeat]


def mark_repeats(ratings: Iterable[Rating]) -> list[Rating]:
    """Ratings in which a rater's later words on the same thing are marked as repeats. Pairs count in either order."""
    seen: set[tuple[str, str, frozenset[str]]] = set()
    result = []
    for rating in ratings:
        what = (rating.rater, rating.item, frozenset((rating.system, rating.against)))
        result.append(rating._replace(repeat=rating.repeat or what in seen))
        seen.add(what)
    return result
