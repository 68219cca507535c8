"""A voice: a text frontend, an acoustic model, a vocoder and one mel definition. Text goes in and sound comes out.

`Voice` is a facade: a runtime computes the models (`glowtron.synthesis.interfaces`), and the way from text to sound is
`glowtron.synthesis.pipeline`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from glowtron.audio import Audio
from glowtron.config.synthesis import DEFAULTS, SynthesisOptions
from glowtron.errors import InputError, nearest
from glowtron.machine import usable_cores
from glowtron.synthesis import speakers
from glowtron.synthesis.interfaces import Runtime
from glowtron.synthesis.pipeline import (
    BATCH,
    Synthesizer,
    check_markup,
    noise_seed,
    sounds_of,
    split_text,
    utterances_with_sound,
)
from glowtron.synthesis.trimming import split_at_silence
from glowtron.synthesis.types import FaultWarning, Segment, Sentence, Utterance, joined
from glowtron.text.frontend import Encoded, Frontend, MarkedText, make_frontend
from glowtron.voices import find_voice

if TYPE_CHECKING:
    from glowtron.checkpoint import StoredVoice
    from glowtron.config import MelConfig, VoiceFile
    from glowtron.models.fastspeech2 import FastSpeech2
    from glowtron.models.tacotron2 import Tacotron2
    from glowtron.models.waveglow import WaveGlow
    from glowtron.synthesis.parallel import Executor, Order, Sound
    from glowtron.synthesis.torch_runtime import TorchRuntime

Progress = Callable[[int], Any]
RUNTIMES = ("auto", "torch", "onnx")


class Voice:
    """A voice that speaks; `Voice.load` makes one.

    A folder may hold only one of the two models; what needs the other raises InputError. Every method that takes
    `options` takes single ones by keyword, too: `say(text, rate=1.1)`.
    """

    def __init__(
        self,
        stored: StoredVoice,
        *,
        device: str = "auto",
        precision: str = "auto",
        lexicon: str | Path | None = None,
    ) -> None:
        """A voice on torch; see `load` for device, precision and lexicon."""
        from glowtron.synthesis.torch_runtime import TorchRuntime

        self._begin(TorchRuntime(stored, device=device, precision=precision), lexicon)

    def _begin(self, runtime: Runtime, lexicon: str | Path | None) -> None:
        self.runtime = runtime
        """The runtime: its models take and give NumPy arrays."""
        self._lexicon = None if lexicon is None else Path(lexicon)
        if self._lexicon is not None:
            _ = self.frontend  # Its errors are told now, not at the first word.

    @classmethod
    def on(cls, runtime: Runtime, lexicon: str | Path | None = None) -> Voice:
        """A voice whose models another runtime computes.

        Args:
            runtime: The models of a voice, ready to be run.
            lexicon: As of `load`.

        Raises:
            InputError: The lexicon is faulty.
        """
        voice = cls.__new__(cls)
        voice._begin(runtime, lexicon)
        return voice

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        lexicon: str | Path | None = None,
        runtime: Literal["auto", "torch", "onnx"] = "auto",
    ) -> Voice:
        """Load a voice.

        Args:
            source: The name of a voice that ships, a voice folder, or `hf://OWNER/NAME[@REVISION]` on the Hugging Face
                hub. None: the first voice that ships.
            device: `auto` (CUDA where there is any), `cpu`, `cuda` or `cuda:1`. On CUDA the first words take longest:
                kernels are compiled then.
            precision: `fp32`; `bf16`, which computes matrix products in bfloat16; `int16` and `int8`, which compute
                those of WaveGlow in so many bits, on a CPU; `fp16`, on CUDA only; or `auto`: on a CPU what is fastest
                by measuring and close to fp32, and int8 in the LSTMs of a full-size decoder; on CUDA fp16.
            lexicon: A file of your own pronunciations, lines of `word PH0 PH1 ...`, for voices that read phones.
            runtime: What computes: `torch`, on any device; `onnx`, onnxruntime on the CPU in fp32, which starts sooner
                and needs less memory; or `auto`: torch where it is installed. The same seed is the same sound in both,
                within rounding.

        Raises:
            InputError: The voice, device, precision or runtime is unknown or not installed, the folder is damaged, or
                the lexicon is faulty.
        """
        if choose_runtime(runtime) == "onnx":
            from glowtron.onnx.runtime import OnnxRuntime

            return cls.on(OnnxRuntime(find_voice(source), device=device, precision=precision), lexicon)
        from glowtron.checkpoint import load_voice

        stored = load_voice(find_voice(source), stored_vocoder=True)
        return cls(stored, device=device, precision=precision, lexicon=lexicon)

    def save(self, folder: str | Path) -> None:
        """Write the voice into a folder, whole or not at all.

        Args:
            folder: A new or empty folder, or one that holds a voice.

        Raises:
            InputError: It cannot be written, or this voice's runtime cannot save.
        """
        self.runtime.save(Path(folder))

    def push_to_hub(self, repository: str, *, private: bool = False, message: str = "Upload a voice") -> str:
        """Publish the voice on the Hugging Face hub, with a card (extra `hub`).

        Args:
            repository: `OWNER/NAME`, with `@BRANCH` where it is not to be the main one; made if there is none.
            private: Whether a repository that is made is private.
            message: Of the commit.

        Returns:
            The address of the repository.

        Raises:
            InputError: There is no permission, no token, or no hub to be reached.
        """
        from glowtron.hub import push_folder
        from glowtron.voice_folder import read_voice_file

        with TemporaryDirectory() as place:
            folder = Path(place) / "voice"
            self.save(folder)
            return push_folder(folder, repository, read_voice_file(folder), private=private, message=message)

    def say(
        self,
        text: str | MarkedText,
        options: SynthesisOptions = DEFAULTS,
        progress: Progress | None = None,
        **changes: Any,
    ) -> Audio:
        """Speak a text of any length.

        Args:
            text: Its sentences are synthesised some at a time and joined with pauses. With markup: `parse_ssml`.
            options: How it is spoken.
            progress: Called with 1 after each sentence.
            **changes: Single options by name.

        Returns:
            The sound of the whole text.

        Raises:
            InputError: The text holds nothing to speak, or the voice cannot do what the options ask.

        Warns:
            FaultWarning: A sentence could not be synthesised completely.
        """
        segments = self._segments(text, changed(options, changes), progress=progress)
        return Audio(joined([segment.audio.samples for segment in segments]), self.mel.sample_rate)

    def stream(
        self,
        text: str | MarkedText,
        options: SynthesisOptions = DEFAULTS,
        progress: Progress | None = None,
        *,
        stop: Event | None = None,
        **changes: Any,
    ) -> Iterator[Audio]:
        """Speak a text in pieces, while the rest is being computed; joined, they are what `say` gives.

        On a CPU there is sound before a sentence is finished. A voice with monotonic attention is heard while its
        decoder runs; what was heard cannot be taken back, so such a sentence is synthesised once, and a failure that
        `say` would mend is only warned of. With soft attention a sentence is decoded to its end and checked, as by
        `say`, before its sound is computed in pieces. Griffin-Lim, the denoiser and CUDA give a sentence at a time.

        Args:
            text: Its sentences are looked for when they are needed.
            options: How it is spoken.
            progress: Called with 1 after each sentence.
            stop: Any thread may set it: no piece follows then.
            **changes: Single options by name.

        Yields:
            Pieces of sound; pauses are pieces of their own.

        Raises:
            InputError: As `say`.
        """
        for segment in self._segments(text, changed(options, changes), progress=progress, incremental=True, stop=stop):
            if len(segment.audio.samples):
                yield segment.audio

    def segments(
        self, text: str | MarkedText, options: SynthesisOptions = DEFAULTS, *, stop: Event | None = None, **changes: Any
    ) -> Iterator[Segment]:
        """As `stream`, each piece with the words that begin in it and their times, and with its finished sentence.

        Args:
            text: As of `stream`.
            options: How it is spoken.
            stop: Any thread may set it: no piece follows then.
            **changes: Single options by name.

        Raises:
            InputError: As `say`.
        """
        return self._segments(text, changed(options, changes), incremental=True, stop=stop)

    def utterances(
        self, text: str | MarkedText, options: SynthesisOptions = DEFAULTS, **changes: Any
    ) -> Iterator[Utterance]:
        """As `say`, sentence after sentence: sound, times of words, mel, alignment and checks of each.

        Each sentence has noise of its own, made from the seed and its place in the text, so that what is spoken beside
        it changes nothing. One that fails is tried again, then split (`glowtron.synthesis.retry`).

        Args:
            text: As of `say`.
            options: How it is spoken.
            **changes: Single options by name.

        Raises:
            InputError: As `say`.
        """
        return utterances_with_sound(self._segments(text, changed(options, changes)))

    def mels(self, text: str | MarkedText, options: SynthesisOptions = DEFAULTS, **changes: Any) -> Iterator[Utterance]:
        """As `utterances`, without sound, on which no time is spent. Does not warn.

        Args:
            text: As of `say`.
            options: How it is spoken.
            **changes: Single options by name.

        Raises:
            InputError: As `say`.
        """
        options = changed(options, changes)
        sentences = self._split(text)
        synthesizer = self._synthesizer(options)
        while batch := list(islice(sentences, BATCH)):
            for utterances in synthesizer.utterances(batch):
                yield from utterances

    def say_many(
        self,
        texts: Sequence[str | MarkedText],
        options: SynthesisOptions = DEFAULTS,
        *,
        workers: int = 0,
        progress: Progress | None = None,
        **changes: Any,
    ) -> Generator[Audio, None, None]:
        """Speak many texts, in less time than one after the other.

        Sentences of all texts are synthesised in groups of one length, spread over processes. Each sentence has the
        noise that it has in its text alone, so a text sounds as `say` speaks it, within what rounding makes of other
        company; the same texts, options and number of workers give the same sound. Sounds of some hundred sentences are
        held at most, however many texts there are. Closing the iterator, or an error, ends the workers.

        Args:
            texts: Any number.
            options: How they are spoken.
            workers: Processes. 1: all work is done in this one. 0: as many as there are cores and the work is worth; on
                CUDA, and with large models, whose products use all cores anyway, 1.
            progress: Called with numbers of sentences as they finish, in any order.
            **changes: Single options by name.

        Yields:
            The sound of each text, in order.

        Raises:
            InputError: As `say`, naming the text by its place (from 0), before anything is computed; later where a
                worker is killed.
        """
        from glowtron.synthesis.parallel import split_texts, synthesize_texts

        options = changed(options, changes)
        sentences = split_texts(texts, self._split)
        executor = self.executor([sentence.text for text in sentences for sentence in text], options, workers)
        return synthesize_texts(sentences, executor, self.mel.sample_rate, BATCH, executor.n_workers, progress)

    def executor(self, texts: Sequence[str], options: SynthesisOptions = DEFAULTS, workers: int = 0) -> Executor:
        """Executor of groups of sentences, here or in as many processes as `texts` are worth (`say_many`).

        Args:
            texts: Sentences; they decide how many processes are worth their start.
            options: How they are spoken.
            workers: As of `say_many`.

        Raises:
            InputError: The voice cannot do what the options ask.
        """
        from glowtron.synthesis.executors import ProcessPool, SerialExecutor
        from glowtron.synthesis.parallel import choose_workers

        synthesize = self._group_synthesizer(options)  # Here too: it raises where the options cannot be had.
        n_workers = choose_workers(workers, texts, self.runtime)
        if n_workers == 1:
            return SerialExecutor(synthesize)
        return ProcessPool(partial(_synthesize_in_worker, self.runtime, self._lexicon, options, n_workers), n_workers)

    def vocode(
        self, audio: Audio, options: SynthesisOptions = DEFAULTS, progress: Progress | None = None, **changes: Any
    ) -> Audio:
        """Turn a recording into a mel and back into sound, at the voice's rate and as long as it was.

        Args:
            audio: Of any rate. A long one goes through in pieces that meet where it is quiet.
            options: How the vocoder runs.
            progress: Called with 1 after each piece.
            **changes: Single options by name.

        Raises:
            InputError: The options name a speaker whom the vocoder does not tell from others.
        """
        options = changed(options, changes)
        if not isinstance(audio, Audio):
            raise InputError(f"audio must be glowtron.Audio, got {type(audio).__name__}; read a file by read_audio")
        speakers.check_vocoder_knows(self.config, options.speaker)
        audio = audio.resample(self.mel.sample_rate)
        pieces = list(split_at_silence(self.runtime.log_mel(audio.samples)))
        seeds = [noise_seed(options.seed, place, "wave") for place in range(len(pieces))]
        parts = []
        for part in sounds_of(self.runtime.vocoder_for(options), pieces, seeds):
            parts.append(part)
            if progress is not None:
                progress(1)
        return Audio(joined(parts)[: len(audio.samples)], self.mel.sample_rate)

    def vocode_many(
        self, audios: Iterable[Audio], options: SynthesisOptions = DEFAULTS, **changes: Any
    ) -> Iterator[Audio]:
        """Vocode many recordings, a WaveNet several at once, each with the sound that `vocode` gives it.

        Args:
            audios: As of `vocode`; they are asked for a few at a time.
            options: As of `vocode`.
            **changes: Single options by name.

        Yields:
            The sound of each, in order.

        Raises:
            InputError: As `vocode`.
        """
        options = changed(options, changes)
        speakers.check_vocoder_knows(self.config, options.speaker)
        vocoder, remaining, rate = self.runtime.vocoder_for(options), iter(audios), self.mel.sample_rate
        while batch := [audio.resample(rate) for audio in islice(remaining, BATCH)]:
            pieces = [list(split_at_silence(self.runtime.log_mel(audio.samples))) for audio in batch]
            seeds = [noise_seed(options.seed, place, "wave") for own in pieces for place in range(len(own))]
            sounds = sounds_of(vocoder, [piece for own in pieces for piece in own], seeds)
            for audio, own in zip(batch, pieces, strict=True):
                yield Audio(joined(list(islice(sounds, len(own))))[: len(audio.samples)], rate)

    def phonemes(self, text: str | MarkedText) -> list[Encoded]:
        """Reading of each sentence of a text: its words, their phones, and their sources.

        Args:
            text: As of `say`.

        Raises:
            InputError: The text holds nothing to speak.
        """
        return [sentence.encoded for sentence in self._split(text)]

    def sentences(self, text: str | MarkedText) -> list[str]:
        """The sentences that a text is split into.

        Args:
            text: As of `say`.

        Raises:
            InputError: The text holds nothing to speak.
        """
        return [sentence.text for sentence in self._split(text)]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names, the default first; none where there is neither an acoustic model nor a vocoder that knows any."""
        return speakers.names(self.config)

    @cached_property
    def frontend(self) -> Frontend:
        """The text frontend. Raises InputError if the voice has no acoustic model."""
        if self.config.acoustic is None:
            raise InputError(f"voice '{self.config.name}' has no acoustic model; import one into its folder")
        return make_frontend(self.config.acoustic.text, self._lexicon)

    @property
    def config(self) -> VoiceFile:
        """The contents of `voice.json`."""
        return self.runtime.config

    @property
    def mel(self) -> MelConfig:
        """The mel definition that both models share."""
        return self.runtime.mel

    @property
    def torch(self) -> TorchRuntime:
        """Its models as modules of torch, and their engines. Raises InputError where another runtime computes."""
        from glowtron.synthesis.torch_runtime import TorchRuntime

        if not isinstance(self.runtime, TorchRuntime):
            raise InputError(f"voice '{self.config.name}' was loaded without torch; load it with runtime='torch'")
        return self.runtime

    @property
    def acoustic(self) -> Tacotron2 | FastSpeech2 | None:
        """The acoustic model on torch; None: the folder has none."""
        return self.torch.acoustic

    @property
    def vocoder(self) -> WaveGlow | None:
        """The vocoder on torch; None: the folder has none with weights."""
        return self.torch.vocoder

    def __getstate__(self) -> dict[str, Any]:
        """The frontend is made anew in another process, or for a copy."""
        return {name: value for name, value in self.__dict__.items() if name != "frontend"}

    def _split(self, text: str | MarkedText) -> Iterator[Sentence]:
        if isinstance(text, MarkedText):
            check_markup(self.config, text)
        return split_text(text, self.frontend)

    def _synthesizer(self, options: SynthesisOptions) -> Synthesizer:
        vocoder = self.runtime.vocoder_for(options)
        return Synthesizer(
            self.config,
            self.mel,
            self.runtime.acoustic_model,
            vocoder,
            options,
            lambda speaker: self.runtime.vocoder_for(replace(options, speaker=speaker)),
        )

    def _group_synthesizer(self, options: SynthesisOptions) -> Callable[[Sequence[Order]], list[Sound]]:
        from glowtron.synthesis.parallel import synthesize_group

        return partial(synthesize_group, self._synthesizer(options), self.frontend)

    def _segments(
        self,
        text: str | MarkedText,
        options: SynthesisOptions,
        *,
        progress: Progress | None = None,
        incremental: bool = False,
        stop: Event | None = None,
    ) -> Iterator[Segment]:
        """The segments of a text. Warns of failures, and tells progress, as sentences finish."""
        n_finished = 0
        sentences = self._split(text)
        for segment in self._synthesizer(options).segments(sentences, incremental=incremental, stop=stop):
            yield segment
            if segment.utterance is None:
                continue
            if segment.utterance.failures:
                warnings.warn(segment.utterance.warning, FaultWarning, stacklevel=3)
            if progress is not None:
                progress(segment.sentence.number + 1 - n_finished)
            n_finished = segment.sentence.number + 1


def choose_runtime(asked: str) -> str:
    """`torch` or `onnx`, for either or `auto`. Raises InputError for another name, or where it is not installed."""
    if asked not in RUNTIMES:
        raise InputError(f"unknown runtime '{asked}'{nearest(asked, RUNTIMES)}")
    installed = [name for name, module in (("torch", "torch"), ("onnx", "onnxruntime")) if find_spec(module)]
    if asked == "auto" and installed:
        return installed[0]
    if asked in installed:
        return asked
    if asked == "auto":
        raise InputError(
            "nothing is installed that computes voices; pip install 'glowtron[torch]', or 'glowtron[onnx]', a small one"
        )
    raise InputError(f"the runtime {asked} is not installed; pip install 'glowtron[{asked}]'")


def changed(options: SynthesisOptions, changes: dict[str, Any]) -> SynthesisOptions:
    """Options with some of them changed by name. Raises InputError for a name that is none, or not options."""
    if not isinstance(options, SynthesisOptions):
        raise InputError(f"options must be SynthesisOptions, got {type(options).__name__}; or give single ones by name")
    known = [field.name for field in fields(SynthesisOptions)]
    for name in changes:
        if name not in known:
            raise InputError(f"unknown option '{name}'{nearest(name, known)}")
    return replace(options, **changes) if changes else options


def _synthesize_in_worker(
    runtime: Runtime, lexicon: Path | None, options: SynthesisOptions, n_processes: int
) -> Callable[[Sequence[Order]], list[Sound]]:
    """The work of one of several processes on a CPU."""
    n_threads = None if "OMP_NUM_THREADS" in os.environ else max(1, usable_cores() // n_processes)
    return Voice.on(runtime.in_worker(n_threads), lexicon)._group_synthesizer(options)
