"""`glowtron bench train`: whole steps of training, against the published models written plainly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glowtron.bench.agreement import Learnt, distance, learnt, training_tacotron2, training_waveglow, without_dropout
from glowtron.bench.child import Child
from glowtron.bench.distance import snr_db
from glowtron.bench.measurement import Measured, Parts, Settings, Subject, measure
from glowtron.bench.models import CHARACTERS_PER_S, COMPACT, TACOTRON2, WAVEGLOWS, drawn_mel
from glowtron.bench.plain_tacotron2 import PlainTacotron2, plain_loss
from glowtron.bench.plain_waveglow import PlainWaveGlow
from glowtron.bench.result import compared, figures
from glowtron.bench.weights import realistic_weights
from glowtron.config import AcousticRun, OptimizerConfig, VocoderRun
from glowtron.errors import InputError, reason
from glowtron.fast.precision import choose_precision
from glowtron.mel import log_mel
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.tacotron2_loss import loss as tacotron2_loss
from glowtron.models.waveglow import WaveGlow, flow_loss
from glowtron.train.precision import autocast
from glowtron.train.recipe import recipe

MODELS = (*WAVEGLOWS, TACOTRON2, COMPACT)
FEW_FRAMES = 60
"""Of a Tacotron 2's step that is only compared, not measured: enough symbols that no batch statistics are by chance."""


class TrainingWork(NamedTuple):
    """What is done in a step."""

    model: str
    """`waveglow-256`, `waveglow-512`, `tacotron2`, `compact`, or a file with the configuration of a run."""
    batch: int = 2
    segment: int = 8000
    """Samples, of a WaveGlow."""
    frames: int = 400
    """Mel frames of each clip, of a Tacotron 2; its text is as long as such a clip's, and nothing is padding."""
    seed: int = 0
    recompute_flows: bool = False
    """Of a WaveGlow, as its run's configuration may say, too."""


class Training(Subject):
    """Steps on the same batch, again and again: forward, backward, clipping where the recipe has it, Adam."""

    def __init__(self, work: TrainingWork, kind: Literal["fast", "plain"], precision: str = "fp32") -> None:
        config = find_work(work)
        torch.manual_seed(work.seed)
        chosen = choose_precision(precision)
        self.precision = chosen.name
        self.model, self.loss = make_step(config, work, kind)
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
            return self.loss()

    def _backward(self, loss: Tensor) -> None:
        loss.backward()

    def _move(self) -> None:
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def find_work(work: TrainingWork) -> VocoderRun | AcousticRun:
    """The configuration of a step. Raises InputError as `find_run` does, and for what its model does not have."""
    config = find_run(work.model)
    if not work.recompute_flows:
        return config
    if not isinstance(config, VocoderRun):
        raise InputError(f"{work.model}: has no flows to compute again; leave --recompute-flows out")
    return replace(config, recompute_flows=True)


def find_run(name: str) -> VocoderRun | AcousticRun:
    """The configuration that is trained, by name or from a file. Raises InputError for one that cannot be measured."""
    if name in WAVEGLOWS:
        published = recipe("vocoder", "waveglow")
        return VocoderRun(vocoder=WAVEGLOWS[name], training=published.training)
    if name == TACOTRON2:
        config = recipe("acoustic", TACOTRON2)
    elif name == COMPACT:
        config = recipe("vocoder", "compact-vocoder")
    else:
        config = recipe(_kind_of(name), name)
    assert isinstance(config, VocoderRun | AcousticRun)
    if isinstance(config, AcousticRun) and config.guide != "none":
        raise InputError(f"{name}: guide '{config.guide}' is not measured here; give a configuration with guide none")
    return config


def _kind_of(name: str) -> Literal["vocoder", "acoustic"]:
    """Of the run whose configuration is in a file."""
    known = f"known: {', '.join(MODELS)}, a JSON file with the configuration of a run"
    try:
        value = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"no model '{name}' ({known}): {reason(error)}") from error
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "vocoder" or kind == "acoustic":
        return "vocoder" if kind == "vocoder" else "acoustic"
    raise InputError(f"{name}: its type is {kind!r}; only runs of type vocoder or acoustic are measured")


def make_step(
    config: VocoderRun | AcousticRun, work: TrainingWork, kind: Literal["fast", "plain"]
) -> tuple[nn.Module, Callable[[], Tensor]]:
    """A model in training and its loss on a batch that never changes."""
    if isinstance(config, VocoderRun):
        waveglow = draw_waveglow(config, work.seed)
        wave, mel = segments(config, work)
        if kind == "fast":
            first, recompute = torch.zeros(1, dtype=torch.int64), config.recompute_flows
            return waveglow, lambda: flow_loss(waveglow(wave, mel, first, recompute=recompute), config.sigma)
        plain = PlainWaveGlow(config.vocoder)
        plain.copy_weights(waveglow)
        return plain, lambda: plain(wave, mel)
    ids, mel = clips(config, work.batch, work.frames, work.seed)
    id_lengths, mel_lengths = torch.full((len(ids),), ids.shape[1]), torch.full((len(mel),), mel.shape[2])
    if kind == "plain":
        rival = PlainTacotron2(config.acoustic.model, config.acoustic.mel.n_mels).train()
        return rival, lambda: plain_loss(rival(ids, id_lengths, mel), mel)
    tacotron2 = Tacotron2(config.acoustic.model, config.acoustic.mel.n_mels).train()
    speaker = torch.zeros(len(ids), dtype=torch.int64)
    return (
        tacotron2,
        lambda: tacotron2_loss(tacotron2(ids, id_lengths, mel, mel_lengths, speaker=speaker), mel, mel_lengths).total,
    )


def draw_waveglow(config: VocoderRun, seed: int) -> WaveGlow:
    """Weights at the scale of trained ones: new ones end in zeros, which hides what lies before them."""
    return realistic_weights(WaveGlow(config.vocoder), torch.Generator().manual_seed(seed)).train()


def segments(config: VocoderRun, work: TrainingWork) -> tuple[Tensor, Tensor]:
    """Noise (B, L), whose values cost what those of speech cost, and its mels (B, M, T)."""
    wave = 0.1 * torch.randn(work.batch, work.segment, generator=torch.Generator().manual_seed(work.seed))
    return wave, log_mel(wave, config.vocoder.mel)


def clips(config: AcousticRun, batch: int, n_frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ids (B, N) and mels (B, M, T), all of one length: T whole decoder steps, N as LJSpeech has characters to them."""
    mel_config, r = config.acoustic.mel, config.acoustic.model.reduction_factor
    n_frames = -(-n_frames // r) * r
    # Batch normalisation in training wants two of everything.
    n_symbols = max(2, round(n_frames * mel_config.hop_length / mel_config.sample_rate * CHARACTERS_PER_S))
    ids = torch.randint(
        1, config.acoustic.model.n_symbols, (batch, n_symbols), generator=torch.Generator().manual_seed(seed)
    )
    return ids, drawn_mel(mel_config, batch, n_frames, seed)


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
    is_vocoder = isinstance(config, VocoderRun)
    unit = "samples_per_s" if is_vocoder else "mel_frames_per_s"
    amount = work.batch * (work.segment if is_vocoder else work.frames)

    def rates(seconds: float) -> dict[str, float]:
        return {unit: amount / seconds, "steps_per_s": 1 / seconds}

    with Child(partial(find_work, work), settings.threads) as child:
        error = child.ask(_step_error, work, ours.facts["precision"], isinstance(plain, Measured))
    own = figures(ours, rates) | compared(ours, plain, rates)
    size = (
        {"segment": work.segment, "recompute_flows": config.recompute_flows}
        if isinstance(config, VocoderRun)
        else {"frames": work.frames}
    )
    if isinstance(plain, Measured):
        own["memory_ratio_to_plain"] = ours.peak_gb / plain.peak_gb
    return {"what": "train", "model": work.model, "batch": work.batch, **size, **own, "error": error}


def _step_error(
    config: VocoderRun | AcousticRun, work: TrainingWork, precision: str, with_plain: bool
) -> dict[str, Any]:
    """How far a step's loss and gradient are from float32, and the plain step's; of little data, without dropout."""
    torch.manual_seed(work.seed)
    one = work._replace(batch=1)
    told: dict[str, Any] = {"against": "the same step in float32, without dropout, of one segment or two short clips"}
    if isinstance(config, VocoderRun):
        model: nn.Module = draw_waveglow(config, work.seed)
        batch = segments(config, one)
    else:
        model = without_dropout(Tacotron2(config.acoustic.model, config.acoustic.mel.n_mels)).train()
        batch = clips(config, 2, FEW_FRAMES, work.seed)
    exact, found = (_learnt(model, batch, name) for name in ("fp32", precision))
    told["loss_difference"] = float((found.loss - exact.loss).abs())
    told["gradient_snr_db"] = snr_db(found.gradient.numpy(), exact.gradient.numpy())
    if isinstance(config, VocoderRun) and config.recompute_flows:
        again = _learnt(model, batch, precision, recompute=True)
        told["recomputed_gradient_differs_by"] = distance(again.gradient, found.gradient)
    if with_plain and isinstance(model, WaveGlow):
        told["plain_differs_by"] = max(training_waveglow(model, *batch).values())
    elif with_plain and isinstance(model, Tacotron2):
        told["plain_differs_by"] = max(training_tacotron2(model, *batch).values())
    return told


def _learnt(model: nn.Module, batch: tuple[Tensor, Tensor], precision: str, recompute: bool = False) -> Learnt:
    first, mel = batch
    with autocast(precision, torch.device("cpu")):
        if isinstance(model, WaveGlow):
            loss = flow_loss(model(first, mel, torch.zeros(1, dtype=torch.int64), recompute=recompute))
        else:
            id_lengths, lengths = torch.full((len(first),), first.shape[1]), torch.full((len(mel),), mel.shape[2])
            speaker = torch.zeros(len(first), dtype=torch.int64)
            loss = tacotron2_loss(model(first, id_lengths, mel, lengths, speaker=speaker), mel, lengths).total
    return learnt(model, loss)
