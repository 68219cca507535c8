"""A voice on onnxruntime: graphs are made from the voice folder when it is first spoken with, and no torch is loaded.

The same seed is the same sound as on torch, within rounding.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glowtron.config import FastSpeech2Config, GriffinLimConfig, MelConfig, VoiceFile, WaveGlowConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError
from glowtron.onnx import spectral
from glowtron.onnx.sessions import require_onnxruntime, usable_threads
from glowtron.onnx.weights import StoredWeights
from glowtron.synthesis import speakers
from glowtron.synthesis.interfaces import AcousticModel, Vocoder
from glowtron.voice_folder import (
    ACOUSTIC,
    VOCODER,
    map_weights,
    read_voice,
    read_voice_file,
    read_weights,
    vocoder_folder,
    write_voice,
)

Floats = NDArray[np.float32]

SMALL = 30_000_000
"""Weights: products of smaller models take microseconds, and threads that meet after each wait more than they help."""


class OnnxRuntime:
    """A `Runtime` on the CPU, without torch. It holds the folder's weights as they are stored."""

    device = "cpu"

    def __init__(self, folder: Path, *, device: str = "auto", precision: str = "auto") -> None:
        """Raises InputError for a folder that is missing or damaged, another device than the CPU, another precision
        than float32, and where onnxruntime is not installed.
        """
        require_onnxruntime()
        if device not in ("auto", "cpu"):
            raise InputError(f"the runtime onnx computes on the CPU, not on {device}; leave the device out")
        if precision not in ("auto", "fp32"):
            raise InputError(f"the runtime onnx computes in fp32, not in {precision}; leave the precision out")
        self._folder = folder
        self._n_threads: int | None = None
        self.config: VoiceFile = read_voice(folder)
        self._acoustic = self._weights(folder, ACOUSTIC) if self.config.acoustic is not None else None
        self._vocoder: StoredWeights | None = None
        if isinstance(self.config.vocoder, WaveGlowConfig):
            self._vocoder = self._weights(self._vocoder_folder, VOCODER)

    def _weights(self, folder: Path, name: str) -> StoredWeights:
        return StoredWeights(map_weights(folder, name, read_voice_file(folder)), folder / name)

    @property
    def _vocoder_folder(self) -> Path:
        return vocoder_folder(self._folder, self.config)

    @property
    def mel(self) -> MelConfig:
        """See `Runtime`."""
        return self.config.mel

    @property
    def is_small(self) -> bool:
        """See `Runtime`."""
        return all(each.n_weights < SMALL for each in (self._acoustic, self._vocoder) if each is not None)

    @cached_property
    def acoustic_model(self) -> AcousticModel:
        """See `Runtime`."""
        from glowtron.onnx.acoustic import OnnxFastSpeech2, OnnxTacotron2

        acoustic = self.config.acoustic
        assert acoustic is not None and self._acoustic is not None
        model: AcousticModel
        if isinstance(acoustic.model, FastSpeech2Config):
            model = OnnxFastSpeech2(self._acoustic, acoustic.model, self.n_threads)
        else:
            options = self.config.decoding
            model = OnnxTacotron2(self._acoustic, acoustic.model, acoustic.mel.n_mels, options, self.n_threads)
        self._acoustic.let_go()
        return model

    @property
    def n_threads(self) -> int:
        """Threads of each model."""
        return self._n_threads or usable_threads(self.is_small)

    def vocoder_for(self, options: SynthesisOptions) -> Vocoder:
        """See `Runtime`."""
        from glowtron.onnx.vocoders import OnnxGriffinLim, WaveGlowVocoder, WholeMelVocoder

        stored = self.config.vocoder
        if options.vocoder == "wavenet":
            raise InputError("a WaveNet runs on torch; load the voice with runtime='torch', or choose another vocoder")
        if options.vocoder == "griffin-lim" or (options.vocoder is None and isinstance(stored, GriffinLimConfig)):
            own = stored if isinstance(stored, GriffinLimConfig) else GriffinLimConfig(mel=self.mel)
            return WholeMelVocoder(OnnxGriffinLim(own, self.n_threads))
        if not isinstance(stored, WaveGlowConfig):
            raise InputError(
                f"voice '{self.config.name}' has no WaveGlow; import one, or choose the vocoder griffin-lim"
            )
        sigma = self.config.vocoding.sigma if options.sigma is None else options.sigma
        rounds = self.config.vocoding.correction if options.correction is None else options.correction
        speaker = speakers.vocoder_row(self.config, options.speaker)
        vocoder = WaveGlowVocoder(self._waveglow, self._correction, sigma, rounds, speaker)
        if not options.denoise:
            return vocoder
        silent = WaveGlowVocoder(self._waveglow, self._correction, 0.0, 0, speaker)
        denoiser = spectral.Denoiser(lambda mel: silent.stream(0).push(mel, True), self.mel.n_mels)
        return WholeMelVocoder(lambda mel, seed: denoiser(vocoder.stream(seed).push(mel, True), options.denoise))

    @cached_property
    def _waveglow(self) -> Any:
        from glowtron.onnx.vocoders import OnnxWaveGlow

        assert self._vocoder is not None and isinstance(self.config.vocoder, WaveGlowConfig)
        engine = OnnxWaveGlow(self._vocoder, self.config.vocoder, self.n_threads)
        self._vocoder.let_go()
        return engine

    @cached_property
    def _correction(self) -> Any:
        from glowtron.onnx.correction_stream import Correction

        return Correction(self.mel)

    def log_mel(self, samples: Floats) -> Floats:
        """See `Runtime`."""
        return spectral.log_mel(samples, self.mel)

    def suit_threads(self) -> None:
        """See `Runtime`. Nothing is left to do: sessions are made with as many threads as suit them."""

    def in_worker(self, n_threads: int | None) -> OnnxRuntime:
        """See `Runtime`."""
        self._n_threads = n_threads
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Sessions are made anew in another process: they cannot be sent."""
        made = ("acoustic_model", "_waveglow", "_correction")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def save(self, folder: Path) -> None:
        """See `Runtime`."""
        files = {ACOUSTIC: (self._folder, self._acoustic), VOCODER: (self._vocoder_folder, self._vocoder)}
        contents = {
            name: read_weights(source, name, read_voice_file(source))
            for name, (source, weights) in files.items()
            if weights is not None
        }
        write_voice(self.config, contents, folder)
