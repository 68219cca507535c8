"""`glowtron bench acoustic`: text to mels, against the textbook's Tacotron 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glowtron.bench.child import Child
from glowtron.bench.device import card_facts, check_device
from glowtron.bench.distance import mel_error
from glowtron.bench.measurement import PLAIN, Parts, Settings, Subject, measure
from glowtron.bench.models import AcousticModel, find_acoustic, ids_of, n_frames_of
from glowtron.bench.result import compared, figures
from glowtron.engines.cpu_decoder_native import KernelRun
from glowtron.engines.cpu_decoder_torch import TorchRun
from glowtron.engines.cpu_tacotron2 import FastTacotron2, accelerate_tacotron2
from glowtron.engines.cuda_decoder import accelerate_tacotron2_on_cuda
from glowtron.engines.hardware import find_device


class AcousticWork(NamedTuple):
    """The work of one run."""

    model: str
    """`tacotron2`, `compact`, or a voice."""
    seconds: float = 5.0
    """Of speech, each text: as many characters as LJSpeech's reader says in that time, and as many mel frames."""
    batch: int = 1
    """Texts, all alike: none ends before the others, which would favour us."""
    seed: int = 0
    device: str = "cpu"


class Acoustic(Subject):
    """Texts to mels, from the same noise every time; kinds as of `Vocoder`."""

    def __init__(self, work: AcousticWork, kind: Literal["fast", "plain"], precision: str = "fp32") -> None:
        self.work, self.device = work, find_device(work.device)
        found = find_acoustic(work.model, work.seed)
        mel = found.config.mel
        found.model.to(self.device)
        self.ids, self.lengths = (each.to(self.device) for each in ids_of(found, work.seconds, work.batch))
        self.speaker = torch.zeros_like(self.lengths)
        self.n_frames = n_frames_of(work.seconds, mel)
        # Nothing but the number of frames is to end it, at least where the attention is that of the paper.
        self.decoding = replace(found.decoding, max_frames=self.n_frames, stop_threshold=1.0)
        self.parts: Parts = {}
        self.facts: dict[str, Any] = {
            "weights": found.weights,
            "symbols": self.ids.shape[1],
            "attention": "monotonic" if self.decoding.monotonic else "as published",
        }
        self.frame_s = mel.hop_length / mel.sample_rate
        self.generate = self._fast(found, precision) if kind == "fast" else self._plain(found)

    def _fast(self, found: AcousticModel, precision: str) -> Callable[[], Tensor]:
        if self.device.type != "cpu":
            return self._on_cuda(found, precision)
        fast = accelerate_tacotron2(found.model, precision)
        self.facts |= {"precision": fast.precision, "why": fast.why}
        self.parts = {
            "encoder": (FastTacotron2.encode,),
            "decoder steps": (KernelRun.take, TorchRun.take),
            "postnet": (FastTacotron2.refine,),
        }
        return lambda: (
            fast.generate(self.ids, self.lengths, self.decoding, self._generators(), speaker=self.speaker).mel
        )

    def _on_cuda(self, found: AcousticModel, precision: str) -> Callable[[], Tensor]:
        fast = accelerate_tacotron2_on_cuda(found.model, precision)

        def speak() -> Tensor:
            return fast.generate(self.ids, self.lengths, self.decoding, self._generators(), speaker=self.speaker).mel

        speak()  # Then `why` tells what came of it.
        self.facts |= {"precision": fast.precision, "why": fast.why}
        return speak

    def _plain(self, found: AcousticModel) -> Callable[[], Tensor]:
        model = found.model
        self.facts |= PLAIN
        return lambda: (
            model.generate(self.ids, self.lengths, self.decoding, self._generators(), speaker=self.speaker).mel
        )

    def _generators(self) -> list[torch.Generator]:
        return [torch.Generator(self.device).manual_seed(self.work.seed + i) for i in range(self.work.batch)]

    @torch.inference_mode()
    def run(self) -> NDArray[np.float32]:
        """Mels (B, M, T)."""
        mel = self.generate().float().cpu()  # Which waits until a GPU has done it.
        self.facts |= card_facts(self.device)
        return np.asarray(mel.numpy())


def bench_acoustic(work: AcousticWork, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown model or precision, or where there is no device."""
    check_device(work.device, settings)
    ours, plain = measure(
        partial(Acoustic, work, "fast", settings.precision), partial(Acoustic, work, "plain"), settings
    )
    with Child(partial(Acoustic, work, "plain"), settings.threads) as child:
        frame_s, exact = child.ask(_frame_s), child.ask(Acoustic.run)
    n_frames = ours.output.shape[2]

    def rates(seconds: float) -> dict[str, float]:
        total = n_frames * work.batch
        return {"rtf": seconds / (total * frame_s), "mel_frames_per_s": total / seconds}

    error: dict[str, Any] = {"against": "the textbook in float32, same noise", **mel_error(ours.output, exact)}
    own = figures(ours, rates) | compared(ours, plain, rates)
    return {
        "what": "acoustic",
        "model": work.model,
        "batch": work.batch,
        "audio_s": n_frames * frame_s,
        **own,
        "error": error,
    }


def _frame_s(acoustic: Acoustic) -> float:
    return acoustic.frame_s
