"""`glowtron bench say`: text to sound, end to end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio, concatenate
from glowtron.bench.child import Child
from glowtron.bench.device import card_facts, check_device
from glowtron.bench.distance import wave_error
from glowtron.bench.measurement import CLOCKS, NOT_MEASURED, PLAIN, Parts, Settings, Subject, measure
from glowtron.bench.models import COMPACT, COMPACT_VOICE, find_stored, full_size_voice, n_frames_of, text_of
from glowtron.bench.result import compared, figures, sound_rates
from glowtron.checkpoint import StoredVoice
from glowtron.config import MelConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.engines.cpu_tacotron2 import FastTacotron2
from glowtron.engines.cpu_waveglow import WaveStream
from glowtron.engines.waveglow import WaveGlowEngine
from glowtron.models.mel_correction import CorrectionStream
from glowtron.models.tacotron2 import Tacotron2
from glowtron.synthesis.trimming import trim_bounds
from glowtron.synthesis.wsola import Wsola
from glowtron.text.frontend import EnglishFrontend
from glowtron.voice import Voice

FULL_SIZE = "full-size"
"""Tacotron 2 and WaveGlow of 256 channels as published, with drawn weights."""
COLD_STARTS = 3
"""Times that the whole program is started."""


class SayingWork(NamedTuple):
    """The work of one run."""

    model: str = COMPACT
    """`compact`, `full-size`, or a voice."""
    text: str | None = None
    """None: what a reader says in `seconds`."""
    seconds: float = 5.0
    seed: int = 0
    device: str = "cpu"

    @property
    def words(self) -> str:
        """The text."""
        return self.text if self.text is not None else text_of(self.seconds)


class PlainTacotron2:
    """The textbook's Tacotron 2 in the place of an engine."""

    predicts_prosody = False
    precision, why = PLAIN["precision"], PLAIN["why"]

    def __init__(self, model: Tacotron2) -> None:
        self.config, self.generate = model.config, model.generate


def plain_voice(stored: StoredVoice, device: str) -> Voice:
    """A voice whose models are those of the textbook, in float32; all else is that of every voice.

    FastSpeech 2 has no faster form than its textbook.
    """
    voice = Voice(stored, device=device, precision="fp32")
    if isinstance(voice.acoustic, Tacotron2):
        voice.torch.acoustic_engine = PlainTacotron2(voice.acoustic)
    if voice.vocoder is not None:
        voice.vocoder.fold_weight_norm()
        # A WaveGlow has what a vocoder asks of an engine that gives whole sounds.
        voice.torch.vocoder_engine = cast(WaveGlowEngine, voice.vocoder)
    return voice


class Reader:
    """A voice that is ready, and how it reads the text of a work. Kinds are as of `Vocoder`."""

    def __init__(self, work: SayingWork, kind: Literal["fast", "plain"], precision: str) -> None:
        """Raises InputError for an unknown voice or precision, and a text without words."""
        stored, self.kind = find_spoken(work), kind
        self.voice = (
            plain_voice(stored, work.device)
            if kind == "plain"
            else Voice(stored, device=work.device, precision=precision)
        )
        self.words, self.options = work.words, SynthesisOptions(seed=work.seed)
        if work.model == FULL_SIZE:  # Drawn weights never end a sentence by themselves.
            n_frames = n_frames_of(work.seconds, self.voice.mel) // len(self.voice.sentences(self.words))
            self.options = replace(self.options, max_frames=max(n_frames, 1), pause_s=0.0)
        self.facts: dict[str, Any] = {"voice": self.voice.config.name, "characters": len(self.words), **self.picked()}
        self.parts: Parts = {}
        if kind == "fast" and self.voice.torch.device.type == "cpu":  # A GPU is still at work when these have returned.
            self.parts = self._parts()

    def picked(self) -> dict[str, Any]:
        """Precisions and kernels that were chosen, and why; on CUDA they are known after the first run."""
        if self.kind == "plain":
            return PLAIN | card_facts(self.voice.torch.device)
        acoustic, vocoder = self.voice.torch.acoustic_engine, self.voice.torch.vocoder_engine
        return {
            "precision": f"{acoustic.precision} and {vocoder.precision}",
            "why": f"acoustic model: {acoustic.why}; vocoder: {vocoder.why}",
            **card_facts(self.voice.torch.device),
        }

    @staticmethod
    def _parts() -> Parts:
        return {
            "reading of the text": (EnglishFrontend.split, EnglishFrontend.encode),
            "acoustic model": (FastTacotron2.generate, FastTacotron2.stream),
            "silence": (trim_bounds,),
            "vocoder": (WaveStream.push,),
            "correction": (CorrectionStream.push,),
            "stretching": (Wsola.push,),
        }


class Saying(Subject):
    """The text to sound, from the same noise every time."""

    def __init__(
        self, work: SayingWork, kind: Literal["fast", "plain"], precision: str = "fp32", clock: str = "wall"
    ) -> None:
        self.reader, self.now = Reader(work, kind, precision), CLOCKS[clock]
        self.facts, self.parts, self.mel = self.reader.facts, self.reader.parts, self.reader.voice.mel
        self.first_sentence_s = 0.0

    def run(self) -> NDArray[np.float32]:
        """Sound (1, L)."""
        started = self.now()
        sounds: list[Audio] = []
        with without_warnings():
            for utterance in self.reader.voice.utterances(self.reader.words, self.reader.options):
                if not sounds:
                    self.first_sentence_s = self.now() - started
                sounds.append(utterance.with_pause)
        self.facts |= self.reader.picked()
        return concatenate(sounds).samples[None]

    def marks(self) -> Mapping[str, float]:
        """When the first sentence was whole."""
        return {"first_sentence_s": self.first_sentence_s}


def bench_saying(work: SayingWork, settings: Settings) -> dict[str, Any]:
    """All figures as JSON values. Raises InputError for an unknown voice, precision or device, and no words to say."""
    check_device(work.device, settings)
    ours, plain = measure(
        partial(Saying, work, "fast", settings.precision, settings.clock),
        partial(Saying, work, "plain", clock=settings.clock),
        settings,
    )
    with Child(partial(Saying, work, "fast", "fp32"), settings.threads) as child:
        mel, exact = child.ask(_mel), child.ask(Saying.run)
    audio_s = ours.output.shape[1] / mel.sample_rate
    rates = sound_rates(audio_s, mel.sample_rate)
    own = figures(ours, rates) | compared(ours, plain, rates)
    return {
        "what": "say",
        "model": work.model,
        "audio_s": audio_s,
        **own,
        "first_sentence_s": median(marks["first_sentence_s"] for marks in ours.marks),
        "cold_start_s": _cold_start_s(work),
        "error": sound_error(ours.output, exact, mel),
    }


def find_spoken(work: SayingWork) -> StoredVoice:
    """The voice of a work. Raises InputError if there is none of that name."""
    return full_size_voice(work.seed) if work.model == FULL_SIZE else find_stored(work.model, (COMPACT, FULL_SIZE))


@contextmanager
def without_warnings() -> Iterator[None]:
    """Of sentences that went wrong: drawn weights make no sense of a text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def sound_error(found: NDArray[np.float32], exact: NDArray[np.float32], mel: MelConfig) -> dict[str, Any]:
    """Distance of sound (1, L) from the same voice's in float32."""
    error: dict[str, Any] = {"against": "the same voice in float32, same noise"}
    if found.shape != exact.shape:
        return error | {"snr_db": NOT_MEASURED + "rounding moved the end of a sound"}
    return error | wave_error(found, exact, mel)


def _mel(saying: Saying) -> MelConfig:
    return saying.mel


def _cold_start_s(work: SayingWork) -> float | str:
    """From the call of `glowtron say` with a short sentence to the end of the program; a median."""
    if work.model == FULL_SIZE:
        return NOT_MEASURED + "drawn weights are in no folder"
    voice = ["--device", work.device, "--voice", COMPACT_VOICE if work.model == COMPACT else work.model]
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "sound.wav"
        command = [sys.executable, "-m", "glowtron", "say", "Hello, world.", "--quiet", "-o", str(output), *voice]
        for _ in range(COLD_STARTS):
            start = time.perf_counter()
            subprocess.run(command, check=True)
            taken.append(time.perf_counter() - start)
    return median(taken)
