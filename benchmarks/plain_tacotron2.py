"""The published Tacotron 2 written plainly is `glowtron.bench.plain_tacotron2`, so that `glowtron bench` finds it.

    python benchmarks/plain_tacotron2.py

checks that it computes the same function as Glowtron's: teacher-forced and free running, for one text and for several,
loss and gradient too.
"""

import torch

from glowtron.bench.agreement import free_running, training_tacotron2
from glowtron.config import Tacotron2Config
from glowtron.models.tacotron2 import Tacotron2

for n_texts, r in ((1, 1), (3, 1), (2, 2)):
    torch.manual_seed(0)
    model = Tacotron2(Tacotron2Config(reduction_factor=r))
    ids, mel = torch.randint(1, 148, (n_texts, 20)), torch.randn(n_texts, 80, 24) - 5
    found = {**training_tacotron2(model, ids, mel), "free running": free_running(model, 20, 24, n_texts)}
    print(f"batch {n_texts}, {r} frames a step: " + ", ".join(f"{name} {value:.1e}" for name, value in found.items()))
    assert max(found.values()) < 1e-4, "not the same function"
