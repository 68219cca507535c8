"""Chapters to sound, resumably: each is a file of its own, and a finished one is not spoken again.

A chapter is finished when its captions are there; they are written last, and name what the chapter was made of. A block
of sentences is synthesised alike whatever stands before it, so a run that was killed and started again ends with the
same samples as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from glowtron import __version__
from glowtron.audio import Audio
from glowtron.book.book import Chapter
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError
from glowtron.files import flush, partial_of, sha256, unwritable, write_text
from glowtron.synthesis.captions import Caption
from glowtron.synthesis.parallel import Executor, Order, Sound
from glowtron.synthesis.pipeline import BATCH, split_text
from glowtron.synthesis.types import FaultWarning, Sentence, SymbolTime, WordTime
from glowtron.text.english import NothingToSayError
from glowtron.voice import Voice

SILENCE_S = 1.5
"""Seconds of silence at the end of a chapter."""
AHEAD = 3
"""Blocks for each worker that may be done before their turn; their sounds are held."""


class Spoken(NamedTuple):
    """A finished chapter."""

    title: str
    path: Path
    """FLAC, at the voice's rate."""
    n_samples: int
    captions: tuple[Caption, ...]
    """Times count from the chapter's beginning."""


def speak_chapters(
    voice: Voice,
    chapters: Sequence[Chapter],
    folder: Path,
    options: SynthesisOptions,
    *,
    workers: int = 0,
    lexicon: Path | None = None,
    begin: Callable[[int], Any] | None = None,
    progress: Callable[[int, str], Any] | None = None,
) -> Iterator[Spoken]:
    """Speak chapters into `folder`, each when it is asked for, unless it is there already.

    Args:
        voice: Who speaks.
        chapters: In order; their numbers name the files.
        folder: Is there; nobody else writes into it.
        options: How they are spoken.
        workers: Processes; 0: as many as all the chapters are worth.
        lexicon: The file of pronunciations that the voice was given, for its contents are part of what a chapter is
            made of.
        begin: Called once with the number of characters that are left to speak.
        progress: Called with a number of characters that are done, and the title of their chapter.

    Raises:
        InputError: The options cannot be had, or the folder cannot be written.

    Warns:
        FaultWarning: A sentence could not be synthesised completely.
    """
    made_of = _fingerprint(voice, options, lexicon)
    finished: dict[int, Spoken] = {}
    waiting: list[Chapter] = []
    for number, chapter in enumerate(chapters, 1):
        found = _finished(folder, number, chapter, made_of)
        if found is not None:
            finished[number] = found
        else:
            waiting.append(chapter)
    if begin is not None:
        begin(sum(len(chapter.text) for chapter in waiting))
    if not waiting:
        yield from finished.values()
        return
    # The number of workers changes rounding, so it hangs on the whole book and not on what is left of it.
    paragraphs = [paragraph for chapter in chapters for paragraph in chapter.text.split("\n\n")]
    with voice.executor(paragraphs, options, workers) as executor:
        blocks = _Blocks(executor, _split(waiting, voice))
        for number, chapter in enumerate(chapters, 1):
            if number in finished:
                yield finished[number]
            else:
                yield _write(folder, number, chapter, made_of, blocks.chapter(), voice.mel.sample_rate, progress)


class _Block(NamedTuple):
    """Sentences of a chapter that are synthesised together."""

    sentences: list[Sentence]
    is_last: bool
    """True if its chapter ends with it."""


def _split(chapters: Sequence[Chapter], voice: Voice) -> Iterator[_Block]:
    """Blocks of chapters, each looked for when it is needed: the first words do not wait for the whole book.

    A chapter of which nothing can be said is one block without sentences. Raises InputError that names the chapter.
    """
    for chapter in chapters:
        try:
            sentences = list(split_text(chapter.text, voice.frontend))
        except NothingToSayError:
            sentences = []
        except InputError as error:
            raise InputError(f"chapter '{chapter.title}': {error}") from error
        for start in range(0, max(len(sentences), 1), BATCH):
            yield _Block(sentences[start : start + BATCH], start + BATCH >= len(sentences))


class _Blocks:
    """Sounds of blocks of sentences in their order, while later ones are being synthesised."""

    def __init__(self, executor: Executor, blocks: Iterator[_Block]) -> None:
        self._executor, self._blocks = executor, blocks
        self._n_submitted = 0
        self._waiting: deque[tuple[int, _Block]] = deque()
        """Blocks that were submitted and not given, with their places."""
        self._done: dict[int, list[Sound]] = {}

    def chapter(self) -> Iterator[tuple[Sentence, Sound]]:
        """The sentences of the next chapter and their sounds."""
        is_last = False
        while not is_last:
            self._submit()
            place, block = self._waiting[0]
            while place not in self._done:
                (done,), sounds = self._executor.next_result()
                self._done[done] = sounds
                self._submit()
            self._waiting.popleft()
            yield from zip(block.sentences, self._done.pop(place), strict=True)
            is_last = block.is_last

    def _submit(self) -> None:
        while len(self._waiting) < AHEAD * self._executor.n_workers and self._executor.has_room:
            block = next(self._blocks, None)
            if block is None:
                return
            if block.sentences:
                orders = [Order(one.source, one.ending, one.place, one.markup) for one in block.sentences]
                self._executor.submit([self._n_submitted], orders)
            else:
                self._done[self._n_submitted] = []
            self._waiting.append((self._n_submitted, block))
            self._n_submitted += 1


def _write(
    folder: Path,
    number: int,
    chapter: Chapter,
    made_of: str,
    sounds: Iterator[tuple[Sentence, Sound]],
    sample_rate: int,
    progress: Callable[[int, str], Any] | None,
) -> Spoken:
    """Write a chapter while its sounds come: the sound first, then the captions, without which it does not count."""
    path = folder / f"chapter-{number:03}.flac"
    captions: list[Caption] = []
    n_samples = 0
    partial = partial_of(path)
    try:
        with soundfile.SoundFile(partial, "w", sample_rate, 1, "PCM_16", format="FLAC") as file:
            for sentence, sound in sounds:
                for warning in sound.warnings:
                    warnings.warn(f"{chapter.title}: {warning}", FaultWarning, stacklevel=2)
                captions += [caption.shifted(n_samples / sample_rate) for caption in sound.captions]
                file.write(Audio(sound.samples, sample_rate).pcm16())
                n_samples += len(sound.samples)
                if progress is not None:
                    progress(len(sentence.text), chapter.title)
            silence = np.zeros(round(SILENCE_S * sample_rate), np.int16)
            file.write(silence)
            n_samples += len(silence)
        flush(partial)
        partial.replace(path)
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{path}: cannot be written: {error.error_string}; make room or choose another place"
        ) from error
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    spoken = Spoken(chapter.title, path, n_samples, tuple(captions))
    record = {
        "made_of": _chapter_key(chapter, made_of),
        "n_samples": n_samples,
        "sha256": sha256(path),
        "captions": [[caption.text, caption.start_s, caption.end_s, caption.words] for caption in captions],
    }
    write_text(path.with_suffix(".json"), json.dumps(record, ensure_ascii=False) + "\n")
    return spoken


def _finished(folder: Path, number: int, chapter: Chapter, made_of: str) -> Spoken | None:
    """A chapter that an earlier run has finished with the same text, voice and options, or None."""
    path = folder / f"chapter-{number:03}.flac"
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if record["made_of"] != _chapter_key(chapter, made_of):
            return None
        if record["sha256"] != sha256(path):
            return None
        captions = tuple(_caption(row) for row in record["captions"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return Spoken(chapter.title, path, record["n_samples"], captions)


def _fingerprint(voice: Voice, options: SynthesisOptions, lexicon: Path | None) -> str:
    """Hash of all that decides a chapter's sound besides its text."""
    words = "" if lexicon is None else hashlib.sha256(lexicon.read_bytes()).hexdigest()
    config = voice.config
    said = [__version__, config.name, dict(config.sha256), repr(config.decoding), repr(config.vocoding), words]
    said += [asdict(options), type(voice.runtime).__name__, str(voice.runtime.device)]
    return json.dumps(said, sort_keys=True, default=str)


def _chapter_key(chapter: Chapter, made_of: str) -> str:
    return hashlib.sha256(f"{made_of}\0{chapter.text}".encode()).hexdigest()


def _caption(row: list[Any]) -> Caption:
    text, start_s, end_s, words = row
    return Caption(text, start_s, end_s, tuple(_word(word) for word in words))


def _word(row: list[Any]) -> WordTime:
    text, start_s, end_s, symbols, span = row
    return WordTime(
        text, start_s, end_s, tuple(SymbolTime(*symbol) for symbol in symbols), tuple(span) if span else None
    )
