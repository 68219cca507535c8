"""A recogniser of words that works offline: PocketSphinx with the US English model its package carries.

It is an old and modest recogniser (about three quarters of the words of a clear reader), which makes it strict about
clarity and cheap to run anywhere; so its figures are only ever given beside its own figures on real recordings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from glowtron.audio import Audio
from glowtron.evaluate.levels import RATE, levelled
from glowtron.evaluate.optional import require

_PAUSE_S = 0.3
_NOISE = 1e-4


class Recogniser:
    """Hears words in audio. Each call starts afresh: the order of recordings does not change what is heard."""

    def __init__(self) -> None:
        self._decoder: Any = require("pocketsphinx").Decoder(samprate=float(RATE), cmn="batch", loglevel="FATAL")

    def recognise(self, audio: Audio) -> list[str]:
        """Words heard, in lower case; none in silence.

        The audio is brought to 16 kHz and to one level of speech, and 0.3 s of quiet noise goes before and after it,
        since the recogniser loses words that begin or end with the recording.
        """
        samples = levelled(audio)
        pause = np.zeros(int(_PAUSE_S * RATE), np.float32)
        samples = np.concatenate([pause, samples, pause])
        # Exact zeros have no logarithm and upset the mean that the recogniser subtracts; -80 dB of noise does not.
        samples += _NOISE * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
        pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2").tobytes()
        # Its estimate of the noise would otherwise carry over from the recording before.
        self._decoder.reinit_feat()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr.split() if hypothesis is not None else []


def recognise_all(audios: Sequence[Audio], processes: int | None = None) -> Iterator[list[str]]:
    """Words heard in each of `audios`, in their order, shared among `processes` (default: one a processor)."""
    require("pocketsphinx")
    processes = min(processes or os.cpu_count() or 1, len(audios))
    if processes <= 1:
        recogniser = Recogniser()
        yield from (recogniser.recognise(audio) for audio in audios)
        return
    # Spawned, not forked: torch's threads do not survive a fork. Parts are small so that progress can be shown.
    size = max(1, min(8, len(audios) // (2 * processes)))
    parts = [list(audios[start : start + size]) for start in range(0, len(audios), size)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for words in pool.map(_recognise_part, parts):
            yield from words


def _recognise_part(audios: list[Audio]) -> list[list[str]]:
    recogniser = Recogniser()
    return [recogniser.recognise(audio) for audio in audios]
