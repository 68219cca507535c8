"""`glowtron bench train`: whole steps of training, against the textbook's models."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glowtron.bench.child import Child
from glowtron.bench.distance import relative, snr_db
from glowtron.bench.measurement import PLAIN, Measured, Parts, Settings, Subject, measure
from glowtron.bench.result import Rates, compared, figures
from glowtron.bench.training_step import Kind, Step, TrainingWork, draw_step, find_work
from glowtron.config import AcousticRun, OptimizerConfig, VocoderRun
from glowtron.engines.hardware import choose_precision
from glowtron.train.distributed import Shard
from glowtron.train.precision import autocast

FEW_FRAMES = 60
"""Of a Tacotron 2's step that is only compared, not measured: enough symbols that no batch statistics are by chance."""


class Training(Subject):
    """Steps on the same batch, again and again: forward, backward, clipping where the recipe has it, Adam."""

    def __init__(
        self,
        work: TrainingWork,
        kind: Kind,
        precision: str = "fp32",
        shard: Shard | None = None,
    ) -> None:
        config = find_work(work)
        torch.manual_seed(work.seed)
        chosen = choose_precision(precision)
        self.precision = chosen.name
        step = draw_step(config, work, kind, shard)
        self.model, self.loss = step
        self.called = self.model
        """The model, or what wraps it."""
        self.facts: dict[str, Any] = PLAIN if kind == "plain" else {"precision": chosen.name, "why": chosen.why}
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
        error = child.ask(_step_error, work, ours.facts["precision"])
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


class Gradient(NamedTuple):
    """The result of a training step without its update."""

    loss: Tensor
    """Scalar."""
    values: Tensor
    """The gradient of all parameters, in a row."""


def _step_error(config: VocoderRun | AcousticRun, work: TrainingWork, precision: str) -> dict[str, Any]:
    """Errors of a step's loss and gradient against the textbook's in float32; of little data, without dropout."""
    if isinstance(config, VocoderRun):
        little = work._replace(batch=1)
        exact_config: VocoderRun | AcousticRun = replace(config, activation_checkpointing=False)
    else:
        little, exact_config = work._replace(batch=2, frames=FEW_FRAMES), without_dropout(config)

    def gradient(config: VocoderRun | AcousticRun, kind: Kind, precision: str) -> Gradient:
        torch.manual_seed(work.seed)
        return _gradient(draw_step(config, little, kind), precision)

    exact, found = gradient(exact_config, "plain", "fp32"), gradient(exact_config, "fast", precision)
    error: dict[str, Any] = {
        "against": "the textbook's step in float32, without dropout, of one segment or two short clips",
        "loss_difference": float((found.loss - exact.loss).abs()),
        "gradient_snr_db": snr_db(found.values.numpy(), exact.values.numpy()),
    }
    if isinstance(config, VocoderRun) and config.activation_checkpointing:
        again = gradient(config, "fast", precision)
        error["recomputed_gradient_differs_by"] = relative(again.values.numpy(), found.values.numpy())
    return error


def without_dropout(config: AcousticRun) -> AcousticRun:
    """The configuration of a model that draws no noise in training."""
    model = config.acoustic.tacotron2
    quiet = replace(
        model, encoder_dropout=0.0, prenet_dropout=0.0, rnn_dropout=0.0, attention_dropout=0.0, postnet_dropout=0.0
    )
    return replace(config, acoustic=replace(config.acoustic, model=quiet))


def _gradient(step: Step, precision: str) -> Gradient:
    with autocast(precision, torch.device("cpu")):
        loss = step.loss(step.model)
    loss.backward()
    gradients = [parameter.grad.flatten() for parameter in step.model.parameters() if parameter.grad is not None]
    return Gradient(loss.detach(), torch.cat(gradients))
