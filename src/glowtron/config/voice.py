"""The contents of `voice.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from glowtron.config.models import (
    AcousticConfig,
    DecodingOptions,
    MelConfig,
    VocoderConfig,
    VocodingConfig,
    WaveNetConfig,
)
from glowtron.config.reading import Config

FORMAT_VERSION = 1
"""Goes up when older programs could not read a new folder."""


@dataclass(frozen=True, kw_only=True)
class VoiceFile(Config):
    """The contents of `voice.json`."""

    format_version: int = FORMAT_VERSION
    """Of the folder's layout."""
    name: str
    description: str = ""
    """Description of the voice, for people."""
    licence: str = ""
    """Of the weights, an SPDX identifier where there is one."""
    training_data: str = ""
    """Training data of the weights, and its licence."""
    held_out: tuple[str, ...] = ()
    """Clips, as speaker/id, of that data that no model here has seen: what `glowtron evaluate` measures on."""
    acoustic: AcousticConfig | None = None
    """The acoustic model; None: the folder has none."""
    vocoder: VocoderConfig | None = None
    """The vocoder; None: the folder has none."""
    wavenet: WaveNetConfig | None = None
    """A second vocoder, a WaveNet, which speaks where it is asked for; None: the folder has none."""
    decoding: DecodingOptions = DecodingOptions()
    """Inference options of the acoustic model."""
    attempts: int = 3
    """Takes of a sentence until one has no fault, before it is split; 0: one take, whatever its faults."""
    vocoder_of: str = ""
    """Name of a voice in the folder beside this one whose vocoder it speaks with, in place of one of its own."""
    vocoding: VocodingConfig = VocodingConfig()
    """Inference options of the vocoder."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Measured quality of the voice."""
    sha256: dict[str, str] = field(default_factory=dict)
    """Of each file of weights, by its name; filled in by `save_voice`."""

    @property
    def mel(self) -> MelConfig:
        """The mel that all models of the voice speak."""
        model = self.acoustic or self.vocoder or self.wavenet
        assert model is not None, "a voice has at least one model"
        return model.mel
