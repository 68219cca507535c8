"""Ratings from the files of other tools: webMUSHRA and the P.808 toolkit.

Names and addresses of participants stay where they are: raters are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from glowtron.errors import InputError
from glowtron.listen.ratings import Rating, mark_repeats, number_of, read_table

Row = Mapping[str, str]


class _Numbers:
    """Raters by number, in the order in which they come."""

    def __init__(self) -> None:
        self._names: dict[object, str] = {}

    def __call__(self, who: object) -> str:
        return self._names.setdefault(who, f"r{len(self._names) + 1:03d}")


class _Parts(NamedTuple):
    system: str
    item: str


def import_ratings(paths: Sequence[Path], source: str | None = None, pattern: str | None = None) -> list[Rating]:
    """Ratings in the files of one tool.

    source: `webmushra` or `p808`; None: by the columns. pattern: a regular expression with groups `system` and `item`,
    for names that tell both. Raises InputError for a file of neither, and for a rating that is no number.
    """
    split = _splitter(pattern)
    raters = _Numbers()
    ratings: list[Rating] = []
    for path in paths:
        rows = read_table(path)
        if not rows:
            raise InputError(f"{path}: holds no ratings")
        reader = _reader(path, set(rows[0]), source)
        ratings += reader(path, rows, raters, split)
    return mark_repeats(ratings)


Splitter = Callable[[str, str], _Parts]
Reader = Callable[[Path, Sequence[Row], _Numbers, Splitter | None], list[Rating]]


def _reader(path: Path, columns: set[str], source: str | None) -> Reader:
    lower = {column.lower() for column in columns}
    known: dict[str, tuple[str, Reader]] = {
        "webMUSHRA's mushra": ("webmushra", _read_mushra),
        "webMUSHRA's likert": ("webmushra", _read_likert),
        "webMUSHRA's paired comparison": ("webmushra", _read_paired),
        "P.808 votes_per_worker": ("p808", _read_votes),
        "P.808 batch": ("p808", _read_batch),
    }
    heads = {
        "webMUSHRA's mushra": {"trial_id", "rating_stimulus", "rating_score"},
        "webMUSHRA's likert": {"trial_id", "stimuli_rating", "stimuli"},
        "webMUSHRA's paired comparison": {"trial_id", "choice_reference", "choice_non_reference", "choice_answer"},
        "P.808 votes_per_worker": {"workerid", "file", "vote"},
        "P.808 batch": {"workerid", "answer.q1", "answer.q1_url"},
    }
    for name, head in heads.items():
        if head <= lower and source in (None, known[name][0]):
            return known[name][1]
    wanted = "; ".join(f"{name}: {', '.join(sorted(head))}" for name, head in heads.items())
    raise InputError(f"{path}: has columns of no file that can be read here ({wanted})")


def _splitter(pattern: str | None) -> Splitter | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"`pattern`: not a regular expression: {error}") from error
    if {"system", "item"} - set(compiled.groupindex):
        raise InputError("`pattern` needs the groups (?P<system>...) and (?P<item>...)")

    def split(name: str, where: str) -> _Parts:
        match = compiled.search(name)
        if match is None:
            raise InputError(f"{where}: '{name}' does not fit the pattern")
        return _Parts(match["system"], match["item"])

    return split


def _sessions(rows: Sequence[Row], what: Callable[[Row], object]) -> list[object]:
    """Which session each row is of: by `session_uuid`, else by participants' fields, and anew where one repeats itself.

    webMUSHRA writes sessions one after the other, and asks for as little as its user wants.
    """
    answers = ("trial_id", "rating_", "choice_", "stimuli")
    who = [column for column in rows[0] if not column.startswith(answers)]
    sessions: list[object] = []
    seen: set[object] = set()
    number, last = 0, None
    for row in rows:
        key = tuple(row[column] for column in who)
        if row.get("session_uuid"):
            sessions.append(row["session_uuid"])
            continue
        if key != last or what(row) in seen:
            number += 1
            seen = set()
        seen.add(what(row))
        last = key
        sessions.append((number, key))
    return sessions


def _milliseconds(text: str, where: str) -> float | None:
    return number_of(text, where, "time") / 1000 if text else None


def _read_mushra(path: Path, rows: Sequence[Row], raters: _Numbers, split: Splitter | None) -> list[Rating]:
    ratings = []
    sessions = _sessions(rows, lambda row: (row["trial_id"], row["rating_stimulus"]))
    for number, (row, session) in enumerate(zip(rows, sessions, strict=True), 2):
        where = f"{path}: row {number}"
        parts = split(row["rating_stimulus"], where) if split else _Parts(row["rating_stimulus"], row["trial_id"])
        ratings.append(
            Rating(
                raters((path, session)),
                parts.item,
                parts.system,
                number_of(row["rating_score"], where, "rating_score"),
                seconds=_milliseconds(row.get("rating_time", ""), where),
            )
        )
    return ratings


def _read_likert(path: Path, rows: Sequence[Row], raters: _Numbers, split: Splitter | None) -> list[Rating]:
    ratings = []
    sessions = _sessions(rows, lambda row: (row["trial_id"], row["stimuli"]))
    for number, (row, session) in enumerate(zip(rows, sessions, strict=True), 2):
        where = f"{path}: row {number}"
        parts = split(row["stimuli"], where) if split else _Parts(row["stimuli"], row["trial_id"])
        value = number_of(row["stimuli_rating"], where, "stimuli_rating")
        seconds = _milliseconds(row.get("rating_time", ""), where)
        ratings.append(Rating(raters((path, session)), parts.item, parts.system, value, seconds=seconds))
    return ratings


def _read_paired(path: Path, rows: Sequence[Row], raters: _Numbers, split: Splitter | None) -> list[Rating]:
    """A vote for the reference or against it; what is not named so was preferred to it."""
    ratings = []
    sessions = _sessions(rows, lambda row: (row["trial_id"], row["choice_non_reference"]))
    for number, (row, session) in enumerate(zip(rows, sessions, strict=True), 2):
        where = f"{path}: row {number}"
        names = [row["choice_reference"], row["choice_non_reference"]]
        answers = {"reference": -1.0, "non-reference": 1.0, "nonreference": 1.0, "": 0.0}
        answer = row["choice_answer"].strip().lower().replace("_", "-")
        if answer not in answers:
            raise InputError(f"{where}: choice_answer '{row['choice_answer']}' is neither reference nor non-reference")
        parts = [split(name, where) if split else _Parts(name, row["trial_id"]) for name in names]
        ratings.append(
            Rating(raters((path, session)), parts[1].item, parts[1].system, answers[answer], against=parts[0].system)
        )
    return ratings


def _read_votes(path: Path, rows: Sequence[Row], raters: _Numbers, split: Splitter | None) -> list[Rating]:
    ratings = []
    for number, row in enumerate(rows, 2):
        where = f"{path}: row {number}"
        named = {column.lower(): value for column, value in row.items()}
        system = named.get("condition", named.get("condition_name", ""))
        parts = _clip(named["file"], system, split, where)
        vote = number_of(named["vote"], where, "vote")
        ratings.append(Rating(raters(named["workerid"]), parts.item, parts.system, vote))
    return ratings


def _read_batch(path: Path, rows: Sequence[Row], raters: _Numbers, split: Splitter | None) -> list[Rating]:
    ratings = []
    for number, row in enumerate(rows, 2):
        where = f"{path}: row {number}"
        named = {column.lower(): value for column, value in row.items()}
        questions = sorted(
            int(match[1]) for column in named if (match := re.fullmatch(r"answer\.q(\d+)_url", column)) is not None
        )
        for k in questions:
            if not named.get(f"answer.q{k}"):
                continue
            parts = _clip(named[f"answer.q{k}_url"], "", split, where)
            vote = number_of(named[f"answer.q{k}"], where, f"Answer.q{k}")
            ratings.append(Rating(raters(named["workerid"]), parts.item, parts.system, vote))
    return ratings


def _clip(name: str, system: str, split: Splitter | None, where: str) -> _Parts:
    """System and item of a clip by its address: by the pattern, else the folder it is in is the system."""
    if split:
        return split(name, where)
    parts = name.replace("\\", "/").rstrip("/").split("/")
    stem = parts[-1].rsplit(".", 1)[0]
    if system:
        return _Parts(system, stem.replace(system, "").strip("_-. ") or stem)
    if len(parts) < 2 or not parts[-2]:
        raise InputError(f"{where}: '{name}' does not tell its system; give `pattern`")
    return _Parts(parts[-2], stem)
