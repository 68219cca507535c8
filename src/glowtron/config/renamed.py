"""Former names of configuration keys and values.

Voices and runs on disk are read by either name without a word. What a user writes, recipes and `key=value` changes, is
read by former names for one release, with a warning that tells the present one.
"""

from __future__ import annotations

from typing import Any

from glowtron.errors import InputError

RENAMED_KEYS = {
    "training.accumulate": "training.gradient_accumulation_steps",
    "training.optimizer.anneal": "training.optimizer.lr_milestones",
    "training.optimizer.anneal_unit": "training.optimizer.lr_milestone_unit",
    "guide": "attention_supervision",
    "guide_weight": "attention_loss_weight",
    "forced_share": "forced_alignment_share",
    "recompute_flows": "activation_checkpointing",
}
"""Paths of keys by their former paths, from the root of a run's configuration or of `voice.json`."""

RENAMED_VALUES = {
    "attention_supervision": {"diagonal": "guided", "measured": "forced_alignment"},
}
"""Values by their former names, by the present path of their key."""


def with_present_names(value: Any, path: str = "") -> tuple[Any, dict[str, str]]:
    """A parsed configuration by its present names, and the former ones in it with what they are now.

    path: of the key that has this value. Raises InputError if a key is there by both its names.
    """
    if isinstance(value, str):
        present = RENAMED_VALUES.get(path, {}).get(value, value)
        return present, {f"{path} '{value}'": f"'{present}'"} if present != value else {}
    if not isinstance(value, dict):
        return value, {}
    result: dict[str, Any] = {}
    former: dict[str, str] = {}
    for name, inner in value.items():
        place = f"{path}.{name}" if path else name
        present = RENAMED_KEYS.get(place, place)
        if present != place:
            former[place] = present
            name = present.rpartition(".")[2]
        if name in result:
            raise InputError(f"{present} is there by its former name, too; leave one out")
        result[name], more = with_present_names(inner, present)
        former |= more
    return result, former


def renamed_change(path: str, value: Any) -> tuple[str, Any, dict[str, str]]:
    """A key's path and its new value by their present names, and the former ones with what they are now."""
    present = RENAMED_KEYS.get(path, path)
    value, former = with_present_names(value, present)
    return present, value, ({path: present} if present != path else {}) | former
