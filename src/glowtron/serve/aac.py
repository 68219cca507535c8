"""AAC while it comes, by PyAV (extra `aac`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import AudioEncoder
from glowtron.errors import InputError

RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
"""Hz, in the order of their indices in ADTS."""


class AacEncoder:
    """AAC in ADTS frames, by PyAV (extra `aac`)."""

    def __init__(self, sample_rate: int, encoded_as: int) -> None:
        try:
            import av
        except ImportError as error:
            raise InputError("aac takes pip install 'glowtron[aac]'; choose another response_format") from error
        self._av = av
        self.sample_rate = min(rate for rate in RATES if rate >= min(encoded_as, RATES[0]))
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
        size, rate = n_bytes + 7, RATES.index(self.sample_rate)
        bits = 0xFFF << 44 | 1 << 40 | 1 << 38 | rate << 34 | 1 << 30 | size << 13 | 0x7FF << 2
        return bits.to_bytes(7, "big")
