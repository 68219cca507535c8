"""Mel correction of a sound that comes in pieces, in NumPy: `glowtron.models.mel_correction` without torch.

It is written beside the graph (`glowtron.onnx.correction`) because NumPy has a fast Fourier transform, and because a
stream remembers. Held to the textbook by a test.

Letters: L samples, F frames, M mel bands, T mel frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glowtron.config import MelConfig
from glowtron.mel_filters import FLOOR, mel_filters
from glowtron.onnx.correction import MAX_LOG_GAIN, MOMENTUM, hann_window, spread

Floats = NDArray[np.float32]
_NOTHING = np.zeros(0, np.float32)
BLOCK = 128
"""Frames that are transformed at once: more take no less time, and memory in proportion."""


class Correction:
    """Gains on the bands of a short-time Fourier transform, from the mel wanted and the mel found."""

    def __init__(self, config: MelConfig) -> None:
        self.config = config
        self.filters = np.ascontiguousarray(mel_filters(config).T, np.float32)  # (bins, M)
        self.spread = spread(mel_filters(config))
        self.window = hann_window(config)

    def stream(self, rounds: int) -> CorrectionStream:
        """The correction of one sound."""
        return CorrectionStream(self, rounds)

    def frames_after(self, rounds: int) -> int:
        """Mel frames by which a stream's sound is behind what it was given."""
        return rounds * -(-(self.config.n_fft - self.config.hop_length) // self.config.hop_length)


class CorrectionStream:
    """The correction of one sound in pieces; joined, they are what the whole becomes, within rounding."""

    def __init__(self, correction: Correction, rounds: int) -> None:
        self._rounds = [_Round(correction) for _ in range(rounds)]
        self._hop = correction.config.hop_length
        self._mel = np.zeros((0, correction.config.n_mels), np.float32)
        self._forgotten = 0
        """Mel frames that no round needs again."""

    def push(self, wave: Floats, mel: Floats, last: bool = False) -> Floats:
        """The next sound (L,) and mel (M, T), which may run ahead of it -> sound (L',) that is settled now."""
        if not self._rounds:
            return wave
        self._mel = np.concatenate([self._mel, mel.T])
        block = BLOCK * self._hop
        starts = range(0, len(wave), block) or [0]
        blocks = [self._push(wave[start : start + block], last and start == starts[-1]) for start in starts]
        return np.concatenate(blocks)

    def _push(self, wave: Floats, last: bool) -> Floats:
        before = wave
        for each in self._rounds:
            before, wave = each.push(before, wave, self._mel[each.n_frames - self._forgotten :], last)
        self._mel = self._mel[self._rounds[-1].n_frames - self._forgotten :]
        self._forgotten = self._rounds[-1].n_frames
        return wave


class _Round:
    """One round: each frame is analysed once, and its samples are settled when no later frame overlaps them. What is
    kept of an array is copied, since a view would keep all of it.

    Places count from half a window before the sound's beginning, where the first frame begins.
    """

    def __init__(self, correction: Correction) -> None:
        self._correction = correction
        self._n_fft, self._hop = correction.config.n_fft, correction.config.hop_length
        self._half = self._n_fft // 2
        self.n_frames = 0
        """Number of those that have been analysed."""
        self._begun = False
        self._ahead = _NOTHING
        """Sound that frames to come look at, from the next frame's beginning on."""
        self._wave = _NOTHING
        """Sound as it came, from the first sample on that was not yet given back corrected."""
        self._edge = _NOTHING
        """The latest samples of all, for their reflection at the end."""
        self._sums = np.zeros((2, 0), np.float32)
        """Frames added up where others will overlap them, and their windows' squares."""
        self._gain: Floats | None = None
        """(1, bins) the last frame's."""

    def push(self, before: Floats, wave: Floats, mel: Floats, last: bool) -> tuple[Floats, Floats]:
        """Sound before and after the round before, mel (T, M) from frame `n_frames` on -> the same behind it."""
        ahead = before + (wave - before) * np.float32(1 + MOMENTUM)
        self._wave = np.concatenate([self._wave, wave])
        self._edge = np.concatenate([self._edge, ahead])[-self._half - 1 :].copy()
        self._ahead = np.concatenate([self._ahead, ahead])
        if not self._begun:
            if len(self._ahead) <= self._half:  # Too short for the transform's reflected edge.
                return self._give(self._wave if last else _NOTHING)
            self._ahead = np.concatenate([self._ahead[1 : self._half + 1][::-1], self._ahead])
            self._begun = True
        if last:
            self._ahead = np.concatenate([self._ahead, self._edge[:-1][::-1]])
        if len(self._ahead) < self._n_fft:
            return self._give(_NOTHING)
        return self._give(self._settle(self._synthesise(mel), last))

    def _synthesise(self, mel: Floats) -> Floats:
        """All frames that are there now, each as loud as the mel asks for, under their window: (F, n_fft)."""
        correction = self._correction
        frames = np.lib.stride_tricks.sliding_window_view(self._ahead, self._n_fft)[:: self._hop]
        spectrum = np.fft.rfft(frames * correction.window).astype(np.complex64, copy=False)  # (F, bins)
        n_frames = len(spectrum)
        mel = mel[:n_frames]
        found = np.log(np.maximum(np.abs(spectrum[: len(mel)]) @ correction.filters, np.float32(FLOOR)))
        gain = np.exp(np.clip(mel - found, -MAX_LOG_GAIN, MAX_LOG_GAIN) @ correction.spread)
        if len(gain):
            self._gain = gain[-1:].copy()
        assert self._gain is not None, "a mel has a frame for the first frame of its sound"
        if len(gain) < n_frames:  # The frame behind the mel's last one has no target of its own.
            gain = np.concatenate([gain, np.repeat(self._gain, n_frames - len(gain), axis=0)])
        self._ahead = self._ahead[n_frames * self._hop :].copy()
        spectrum *= gain
        return np.fft.irfft(spectrum, self._n_fft).astype(np.float32, copy=False) * correction.window

    def _settle(self, frames: Floats, last: bool) -> Floats:
        """Frames under their window -> samples that they settle."""
        n_frames, hop = len(frames), self._hop
        squares = np.broadcast_to(np.square(self._correction.window), frames.shape)
        sums = np.stack([_overlap_add(frames, hop), _overlap_add(squares, hop)])
        sums[:, : self._sums.shape[1]] += self._sums
        n_settled = sums.shape[1] if last else n_frames * hop
        self._sums = sums[:, n_settled:].copy()
        first = max(self._half - self.n_frames * hop, 0)  # What lies before the beginning is not sound.
        self.n_frames += n_frames
        sums = sums[:, first:n_settled][:, : len(self._wave)]
        settled: Floats = sums[0] / sums[1]
        return settled

    def _give(self, settled: Floats) -> tuple[Floats, Floats]:
        before, self._wave = self._wave[: len(settled)], self._wave[len(settled) :].copy()
        return before, settled


def _overlap_add(frames: Floats, hop: int) -> Floats:
    """(F, n), each `hop` after the one before -> their sum ((F - 1) * hop + n,)."""
    n_frames, size = frames.shape
    n_pieces = -(-size // hop)
    padded = np.pad(frames, ((0, 0), (0, n_pieces * hop - size))) if size % hop else frames
    pieces = padded.reshape(n_frames, n_pieces, hop)
    total = np.zeros((n_frames + n_pieces - 1, hop), np.float32)
    for i in range(n_pieces):
        total[i : i + n_frames] += pieces[:, i]
    return total.ravel()[: (n_frames - 1) * hop + size]
