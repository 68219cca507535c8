"""A voice's mels made sound, in the way that the options ask for: whole, or while they come."""

from __future__ import annotations

import torch
from torch import Tensor

from glowtron.checkpoint import VoiceFile
from glowtron.config import GriffinLimConfig, MelConfig
from glowtron.engines.cpu_waveglow import FastWaveGlow
from glowtron.engines.cuda_waveglow import CudaWaveGlow
from glowtron.errors import InputError
from glowtron.models.denoiser import Denoiser
from glowtron.models.griffin_lim import GriffinLim
from glowtron.models.mel_correction import MelCorrection
from glowtron.synthesis import speakers
from glowtron.synthesis.options import SynthesisOptions
from glowtron.synthesis.stream import SoundStream


class Vocoding:
    """All but the mel and the noise, settled."""

    def __init__(
        self,
        config: VoiceFile,
        mel: MelConfig,
        waveglow: FastWaveGlow | CudaWaveGlow | None,
        options: SynthesisOptions,
        device: torch.device,
    ) -> None:
        """waveglow: the voice's, if it has one. Raises InputError where it is asked for and there is none."""
        own, stored = config.vocoding, config.vocoder
        self._rate = options.rate
        self._sigma = own.sigma if options.sigma is None else options.sigma
        self._rounds = own.correction if options.correction is None else options.correction
        self._griffin_lim = self._waveglow = self._denoiser = None
        if options.vocoder == "griffin-lim" or (options.vocoder is None and isinstance(stored, GriffinLimConfig)):
            self._griffin_lim = GriffinLim(
                stored if isinstance(stored, GriffinLimConfig) else GriffinLimConfig(mel=mel)
            )
            return
        if waveglow is None:
            raise InputError(f"voice '{config.name}' has no WaveGlow; import one, or choose the vocoder griffin-lim")
        self._waveglow, self._correct = waveglow, MelCorrection(mel, device)
        self._speaker = speakers.vocoder_row(config, options.speaker, device)
        if options.denoise:
            self._denoiser, self._denoise = Denoiser(waveglow, mel.n_mels, device, self._speaker), options.denoise

    @torch.inference_mode()
    def __call__(self, mel: Tensor, generator: torch.Generator) -> Tensor:
        """Mel (1, M, T) and a source of noise to audio (1, L)."""
        if self._griffin_lim is not None:
            return self._griffin_lim.generate(mel, generator=generator)
        assert self._waveglow is not None
        wave = self._waveglow.generate(mel, self._sigma, generator, speaker=self._speaker)
        wave = self._correct(wave, mel, self._rounds)
        return wave if self._denoiser is None else self._denoiser(wave, self._denoise)

    @property
    def can_stream(self) -> bool:
        """Whether a mel can sound while it comes. Griffin-Lim, the denoiser and CUDA want it whole."""
        return isinstance(self._waveglow, FastWaveGlow) and self._denoiser is None

    def stream(self, generator: torch.Generator, *, fades: bool) -> SoundStream:
        """What makes one sentence's mel sound while it comes, where that `can_stream`; fades: as of `SoundStream`."""
        assert isinstance(self._waveglow, FastWaveGlow)
        return SoundStream(
            self._waveglow,
            self._correct,
            generator,
            sigma=self._sigma,
            rounds=self._rounds,
            rate=self._rate,
            speaker=self._speaker,
            fades=fades,
        )
