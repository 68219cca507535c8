"""Answers of a listener's browser: checked, and turned into ratings by the key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from glowtron.errors import InputError, reason
from glowtron.listen.listening_test import ListeningTest, Trial
from glowtron.listen.ratings import Check, Rating, mark_repeats
from glowtron.listen.store import Rater, Stored

TRIAL, HEADPHONES = "trial", "headphones"
DEVICES = ("headphones", "earphones", "loudspeakers")


class Collected(NamedTuple):
    """Everything that listeners of a test said."""

    raters: list[Rater]
    ratings: list[Rating]
    checks: list[Check]


def check_about(value: Any) -> dict[str, Any]:
    """Checks the raters' answers about themselves. Raises InputError for anything else."""
    if not isinstance(value, dict) or set(value) - {"device", "native"}:
        raise InputError("about: give device and native, or nothing")
    if value.get("device", DEVICES[0]) not in DEVICES:
        raise InputError(f"about: device is one of {', '.join(DEVICES)}")
    if not isinstance(value.get("native", True), bool):
        raise InputError("about: native is true or false")
    return dict(value)


def check_answer(test: ListeningTest, session: int, part: Any, trial: Any, answer: Any) -> dict[str, Any]:
    """An answer as it is kept. Raises InputError if it does not answer that trial."""
    if part not in (TRIAL, HEADPHONES):
        raise InputError("part is 'trial' or 'headphones'")
    n_trials = len(test.file.headphones) if part == HEADPHONES else len(test.session(session))
    if isinstance(trial, bool) or not isinstance(trial, int) or not 0 <= trial < n_trials:
        raise InputError(f"there is no trial {trial!r}; this session has {n_trials}")
    if not isinstance(answer, dict) or set(answer) != {"values", "plays", "seconds", "away"}:
        raise InputError("an answer has values, plays, seconds and away")
    values, plays = answer["values"], answer["plays"]
    n_clips = 1 if part == HEADPHONES else len(test.session(session)[trial].clips)
    n_values = n_clips if test.method.kind == "page" else 1
    fits = _is_tone if part == HEADPHONES else test.method.accepts
    if not isinstance(values, list) or len(values) != n_values or not all(_is_number(v) and fits(v) for v in values):
        raise InputError(f"values must be {n_values} on the scale")
    if not isinstance(plays, list) or len(plays) != n_clips or not all(_is_count(n) and n > 0 for n in plays):
        raise InputError(f"plays must tell of {n_clips} clips that each was heard")
    if not _is_number(answer["seconds"]) or answer["seconds"] < 0 or not _is_count(answer["away"]):
        raise InputError("seconds and away must be numbers, 0 or more")
    return {
        "values": [float(value) for value in values],
        "plays": plays,
        "seconds": float(answer["seconds"]),
        "away": answer["away"],
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_tone(value: object) -> bool:
    return value in (0, 1, 2)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000


def read_answer_file(test: ListeningTest, path: Path) -> tuple[Rater, list[Stored]]:
    """The answers that a listener of the page without a server sent back.

    Raises InputError for a file of another test, and for one that is no such file.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a listener's answers: {reason(error)}") from error
    try:
        if value["test"] != test.file.id:
            raise InputError(f"is of another test ({value['test']}), not of {test.file.id}")
        session, id = value["session"], value["rater"]
        if not _is_count(session) or not isinstance(id, str) or not 1 <= len(id) <= 32:
            raise InputError("has no rater or session")
        about = check_about(value["about"])
        answers = []
        for entry in value["answers"]:
            answer = check_answer(test, session, entry["part"], entry["trial"], entry["answer"])
            answers.append(Stored(id, entry["part"], entry["trial"], answer))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a listener's answers: {error!r}") from error
    given = {stored.trial for stored in answers if stored.part == TRIAL}
    return Rater(id, session, about, 0.0, len(given) == len(test.session(session))), answers


def collect(test: ListeningTest, raters: Sequence[Rater], answers: Iterable[Stored]) -> Collected:
    """Ratings and checks, by what the key says of the clips."""
    sessions = {rater.id: rater.session for rater in raters}
    ratings: list[Rating] = []
    checks: list[Check] = []
    for stored in answers:
        if stored.part == HEADPHONES:
            right = test.key.headphones[test.file.headphones[stored.trial]] == stored.answer["values"][0]
            checks.append(Check(stored.rater, "headphones", right))
            continue
        trial = test.session(sessions[stored.rater])[stored.trial]
        if any(clip in test.key.attention for clip in trial.clips):
            checks.append(Check(stored.rater, "attention", _attends(test, trial, stored.answer)))
        else:
            ratings += _ratings(test, trial, stored)
    return Collected(list(raters), mark_repeats(ratings), checks)


def _attends(test: ListeningTest, trial: Trial, answer: Mapping[str, Any]) -> bool:
    wanted = test.key.attention
    if test.method.kind == "page":
        within = test.method.range / 10
        given = zip(trial.clips, answer["values"], strict=True)
        return all(abs(value - wanted[clip]) <= within for clip, value in given)
    return bool(answer["values"][0] == wanted[trial.clips[-1]])


def _ratings(test: ListeningTest, trial: Trial, stored: Stored) -> list[Rating]:
    sources = [test.key.clips[clip] for clip in trial.clips]
    answer = stored.answer
    least = sum(test.file.seconds[clip] for clip in trial.clips)
    made = [
        Rating(
            stored.rater,
            source.item,
            source.system,
            answer["values"][place] if test.method.kind == "page" else answer["values"][0],
            order=stored.trial + 1,
            seconds=answer["seconds"],
            plays=answer["plays"][place],
            least_seconds=least,
        )
        for place, source in enumerate(sources)
    ]
    if test.method.kind != "pair":
        return made
    # The value tells of the second clip; pairs are kept one way round, so that both orders of showing meet.
    first, second = (source.system for source in sources)
    systems = test.key.systems
    turned = systems.index(second) < systems.index(first)
    value = made[0].value
    return [
        made[0]._replace(
            system=second if turned else first,
            against=first if turned else second,
            value=value if turned else -value or 0.0,
            plays=sum(answer["plays"]),
        )
    ]
