"""Recognisers of words that work offline.

`pocketsphinx` is the default: its package carries its US English model. It errs on a quarter of a clear reader's words,
which makes it strict about clarity, and it is cheap to run anywhere; its figures only mean something beside its own on
real recordings. `whisper:FOLDER` is a Whisper model (Radford et al. 2022) in the layout of faster-whisper, given by
folder. It errs on few words of a clear reader, so what it misses was said badly; it is a language model too, and writes
what was probably meant where sound is unclear.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from glowtron.audio import Audio
from glowtron.errors import InputError, nearest
from glowtron.evaluate.levels import RATE, levelled
from glowtron.evaluate.optional import require
from glowtron.evaluate.wer import plain_words, spoken_words

POCKETSPHINX = "pocketsphinx"
_WHISPER = "whisper:"
_PAUSE_S = 0.3
_NOISE = 1e-4


class Recogniser(Protocol):
    """Hears words in audio. Each call starts afresh: the order of recordings does not change what is heard."""

    def recognise(self, audio: Audio) -> list[str]:
        """Words heard, as `glowtron.evaluate.wer.spoken_words` writes them; none in silence."""


class PocketSphinx:
    """PocketSphinx with the US English model of its package."""

    def __init__(self) -> None:
        """Raises InputError if the extra `eval` is missing."""
        self._decoder: Any = require("pocketsphinx").Decoder(samprate=float(RATE), cmn="batch", loglevel="FATAL")

    def recognise(self, audio: Audio) -> list[str]:
        """See `Recogniser.recognise`.

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
        return plain_words(hypothesis.hypstr) if hypothesis is not None else []


class Whisper:
    """A Whisper model in a folder of faster-whisper's layout, in int8 on one thread."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError if the folder holds no such model, or the extra `whisper` is missing."""
        check_whisper_folder(folder)
        library = require("faster_whisper", extra="whisper")
        self._model: Any = library.WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
        )

    def recognise(self, audio: Audio) -> list[str]:
        """See `Recogniser.recognise`. Numbers that it writes in digits are spelled out."""
        segments, _ = self._model.transcribe(
            levelled(audio),
            language="en",
            beam_size=5,
            temperature=0.0,
            # What it heard before must not suggest what it hears now.
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return spoken_words(" ".join(segment.text.strip() for segment in segments))


def check_whisper_folder(folder: Path) -> None:
    """Raise InputError where `folder` is not a Whisper model as faster-whisper reads it."""
    missing = [name for name in ("config.json", "model.bin", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"recogniser 'whisper:{folder}': the folder lacks {' and '.join(missing)}; "
            "give a Whisper model in faster-whisper's layout"
        )


def check_recogniser(name: str) -> None:
    """Raise InputError where `open_recogniser(name)` would, without loading a model."""
    if name.startswith(_WHISPER):
        check_whisper_folder(Path(name.removeprefix(_WHISPER)))
        require("faster_whisper", extra="whisper")
    elif name == POCKETSPHINX:
        require("pocketsphinx")
    else:
        known = (POCKETSPHINX, "whisper:FOLDER")
        raise InputError(f"unknown recogniser '{name}'{nearest(name, known)}; known: {', '.join(known)}")


def open_recogniser(name: str = POCKETSPHINX) -> Recogniser:
    """The recogniser called `pocketsphinx` or `whisper:FOLDER`. Raises InputError for others and missing parts."""
    check_recogniser(name)
    return Whisper(Path(name.removeprefix(_WHISPER))) if name.startswith(_WHISPER) else PocketSphinx()


def recognise_all(
    audios: Sequence[Audio], recogniser: str = POCKETSPHINX, processes: int | None = None
) -> Iterator[list[str]]:
    """Words heard in each of `audios`, in their order, shared among `processes` (default: one a processor)."""
    check_recogniser(recogniser)
    processes = min(processes or os.cpu_count() or 1, len(audios))
    if processes <= 1:
        if audios:
            opened = open_recogniser(recogniser)
            yield from (opened.recognise(audio) for audio in audios)
        return
    # Spawned, not forked: torch's threads do not survive a fork. Parts are small so that progress can be shown.
    size = max(1, min(8, len(audios) // (2 * processes)))
    parts = [list(audios[start : start + size]) for start in range(0, len(audios), size)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for words in pool.map(partial(_recognise_part, recogniser), parts):
            yield from words


def _recognise_part(recogniser: str, audios: list[Audio]) -> list[list[str]]:
    opened = open_recogniser(recogniser)
    return [opened.recognise(audio) for audio in audios]
