"""The decode loop of Tacotron 2: dropout noise in, frames out, until every text has ended (Shen et al. 2018, sec. 2.2).

The loop is written once. A `DecoderRun` takes the steps: the textbook's own (`models.tacotron2`), or an engine's. The
loop draws the prenet's noise, finds the ends, and drops the texts that have ended; `assemble` makes a batch of mels of
its segments, `stream_mel` makes pieces of one mel while it runs.

Letters: B texts, K texts of a segment, N symbols, S decoder steps, r frames a step, T = S * r frames, M mel bands,
P prenet channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from glowtron.config import DecodingOptions

NOISE_STEPS = 64
"""Decoder steps whose noise is drawn at once: a draw costs more by the call than by the number. Model and engines draw
alike, so that the same seed gives the same noise."""


class AcousticOutput(NamedTuple):
    """Mels of a batch of texts."""

    mel: Tensor
    """(B, M, T), zero behind each text's end."""
    mel_lengths: Tensor
    """(B,) frames."""
    alignment: Tensor
    """(B, S, N) attention weights, zero behind each text's end."""
    stopped: Tensor
    """(B,) False where the frame limit ended it."""


class MelChunk(NamedTuple):
    """The next piece of a text's mel."""

    mel: Tensor
    """(1, M, T); T may be 0 in the last piece."""
    alignment: Tensor
    """(1, S, N) of the steps that this piece added, which are some frames ahead of its mel."""
    ended: bool
    """True if this is the last piece."""
    stopped: bool
    """True if the text ended by itself; False before the last piece, and where the frame limit ended it."""


class Steps(NamedTuple):
    """The result of some decoder steps."""

    frames: Tensor
    """(K, S, r, M) before the postnet."""
    alignment: Tensor
    """(K, S, N)."""
    ended: dict[int, int]
    """For each active row that ended, the number of its steps, the last one included."""


class DecoderRun(Protocol):
    """A decoder in the middle of a batch of texts."""

    def advance(self, keep: Tensor, active: Sequence[bool]) -> Steps:
        """Take up to S steps, fewer if an active row ends.

        keep: (2, S, K, P) dropout masks of the prenet, divided by their mean. active: the rows whose end counts.
        """

    def select(self, rows: list[int]) -> DecoderRun:
        """The run of these rows only."""


class Prenet(Protocol):
    """Draws the noise of the prenet's dropout."""

    def draw(self, *shape: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Masks (2, *shape, P)."""


class Segment(NamedTuple):
    """Consecutive steps of the texts that had not ended."""

    rows: list[int]
    """Which K texts."""
    frames: Tensor
    """(K, T, M) before the postnet."""
    alignment: Tensor
    """(K, S, N)."""
    ended: dict[int, int]
    """Texts that ended in this segment, and after how many of its steps."""


def decode(
    run: DecoderRun,
    prenet: Prenet,
    generators: Sequence[torch.Generator],
    like: Tensor,
    n_steps: int,
    *,
    drop_ended: bool,
    steps_at_once: Callable[[], int],
) -> Iterator[Segment]:
    """Decode texts until all have ended or `n_steps` are taken.

    Args:
        run: At the beginning of the texts.
        prenet: Draws the noise.
        generators: One for each text, so that company changes nothing.
        like: A tensor of the noise's device and dtype.
        n_steps: The limit.
        drop_ended: Whether texts that have ended leave the run.
        steps_at_once: How many steps to take at most before the next segment is given.
    """
    noise = _Noise(prenet, generators, like)
    rows = list(range(len(generators)))  # Of the texts in the run.
    active = set(rows)
    while n_steps and active:
        frames, alignment, ended_rows = run.advance(
            noise.peek(min(n_steps, max(steps_at_once(), 1))), [row in active for row in rows]
        )
        n_taken = frames.shape[1]
        noise.drop(n_taken)
        n_steps -= n_taken
        ended = {rows[i]: n for i, n in ended_rows.items()}
        yield Segment(rows, frames.flatten(1, 2), alignment, ended)
        active -= ended.keys()
        if ended and active and drop_ended:
            going = [i for i, row in enumerate(rows) if row in active]
            rows = [rows[i] for i in going]
            run = run.select(going)
            noise.select(going)


class _Noise:
    """The dropout masks of the next steps; each text has its own generator."""

    def __init__(self, prenet: Prenet, generators: Sequence[torch.Generator], like: Tensor) -> None:
        self._prenet, self._generators, self._like = prenet, list(generators), like
        self._drawn = self._draw()

    def _draw(self) -> Tensor:
        each = [self._prenet.draw(NOISE_STEPS, like=self._like, generator=one) for one in self._generators]
        return torch.stack(each, dim=2)  # (2, NOISE_STEPS, K, P)

    def peek(self, n_steps: int) -> Tensor:
        """(2, S, K, P) of the next steps."""
        while self._drawn.shape[1] < n_steps:
            self._drawn = torch.cat((self._drawn, self._draw()), dim=1)
        return self._drawn[:, :n_steps]

    def drop(self, n_steps: int) -> None:
        """These steps have been taken."""
        self._drawn = self._drawn[:, n_steps:]

    def select(self, rows: list[int]) -> None:
        """Go on for these rows only."""
        self._generators = [self._generators[row] for row in rows]
        self._drawn = self._drawn[:, :, rows]


def step_limit(options: DecodingOptions, reduction_factor: int) -> int:
    """Decoder steps that `options.max_frames` allow."""
    return -(-options.max_frames // reduction_factor)


def assemble(
    segments: Iterable[Segment],
    n_texts: int,
    n_symbols: int,
    options: DecodingOptions,
    reduction_factor: int,
    refine: Callable[[Tensor, Tensor], Tensor],
) -> AcousticOutput:
    """Mels of all texts.

    Args:
        segments: Of `decode`.
        n_texts: B.
        n_symbols: N.
        options: Say whether the stopping step counts, and the limit of frames.
        reduction_factor: r.
        refine: Applies the postnet to frames (B, T, M) of texts as long as (B,) frames; zero behind each.
    """
    segments, r = list(segments), reduction_factor
    n_taken = sum(segment.alignment.shape[1] for segment in segments)
    new = segments[0].frames.new_zeros
    before, alignment = new(n_texts, n_taken * r, segments[0].frames.shape[2]), new(n_texts, n_taken, n_symbols)
    n_steps = [step_limit(options, r)] * n_texts
    stopped = [False] * n_texts
    done = 0
    for segment in segments:
        n_new, width = segment.alignment.shape[1:]
        before[segment.rows, done * r : (done + n_new) * r] = segment.frames
        alignment[segment.rows, done : done + n_new, :width] = segment.alignment
        for text, n in segment.ended.items():
            n_steps[text], stopped[text] = done + n - 1 + options.keep_stop_frame, True
        done += n_new
    for text in range(n_texts):
        if stopped[text]:
            alignment[text, n_steps[text] + (not options.keep_stop_frame) :] = 0
    mel_lengths = torch.tensor(n_steps, device=before.device).mul(r).clamp(max=options.max_frames)
    mel = refine(before, mel_lengths)[:, : int(mel_lengths.max())]
    return AcousticOutput(mel.transpose(1, 2), mel_lengths, alignment, torch.tensor(stopped, device=before.device))


def stream_mel(
    segments: Iterable[Segment],
    options: DecodingOptions,
    reduction_factor: int,
    postnet: Callable[[Tensor], Tensor],
    reach: int,
    *,
    mask_padding: bool,
) -> Iterator[MelChunk]:
    """One text's mel in pieces, as soon as each is final: what `assemble` makes of the whole.

    Args:
        segments: Of `decode`, of one text.
        options: As of `assemble`.
        reduction_factor: r.
        postnet: The residual of frames (1, T, M).
        reach: Frames on either side that the postnet looks at; a piece lags the decoder by as many.
        mask_padding: Whether the postnet sees zeros behind the text's end.
    """
    r, left = reduction_factor, step_limit(options, reduction_factor)
    window: Tensor | None = None  # Frames before the postnet, from `start` on.
    start = given = 0
    for segment in segments:
        left -= segment.alignment.shape[1]
        stopped = bool(segment.ended)
        window = segment.frames if window is None else torch.cat((window, segment.frames), dim=1)
        end = start + window.shape[1]
        if stopped or not left:
            settled = min(end - r * (stopped and not options.keep_stop_frame), options.max_frames)
            if mask_padding:
                window = window[:, : settled - start]
        else:
            settled = max(end - reach, given)
        mel = (window + postnet(window))[:, given - start : settled - start]
        yield MelChunk(mel.transpose(1, 2), segment.alignment, stopped or not left, stopped)
        given = settled
        window = window[:, max(given - reach, 0) - start :]
        start = max(given - reach, 0)
