"""The published WaveGlow written plainly is `glowtron.bench.plain_waveglow`, so that `glowtron bench` finds it.

    python benchmarks/plain_waveglow.py

checks that it computes the same function as Glowtron's: sound, loss and gradient, whatever else `glowtron bench` is
asked to measure.
"""

import torch

from glowtron.bench.agreement import free_sound, training_waveglow
from glowtron.bench.weights import realistic_weights
from glowtron.config import WaveGlowConfig
from glowtron.models.waveglow import WaveGlow

for n_items, n_samples in ((1, 4096), (2, 8000)):
    generator = torch.Generator().manual_seed(0)
    model = realistic_weights(WaveGlow(WaveGlowConfig()), generator)
    wave = 0.1 * torch.randn(n_items, n_samples, generator=generator)
    mel = torch.randn(n_items, 80, n_samples // 256 + 1, generator=generator) - 5
    found = {"sound": free_sound(model, mel), **training_waveglow(model, wave, mel)}
    print(f"batch {n_items}, {n_samples} samples: " + ", ".join(f"{name} {value:.1e}" for name, value in found.items()))
    assert max(found.values()) < 1e-4, "not the same function"
