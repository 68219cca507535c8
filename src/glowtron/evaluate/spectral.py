"""Spectral distances between two recordings, frame by frame."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from glowtron.config import MelConfig
from glowtron.errors import InputError
from glowtron.mel import log_mel, magnitudes

_RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""Samples in the transform and between frames."""
_CEPSTRA = 24
"""Mel cepstral coefficients compared; the 0th, which is loudness, is left out."""
_SPEECH_DB = 40.0
"""Frames further than this under the loud ones of the real recording are silence to `mel_cepstral_distortion`."""


class SpectralDistance(NamedTuple):
    """Distances of a recording from the real one; 0 for the same samples."""

    mel_l1: float
    """Mean difference of the log-mels, nepers: what the acoustic model and the vocoder share."""
    multi_resolution_stft: float
    """Spectral convergence + difference of log-magnitudes, mean over three resolutions."""
    mel_cepstral_distortion_db: float
    """Root mean square difference of the smoothed mel spectra over speech, dB."""


def spectral_distance(wave: Tensor, real: Tensor, config: MelConfig) -> SpectralDistance:
    """Distances of `wave` from `real`, both (L,) at `config.sample_rate`.

    They are compared sample for sample; the longer one is cut, which a vocoder's last frame makes necessary. Raises
    InputError if the lengths differ by more than a window: then it is not the same recording.
    """
    wave, real = trimmed(wave, real, config.n_fft)
    mel, real_mel = log_mel(wave[None], config)[0], log_mel(real[None], config)[0]  # (M, T)
    return SpectralDistance(
        float((mel - real_mel).abs().mean()),
        multi_resolution_stft(wave, real, config.sample_rate),
        mel_cepstral_distortion(mel, real_mel),
    )


def trimmed(wave: Tensor, real: Tensor, slack: int) -> tuple[Tensor, Tensor]:
    """Both (L,) cut to the shorter length; InputError if they differ by more than `slack` samples."""
    if abs(len(wave) - len(real)) > slack:
        raise InputError(f"recordings of {len(wave)} and {len(real)} samples are not of the same clip")
    length = min(len(wave), len(real))
    return wave[:length], real[:length]


def multi_resolution_stft(wave: Tensor, real: Tensor, sample_rate: int) -> float:
    """Spectral convergence plus mean absolute difference of log-magnitudes (Yamamoto et al. 2020, eq. 4 to 6).

    wave, real: (L,). Windows of 512, 1024 and 2048 samples, a quarter of them apart. Magnitudes are clamped at 1e-4.
    """
    total = 0.0
    for n_fft, hop in _RESOLUTIONS:
        shape = MelConfig(sample_rate=sample_rate, n_fft=n_fft, win_length=n_fft, hop_length=hop, f_max=sample_rate / 2)
        ours, theirs = (magnitudes(x[None], shape)[0].clamp(min=1e-4) for x in (wave, real))
        convergence = torch.linalg.norm(ours - theirs) / torch.linalg.norm(theirs)
        total += float(convergence + (ours.log() - theirs.log()).abs().mean())
    return total / len(_RESOLUTIONS)


def mel_cepstral_distortion(mel: Tensor, real: Tensor) -> float:
    """Mel-cepstral distortion in dB (Kubichek 1993) between log-mels (M, T) of the same frames.

    c_k = 2/M sum_m mel_m cos(pi k (m + 1/2) / M), and 10 / ln 10 * sqrt(2 sum_k (difference of c_k)^2) for k = 1 to
    24, which is the root mean square difference in dB of the spectra smoothed to 24 ripples; averaged over the frames
    in which the real recording speaks. No time warping: the frames belong together. Taken from mel bands, not from an
    all-pass model, so figures are comparable among themselves, not with other papers'.
    """
    n_mels = mel.shape[0]
    k = torch.arange(1, min(_CEPSTRA, n_mels - 1) + 1, dtype=mel.dtype)[:, None]
    basis = 2 / n_mels * torch.cos(math.pi / n_mels * k * (torch.arange(n_mels, dtype=mel.dtype) + 0.5))  # (K, M)
    loudness = real.exp().square().sum(0)
    speech = loudness > loudness.quantile(0.95) * 10 ** (-_SPEECH_DB / 10)
    if not bool(speech.any()):
        return 0.0
    distance = (basis @ (mel - real)[:, speech]).square().sum(0).mul(2).sqrt().mean()
    return 10 / math.log(10) * float(distance)
