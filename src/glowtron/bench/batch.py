"""`glowtron bench batch`: many texts to sound, side by side and one after the other."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.bench.child import Child
from glowtron.bench.measurement import NOT_MEASURED, Measured, Parts, Settings, Subject, measure
from glowtron.bench.models import CHARACTERS_PER_S, COMPACT, SENTENCE, n_frames_of
from glowtron.bench.result import Rates, figures, sound_rates
from glowtron.bench.saying import FULL_SIZE, SayingWork, find_spoken, sound_error, without_warnings
from glowtron.config import MelConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.engines.cpu_tacotron2 import FastTacotron2
from glowtron.engines.cpu_waveglow import FastWaveGlow
from glowtron.synthesis.parallel import choose_workers
from glowtron.voice import Voice

KINDS: tuple[Literal["together"], Literal["each"]] = ("together", "each")
"""All texts side by side, or one after the other."""
SHORTEST, LONGEST = 0.4, 1.6
"""Of a text, to their mean."""


class BatchWork(NamedTuple):
    """The work of one run."""

    model: str = COMPACT
    """`compact`, `full-size`, or a voice."""
    n_texts: int = 100
    seconds: float = 5.0
    """Of sound, about, on average."""
    workers: int = 0
    """As of `Voice.say_many`."""
    seed: int = 0

    @property
    def texts(self) -> list[str]:
        """Different ones, a sentence or more each, the same with the same seed."""
        random = Random(self.seed)
        words = SENTENCE.lower().replace(",", "").replace(".", "").split()
        return [self._text(words, random) for _ in range(self.n_texts)]

    def _text(self, words: list[str], random: Random) -> str:
        n_chars = self.seconds * random.uniform(SHORTEST, LONGEST) * CHARACTERS_PER_S
        text = random.choice(words)
        while len(text) < n_chars:
            text += " " + random.choice(words)
        return text.capitalize() + "."


class Batch(Subject):
    """The texts to sound: all together, or one after the other."""

    def __init__(self, work: BatchWork, kind: Literal["together", "each"], precision: str, threads: int = 1) -> None:
        """threads: as of `Settings`; 0 is what `glowtron say` chooses."""
        self.kind, self.work, self.texts = kind, work, work.texts
        self.voice = Voice(find_spoken(SayingWork(work.model, seed=work.seed)), device="cpu", precision=precision)
        if not threads:
            self.voice.runtime.suit_threads()
        self.options = SynthesisOptions(seed=work.seed)
        if work.model == FULL_SIZE:  # Drawn weights never end a sentence by themselves.
            n_frames = n_frames_of(work.seconds, self.voice.mel)
            self.options = SynthesisOptions(seed=work.seed, max_frames=n_frames, pause_s=0.0)
        acoustic, vocoder = self.voice.torch.acoustic_engine, self.voice.torch.vocoder_engine
        assert isinstance(acoustic, FastTacotron2) and isinstance(vocoder, FastWaveGlow)
        self.facts: dict[str, Any] = {
            "voice": self.voice.config.name,
            "precision": f"{acoustic.precision} and {vocoder.precision}",
            "why": f"acoustic model: {acoustic.why}; vocoder: {vocoder.why}",
        }
        self.parts: Parts = {}  # What other processes do is not seen from here.
        self.n_workers = 1
        if kind == "together":
            sentences = [sentence for text in self.texts for sentence in self.voice.sentences(text)]
            self.n_workers = choose_workers(work.workers, sentences, self.voice.runtime)
        self.facts["workers"] = self.n_workers

    def run(self) -> NDArray[np.float32]:
        """Sound (N, L) of N texts, NaN behind what is shorter than the longest."""
        return stacked(self.sounds(self.kind))

    def sounds(self, kind: Literal["together", "each"]) -> list[Audio]:
        """Of each text."""
        with without_warnings():
            if kind == "each":
                return [self.voice.say(text, self.options) for text in self.texts]
            return list(self.voice.say_many(self.texts, self.options, workers=self.work.workers))

    def marks(self) -> Mapping[str, float]:
        """Highest memory of the largest of the workers that have been, in GB."""
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return {"worker_gb": (most if sys.platform == "darwin" else most * 1024) / 1e9}

    def beside_say(self) -> tuple[NDArray[np.float32], float | str]:
        """As `run`, and the largest difference of a sample from what `Voice.say` makes of each text."""
        together, each = (stacked(self.sounds(kind)) for kind in KINDS)
        if together.shape != each.shape or not np.array_equal(np.isnan(together), np.isnan(each)):
            return together, NOT_MEASURED + "rounding moved the end of a sound"
        return together, float(np.nanmax(np.abs(together - each)))


def stacked(sounds: Sequence[Audio]) -> NDArray[np.float32]:
    """Sounds as rows, NaN behind what is shorter than the longest."""
    rows = np.full((len(sounds), max(len(sound.samples) for sound in sounds)), np.nan, np.float32)
    for row, sound in zip(rows, sounds, strict=True):
        row[: len(sound.samples)] = sound.samples
    return rows


def bench_batch(work: BatchWork, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown voice or precision.

    What it takes turns with is `Voice.say`, text after text, by the same voice; `settings.plain` says whether.
    """
    make = partial(Batch, work, precision=settings.precision, threads=settings.threads)
    ours, each = measure(partial(make, "together"), partial(make, "each"), settings)
    with Child(partial(Batch, work, "together", "fp32", settings.threads), settings.threads) as child:
        mel, (exact, differs_by) = child.ask(_mel), child.ask(Batch.beside_say)
    audio_s = np.count_nonzero(~np.isnan(ours.output)) / mel.sample_rate
    rates = partial(_rates, audio_s, mel.sample_rate)
    own = figures(ours, rates)
    n_workers, worker_gb = own["workers"], max(marks["worker_gb"] for marks in ours.marks)
    # Highest of each, though perhaps not at one moment.
    own["peak_memory_gb"] += n_workers * worker_gb if n_workers > 1 else 0.0
    reason = NOT_MEASURED + "what it takes turns with is the same voice, text after text"
    return {
        "what": "batch",
        "model": work.model,
        "texts": work.n_texts,
        "audio_s": audio_s,
        **own,
        "worker_memory_gb": worker_gb if n_workers > 1 else NOT_MEASURED + "all was done in one process",
        "ratio_to_plain": reason,
        "plain": reason,
        **_beside(ours, each, rates),
        "say_differs_by": differs_by,
        "error": _error(ours.output, exact, mel),
    }


def _rates(audio_s: float, sample_rate: int, seconds: float) -> dict[str, float]:
    return {"audio_s_per_s": audio_s / seconds, **sound_rates(audio_s, sample_rate)(seconds)}


def _beside(ours: Measured, each: Measured | str, rates: Rates) -> dict[str, Any]:
    """Comparison with one text after the other."""
    if isinstance(each, str):
        return {"ratio_to_say": each, "say": each}
    return {"ratio_to_say": each.median() / ours.median(), "say": figures(each, rates)}


def _error(found: NDArray[np.float32], exact: NDArray[np.float32], mel: MelConfig) -> dict[str, Any]:
    """Error against float32 of the texts that are as long there, to which rounding has not added a frame."""
    lengths = [(~np.isnan(rows)).sum(axis=1) for rows in (found, exact)]
    same = np.flatnonzero(lengths[0] == lengths[1])
    of = same if len(same) else np.arange(len(found))
    found, exact = (rows[of][~np.isnan(rows[of])][None] for rows in (found, exact))  # (N, L) -> (1, all samples)
    return {"texts": len(same), **sound_error(found, exact, mel)}


def _mel(batch: Batch) -> MelConfig:
    return batch.voice.mel
