"""The folder of a run: it belongs to one run, and one process at a time trains in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glowtron import config as configuration
from glowtron.config import RunConfig, run_class
from glowtron.errors import InputError, reason
from glowtron.files import hold, lock, write_json
from glowtron.train import checkpoints

_MEND = "choose another run folder"


@contextmanager
def lock_run_dir(run: Path, config: RunConfig, data: Mapping[str, Any]) -> Iterator[None]:
    """Make the run folder or check that it holds this very run, and lock it inside the block.

    A folder without a checkpoint becomes this run's, whatever else it holds. A run that has reached the end of its
    schedule may get a later end. Raises InputError if the folder is another
    run's, if another process trains in it, and if it cannot be written.
    """
    with hold(run, "another process is training there; wait for it, or give another `run`", _MEND):
        _claim(run, {"config.json": configuration.to_dict(config), "data.json": json.loads(json.dumps(dict(data)))})
        yield


@contextmanager
def file_lock(folder: Path) -> Iterator[None]:
    """Wait for other processes that work in the same folder, and lock it inside the block.

    A cache is filled under it, so that the next process finds the work done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # Writing into the folder will say so.
        yield
        return
    with lock(folder, wait=True):  # On a drive without locks, the work is done twice.
        yield


def _claim(run: Path, files: Mapping[str, Any]) -> None:
    begun = bool(checkpoints.steps(run))
    changed = [name for name, now in files.items() if _differs(run / name, now)] if begun else list(files)
    for name in changed:
        write_json(run / name, files[name], mend=_MEND)
    checkpoints.clear_partial(run)


def _differs(path: Path, now: dict[str, Any]) -> bool:
    """True if a begun run's file has to be written anew. Raises InputError if it is another run's."""
    run = path.parent
    if not path.exists():
        raise InputError(f"{run} holds checkpoints but no {path.name}; restore the file, or give another `run`")
    try:
        then = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({reason(error)}); restore the file, or give another `run`") from error
    what = "other data"
    if path.name == "data.json" and isinstance(then, dict) and "from" in then:
        now = {"from": then["from"], **now}  # Once a run has a checkpoint, its first weights no longer matter.
    if path.name == "config.json":
        what = "another configuration"
        kind = run_class(now["type"])
        if isinstance(then, dict) and then.get("type") == now["type"]:
            # Through its class, so that a key of a newer version counts with the default it has.
            then = configuration.to_dict(configuration.from_dict(then, kind, str(path)))
            if then != now and _is_longer(run, then, now):
                return True
    if differing := differences(then, now):
        raise InputError(
            f"{run} holds a run with {what}: {'; '.join(differing)}; give the same to go on with it, or another `run`"
        )
    return False


def _is_longer(run: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """True if the run has reached the end of its schedule, and nothing but a later end is asked for now."""
    try:
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        at_end = result["ended_by"] in ("max_steps", "max_epochs") and result["step"] == checkpoints.steps(run)[-1]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    ends = {name: now["training"][name] for name in ("max_steps", "max_epochs")}
    same = {**then, "training": {**then["training"], **ends}} == now
    done = {"max_steps": result["step"], "max_epochs": result["epochs"]}
    return bool(at_end and same and all(end is None or end > done[name] for name, end in ends.items()))


def differences(then: Any, now: Any, path: str = "") -> list[str]:
    """Keys under which two JSON values differ, each as `key (then, now)`."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = [*then, *(key for key in now if key not in then)]
        return [
            found
            for key in keys
            for found in differences(then.get(key), now.get(key), f"{path}.{key}" if path else key)
        ]
    return [] if then == now else [f"{path} ({json.dumps(then)} then, {json.dumps(now)} now)".lstrip()]
