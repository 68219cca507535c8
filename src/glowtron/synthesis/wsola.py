"""Faster and slower speech at the same pitch: short pieces of sound laid out anew where they overlap alike.

WSOLA (Verhelst and Roelands 1993). Why on the sound and not on the mel or in the attention: docs/adr/0007.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HOP_S = 0.0225
"""Seconds from one piece to the next in the result; a piece is two of these, several periods of any voice."""
_SEEK_S = 0.0125
"""Seconds by which a piece may be taken earlier or later than its time: a period of the deepest voice, 80 Hz."""
_PULL = 1e-3
"""Least advantage of the farthest place over the nearest, so that silence stays where it is."""

Samples = NDArray[np.float32]


def time_stretch(samples: Samples, rate: float, sample_rate: int) -> Samples:
    """Sound (L,) made `rate` times as fast: (round(L / rate),). At rate 1 it is `samples` itself."""
    return samples if rate == 1.0 else Wsola(rate, sample_rate).push(samples, is_last=True)


class Wsola:
    """`time_stretch` for sound that comes in pieces of any size; what it gives, joined, is the same."""

    def __init__(self, rate: float, sample_rate: int) -> None:
        self._rate = rate
        self._hop, self._seek = round(_HOP_S * sample_rate), round(_SEEK_S * sample_rate)
        # Periodic, so that neighbours add up to one.
        self._window = np.hanning(2 * self._hop + 1)[:-1].astype(np.float32)
        self._lead = self._hop + self._seek
        self._heard = np.zeros(self._lead, np.float32)
        """Sound that may be needed again, after silence for what is before the beginning."""
        self._forgotten = -self._lead
        """Place in the whole sound where `_heard` begins."""
        self._n_heard = self._n_given = self._place = 0
        self._before: int | None = None
        """Place that the piece before this one was taken from."""
        self._tail = np.zeros(self._hop, np.float32)

    def push(self, samples: Samples, *, is_last: bool = False) -> Samples:
        """Take the next samples and give all that is settled by now; with `is_last` the rest."""
        self._heard = np.concatenate([self._heard, samples])
        self._n_heard += len(samples)
        if is_last:
            self._heard = np.concatenate([self._heard, np.zeros(4 * self._lead, np.float32)])
        given: list[Samples] = []
        wanted = round(self._n_heard / self._rate)
        while self._next_is_here() and not (is_last and self._n_given >= wanted):
            self._add_piece(given)
        joined = np.concatenate([np.zeros(0, np.float32), *given])
        return joined[: len(joined) - max(self._n_given - wanted, 0)] if is_last else joined

    def _next_is_here(self) -> bool:
        """True if all the sound is there that the next piece may be taken from, and be likened to."""
        latest = max(self._nominal() + self._seek, (self._before or 0) + self._hop)
        return latest + 2 * self._hop <= self._forgotten + len(self._heard)

    def _nominal(self) -> int:
        """Start of the next segment before the search for similarity."""
        return round(self._place * self._hop * self._rate) - self._hop

    def _add_piece(self, given: list[Samples]) -> None:
        nominal = self._nominal()
        start = nominal if self._before is None else self._most_alike(nominal, self._before + self._hop)
        piece = self._at(start, 2 * self._hop) * self._window
        if self._place:  # The first piece is centred on the beginning: its first half is before it.
            given.append(self._tail + piece[: self._hop])
            self._n_given += self._hop
        self._tail = piece[self._hop :]
        self._before, self._place = start, self._place + 1
        needed = min(self._nominal() - self._seek, start + self._hop)
        self._heard, self._forgotten = self._heard[needed - self._forgotten :], needed

    def _most_alike(self, nominal: int, following: int) -> int:
        """The place around `nominal` where the sound is most like that at `following`, which would go on unnoticed."""
        wanted = self._at(following, 2 * self._hop)
        around = self._at(nominal - self._seek, 2 * self._hop + 2 * self._seek)
        energy = np.concatenate([[0.0], np.cumsum(np.square(around, dtype=np.float64))])
        norms = np.sqrt(energy[2 * self._hop :] - energy[: -2 * self._hop] + 1e-9)
        alike = np.correlate(around, wanted, "valid") / norms / np.sqrt(np.square(wanted).sum() + 1e-9)
        far = np.abs(np.arange(-self._seek, self._seek + 1)) / self._seek
        return nominal - self._seek + int(np.argmax(alike - _PULL * far))

    def _at(self, start: int, length: int) -> Samples:
        piece = self._heard[start - self._forgotten : start - self._forgotten + length]
        assert len(piece) == length, (start, length, self._forgotten, len(self._heard))
        return piece
