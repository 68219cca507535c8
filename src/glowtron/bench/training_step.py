"""The training step that is measured: a configuration, its model, and a fixed batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from glowtron.bench.models import CHARACTERS_PER_S, COMPACT, TACOTRON2, WAVEGLOWS, drawn_mel
from glowtron.bench.weights import realistic_weights
from glowtron.config import AcousticRun, VocoderRun
from glowtron.data.dataset import AcousticBatch
from glowtron.engines.training import accelerate_training
from glowtron.errors import InputError, reason
from glowtron.mel import log_mel
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow, flow_loss
from glowtron.train.acoustic_task import acoustic_losses
from glowtron.train.distributed import Shard
from glowtron.train.recipe import recipe

COMPACT_ACOUSTIC = "compact-acoustic"
MODELS = (*WAVEGLOWS, TACOTRON2, COMPACT, COMPACT_ACOUSTIC)


Kind = Literal["fast", "plain"]
"""As trained, made fast by `glowtron.engines.training`, or the textbook of `glowtron.models` in float32."""
M = TypeVar("M", bound=nn.Module)


class TrainingWork(NamedTuple):
    """The work of one step."""

    model: str
    """One of `MODELS`, or a file with the configuration of a run."""
    batch: int = 2
    segment: int = 8000
    """Samples, of a WaveGlow."""
    frames: int = 400
    """Mel frames of each clip, of a Tacotron 2; its text is as long as such a clip's, and nothing is padding."""
    seed: int = 0
    activation_checkpointing: bool = False
    """Of a WaveGlow, as its run's configuration may say, too."""


class Step(NamedTuple):
    """A model in training, and its loss on its batch."""

    model: nn.Module
    loss: Callable[[nn.Module], Tensor]
    """Scalar; of the model or of what wraps it."""


def find_work(work: TrainingWork) -> VocoderRun | AcousticRun:
    """The configuration of a step. Raises InputError as `find_run` does, and for what its model does not have."""
    config = find_run(work.model)
    if not work.activation_checkpointing:
        return config
    if not isinstance(config, VocoderRun):
        raise InputError(f"{work.model}: has no flows to compute again; leave `activation_checkpointing` out")
    return replace(config, activation_checkpointing=True)


def find_run(name: str) -> VocoderRun | AcousticRun:
    """The configuration that is trained, by name or from a file. Raises InputError for one that cannot be measured."""
    if name in WAVEGLOWS:
        published = recipe("vocoder", "waveglow")
        return VocoderRun(vocoder=WAVEGLOWS[name], training=published.training)
    if name in (TACOTRON2, COMPACT_ACOUSTIC):
        config = recipe("acoustic", name)
    elif name == COMPACT:
        config = recipe("vocoder", "compact-vocoder")
    else:
        config = recipe(_kind_of(name), name)
    assert isinstance(config, VocoderRun | AcousticRun)
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


def draw_step(
    config: VocoderRun | AcousticRun, work: TrainingWork, kind: Kind = "fast", shard: Shard | None = None
) -> Step:
    """A step of one kind; of several processes, that of one, whose `shard` of the batch it is."""
    part = slice(None) if shard is None else slice(shard.rank, None, shard.world_size)
    if isinstance(config, VocoderRun):
        wave, mel = (tensor[part] for tensor in segments(config, work))
        return Step(ready(draw_waveglow(config, work.seed), kind), partial(_flow_loss, config, wave, mel))
    batch = with_alignment(config, *(tensor[part] for tensor in clips(config, work.batch, work.frames, work.seed)))
    model = Tacotron2(config.acoustic.tacotron2, config.acoustic.mel.n_mels)
    return Step(ready(model, kind), partial(_acoustic_loss, config, batch, work.seed))


def ready(model: M, kind: Kind) -> M:
    """The model in training, as it is or made fast."""
    return (accelerate_training(model) if kind == "fast" else model).train()


def _flow_loss(config: VocoderRun, wave: Tensor, mel: Tensor, model: nn.Module) -> Tensor:
    speaker = torch.zeros(len(wave), dtype=torch.int64)  # Of a flow that tells speakers apart.
    return flow_loss(model(wave, mel, speaker, recompute=config.activation_checkpointing), config.sigma)


def _acoustic_loss(config: AcousticRun, batch: AcousticBatch, seed: int, model: nn.Module) -> Tensor:
    return acoustic_losses(config, model, batch, torch.Generator().manual_seed(seed))["loss"]


def draw_waveglow(config: VocoderRun, seed: int) -> WaveGlow:
    """Weights at the scale of trained ones: new ones end in zeros, which hides what lies before them."""
    return realistic_weights(WaveGlow(config.vocoder), torch.Generator().manual_seed(seed))


def segments(config: VocoderRun, work: TrainingWork) -> tuple[Tensor, Tensor]:
    """Noise (B, L), whose values cost what those of speech cost, and its mels (B, M, T)."""
    wave = 0.1 * torch.randn(work.batch, work.segment, generator=torch.Generator().manual_seed(work.seed))
    return wave, log_mel(wave, config.vocoder.mel)


def clips(config: AcousticRun, batch: int, n_frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ids (B, N) and mels (B, M, T), all of one length: T whole decoder steps, N as LJSpeech has characters to them."""
    mel_config, r = config.acoustic.mel, config.acoustic.tacotron2.reduction_factor
    n_frames = -(-n_frames // r) * r
    # Batch normalisation in training wants two of everything.
    n_symbols = max(2, round(n_frames * mel_config.hop_length / mel_config.sample_rate * CHARACTERS_PER_S))
    ids = torch.randint(
        1, config.acoustic.model.n_symbols, (batch, n_symbols), generator=torch.Generator().manual_seed(seed)
    )
    return ids, drawn_mel(mel_config, batch, n_frames, seed)


def with_alignment(config: AcousticRun, ids: Tensor, mel: Tensor) -> AcousticBatch:
    """The batch as training has it; where durations are measured, those of a text whose symbols all last as long."""
    (batch, n_symbols), n_frames = ids.shape, mel.shape[2]
    durations = None
    if config.monotonic:
        ends = torch.arange(n_symbols + 1) * n_frames // n_symbols
        durations = ends.diff().expand(batch, -1)
    id_lengths, mel_lengths = torch.full((batch,), n_symbols), torch.full((batch,), n_frames)
    speaker = torch.arange(batch) % config.acoustic.model.n_speakers
    return AcousticBatch(ids, id_lengths, mel, mel_lengths, speaker, durations)
