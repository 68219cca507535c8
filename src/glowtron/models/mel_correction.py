"""Brings a vocoder's sound back to the mel it was made from.

A flow draws its noise without looking at what came out: the loudness of each band is right on average, not at each
moment, and lower with a lower sigma. Here each band of each frame is given the loudness that the mel asks for, the
phases stay, and since overlapping frames then disagree a little, this is done a few times. It is the magnitude step of
Griffin & Lim (1984), on mel bands and from a good beginning instead of on single frequencies and from random phases,
with the acceleration of Perraudin et al. (2013).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.config import MelConfig
from glowtron.mel import FLOOR, mel_filters

MOMENTUM = 0.9
"""Share of a round's change that the next one goes on by beforehand."""
MAX_LOG_GAIN = 3.0
"""A factor of 20: more is asked for only where there is nothing to make louder."""


class MelCorrection:
    """Gains on the bands of a short-time Fourier transform, from the mel wanted and the mel found."""

    def __init__(self, config: MelConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.filters = mel_filters(config).to(device, torch.float32).T.contiguous()  # (F, M)
        # A frequency follows the bands over it; one outside all bands stays as it is.
        self.spread = (self.filters.T / self.filters.sum(1).clamp(min=1e-8)).contiguous()  # (M, F)
        around = config.n_fft - config.win_length
        self.window = F.pad(torch.hann_window(config.win_length, device=device), (around // 2, around - around // 2))

    def __call__(self, wave: Tensor, mel: Tensor, rounds: int) -> Tensor:
        """Sound (B, T * hop_length) that was made of the log-mel (B, M, T) -> sound of that shape, float32."""
        return self.stream(rounds).push(wave, mel, last=True)

    def stream(self, rounds: int) -> CorrectionStream:
        """Something that is given a sound and its mel in pieces and gives what is settled of the corrected sound."""
        return CorrectionStream(self, rounds)

    def frames_after(self, rounds: int) -> int:
        """Mel frames by which a stream's sound is behind what it was given."""
        return rounds * -(-(self.config.n_fft - self.config.hop_length) // self.config.hop_length)


class CorrectionStream:
    """The correction of one batch of sounds, in pieces; joined, they are what the whole becomes, within rounding."""

    def __init__(self, correction: MelCorrection, rounds: int) -> None:
        self._rounds = [_Round(correction) for _ in range(rounds)]
        self._mel: Tensor | None = None
        self._forgotten = 0
        """Mel frames that no round needs again."""

    @torch.no_grad()
    def push(self, wave: Tensor, mel: Tensor, last: bool = False) -> Tensor:
        """The next sound (B, L) and mel (B, M, T), which may run ahead of it -> sound (B, L') that is settled now.

        L and L' may be 0. With `last` nothing follows, and all that is left is given.
        """
        wave, mel = wave.float(), mel.float().transpose(1, 2)  # (B, T, M)
        self._mel = mel if self._mel is None else torch.cat((self._mel, mel), dim=1)
        before = wave
        for each in self._rounds:
            before, wave = each.push(before, wave, self._mel[:, each.n_frames - self._forgotten :], last)
        if self._rounds:
            self._mel = self._mel[:, self._rounds[-1].n_frames - self._forgotten :]
            self._forgotten = self._rounds[-1].n_frames
        return wave


class _Round:
    """One round: each frame is analysed once, and its samples are settled when no later frame overlaps them.

    Places count from half a window before the sound's beginning, where the first frame begins. What is kept from push
    to push is copied, as a view would keep all that it is a part of.
    """

    def __init__(self, correction: MelCorrection) -> None:
        self._correction = correction
        self._n_fft, self._hop = correction.config.n_fft, correction.config.hop_length
        self._half = self._n_fft // 2
        self.n_frames = 0
        """Number of those that have been analysed."""
        self._begun = False
        self._ahead: Tensor | None = None
        """(B, L) sound that frames to come look at, from the next frame's beginning on."""
        self._wave: Tensor | None = None
        """(B, L) sound as it came, from the first sample on that was not yet given back corrected."""
        self._edge: Tensor | None = None
        """(B, half + 1) the latest samples of all, for their reflection at the end."""
        self._sums: Tensor | None = None
        """(B + 1, L) frames added up where others will overlap them, and in the last row their windows' squares."""
        self._gain: Tensor | None = None
        """(B, 1, F) the last frame's."""

    def push(self, before: Tensor, wave: Tensor, mel: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """Sound before and after the round before (B, L), mel (B, T, M) from frame `n_frames` on -> the same behind it.

        Both results are as long as what is settled.
        """
        ahead = torch.lerp(before, wave, 1 + MOMENTUM)
        self._wave = _join(self._wave, wave)
        self._edge = _join(self._edge, ahead)[:, -self._half - 1 :].clone()
        self._ahead = _join(self._ahead, ahead)
        if not self._begun:
            if self._ahead.shape[1] <= self._half:  # Too short for the transform's reflected edge.
                return self._give(self._wave if last else self._wave[:, :0])
            self._ahead = torch.cat((self._ahead[:, 1 : self._half + 1].flip(1), self._ahead), dim=1)
            self._begun = True
        if last:
            self._ahead = torch.cat((self._ahead, self._edge[:, :-1].flip(1)), dim=1)
        if self._ahead.shape[1] < self._n_fft:
            return self._give(self._wave[:, :0])
        return self._give(self._settle(self._synthesise(mel), last))

    def _synthesise(self, mel: Tensor) -> Tensor:
        """All frames that are there now, each as loud as the mel asks for, under their window: (B, F, n_fft)."""
        assert self._ahead is not None
        correction = self._correction
        frames = self._ahead.unfold(1, self._n_fft, self._hop)
        spectrum = torch.fft.rfft(frames * correction.window)  # (B, F, bins)
        mel = mel[:, : spectrum.shape[1]]
        # Views, since operations on complex numbers copy and take twice as long.
        real, imaginary = torch.view_as_real(spectrum).unbind(dim=-1)
        a, b = real[:, : mel.shape[1]], imaginary[:, : mel.shape[1]]
        magnitude = a.square().addcmul_(b, b).sqrt_()
        found = (magnitude @ correction.filters).clamp_(min=FLOOR).log_()
        gain = ((mel - found).clamp(-MAX_LOG_GAIN, MAX_LOG_GAIN) @ correction.spread).exp()
        gain = _join(self._gain, gain)
        self._gain = gain[:, -1:].clone()
        # The frame behind the mel's last one has no target of its own.
        gain = torch.cat((gain, self._gain), dim=1)[:, -1 - mel.shape[1] :][:, : spectrum.shape[1]]
        self._ahead = self._ahead[:, spectrum.shape[1] * self._hop :].clone()
        real.mul_(gain)
        imaginary.mul_(gain)
        return torch.fft.irfft(spectrum, self._n_fft).mul_(correction.window)

    def _settle(self, frames: Tensor, last: bool) -> Tensor:
        """Frames under their window -> samples (B, L) that they settle."""
        n_frames, wave = frames.shape[1], self._wave
        assert wave is not None
        squares = self._correction.window.square().expand(1, n_frames, -1)
        sums = torch.cat((_overlap_add(frames, self._hop), _overlap_add(squares, self._hop)))
        if self._sums is not None:
            sums[:, : self._sums.shape[1]] += self._sums
        n_settled = sums.shape[1] if last else n_frames * self._hop
        self._sums = sums[:, n_settled:].clone()
        first = max(self._half - self.n_frames * self._hop, 0)  # What lies before the beginning is not sound.
        self.n_frames += n_frames
        sums = sums[:, first:n_settled][:, : wave.shape[1]]
        return sums[:-1] / sums[-1:]

    def _give(self, settled: Tensor) -> tuple[Tensor, Tensor]:
        assert self._wave is not None
        before, self._wave = self._wave[:, : settled.shape[1]], self._wave[:, settled.shape[1] :].clone()
        return before, settled


def _join(earlier: Tensor | None, later: Tensor) -> Tensor:
    return later if earlier is None else torch.cat((earlier, later), dim=1)


def _overlap_add(frames: Tensor, hop: int) -> Tensor:
    """(B, F, n), each `hop` after the one before -> their sum (B, (F - 1) * hop + n)."""
    n_batch, n_frames, size = frames.shape
    n_pieces = -(-size // hop)
    padding = n_pieces * hop - size
    pieces = (F.pad(frames, (0, padding)) if padding else frames).unflatten(2, (n_pieces, hop))
    total = frames.new_zeros(n_batch, n_frames + n_pieces - 1, hop)
    for i in range(n_pieces):
        total[:, i : i + n_frames] += pieces[:, :, i]
    return total.flatten(1)[:, : (n_frames - 1) * hop + size]
