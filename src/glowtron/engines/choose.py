"""The engine that runs a model fastest on a device. What a device does not need is not loaded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from glowtron.config import FastSpeech2Config
from glowtron.engines.interfaces import AcousticEngine
from glowtron.engines.waveglow import WaveGlowEngine
from glowtron.models.waveglow import WaveGlow

if TYPE_CHECKING:
    from glowtron.engines.cpu_wavenet import FastWaveNet
    from glowtron.models.fastspeech2 import FastSpeech2
    from glowtron.models.tacotron2 import Tacotron2
    from glowtron.models.wavenet import WaveNet


def acoustic_engine(model: Tacotron2 | FastSpeech2, device: torch.device, precision: str) -> AcousticEngine:
    """The acoustic model ready to synthesise, its weights packed. precision: as of `Voice.load`."""
    if isinstance(model.config, FastSpeech2Config):
        from glowtron.engines.fastspeech2 import accelerate_fastspeech2

        return accelerate_fastspeech2(model, precision)
    if device.type == "cpu":
        from glowtron.engines.cpu_tacotron2 import accelerate_tacotron2

        return accelerate_tacotron2(model, precision)
    from glowtron.engines.cuda_decoder import accelerate_tacotron2_on_cuda

    _warn_of_cuda()
    return accelerate_tacotron2_on_cuda(model, precision)


def vocoder_engine(model: WaveGlow, device: torch.device, precision: str) -> WaveGlowEngine:
    """The WaveGlow ready to synthesise, its weights packed. precision: as of `Voice.load`."""
    if device.type == "cpu":
        from glowtron.engines.cpu_waveglow import accelerate_waveglow

        return accelerate_waveglow(model, precision)
    from glowtron.engines.cuda_waveglow import accelerate_waveglow_on_cuda

    _warn_of_cuda()
    return accelerate_waveglow_on_cuda(model, precision)


def wavenet_engine(model: WaveNet, precision: str) -> FastWaveNet | WaveNet:
    """The WaveNet ready to speak, or itself where there is no kernel. precision: as of `Voice.load`."""
    from glowtron.engines.cpu_wavenet import FastWaveNet, find_kernel

    found = find_kernel()
    if found.kernel is None:
        warnings.warn(f"WaveNet is slow here, some hundred times: {found.why_not}", stacklevel=3)
        return model
    kinds = {"auto": "int8", "int8": "int8", "fp32": "fp32"}
    return FastWaveNet(model, found.kernel, kinds.get(precision, "int16"))


def _warn_of_cuda() -> None:
    warnings.warn(
        "the engines for CUDA are experimental: they have been tested on CPUs only (docs/adr/0014)",
        stacklevel=4,
    )
