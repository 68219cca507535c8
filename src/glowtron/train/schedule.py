"""Learning rate and random seed as functions of the step, so that a resumed run repeats an uninterrupted one."""

from __future__ import annotations

import hashlib
import math

from glowtron.config import OptimizerConfig, TrainingConfig


def last_step(training: TrainingConfig, n_items: int) -> int:
    """The number of steps of a run on `n_items` clips."""
    ends = [] if training.max_steps is None else [training.max_steps]
    if training.max_epochs is not None:
        # Rounded first: 3 epochs of 7 clips are not to end a step late for the last bit of 3.0 * 7 / 2.
        ends.append(math.ceil(round(training.max_epochs * n_items / training.batch_size, 6)))
    return min(ends)


def learning_rate(step: int, config: OptimizerConfig, last: int, steps_per_epoch: float) -> float:
    """Rate of the step that starts after `step` steps are done; `last`: steps of the whole run.

    Rises in a straight line over `warmup_steps`, then is the share of `lr` that `lr_milestones` gives for the time, as
    in the published training of Tacotron 2 (`constant`), or falls along half a cosine to `final_share * lr` at the end
    (`cosine`; Loshchilov & Hutter 2017, without restarts).
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        now = step / steps_per_epoch if config.lr_milestone_unit == "epochs" else step
        return config.lr * next((share for since, share in reversed(config.lr_milestones) if now >= since), 1.0)
    done = (step - config.warmup_steps) / max(1, last - config.warmup_steps)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.lr * (config.final_share + (1 - config.final_share) * fall)


def step_seed(seed: int, *place: int | str) -> int:
    """Seed of 63 bits for the noise at one place of a run, such as a step and a process; each place has another."""
    name = ":".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1
