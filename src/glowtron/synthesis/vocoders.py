"""Mel to samples by torch, in the way that the options ask for: every vocoder is a stream whose whole is one push."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from glowtron.config import GriffinLimConfig, MelConfig, VoiceFile, WaveNetConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.engines.cpu_waveglow import FastWaveGlow
from glowtron.engines.waveglow import WaveGlowEngine
from glowtron.errors import InputError
from glowtron.models.mel_correction import MelCorrection
from glowtron.models.waveglow import draw_block
from glowtron.synthesis import speakers
from glowtron.synthesis.interfaces import Floats, Vocoder, VocoderStream


def make_vocoder(
    config: VoiceFile,
    mel: MelConfig,
    waveglow: WaveGlowEngine | None,
    options: SynthesisOptions,
    device: torch.device,
) -> Vocoder:
    """The vocoder that the options ask for, or the voice's own; `waveglow` is the voice's, if it has one.

    Raises InputError where WaveGlow is asked for and there is none.
    """
    stored = config.vocoder
    if options.vocoder == "griffin-lim" or (options.vocoder is None and isinstance(stored, GriffinLimConfig)):
        from glowtron.models.griffin_lim import GriffinLim

        own = stored if isinstance(stored, GriffinLimConfig) else GriffinLimConfig(mel=mel)
        griffin_lim = GriffinLim(own)
        return WholeMelVocoder(lambda mel, generator: griffin_lim.generate(mel, generator=generator), device)
    if waveglow is None:
        raise InputError(f"voice '{config.name}' has no WaveGlow; import one, or choose the vocoder griffin-lim")
    sigma = config.vocoding.sigma if options.sigma is None else options.sigma
    rounds = config.vocoding.correction if options.correction is None else options.correction
    row = speakers.vocoder_row(config, options.speaker)
    speaker = None if row is None else torch.tensor([row], device=device)
    correction = MelCorrection(mel, device)
    if isinstance(waveglow, FastWaveGlow) and not options.denoise:
        return WaveGlowVocoder(waveglow, correction, sigma, rounds, speaker)
    denoiser = None
    if options.denoise:
        from glowtron.models.denoiser import Denoiser

        denoiser = Denoiser(waveglow, mel.n_mels, device, speaker)

    def generate(mel: Tensor, generator: torch.Generator) -> Tensor:
        wave = correction(waveglow.generate(mel, sigma, generator, speaker=speaker), mel, rounds)
        return wave if denoiser is None else denoiser(wave, options.denoise)

    return WholeMelVocoder(generate, device)


def uses_wavenet(config: VoiceFile, options: SynthesisOptions) -> bool:
    """True if a WaveNet is asked for, or is the only vocoder that the voice has."""
    if options.vocoder is not None:
        return options.vocoder == "wavenet"
    own = config.vocoder
    return isinstance(own, WaveNetConfig) or (own is None and config.wavenet is not None)


class WholeMelVocoder:
    """A vocoder that needs the whole mel (Griffin-Lim, the denoiser, CUDA): its stream holds back until the end."""

    lookahead_frames: int | None = None

    def __init__(self, generate: Callable[[Tensor, torch.Generator], Tensor], device: torch.device) -> None:
        self._generate, self._device = generate, device

    def stream(self, seed: int) -> VocoderStream:
        """See `Vocoder`."""
        return _WholeMelStream(self._generate, torch.Generator(self._device).manual_seed(seed))


class _WholeMelStream:
    def __init__(self, generate: Callable[[Tensor, torch.Generator], Tensor], generator: torch.Generator) -> None:
        self._generate, self._generator = generate, generator
        self._pieces: list[Floats] = []

    @torch.inference_mode()
    def push(self, mel: Floats, last: bool) -> Floats:
        """See `VocoderStream`."""
        self._pieces.append(mel)
        if not last:
            return np.zeros(0, np.float32)
        whole = torch.from_numpy(np.concatenate(self._pieces, axis=1)).to(self._generator.device)
        return as_array(self._generate(whole[None], self._generator)[0])


class WaveGlowVocoder:
    """WaveGlow on a CPU, and the correction of its sound towards the mel."""

    def __init__(
        self, waveglow: FastWaveGlow, correction: MelCorrection, sigma: float, rounds: int, speaker: Tensor | None
    ) -> None:
        self._waveglow, self._correction = waveglow, correction
        self._sigma, self._rounds, self._speaker = sigma, rounds, speaker

    @property
    def lookahead_frames(self) -> int | None:
        """See `Vocoder`."""
        frames: int = self._waveglow.receptive_frames[1] + self._correction.frames_after(self._rounds)
        return frames

    def stream(self, seed: int) -> VocoderStream:
        """See `Vocoder`."""
        return _WaveGlowStream(
            self._waveglow,
            self._speaker,
            self._correction,
            self._rounds,
            _Noise(self._waveglow, self._sigma, torch.Generator().manual_seed(seed)),
        )


class _WaveGlowStream:
    def __init__(
        self,
        waveglow: FastWaveGlow,
        speaker: Tensor | None,
        correction: MelCorrection,
        rounds: int,
        noise: _Noise,
    ) -> None:
        self._flow, self._correction, self._noise = waveglow.stream(speaker), correction.stream(rounds), noise
        self._piece_frames = waveglow.piece_frames

    @torch.inference_mode()
    def push(self, mel: Floats, last: bool) -> Floats:
        """See `VocoderStream`. What the flow computes at once is bounded, and so is its memory."""
        frames = torch.from_numpy(mel)[None]
        pieces = list(frames.split(self._piece_frames, dim=2)) if mel.shape[1] else [frames]
        waves = [
            self._flow.push(self._noise.draw(piece), piece, last and i == len(pieces) - 1)
            for i, piece in enumerate(pieces)
        ]
        return as_array(self._correction.push(torch.cat(waves, dim=1), frames, last)[0])


class _Noise:
    """The noise of one sound, drawn in blocks, so that it does not depend on the pieces in which the mel comes."""

    def __init__(self, waveglow: FastWaveGlow, sigma: float, generator: torch.Generator) -> None:
        self._config, self._sigma, self._generator = waveglow.config, sigma, generator
        self._drawn = torch.zeros(1, self._config.n_channels, 0)
        self._n_frames = self._n_groups = 0

    def draw(self, mel: Tensor) -> Tensor:
        """Noise (1, C, G) for the next frames (1, M, T)."""
        self._n_frames += mel.shape[2]
        n_groups = self._n_frames * self._config.mel.hop_length // self._config.n_channels - self._n_groups
        self._n_groups += n_groups
        while self._drawn.shape[2] < n_groups:
            parts = draw_block(self._config, 1, self._generator, mel.device)
            self._drawn = torch.cat((self._drawn, torch.cat(parts[::-1], dim=1)), dim=2)
        noise, self._drawn = self._drawn[..., :n_groups], self._drawn[..., n_groups:]
        return self._sigma * noise


def as_array(tensor: Tensor) -> Floats:
    """The same in float32, where NumPy finds it."""
    array: Floats = tensor.float().cpu().numpy()
    return array
