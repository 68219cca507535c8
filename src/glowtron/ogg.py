"""Ogg pages (RFC 3533) with one serial number, so that the same sound is the same bytes.

libsndfile draws the number of a stream by chance; nothing depends on it in a file of one stream.
"""

from __future__ import annotations

import struct

_HEAD = 27
"""Bytes of a page's header before its table of segments."""


def _table() -> tuple[int, ...]:
    """CRC-32 of each byte with the polynomial 0x04c11db7, most significant bit first, as RFC 3533 has it (sec. 6)."""
    entries = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x8000_0000 else 0)
        entries.append(crc & 0xFFFF_FFFF)
    return tuple(entries)


_TABLE = _table()


class OggPages:
    """Rewrites the pages of one stream as they come."""

    def __init__(self, serial: int = 1) -> None:
        """serial: what all pages are given."""
        self._serial = struct.pack("<I", serial)
        self._held = bytearray()

    def push(self, data: bytes) -> bytes:
        """Bytes of the stream, cut anywhere -> all pages that are whole by now."""
        self._held += data
        done = bytearray()
        while (size := self._page_size()) is not None:
            done += self._rewritten(self._held[:size])
            del self._held[:size]
        return bytes(done)

    def _page_size(self) -> int | None:
        """Bytes of the next page; None while it is not whole."""
        if len(self._held) < _HEAD:
            return None
        assert self._held[:4] == b"OggS", "an Ogg stream is pages without anything between them"
        n_segments = self._held[26]
        if len(self._held) < _HEAD + n_segments:
            return None
        size = _HEAD + n_segments + sum(self._held[_HEAD : _HEAD + n_segments])
        return size if len(self._held) >= size else None

    def _rewritten(self, page: bytearray) -> bytearray:
        page[14:18], page[22:26] = self._serial, bytes(4)
        crc = 0
        for byte in page:
            crc = ((crc << 8) & 0xFFFF_FFFF) ^ _TABLE[(crc >> 24) ^ byte]
        page[22:26] = struct.pack("<I", crc)
        return page
