"""What depends on the step alone: learning rate and random seed. So a resumed run repeats an uninterrupted one."""

from __future__ import annotations

import hashlib
import math

from glowtron.config import OptimizerConfig


def learning_rate(step: int, config: OptimizerConfig, max_steps: int) -> float:
    """Rate of the step that starts after `step` steps are done.

    Rises in a straight line over `warmup_steps`, then stays (`constant`) or falls along half a cosine to
    `final_share * lr` at `max_steps` (`cosine`; Loshchilov & Hutter 2017, without restarts).
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    done = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.lr * (config.final_share + (1 - config.final_share) * fall)


def step_seed(seed: int, *place: int | str) -> int:
    """Seed of the noise drawn at one place of a run (a step and a process, say), 63 bits, unlike at any other place."""
    name = ":".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1
