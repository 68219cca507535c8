"""Tacotron 2's decoder: the step of `models.tacotron2` in as few bytes and as few calls as we know.

What a step costs is reading the two LSTMs' matrices and calling some forty operations on small tensors. So the weights
are packed (`decoder_weights`), and for few texts many steps are one operation of our own (`kernel_run`), where that
could be compiled; else, and for many texts, torch's operations take them (`torch_run`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from glowtron.engines.decoder_run import DecoderRun
from glowtron.engines.decoder_weights import DecoderWeights
from glowtron.engines.kernel import Kernel, Matrix
from glowtron.engines.kernel_run import KernelRun, matrices_of
from glowtron.engines.monotonic import Place
from glowtron.engines.products import Kind
from glowtron.engines.torch_run import PackedWeights, TorchRun
from glowtron.models.tacotron2 import Memory, Tacotron2

FEW_TEXTS: dict[Kind, int] = {"fp32": 8, "bf16": 16, "int8": 4}
"""Up to so many the kernel is faster than torch, whose products like many rows, or not much slower: eight are what a
voice says at once, and in float32 these are to be what it streams one by one."""


class Decoder:
    """A model's decoder, ready to run; never changed, so that any number of runs may share it."""

    def __init__(self, model: Tacotron2, kind: Kind, kernel: Kernel | None) -> None:
        """kind: how the LSTMs' weights are held. kernel: None leaves all to torch."""
        self.weights, self.kind, self.kernel = DecoderWeights(model, kind), kind, kernel

    def start(self, memory: Memory, places: Sequence[Place] | None, stop_threshold: float) -> DecoderRun:
        """A run of some texts from their beginning.

        places: of each text, where the attention is to be monotonic. stop_threshold: as a logit.
        """
        run: DecoderRun
        if self.kernel is not None and len(memory.values) <= FEW_TEXTS[self.kind]:
            run = KernelRun(self.weights, self.kernel, self._matrices, memory, places, stop_threshold)
        else:
            run = TorchRun(self.weights, self._packed, memory, places, stop_threshold)
        run.begin = lambda memory, places: self.start(memory, places, stop_threshold)
        return run

    @cached_property
    def _matrices(self) -> dict[str, Matrix]:
        """The weights for the kernel."""
        return matrices_of(self.weights)

    @cached_property
    def _packed(self) -> PackedWeights:
        """The weights for torch, which only batches of many need where there is a kernel."""
        return PackedWeights(self.weights)
