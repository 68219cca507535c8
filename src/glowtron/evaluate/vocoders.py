"""Vocoders measured on real clips that took no part in training: the clip's mel in, sound out, beside the clip."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch

from glowtron.audio import Audio
from glowtron.checkpoint import wavenet_config
from glowtron.config import MelConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.data.pitch import track_pitch
from glowtron.evaluate.pesq_stoi import Listening, listen
from glowtron.evaluate.pitch import PitchError, pitch_error
from glowtron.evaluate.spectral import SpectralDistance, spectral_distance
from glowtron.mel import log_mel
from glowtron.models.mel_correction import MelCorrection
from glowtron.models.waveglow import flow_loss
from glowtron.synthesis.speakers import vocoder_row
from glowtron.voice import Voice

_DITHER = 1e-4
"""Standard deviation of the noise under which the likelihood is taken, as in training: without noise, digital silence
has any likelihood one likes."""
_NOISE = 0.1
"""Standard deviation of the white noise that the classical inversion begins with: about that of speech."""
ITERATIONS = 60
"""Of Griffin-Lim, and of mel correction where it stands beside it."""

Progress = Callable[[int], object]
Vocoder = Callable[[Sequence[Audio]], Iterable[Audio]]
"""Recordings to their mels and back, each at its rate and length."""


class Comparison(NamedTuple):
    """A vocoded clip beside the real one."""

    spectral: SpectralDistance
    listening: Listening
    pitch: PitchError


def vocoders_of(voice: Voice, speaker: str | None, seed: int, sigma: float | None) -> dict[str, Vocoder]:
    """The vocoders to compare, by name.

    The voice's WaveGlow, if it has one, as it ships. If that ends with mel correction: the flow without it, and white
    noise with as much of it, which tell what the flow contributes. Then the classical ways: mel correction from white
    noise, and Griffin-Lim, with 60 iterations each.

    speaker: one of the voice's, or None for its first.
    """

    def of_voice(options: SynthesisOptions) -> Vocoder:
        return lambda audios: voice.vocode_many(audios, options)

    vocoders: dict[str, Vocoder] = {}
    if voice.vocoder is not None:
        known = speaker if voice.vocoder.config.n_speakers > 1 else None
        rounds = voice.config.vocoding.correction

        def waveglow(correction: int) -> Vocoder:
            options = SynthesisOptions(vocoder="waveglow", speaker=known, seed=seed, sigma=sigma, correction=correction)
            return of_voice(options)

        vocoders["waveglow"] = waveglow(rounds)
        if rounds:
            vocoders["waveglow-uncorrected"] = waveglow(0)
            vocoders["noise-corrected"] = corrected_noise(voice.mel, rounds, seed)
    sizes = wavenet_config(voice.config)
    if sizes is not None:
        known = speaker if sizes.n_speakers > 1 else None
        vocoders["wavenet"] = of_voice(SynthesisOptions(vocoder="wavenet", speaker=known, seed=seed))
    vocoders["mel-inversion"] = corrected_noise(voice.mel, ITERATIONS, seed)
    vocoders["griffin-lim"] = of_voice(SynthesisOptions(vocoder="griffin-lim", seed=seed))
    return vocoders


def corrected_noise(config: MelConfig, rounds: int, seed: int) -> Vocoder:
    """White noise brought to the mel by rounds of mel correction: no model, no weights."""
    correction = MelCorrection(config)

    def vocode(audio: Audio) -> Audio:
        mel = log_mel(torch.from_numpy(audio.samples)[None], config)  # (1, M, T)
        generator = torch.Generator().manual_seed(seed)
        noise = _NOISE * torch.randn(1, mel.shape[2] * config.hop_length, generator=generator)
        wave = correction(noise, mel, rounds)[0, : len(audio.samples)]
        return Audio(wave.numpy(), audio.sample_rate)

    return lambda audios: map(vocode, audios)


def compare(vocoded: Audio, real: Audio, voice: Voice) -> Comparison:
    """Measure a vocoded clip against the real one, both at the voice's rate."""
    wave, real_wave = torch.from_numpy(vocoded.samples), torch.from_numpy(real.samples)
    return Comparison(
        spectral_distance(wave, real_wave, voice.mel),
        listen(vocoded, real),
        pitch_error(track_pitch(vocoded), track_pitch(real)),
    )


def summary(comparisons: Sequence[Comparison]) -> dict[str, float | None]:
    """Means over clips, as JSON values; a clip without a figure (None) is left out of its mean."""
    rows = [part._asdict() for comparison in comparisons for part in comparison]
    return mean_of(rows)


def mean_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """Mean of each key over the rows that have a number for it; None where none has."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for key, value in row.items():
            columns.setdefault(key, []).extend([] if value is None else [float(value)])
    return {key: fmean(values) if values else None for key, values in columns.items()}


@torch.inference_mode()
def likelihood(
    voice: Voice, speaker: str | None, clips: Sequence[Audio], seed: int, progress: Progress | None = None
) -> float:
    """Log-likelihood of a speaker's real clips under the voice's flow, nats a sample, every sample weighing the same.

    The Gaussian's constant is counted in, so that models with other losses can be compared: it is minus the training
    loss at sigma 1, minus ln(2 pi) / 2. `progress` is called with 1 after each clip.
    """
    waveglow, row = voice.vocoder, vocoder_row(voice.config, speaker)
    assert waveglow is not None, "Griffin-Lim knows no likelihood"
    who = None if row is None else torch.tensor([row], device=voice.torch.device)
    noise = torch.Generator().manual_seed(seed)
    total, n_samples = 0.0, 0
    for clip in clips:
        wave = torch.from_numpy(clip.samples)
        wave = (wave + _DITHER * torch.randn(wave.shape, generator=noise))[None].to(voice.torch.device)
        flow = waveglow(wave, log_mel(wave, voice.mel), who)
        total -= float(flow_loss(flow)) * wave.shape[1]
        n_samples += wave.shape[1]
        if progress is not None:
            progress(1)
    return total / n_samples - math.log(2 * math.pi) / 2
