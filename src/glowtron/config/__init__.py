"""Configuration of everything: frozen dataclasses, written to and read strictly from JSON. Imports no torch.

One fact lives in one place: sizes in the model's section, habits of training in the training's section. An unknown key
or a value of another type is an `InputError` that names the key's path and the nearest known key.
"""

from glowtron.config.checks import STRICT
from glowtron.config.models import (
    AcousticConfig,
    FastSpeech2Config,
    GriffinLimConfig,
    GroupingConfig,
    LappedConfig,
    MelConfig,
    ProsodyOptions,
    Tacotron2Config,
    TextConfig,
    VocoderConfig,
    VocodingConfig,
    WaveGlowConfig,
    WaveNetConfig,
)
from glowtron.config.reading import from_dict, to_dict
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
    run_class,
)

__all__ = [
    "STRICT",
    "AcousticConfig",
    "AcousticRun",
    "AdversarialConfig",
    "FastSpeech2Config",
    "FastSpeech2Run",
    "GriffinLimConfig",
    "GroupingConfig",
    "LappedConfig",
    "MelConfig",
    "OptimizerConfig",
    "PatchDiscriminatorConfig",
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
    "WaveGlowConfig",
    "WaveNetConfig",
    "from_dict",
    "run_class",
    "to_dict",
]
