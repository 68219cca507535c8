"""Attention that cannot fail: one symbol at a time, forward only, always to the end.

For models whose attention was taught by measured alignments. They learn, at each decoder step, how likely it is that
the next symbol begins; here that becomes a decision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glowtron.text.symbols import FIRST_SOUND

REACH = 4
"""Symbols ahead that the monotonic attention may go on to: the next phone, past a space and marks nobody hears."""


def move_on(
    proposed: Tensor, weights: Tensor, cumulative: Tensor, survival: Tensor, mask: Tensor, max_dwell: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Hard attention that stays at its symbol or goes on to one of the next `REACH`.

    proposed: (B, N) weights that an attention taught by measured alignments proposes. Its share on the symbols ahead is
    the probability of leaving now; the symbol is left when the probability of still being there falls under one half,
    so that each lasts its median duration, and after `max_dwell` steps (of each symbol, (B, N), or of all) whatever the
    network says. Nothing is repeated, only what nobody hears is skipped, and the end is always reached.

    weights, cumulative: (B, N) of the steps before, all zero at first; survival: (B,) probability of still being at
    the symbol; mask: (B, N) real symbols. Returns weights (B, N), one-hot, and the new survival (B,).
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    begun = weights.sum(-1, keepdim=True) > 0
    current = torch.where(begun, weights.argmax(-1, keepdim=True), 0)  # (B, 1)
    here = proposed.gather(1, current)
    window = (positions > current) & (positions <= current + REACH) & mask
    ahead = (proposed * window).sum(-1, keepdim=True)
    survival = survival[:, None] * here / (here + ahead).clamp(min=1e-9)
    dwelt = (cumulative >= max_dwell).gather(1, current)
    leaves = begun & ((survival < 0.5) | dwelt) & window.any(-1, keepdim=True)
    target = (proposed + 1e-9).masked_fill(~window, -1).argmax(-1, keepdim=True)
    current = torch.where(leaves, target, current)
    survival = torch.where(leaves | ~begun, torch.ones_like(survival), survival)
    return (positions == current).to(proposed.dtype), survival.squeeze(1)


def finish(
    stop: Tensor, weights: Tensor, cumulative: Tensor, survival: Tensor, lengths: Tensor, max_dwell: Tensor | float
) -> tuple[Tensor, Tensor]:
    """True if monotonic speech ends here: at the last symbol, by the same rule by which the others are left.

    stop: (B,) the network's probability of stopping now; it counts at the last symbol only. weights, cumulative: (B, N)
    and survival (B,) of this step; lengths: (B,) symbols. Returns (B,) whether it ends, and the new survival (B,).
    """
    current = weights.argmax(-1)
    at_last = current >= lengths - 1
    survival = torch.where(at_last, survival * (1 - stop), survival)
    dwelt = (cumulative >= max_dwell).gather(1, current[:, None]).squeeze(1)
    return at_last & ((survival < 0.5) | dwelt), survival


def longest_dwells(ids: Tensor, of_mark: int, of_sound: int) -> Tensor:
    """(B, N) symbols -> (B, N), how long each may last; nothing for longer than `of_mark`."""
    longest = torch.full_like(ids, of_mark)
    return torch.where(ids >= FIRST_SOUND, longest.clamp(max=of_sound), longest)
