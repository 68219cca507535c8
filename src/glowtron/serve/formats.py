"""Sound formats over HTTP: their media types, rates and encoders."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio, AudioEncoder, encoded_rate

MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""`response_format` -> media type. Clients decode by the type, so it must be the exact one."""

CLIENT_RATE = 24_000
"""Hz of `pcm` and `opus`: what clients of OpenAI's endpoint take for granted where nothing in the sound says it."""


class Encoder(Protocol):
    """Encodes sound while it comes."""

    sample_rate: int
    """Hz of what is made."""

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """The next samples (L,) -> the bytes that are settled."""

    def finish(self) -> bytes:
        """The bytes that were held back."""


def make_encoder(sample_rate: int, format: str, encoded_as: int | None = None, *, whole: bool = False) -> Encoder:
    """An encoder of one of `MEDIA_TYPES`.

    Args:
        sample_rate: Hz of the samples that will come.
        format: A key of `MEDIA_TYPES`.
        encoded_as: Hz that a client asked for; None: 24,000 of `pcm` and `opus`, else the voice's own.
        whole: Whether all is encoded at the end, so that the file says how long it is.

    Raises:
        InputError: `aac` without the package that encodes it.
    """
    if encoded_as is None and format in ("pcm", "opus"):
        encoded_as = CLIENT_RATE
    if format == "aac":
        from glowtron.serve.aac import AacEncoder

        return AacEncoder(sample_rate, encoded_as or sample_rate)
    if whole and format != "pcm":
        return WholeEncoder(sample_rate, format, encoded_as or sample_rate)
    return AudioEncoder(sample_rate, format, encoded_as=encoded_as)


def media_type(format: str, sample_rate: int) -> str:
    """The Content-Type; of samples without a header it says their rate."""
    return f"{MEDIA_TYPES[format]};rate={sample_rate};channels=1" if format == "pcm" else MEDIA_TYPES[format]


class WholeEncoder:
    """Encodes all sound at the end, as a file has it."""

    def __init__(self, sample_rate: int, format: str, encoded_as: int) -> None:
        self._given, self._format, self._parts = sample_rate, format, [np.zeros(0, np.float32)]
        self.sample_rate = encoded_rate(encoded_as, format)

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        self._parts.append(samples)
        return b""

    def finish(self) -> bytes:
        """See `Encoder`."""
        return Audio(np.concatenate(self._parts), self._given).resample(self.sample_rate).encode(self._format)
