"""Faster and slower speech at the same pitch: the frames of a mel are laid out anew in time.

Mel frames hold no phase, so frames between frames are found by interpolation, and any vocoder makes sound of them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def stretch(mel: Tensor, rate: float) -> Tensor:
    """A log-mel (M, T) spoken `rate` times as fast: (M, T / rate), the ends kept. At rate 1 it is `mel` itself."""
    n_frames = mel.shape[1]
    if rate == 1.0 or n_frames < 2:
        return mel
    wanted = max(round(n_frames / rate), 2)
    position = torch.linspace(0, n_frames - 1, wanted, device=mel.device, dtype=torch.float64)
    before = position.floor().long().clamp(max=n_frames - 2)
    share = (position - before).to(mel.dtype)
    return torch.lerp(mel[:, before], mel[:, before + 1], share)
