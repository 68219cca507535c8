"""`glowtron bench train`: whole steps of training, against the published models written plainly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glowtron.bench.agreement import Learnt, distance, learnt, training_tacotron2, training_waveglow, without_dropout
from glowtron.bench.child import Child
from glowtron.bench.distance import snr_db
from glowtron.bench.measurement import Measured, Parts, Settings, Subject, measure
from glowtron.bench.result import Rates, compared, figures
from glowtron.bench.training_step import Step, TrainingWork, clips, draw_plain_step, draw_step, find_work, segments
from glowtron.config import AcousticRun, OptimizerConfig, VocoderRun
from glowtron.engines.hardware import choose_precision
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.train.distributed import Shard
from glowtron.train.precision import autocast

FEW_FRAMES = 60
"""Of a Tacotron 2's step that is only compared, not measured: enough symbols that no batch statistics are by chance."""


class Training(Subject):
    """Steps on the same batch, again and again: forward, backward, clipping where the recipe has it, Adam."""

    def __init__(
        self,
        work: TrainingWork,
        kind: Literal["fast", "plain"],
        precision: str = "fp32",
        shard: Shard | None = None,
    ) -> None:
        config = find_work(work)
        torch.manual_seed(work.seed)
        chosen = choose_precision(precision)
        self.precision = chosen.name
        step = draw_step(config, work, shard) if kind == "fast" else draw_plain_step(config, work)
        self.model, self.loss = step
        self.called = self.model
        """The model, or what wraps it."""
        self.facts: dict[str, Any] = {
            "precision": chosen.name,
            "why": chosen.why if kind == "fast" else "Conv1d over (B, C, T), step by step, as published",
        }
        self.parts: Parts = {
            "forward": (Training._forward,),
            "backward": (Training._backward,),
            "clipping and Adam": (Training._move,),
        }
        self.clip_norm = config.training.optimizer.clip_norm
        self.optimizer = make_optimizer(self.model, config.training.optimizer)

    def run(self) -> NDArray[np.float32]:
        """One step; the loss before it."""
        loss = self._forward()
        self._backward(loss)
        self._move()
        return np.asarray(loss.detach().float().numpy())

    def _forward(self) -> Tensor:
        with autocast(self.precision, torch.device("cpu")):
            return self.loss(self.called)

    def _backward(self, loss: Tensor) -> None:
        loss.backward()

    def _move(self) -> None:
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """As in training, for both sides alike: torch's fused Adam."""
    kind = torch.optim.AdamW if config.type == "adamw" else torch.optim.Adam
    return kind(model.parameters(), config.lr, weight_decay=config.weight_decay, fused=True)


def bench_training(work: TrainingWork, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown model or precision."""
    config = find_work(work)
    ours, plain = measure(
        partial(Training, work, "fast", settings.precision), partial(Training, work, "plain"), settings
    )
    with Child(partial(find_work, work), settings.threads) as child:
        error = child.ask(_step_error, work, ours.facts["precision"], isinstance(plain, Measured))
    rates = rates_of(config, work)
    own = figures(ours, rates) | compared(ours, plain, rates)
    if isinstance(plain, Measured):
        own["memory_ratio_to_plain"] = ours.peak_gb / plain.peak_gb
    return described(config, work) | own | {"error": error}


def rates_of(config: VocoderRun | AcousticRun, work: TrainingWork) -> Rates:
    """Samples or mel frames, and steps, a second."""
    vocoder = isinstance(config, VocoderRun)
    unit, amount = ("samples_per_s", work.segment) if vocoder else ("mel_frames_per_s", work.frames)
    return lambda seconds: {unit: work.batch * amount / seconds, "steps_per_s": 1 / seconds}


def described(config: VocoderRun | AcousticRun, work: TrainingWork) -> dict[str, Any]:
    """The work as JSON values."""
    told: dict[str, Any] = {"what": "train", "model": work.model, "batch": work.batch}
    if isinstance(config, VocoderRun):
        return told | {"segment": work.segment, "activation_checkpointing": config.activation_checkpointing}
    return told | {"frames": work.frames, "attention_supervision": config.attention_supervision}


def _step_error(
    config: VocoderRun | AcousticRun, work: TrainingWork, precision: str, with_plain: bool
) -> dict[str, Any]:
    """Errors of loss and gradient against float32, and those of the plain step; of little data, without dropout."""
    torch.manual_seed(work.seed)
    told: dict[str, Any] = {"against": "the same step in float32, without dropout, of one segment or two short clips"}
    if isinstance(config, VocoderRun):
        little = work._replace(batch=1)
        keeping = replace(config, activation_checkpointing=False)
        step = draw_step(keeping, little)
    else:
        little = work._replace(batch=2, frames=FEW_FRAMES)
        step = draw_step(config, little)
        assert isinstance(step.model, Tacotron2)
        step = step._replace(model=without_dropout(step.model).train())
    exact, found = (_learnt(step, name) for name in ("fp32", precision))
    told["loss_difference"] = float((found.loss - exact.loss).abs())
    told["gradient_snr_db"] = snr_db(found.gradient.numpy(), exact.gradient.numpy())
    if isinstance(config, VocoderRun) and config.activation_checkpointing:
        again = _learnt(draw_step(config, little)._replace(model=step.model), precision)
        told["recomputed_gradient_differs_by"] = distance(again.gradient, found.gradient)
    if with_plain and isinstance(step.model, WaveGlow) and isinstance(config, VocoderRun):
        told["plain_differs_by"] = max(training_waveglow(step.model, *segments(config, little)).values())
    elif with_plain and isinstance(step.model, Tacotron2) and isinstance(config, AcousticRun):
        batch = clips(config, little.batch, little.frames, work.seed)
        told["plain_differs_by"] = max(training_tacotron2(step.model, *batch).values())
    return told


def _learnt(step: Step, precision: str) -> Learnt:
    with autocast(precision, torch.device("cpu")):
        loss = step.loss(step.model)
    return learnt(step.model, loss)
