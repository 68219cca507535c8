"""Sound formats over HTTP: their media types, rates and encoders."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import AudioEncoder
from glowtron.errors import InputError

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

_AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
"""Hz, in the order of their indices in ADTS."""


class Encoder(Protocol):
    """Encodes sound while it comes."""

    sample_rate: int
    """Hz of what is made."""

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """The next samples (L,) -> the bytes that are settled."""

    def finish(self) -> bytes:
        """The bytes that were held back."""


def make_encoder(sample_rate: int, format: str, encoded_as: int | None = None) -> Encoder:
    """An encoder of one of `MEDIA_TYPES`.

    Args:
        sample_rate: Hz of the samples that will come.
        format: A key of `MEDIA_TYPES`.
        encoded_as: Hz that a client asked for; None: 24,000 of `pcm` and `opus`, else the voice's own.

    Raises:
        InputError: `aac` without the package that encodes it.
    """
    if encoded_as is None and format in ("pcm", "opus"):
        encoded_as = CLIENT_RATE
    if format == "aac":
        return AacEncoder(sample_rate, encoded_as or sample_rate)
    return AudioEncoder(sample_rate, format, encoded_as=encoded_as)


def media_type(format: str, sample_rate: int) -> str:
    """The Content-Type; of samples without a header it says their rate."""
    return f"{MEDIA_TYPES[format]};rate={sample_rate};channels=1" if format == "pcm" else MEDIA_TYPES[format]


class AacEncoder:
    """AAC in ADTS frames, by PyAV (extra `aac`)."""

    def __init__(self, sample_rate: int, encoded_as: int) -> None:
        try:
            import av
        except ImportError as error:
            known = ", ".join(name for name in MEDIA_TYPES if name != "aac")
            raise InputError(f"aac takes pip install 'glowtron[aac]'; without it there are {known}") from error
        self._av = av
        self.sample_rate = min(rate for rate in _AAC_RATES if rate >= min(encoded_as, _AAC_RATES[0]))
        self._inner = AudioEncoder(sample_rate, "pcm", encoded_as=self.sample_rate)
        self._codec = av.CodecContext.create("aac", "w")
        self._codec.sample_rate, self._codec.format, self._codec.layout = self.sample_rate, "fltp", "mono"
        self._codec.bit_rate = 64_000
        self._codec.open()
        self._fifo = av.AudioFifo()
        self._n_samples = 0

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        return self._encoded(self._inner.encode(samples), last=False)

    def finish(self) -> bytes:
        """See `Encoder`."""
        return self._encoded(self._inner.finish(), last=True)

    def _encoded(self, pcm: bytes, *, last: bool) -> bytes:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0
        if len(samples):
            frame = self._av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = self.sample_rate, self._n_samples
            self._n_samples += len(samples)
            self._fifo.write(frame)
        packets = []
        while (block := self._fifo.read(1024)) is not None:
            packets += self._codec.encode(block)
        if last:
            if (block := self._fifo.read(partial=True)) is not None:
                packets += self._codec.encode(block)
            packets += self._codec.encode(None)
        return b"".join(self._adts(len(bytes(packet))) + bytes(packet) for packet in packets)

    def _adts(self, n_bytes: int) -> bytes:
        """The header of a frame (ISO/IEC 13818-7, sec. 6.2): AAC-LC, one channel, no checksum."""
        size, rate = n_bytes + 7, _AAC_RATES.index(self.sample_rate)
        bits = 0xFFF << 44 | 1 << 40 | 1 << 38 | rate << 34 | 1 << 30 | size << 13 | 0x7FF << 2
        return bits.to_bytes(7, "big")
