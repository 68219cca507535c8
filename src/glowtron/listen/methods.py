"""The methods of listening tests: what is asked, and on which scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from glowtron.errors import InputError, nearest


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of asking listeners."""

    name: str
    """As the command line knows it."""
    title: str
    """As papers call it."""
    kind: Literal["single", "pair", "page"]
    """Layout of a trial: one clip, two clips of one item, or one clip of each system."""
    question: str
    """The question to listeners."""
    low: float
    high: float
    step: float
    """The scale; a pair's value tells how much better the second clip is than the first."""
    labels: tuple[tuple[float, str], ...]
    """Words for values, the best first; for `page`, words for fifths of the scale, each at its fifth's middle."""
    open_reference: bool = False
    """True if a clip that is named as the reference can be heard on each page."""
    equivalent: float
    """Difference of means that is too small to matter, for the test of equivalence."""

    @property
    def range(self) -> float:
        """Length of the scale."""
        return self.high - self.low

    def accepts(self, value: object) -> bool:
        """True if a value lies on the scale."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        steps = (value - self.low) / self.step
        return self.low <= value <= self.high and abs(steps - round(steps)) < 1e-9


_FIFTHS = ((90.0, "Excellent"), (70.0, "Good"), (50.0, "Fair"), (30.0, "Poor"), (10.0, "Bad"))

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="mos",
            title="MOS (absolute category rating, ITU-T P.800 annex B)",
            kind="single",
            question="How natural does this sound?",
            low=1,
            high=5,
            step=1,
            labels=(
                (5, "Excellent: completely natural"),
                (4, "Good: mostly natural"),
                (3, "Fair: equally natural and unnatural"),
                (2, "Poor: mostly unnatural"),
                (1, "Bad: completely unnatural"),
            ),
            equivalent=0.2,
        ),
        Method(
            name="cmos",
            title="CMOS (comparison category rating, ITU-T P.800 annex E)",
            kind="pair",
            question="How does the second clip compare with the first?",
            low=-3,
            high=3,
            step=1,
            labels=(
                (3, "Much better"),
                (2, "Better"),
                (1, "Slightly better"),
                (0, "About the same"),
                (-1, "Slightly worse"),
                (-2, "Worse"),
                (-3, "Much worse"),
            ),
            equivalent=0.2,
        ),
        Method(
            name="ab",
            title="AB preference",
            kind="pair",
            question="Which clip do you prefer?",
            low=-1,
            high=1,
            step=1,
            labels=((-1, "The first"), (0, "No preference"), (1, "The second")),
            equivalent=0.1,
        ),
        Method(
            name="mushra",
            title="MUSHRA (ITU-R BS.1534-3)",
            kind="page",
            question="How good is the quality of each clip, compared with the reference?",
            low=0,
            high=100,
            step=1,
            labels=_FIFTHS,
            open_reference=True,
            equivalent=5,
        ),
        Method(
            name="mushra-no-reference",
            title="MUSHRA without an open reference",
            kind="page",
            question="How natural does each clip sound?",
            low=0,
            high=100,
            step=1,
            labels=_FIFTHS,
            equivalent=5,
        ),
    )
}
"""By name."""

MOST_STIMULI = 12
"""Clips on one page of MUSHRA (BS.1534-3): more are not heard with care."""


def find_method(name: str) -> Method:
    """The method of this name. Raises InputError for another."""
    if name not in METHODS:
        raise InputError(f"unknown method '{name}'{nearest(name, list(METHODS))}")
    return METHODS[name]
