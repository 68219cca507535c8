"""A listening test as a folder: `test.json`, the clips under names that tell nothing, and `key.json`, which tells all.

What a listener's browser gets is drawn from `test.json` alone. `key.json` says which clip is which system's; it stays
with whoever makes the test.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from glowtron.errors import InputError
from glowtron.files import read_json
from glowtron.listen.methods import Method, find_method
from glowtron.listen.screening import Rules, rules_from

FORMAT = 1
TEST, KEY, CLIPS, ANSWERS = "test.json", "key.json", "clips", "answers.sqlite"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Trial(_Strict):
    """Clips that are shown at once."""

    clips: list[str]
    """Ids, in the order in which they are shown."""
    reference: str | None = None
    """Id of the open reference."""


class TestFile(_Strict):
    """Contents of `test.json`."""

    __test__ = False  # Not one of pytest's.

    format: int
    id: str
    """Tells this test's answers from another's."""
    title: str
    method: str
    question: str
    instructions: str
    seed: int
    """Of the design."""
    loudness_lufs: float
    """Of every clip (ITU-R BS.1770)."""
    sample_rate: int
    screening: dict[str, Any]
    volume: str | None
    """Id of the noise to set the volume by; None: not asked."""
    headphones: list[str]
    """Ids of the headphone trials; none: not checked."""
    training: list[Trial]
    """Shown first, not counted."""
    sessions: list[list[Trial]]
    """One for each planned rater; later raters begin again with the first."""
    seconds: dict[str, float]
    """Durations of clips by id."""
    completion_code: str
    """Shown at the end."""


class Source(_Strict):
    """Source of a clip."""

    system: str
    item: str


class KeyFile(_Strict):
    """Contents of `key.json`."""

    systems: list[str]
    items: list[str]
    clips: dict[str, Source]
    attention: dict[str, float]
    """Values to give to clips of attention trials."""
    headphones: dict[str, int]
    """Place of the softest tone, from 0."""
    reference: str | None = None
    """System that is the open reference, and hidden among the others."""
    anchors: list[str] = []
    """Systems made from the reference, the worst first."""


class ListeningTest:
    """A test that was made."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError if the folder holds no test of this version."""
        self.folder = folder
        self.file = _read(folder / TEST, TestFile)
        self.key = _read(folder / KEY, KeyFile)
        if self.file.format != FORMAT:
            raise InputError(f"{folder / TEST}: is of version {self.file.format}, this program reads {FORMAT}")

    @cached_property
    def method(self) -> Method:
        """Method of the test."""
        return find_method(self.file.method)

    @cached_property
    def rules(self) -> Rules:
        """Rules by which raters are screened."""
        return rules_from(self.file.screening)

    def clip_path(self, id: str) -> Path:
        """The file of a clip."""
        return self.folder / CLIPS / f"{id}.wav"

    @cached_property
    def clip_ids(self) -> frozenset[str]:
        """Ids of all clips, checks included."""
        return frozenset(self.file.seconds)

    def session(self, number: int) -> list[Trial]:
        """The trials of a session, by its number from 0."""
        trials: list[Trial] = self.file.sessions[number % len(self.file.sessions)]
        return trials

    def public(self) -> dict[str, Any]:
        """Data for every listener's browser: nothing that gives a system away."""
        method = self.method
        return {
            "id": self.file.id,
            "title": self.file.title,
            "kind": method.kind,
            "question": self.file.question,
            "instructions": self.file.instructions,
            "low": method.low,
            "high": method.high,
            "step": method.step,
            "labels": [list(label) for label in method.labels],
            "volume": self.file.volume,
            "headphones": self.file.headphones,
            "training": [trial.model_dump() for trial in self.file.training],
        }

    def public_session(self, number: int) -> list[dict[str, Any]]:
        """The trials of a session as a browser is told."""
        return [trial.model_dump() for trial in self.session(number)]


def _read(path: Path, kind: type[Any]) -> Any:
    value = read_json(path, "a listening test made by `glowtron listen make`")
    try:
        return kind.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {place or 'it'}: {first['msg']}; make the test again") from error
