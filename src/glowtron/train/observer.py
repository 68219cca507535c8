"""Observers: programs that add to a run what they need, such as another log or another format of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from glowtron.train.state import RunContext, TrainState


class Validation(NamedTuple):
    """One round over the validation data."""

    metrics: Mapping[str, float]
    """Means over all processes; empty if nothing is held out."""
    seconds: float
    n_units: float
    """Samples or frames, over all processes."""


class Observer:
    """Told of what a run does, in every process of it; its time counts as that of checkpoints. This one does nothing.

    `context.clock.spent` has the time and the data until then, and `state.progress.step` the steps done.
    """

    def began(self, context: RunContext, state: TrainState) -> None:
        """Before the first step of this start."""

    def stepped(self, context: RunContext, state: TrainState, metrics: Mapping[str, float]) -> None:
        """After a step with these losses, learning rate and, unless it was skipped, gradient norm."""

    def wants_validation(self, step: int) -> bool:
        """True to validate after so many steps, whatever the configuration says."""
        return False

    def validated(self, context: RunContext, state: TrainState, validation: Validation) -> None:
        """After a validation."""
