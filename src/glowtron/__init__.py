"""Glowtron: text to speech by Tacotron 2 and WaveGlow.

>>> import glowtron
>>> voice = glowtron.Voice.load()  # doctest: +SKIP
>>> voice.say("Hello, world.").write("hello.wav")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glowtron.audio import Audio
    from glowtron.config.synthesis import SynthesisOptions
    from glowtron.errors import InputError
    from glowtron.mel import log_mel
    from glowtron.synthesis.alignment_checks import AlignmentStats
    from glowtron.synthesis.types import FaultWarning, Segment, Sentence, SymbolTime, Utterance, WordTime
    from glowtron.text.english import Normalized
    from glowtron.text.english import explain as normalize
    from glowtron.text.frontend import Encoded, EncodedWord, MarkedText
    from glowtron.text.ssml import parse_ssml
    from glowtron.voice import Voice

__version__ = "0.1.0"

_HOMES = {
    "AlignmentStats": "synthesis.alignment_checks",
    "Audio": "audio",
    "Encoded": "text.frontend",
    "EncodedWord": "text.frontend",
    "FaultWarning": "synthesis.types",
    "InputError": "errors",
    "MarkedText": "text.frontend",
    "Normalized": "text.english",
    "Segment": "synthesis.types",
    "Sentence": "synthesis.types",
    "SymbolTime": "synthesis.types",
    "SynthesisOptions": "config.synthesis",
    "Utterance": "synthesis.types",
    "Voice": "voice",
    "WordTime": "synthesis.types",
    "log_mel": "mel",
    "normalize": "text.english",
    "parse_ssml": "text.ssml",
}
_NAMES = {"normalize": "explain"}

__all__ = [
    "AlignmentStats",
    "Audio",
    "Encoded",
    "EncodedWord",
    "FaultWarning",
    "InputError",
    "MarkedText",
    "Normalized",
    "Segment",
    "Sentence",
    "SymbolTime",
    "SynthesisOptions",
    "Utterance",
    "Voice",
    "WordTime",
    "__version__",
    "log_mel",
    "normalize",
    "parse_ssml",
]


def __getattr__(name: str) -> Any:
    # Public names are imported when first asked for, so that `glowtron --help` need not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'glowtron' has no attribute '{name}'")
    return getattr(import_module(f"glowtron.{_HOMES[name]}"), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
