"""Configuration of everything: frozen dataclasses, written to and read strictly from JSON. Imports no torch.

One fact lives in one place: sizes in the model's section, habits of training in the training's section. An unknown key
or a value of another type is an `InputError` that names the key's path and the nearest known key.
"""

from typing import TYPE_CHECKING, Any

from glowtron.config.models import (
    AcousticConfig,
    DecodingOptions,
    FastSpeech2Config,
    GriffinLimConfig,
    GroupingConfig,
    LappedConfig,
    LinearPredictionConfig,
    MelConfig,
    PlainSignalConfig,
    ProsodyOptions,
    Tacotron2Config,
    TextConfig,
    VocoderConfig,
    VocodingConfig,
    WaveGlowConfig,
    WaveNetConfig,
    WNConfig,
)
from glowtron.config.reading import Config, from_dict, to_dict
from glowtron.config.voice import FORMAT_VERSION, VoiceFile

if TYPE_CHECKING:
    from glowtron.config.runs import (
        AcousticRun,
        AdversarialConfig,
        FastSpeech2Run,
        OptimizerConfig,
        PatchDiscriminatorConfig,
        PostnetRun,
        RunConfig,
        SoundConfig,
        SpectralDiscriminatorConfig,
        TrainingConfig,
        VocoderRun,
        WaveNetRun,
        run_class,
    )

__all__ = [
    "FORMAT_VERSION",
    "AcousticConfig",
    "AcousticRun",
    "AdversarialConfig",
    "Config",
    "DecodingOptions",
    "FastSpeech2Config",
    "FastSpeech2Run",
    "GriffinLimConfig",
    "GroupingConfig",
    "LappedConfig",
    "LinearPredictionConfig",
    "MelConfig",
    "OptimizerConfig",
    "PatchDiscriminatorConfig",
    "PlainSignalConfig",
    "PostnetRun",
    "ProsodyOptions",
    "RunConfig",
    "SoundConfig",
    "SpectralDiscriminatorConfig",
    "Tacotron2Config",
    "TextConfig",
    "TrainingConfig",
    "VocoderConfig",
    "VocoderRun",
    "VocodingConfig",
    "VoiceFile",
    "WNConfig",
    "WaveGlowConfig",
    "WaveNetConfig",
    "WaveNetRun",
    "from_dict",
    "run_class",
    "to_dict",
]


def __getattr__(name: str) -> Any:
    # What training is told is a third of all configuration, and nobody who only speaks waits for it.
    if name not in __all__:
        raise AttributeError(f"module 'glowtron.config' has no attribute '{name}'")
    from glowtron.config import runs

    return getattr(runs, name)
