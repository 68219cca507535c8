"""Forced alignment: the time of each symbol of a clip's text, by a speech recogniser that knows the text.

PocketSphinx (extra `align`; its package carries an English acoustic model) finds the best path through exactly the
phones that the text frontend gives the acoustic model, without stress, with optional silence between words. The
alignment supervises the acoustic model's attention.

Every moment of a clip belongs to one symbol. Silence between words belongs to the punctuation there, else to the space;
without silence these last 0 s. Silence before the first word belongs to the first symbol, whatever it is
(texts have no start symbol), and silence after the last word to the final punctuation, or to the last phone where a
text ends without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from glowtron.audio import Audio
from glowtron.data.durations import Alignment, read_alignments
from glowtron.data.manifest import Clip, read_clip
from glowtron.errors import InputError
from glowtron.files import write_text
from glowtron.text.frontend import Frontend
from glowtron.text.symbols import SYMBOLS

SAMPLE_RATE = 16_000
"""Hz, of the recogniser's acoustic model."""

_FRAME_S = 0.01
"""Seconds between the recogniser's frames."""
_BOUNDARY_S = 0.025625 / 2 - _FRAME_S / 2
"""From a frame's nominal start to half-way between the centres of its window and the window before."""
_MARGIN_S = 0.3
"""Seconds of background noise set before and after a clip, so that a silence cut short is still known for one."""
_QUIET = SAMPLE_RATE // 40
"""Samples over which the background's loudness is measured."""
_BEAMS = (1e-60, 1e-120, 1e-240)
"""Beam widths of the search, tried in turn: the next is wider, if the one before found no path."""
_SAVED_EVERY = 100
"""Clips that a killed run may lose."""
_RANKS = (".!?", ",;:", "-()", "'", " ")
"""Symbols that get the silence between two words, those of the first group first."""

_PHONE_OF = {i: symbol.strip("{012}") for i, symbol in enumerate(SYMBOLS) if symbol.startswith("{")}
"""Phone without stress of each symbol that is one."""


class AlignmentReport(NamedTuple):
    """The result for all clips."""

    aligned: int
    """Clips in the file now."""
    reused: int
    """Those of them that an earlier run aligned, with the same text and length."""
    failed: dict[str, str]
    """Why the others could not be aligned, by clip id."""


class Aligner:
    """A forced aligner."""

    def __init__(self) -> None:
        """Raises InputError if PocketSphinx is not installed."""
        try:
            import pocketsphinx
        except ImportError as error:
            raise InputError("aligning needs PocketSphinx: pip install 'glowtron[align]'") from error
        self._package = pocketsphinx
        self._decoders: dict[float, Any] = {}

    def align(self, audio: Audio, symbols: Sequence[int]) -> Alignment:
        """Times at which `symbols` end in `audio` (at `SAMPLE_RATE`).

        Raises InputError if the symbols hold no phones, or if they cannot be found in the audio, which happens when it
        says something else, or is cut short.
        """
        assert audio.sample_rate == SAMPLE_RATE, f"audio at {audio.sample_rate} Hz, the aligner wants {SAMPLE_RATE}"
        words = _words(symbols)
        if not words:
            raise InputError("its text has no phones; alignment needs a frontend with phonemes")
        expected = [phone for word in words for phone in word]
        pcm = _framed(audio)
        for beam in _BEAMS:
            spans = self._find(pcm, words, beam)
            if spans is not None and [phone for phone, _, _ in spans] == expected:
                return Alignment(tuple(symbols), tuple(_ends(symbols, spans, audio.duration_s)))
        raise InputError("the recording does not fit its text; mend the text or leave the clip out")

    def _find(self, pcm: bytes, words: list[list[str]], beam: float) -> list[tuple[str, float, float]] | None:
        """(phone, start, end) of each phone in order, in seconds; None if no path was found."""
        decoder = self._decoder(beam)
        names = ["_".join(word) for word in words]  # A pronunciation is its own name, so no word means two.
        for name, word in zip(names, words, strict=True):
            if decoder.lookup_word(name) is None:
                decoder.add_word(name, " ".join(word), True)
        try:
            decoder.set_align_text(" ".join(names))
            _decode(decoder, pcm)
            if decoder.hyp() is None:
                return None
            decoder.set_alignment()
            _decode(decoder, pcm)
            found = decoder.get_alignment()
        except RuntimeError:  # How the recogniser says that no path reached the end.
            return None
        if found is None:
            return None
        known, shift = set(names), _BOUNDARY_S - _MARGIN_S
        return [
            (phone.name, phone.start * _FRAME_S + shift, (phone.start + phone.duration) * _FRAME_S + shift)
            for word in found
            if word.name in known
            for phone in word
        ]

    def _decoder(self, beam: float) -> Any:
        if beam not in self._decoders:
            self._decoders[beam] = self._package.Decoder(
                lm=None, dict=None, beam=beam, pbeam=beam, wbeam=beam, bestpath=False, loglevel="FATAL"
            )
        return self._decoders[beam]


def align_clips(
    clips: Sequence[Clip],
    frontend: Frontend,
    out: Path,
    *,
    progress: Callable[[int], None] | None = None,
) -> AlignmentReport:
    """Align clips with their texts into `out`, as lines of JSON that `read_alignments` reads.

    Clips that cannot be aligned are left out and named in the report. Clips that `out` has already, with the same
    symbols and length, are not aligned again. An interrupted run leaves what it found beside `out`, for the next one
    to go on from. `progress` gets the number of clips done after each. Raises InputError if PocketSphinx is missing or
    `out` cannot be written.
    """
    aligner = Aligner()
    partial = out.with_name(out.name + ".partial")
    earlier: dict[str, Alignment] = {}
    for path in (out, partial):
        if path.exists():
            earlier |= read_alignments(path)
    _write(partial, earlier)  # So that a place that cannot be written is known before the work is done.
    found: dict[str, Alignment] = {}
    failed: dict[str, str] = {}
    reused = 0
    try:
        for done, clip in enumerate(clips, 1):
            try:
                audio, symbols = read_clip(clip, SAMPLE_RATE), frontend.ids(clip.text)
                known = earlier.get(clip.id)
                if known and list(known.symbols) == symbols and abs(known.ends[-1] - audio.duration_s) < _FRAME_S:
                    found[clip.id] = known
                    reused += 1
                else:
                    found[clip.id] = aligner.align(audio, symbols)
            except InputError as error:
                failed[clip.id] = str(error)
            if done % _SAVED_EVERY == 0:
                _write(partial, earlier | found)
            if progress is not None:
                progress(done)
    finally:  # Whatever ended it, an interruption too.
        _write(partial, earlier | found)
    _write(out, found)
    partial.unlink(missing_ok=True)
    return AlignmentReport(len(found), reused, failed)


def _write(path: Path, alignments: dict[str, Alignment]) -> None:
    write_text(path, "".join(_line(*item) for item in alignments.items()), shared=True)


def _line(clip_id: str, alignment: Alignment) -> str:
    ends = [round(end, 4) for end in alignment.ends]
    return json.dumps({"id": clip_id, "symbols": alignment.symbols, "ends": ends}, separators=(",", ":")) + "\n"


def _words(symbols: Sequence[int]) -> list[list[str]]:
    """Phones without stress of each word: phones that no other symbol parts."""
    words: list[list[str]] = []
    inside = False
    for symbol in symbols:
        phone = _PHONE_OF.get(symbol)
        if phone is not None:
            words += [] if inside else [[]]
            words[-1].append(phone)
        inside = phone is not None
    return words


def _ends(symbols: Sequence[int], spans: Sequence[tuple[str, float, float]], duration_s: float) -> list[float]:
    """Seconds at which each symbol ends, from the spans of those that are phones; never decreasing."""
    ends: list[float] = []
    coming = iter(spans)
    span = next(coming, None)
    while len(ends) < len(symbols):
        if symbols[len(ends)] in _PHONE_OF:
            assert span is not None, "fewer spans than phones"
            ends.append(span[2])
            span = next(coming, None)
            continue
        run = [SYMBOLS[symbol] for symbol in takewhile(lambda symbol: symbol not in _PHONE_OF, symbols[len(ends) :])]
        taker = 0 if not ends else min(range(len(run)), key=lambda i: _rank(run[i]))
        before, after = ends[-1] if ends else 0.0, span[1] if span is not None else duration_s
        ends += [before] * taker + [after] * (len(run) - taker)
    ends[-1] = duration_s
    return [min(end, duration_s) for end in accumulate(ends, max, initial=0.0)][1:]


def _rank(mark: str) -> int:
    return next((rank for rank, marks in enumerate(_RANKS) if mark in marks), len(_RANKS))


def _framed(audio: Audio) -> bytes:
    """16-bit samples of a clip between `_MARGIN_S` of noise as loud as its quietest 25 ms."""
    frames = audio.samples[: len(audio.samples) // _QUIET * _QUIET].reshape(-1, _QUIET)
    level = max(float(np.sqrt(np.square(frames).mean(-1)).min(initial=1.0)), 2 / 32768)
    noise = np.random.default_rng(0).normal(0.0, level, (2, int(_MARGIN_S * SAMPLE_RATE))).astype(np.float32)
    return Audio(np.concatenate([noise[0], audio.samples, noise[1]]), SAMPLE_RATE).pcm16().tobytes()


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    try:
        decoder.process_raw(pcm, full_utt=True)
    finally:
        decoder.end_utt()
