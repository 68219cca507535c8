"""Differences between the plain implementations and Glowtron's: same weights, float32, no dropout.

All figures are relative differences; anything above 1e-4 is a fault of ours.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from glowtron.bench.plain_tacotron2 import PlainOutput, PlainTacotron2, plain_loss
from glowtron.bench.plain_waveglow import PlainWaveGlow
from glowtron.config import DecodingOptions, Tacotron2Config
from glowtron.models.tacotron2 import Tacotron2, Tacotron2Output
from glowtron.models.tacotron2_loss import loss as tacotron2_loss
from glowtron.models.waveglow import WaveGlow, draw_noise, flow_loss


class Learnt(NamedTuple):
    """Loss and gradients of a training step."""

    loss: Tensor
    """Scalar."""
    gradient: Tensor
    """All of it in a row."""


def learnt(model: nn.Module, loss: Tensor) -> Learnt:
    """The loss and its gradient, which is taken out of the model."""
    loss.backward()
    gradient = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad(set_to_none=True)
    return Learnt(loss.detach(), torch.cat(gradient))


def training_waveglow(model: WaveGlow, wave: Tensor, mel: Tensor) -> dict[str, float]:
    """Of the loss and of the gradient's norm. wave: (B, L), mel: (B, M, T)."""
    plain = PlainWaveGlow(model.config)
    plain.copy_weights(model)
    return _of_steps(learnt(model, flow_loss(model(wave, mel))), learnt(plain, plain(wave, mel)))


def free_sound(model: WaveGlow, mel: Tensor) -> float:
    """Of the sound that both make of mels (B, M, T) and the same noise."""
    plain = PlainWaveGlow(model.config)
    plain.copy_weights(model)
    plain.prepare_inference()
    noise = draw_noise(model.config, mel, torch.Generator().manual_seed(0))
    return distance(plain.generate(mel, 0.6, noise), model.generate(mel, 0.6, noise=noise))


def training_tacotron2(model: Tacotron2, ids: Tensor, mel: Tensor) -> dict[str, float]:
    """Of outputs, loss and gradient norm, teacher-forced in training. ids: (B, N), mel: (B, M, T)."""
    model, plain = _pair(model)
    model.train()
    plain.train()
    id_lengths, mel_lengths = torch.full((len(ids),), ids.shape[1]), torch.full((len(mel),), mel.shape[2])
    ours: Tacotron2Output = model(ids, id_lengths, mel, mel_lengths)
    theirs: PlainOutput = plain(ids, id_lengths, mel)
    found = {"mel": distance(ours.mel, theirs.after), "stop": distance(ours.stop_logits, theirs.stop_logits)}
    loss = tacotron2_loss(ours, mel, mel_lengths).total
    return found | _of_steps(learnt(model, loss), learnt(plain, plain_loss(theirs, mel)))


def free_running(model: Tacotron2, n_symbols: int, n_frames: int, batch: int = 1) -> float:
    """Of the mels of texts that are spoken."""
    model, plain = _pair(model)
    model.eval()
    plain.eval()
    ids = torch.arange(batch * n_symbols).view(batch, n_symbols) % (model.config.n_symbols - 1) + 1
    lengths = torch.full((batch,), n_symbols)
    options = DecodingOptions(max_frames=n_frames, stop_threshold=1.0)
    spoken = model.generate(ids, lengths, options, [torch.Generator() for _ in range(batch)])
    return distance(spoken.mel, plain.generate(ids, lengths, n_frames, 1.0)[0].after[:, :, :n_frames])


def without_dropout(model: Tacotron2) -> Tacotron2:
    """A copy of the model that draws no noise."""
    names = [name for name in vars(model.config) if name.endswith("dropout")]
    quiet = Tacotron2(Tacotron2Config(**{**vars(model.config), **dict.fromkeys(names, 0.0)}), model.n_mels)
    quiet.load_state_dict(copy.deepcopy(model.state_dict()))
    return quiet


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Norm of the difference over that of `theirs`."""
    return float((ours - theirs).detach().norm() / theirs.detach().norm())


def _pair(model: Tacotron2) -> tuple[Tacotron2, PlainTacotron2]:
    quiet = without_dropout(model)
    plain = PlainTacotron2(quiet.config, quiet.n_mels)
    plain.copy_weights(quiet)
    return quiet, plain


def _of_steps(ours: Learnt, theirs: Learnt) -> dict[str, float]:
    return {
        "loss": distance(ours.loss, theirs.loss),
        "gradient_norm": distance(ours.gradient.norm(), theirs.gradient.norm()),
    }
