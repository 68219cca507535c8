"""`glowtron bench say`: text to sound, end to end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from glowtron.audio import Audio, concatenate
from glowtron.bench.child import Child
from glowtron.bench.device import card_facts, check_device
from glowtron.bench.distance import wave_error
from glowtron.bench.measurement import CLOCKS, NOT_MEASURED, Parts, Settings, Subject, measure
from glowtron.bench.models import COMPACT, COMPACT_VOICE, find_stored, full_size_voice, n_frames_of, text_of
from glowtron.bench.plain_tacotron2 import PlainTacotron2
from glowtron.bench.plain_waveglow import PlainWaveGlow
from glowtron.bench.result import compared, figures, sound_rates
from glowtron.checkpoint import StoredVoice
from glowtron.config import MelConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.engines.cpu_tacotron2 import FastTacotron2
from glowtron.engines.cpu_waveglow import WaveStream
from glowtron.engines.hardware import find_device
from glowtron.errors import InputError
from glowtron.models.mel_correction import CorrectionStream
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import draw_noise
from glowtron.synthesis.trimming import trim_bounds
from glowtron.synthesis.wsola import Wsola
from glowtron.text.frontend import EnglishFrontend, make_frontend
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


class Reader:
    """A voice that is ready, and how it reads the text of a work."""

    def __init__(self, work: SayingWork, precision: str) -> None:
        """Raises InputError for an unknown voice or precision, and a text without words."""
        self.voice = Voice(find_spoken(work), device=work.device, precision=precision)
        self.words, self.options = work.words, SynthesisOptions(seed=work.seed)
        if work.model == FULL_SIZE:  # Drawn weights never end a sentence by themselves.
            n_frames = n_frames_of(work.seconds, self.voice.mel) // len(self.voice.sentences(self.words))
            self.options = replace(self.options, max_frames=max(n_frames, 1), pause_s=0.0)
        self.facts: dict[str, Any] = {"voice": self.voice.config.name, "characters": len(self.words), **self.picked()}
        self.parts: Parts = {}
        if self.voice.torch.device.type == "cpu":  # A GPU is still at work when these have returned.
            self.parts = self._parts()

    def picked(self) -> dict[str, Any]:
        """Precisions and kernels that were chosen, and why; on CUDA they are known after the first run."""
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
    """The text to sound, from the same noise every time: ours, or both published models written plainly, in a row."""

    def __init__(
        self, work: SayingWork, kind: Literal["fast", "plain"], precision: str = "fp32", clock: str = "wall"
    ) -> None:
        self.work, self.now = work, CLOCKS[clock]
        self.started = self.first_sound_s = 0.0
        self.parts: Parts = {}
        self.facts: dict[str, Any] = {}
        self.speak = self._fast(Reader(work, precision)) if kind == "fast" else self._plain(find_spoken(work))

    def _fast(self, reader: Reader) -> Callable[[], NDArray[np.float32]]:
        self.parts, self.facts, self.mel = reader.parts, reader.facts, reader.voice.mel

        def speak() -> NDArray[np.float32]:
            sounds: list[Audio] = []
            for utterance in reader.voice.utterances(reader.words, reader.options):
                if not sounds:
                    self._note_sound()
                sounds.append(utterance.with_pause)
            self.facts |= reader.picked()
            return concatenate(sounds).samples

        return speak

    def _plain(self, stored: StoredVoice) -> Callable[[], NDArray[np.float32]]:
        decoding, vocoding = stored.config.decoding, stored.config.vocoding
        if decoding.monotonic or vocoding.correction:
            raise InputError("this voice's monotonic attention and correction are not in the published algorithms")
        assert stored.acoustic is not None and stored.config.acoustic is not None and stored.vocoder is not None
        self.mel, device = stored.mel, find_device(self.work.device)
        if not isinstance(stored.acoustic, Tacotron2):
            raise InputError(f"voice '{stored.config.name}' has no Tacotron 2 to compare with; choose another")
        tacotron2 = PlainTacotron2(stored.acoustic.config, self.mel.n_mels).eval()
        tacotron2.to(device).copy_weights(stored.acoustic)
        waveglow = PlainWaveGlow(stored.vocoder.config)
        waveglow.copy_weights(stored.vocoder)
        waveglow.to(device).prepare_inference()
        frontend = make_frontend(stored.config.acoustic.text)
        n_frames = n_frames_of(self.work.seconds, self.mel) if self.work.model == FULL_SIZE else decoding.max_frames
        self.facts = {"precision": "fp32", "why": "Conv1d over (B, C, T), step by step, as published"}

        @torch.inference_mode()
        def speak() -> NDArray[np.float32]:
            ids = torch.tensor([frontend.ids(self.work.words)], device=device)
            lengths = torch.tensor([ids.shape[1]], device=device)
            mel = tacotron2.generate(ids, lengths, n_frames, decoding.stop_threshold)[0].after
            noise = draw_noise(waveglow.config, mel, torch.Generator(device).manual_seed(self.work.seed))
            wave = waveglow.generate(mel, vocoding.sigma, noise).cpu()
            self._note_sound()
            return np.asarray(wave[0].numpy())

        return speak

    def _note_sound(self) -> None:
        self.first_sound_s = self.now() - self.started

    def run(self) -> NDArray[np.float32]:
        """Sound (1, L)."""
        self.started = self.now()
        with without_warnings():
            return self.speak()[None]

    def marks(self) -> Mapping[str, float]:
        """When the first sentence was whole, which of what is plain is all of the text."""
        return {"first_sentence_s": self.first_sound_s}


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
    plain_s = audio_s if isinstance(plain, str) else plain.output.shape[1] / mel.sample_rate
    own = figures(ours, sound_rates(audio_s, mel.sample_rate))
    own |= compared(ours, plain, sound_rates(plain_s, mel.sample_rate))
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
