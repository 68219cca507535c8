"""Glowtron: text to speech by Tacotron 2 and WaveGlow.

>>> import glowtron
>>> voice = glowtron.Voice.load("lj")  # doctest: +SKIP
>>> voice.say("Hello, world.").write("hello.wav")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glowtron.audio import Audio
    from glowtron.mel import log_mel
    from glowtron.synthesis.options import SynthesisOptions
    from glowtron.voice import Voice

__all__ = ["Audio", "SynthesisOptions", "Voice", "__version__", "log_mel"]

__version__ = "0.1.0"

_HOMES = {"Audio": "audio", "SynthesisOptions": "synthesis.options", "Voice": "voice", "log_mel": "mel"}


def __getattr__(name: str) -> Any:
    # Public names are imported when first asked for, so that `glowtron --help` need not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'glowtron' has no attribute '{name}'")
    return getattr(import_module(f"glowtron.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
