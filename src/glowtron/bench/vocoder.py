"""`glowtron bench vocoder`: mels to sound, against the textbook's WaveGlow or WaveNet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glowtron.bench.child import Child
from glowtron.bench.device import card_facts, check_device
from glowtron.bench.distance import wave_error
from glowtron.bench.limit import ask_matrix_rate, share_of_limit
from glowtron.bench.measurement import PLAIN, Parts, Settings, Subject, measure
from glowtron.bench.models import VocoderModel, drawn_mel, find_vocoder, n_frames_of
from glowtron.bench.result import compared, figures, sound_rates
from glowtron.config import MelConfig, WaveGlowConfig, WaveNetConfig
from glowtron.engines import cpu_wavenet
from glowtron.engines.choose import wavenet_engine
from glowtron.engines.cpu_waveglow import WaveStream, accelerate_waveglow
from glowtron.engines.cpu_wn import FastWaveNet
from glowtron.engines.cpu_wn_native import NativeWN
from glowtron.engines.cuda_waveglow import accelerate_waveglow_on_cuda
from glowtron.engines.hardware import find_device
from glowtron.errors import InputError
from glowtron.models import waveglow, wavenet


class VocoderWork(NamedTuple):
    """The work of one run."""

    model: str
    """As of `find_vocoder`."""
    seconds: float = 5.0
    """Of sound, each."""
    batch: int = 1
    seed: int = 0
    device: str = "cpu"


class Vocoder(Subject):
    """Mels with the spread of speech to sound, from the same noise every time.

    `fast` is the engine in `precision`, `plain` the model of `glowtron.models`, in float32.
    """

    def __init__(self, work: VocoderWork, kind: Literal["fast", "plain"], precision: str = "fp32") -> None:
        self.work, self.device = work, find_device(work.device)
        found = find_vocoder(work.model, work.seed)
        found.model.to(self.device)
        self.config: WaveGlowConfig | WaveNetConfig = found.model.config
        self.sigma = found.sigma
        n_frames = n_frames_of(work.seconds, self.mel_config)
        self.mel = drawn_mel(self.mel_config, work.batch, n_frames, work.seed).to(self.device)
        self.speaker: Tensor | None = torch.zeros(1, dtype=torch.int64, device=self.device)
        if isinstance(self.config, WaveNetConfig) and not self.config.speakers:
            self.speaker = None
        self.parts: Parts = {}
        self.facts: dict[str, Any] = {
            "weights": found.weights,
            "sigma": found.sigma,
            "audio_s": n_frames * self.mel_config.hop_length / self.mel_config.sample_rate,
        }
        # What is not needed to speak goes, or it would count as memory.
        self.generate = self._fast(found, precision) if kind == "fast" else self._plain(found)

    @property
    def mel_config(self) -> MelConfig:
        """Of the mels."""
        return self.config.mel

    def _fast(self, found: VocoderModel, precision: str) -> Callable[[Any], Tensor]:
        if isinstance(found.model, wavenet.WaveNet):
            return self._fast_wavenet(found.model, precision)
        if self.device.type != "cpu":
            return self._on_cuda(found, precision)
        fast = accelerate_waveglow(found.model, precision)
        self.facts |= {"precision": fast.precision, "why": fast.why}
        self.parts = {
            "conditioning": (WaveStream.enter,),
            "layers": (FastWaveNet.__call__, NativeWN.__call__),
        }
        return lambda noise: fast.generate(self.mel, self.sigma, noise=noise, speaker=self.speaker)

    def _fast_wavenet(self, model: wavenet.WaveNet, precision: str) -> Callable[[Any], Tensor]:
        if self.device.type != "cpu":
            raise InputError("a WaveNet speaks on a CPU; leave the device out")
        engine, n_threads = wavenet_engine(model, precision), torch.get_num_threads()
        if not isinstance(engine, cpu_wavenet.FastWaveNet):
            raise InputError("there is no kernel of WaveNet here; install again with a C compiler")
        self.facts |= {"precision": engine.kind, "why": engine.why}
        return lambda noise: engine.generate(
            self.mel, self.sigma, noise=noise, speaker=self.speaker, n_threads=n_threads
        )

    def _on_cuda(self, found: VocoderModel, precision: str) -> Callable[[Any], Tensor]:
        assert isinstance(found.model, waveglow.WaveGlow)
        fast = accelerate_waveglow_on_cuda(found.model, precision)
        fast.generate(
            self.mel, self.sigma, self._generator(), speaker=self.speaker
        )  # Then `why` tells what came of it.
        self.facts |= {"precision": fast.precision, "why": fast.why}
        return lambda noise: fast.generate(self.mel, self.sigma, noise=noise, speaker=self.speaker)

    def _plain(self, found: VocoderModel) -> Callable[[Any], Tensor]:
        model = found.model
        model.fold_weight_norm()
        self.facts |= PLAIN
        return lambda noise: model.generate(self.mel, self.sigma, noise=noise, speaker=self.speaker)

    @torch.inference_mode()
    def run(self) -> NDArray[np.float32]:
        """Sound (B, L)."""
        wave = self.generate(self._noise())
        wave = wave.float().cpu()  # Which waits until a GPU has done it.
        self.facts |= card_facts(self.device)
        return np.asarray(wave.numpy())

    def _noise(self) -> list[Tensor] | wavenet.Noise:
        if isinstance(self.config, WaveGlowConfig):
            return waveglow.draw_noise(self.config, self.mel, self._generator())
        n_samples = self.mel.shape[2] * self.mel_config.hop_length
        return wavenet.draw_noise(self.config, self.work.batch, n_samples, self._generator(), self.device)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self.work.seed)


def bench_vocoder(work: VocoderWork, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown model or precision, or where there is no device."""
    check_device(work.device, settings)
    ours, plain = measure(partial(Vocoder, work, "fast", settings.precision), partial(Vocoder, work, "plain"), settings)
    with Child(partial(Vocoder, work, "plain"), settings.threads) as child:
        config, exact = child.ask(_config), child.ask(Vocoder.run)
    mel, audio_s = config.mel, ours.facts["audio_s"] * work.batch
    rates = sound_rates(audio_s, mel.sample_rate)
    limit = share_of_limit(config, audio_s, ours.median(), ask_matrix_rate(work.device, settings))
    error = {"against": "the textbook in float32, same noise", **wave_error(ours.output, exact, mel)}
    own = figures(ours, rates) | compared(ours, plain, rates)
    return {"what": "vocoder", "model": work.model, "batch": work.batch, **own, **limit, "error": error}


def _config(vocoder: Vocoder) -> WaveGlowConfig | WaveNetConfig:
    return vocoder.config
