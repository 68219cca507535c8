"""Models to measure, by name: full-size ones drawn here, so that nobody has to download them, and those of voices."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from glowtron.bench.weights import realistic_acoustic_weights, realistic_wavenet_weights, realistic_weights
from glowtron.checkpoint import StoredVoice, load_voice
from glowtron.config import (
    AcousticConfig,
    DecodingOptions,
    MelConfig,
    Tacotron2Config,
    VoiceFile,
    WaveGlowConfig,
    WaveNetConfig,
    WNConfig,
)
from glowtron.errors import InputError
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.models.wavenet import WaveNet
from glowtron.text.frontend import make_frontend
from glowtron.voices import find_voice

COMPACT = "compact"
"""The small Tacotron 2 and WaveGlow that ship as `COMPACT_VOICE`."""
COMPACT_VOICE = "duet-tacotron2"
WAVEGLOWS = {
    "waveglow-256": WaveGlowConfig(),
    "waveglow-512": WaveGlowConfig(wavenet=WNConfig(n_channels=512)),
}
WAVENETS = {
    "wavenet-24x128": WaveNetConfig(),
    "wavenet-12x128": WaveNetConfig(n_layers=12),
}
"""The published size, and half as many layers, which the paper of Tacotron 2 finds to sound as good."""
TACOTRON2 = "tacotron2"
CHARACTERS_PER_S = 1_308_678 / 86_117
"""Of LJSpeech 1.1, whole."""
SENTENCE = "The birch canoe slid on the smooth planks, and the juice of lemons makes fine punch. "
"""The text that is spoken in each run (Harvard sentences 1 and 5)."""
SIGMA = 0.6
MEL_MEAN, MEL_SPREAD = -5.5, 2.5
"""Of log-mels of speech."""


class VocoderModel(NamedTuple):
    """A vocoder and how it is run."""

    model: WaveGlow | WaveNet
    sigma: float
    weights: str
    """Source of the weights, in words."""


class AcousticModel(NamedTuple):
    """An acoustic model, what it reads and how it is run."""

    model: Tacotron2
    config: AcousticConfig
    decoding: DecodingOptions
    weights: str
    """Source of the weights, in words."""


DRAWN = "drawn at the scale of trained ones"


def find_vocoder(name: str, seed: int) -> VocoderModel:
    """One of `WAVEGLOWS` or `WAVENETS`, `compact`, or a voice's: its WaveGlow, or else its WaveNet.

    Raises InputError if there is none of that name.
    """
    if name in WAVEGLOWS or name in WAVENETS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = torch.Generator().manual_seed(seed)
            if name in WAVENETS:
                return VocoderModel(realistic_wavenet_weights(WaveNet(WAVENETS[name]), generator).eval(), 1.0, DRAWN)
            return VocoderModel(realistic_weights(WaveGlow(WAVEGLOWS[name]), generator).eval(), SIGMA, DRAWN)
    stored = find_stored(name, (*WAVEGLOWS, *WAVENETS, COMPACT))
    vocoding, weights = stored.config.vocoding, f"of the voice {stored.config.name}"
    if stored.vocoder is not None:
        return VocoderModel(stored.vocoder.eval(), vocoding.sigma, weights)
    if stored.wavenet is not None:
        return VocoderModel(stored.wavenet.eval(), vocoding.wavenet_sigma, weights)
    raise InputError(f"voice '{stored.config.name}' has no WaveGlow and no WaveNet to measure; choose another")


def find_acoustic(name: str, seed: int) -> AcousticModel:
    """`tacotron2`, `compact`, or a voice's. Raises InputError if there is none of that name."""
    if name == TACOTRON2:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = realistic_acoustic_weights(Tacotron2(Tacotron2Config()), torch.Generator().manual_seed(seed))
        return AcousticModel(model.eval(), AcousticConfig(), DecodingOptions(), DRAWN)
    stored = find_stored(name, (TACOTRON2, COMPACT))
    if stored.acoustic is None or stored.config.acoustic is None:
        raise InputError(f"voice '{stored.config.name}' has no acoustic model to measure; choose another")
    if not isinstance(stored.acoustic, Tacotron2):
        raise InputError(f"voice '{stored.config.name}' has no Tacotron 2, which this measures; choose another")
    weights = f"of the voice {stored.config.name}"
    return AcousticModel(stored.acoustic.eval(), stored.config.acoustic, stored.config.decoding, weights)


def find_stored(name: str, known: tuple[str, ...]) -> StoredVoice:
    """A voice that ships or a folder's; `compact` is `COMPACT_VOICE`."""
    try:
        return load_voice(find_voice(COMPACT_VOICE if name == COMPACT else name))
    except InputError as error:
        raise InputError(f"no model '{name}' (known: {', '.join(known)}, a voice's name or folder): {error}") from error


def full_size_voice(seed: int) -> StoredVoice:
    """Tacotron 2 and WaveGlow as published, with drawn weights: it speaks noise, as fast as a trained one speaks."""
    acoustic, vocoder = find_acoustic(TACOTRON2, seed), find_vocoder("waveglow-256", seed)
    assert isinstance(vocoder.model, WaveGlow)
    config = VoiceFile(
        name="full-size", acoustic=acoustic.config, vocoder=vocoder.model.config, decoding=acoustic.decoding, attempts=0
    )
    return StoredVoice(config, acoustic.model, vocoder.model)


def text_of(seconds: float) -> str:
    """As many characters as a reader says in that time."""
    n = max(1, round(seconds * CHARACTERS_PER_S))
    return (SENTENCE * (n // len(SENTENCE) + 1))[:n].rstrip(" ,")


def ids_of(model: AcousticModel, seconds: float, batch: int) -> tuple[Tensor, Tensor]:
    """Ids (B, N) of texts as long as `seconds` of speech, and their lengths (B,)."""
    ids = make_frontend(model.config.text).ids(text_of(seconds))
    return torch.tensor([ids] * batch), torch.full((batch,), len(ids))


def n_frames_of(seconds: float, mel: MelConfig) -> int:
    """Whole mel frames in that time, one at least."""
    return max(1, round(seconds * mel.sample_rate / mel.hop_length))


def drawn_mel(mel: MelConfig, batch: int, n_frames: int, seed: int) -> Tensor:
    """Log-mels (B, M, T) with the mean and spread of those of speech."""
    generator = torch.Generator().manual_seed(seed)
    return MEL_MEAN + MEL_SPREAD * torch.randn(batch, mel.n_mels, n_frames, generator=generator)
