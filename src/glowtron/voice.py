"""A voice: a text frontend, an acoustic model, a vocoder and one mel definition. Text goes in and sound comes out."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glowtron import checkpoint
from glowtron.audio import Audio, concatenate
from glowtron.checkpoint import StoredVoice, VoiceFile
from glowtron.engines.cpu_tacotron2 import FastTacotron2, accelerate_tacotron2
from glowtron.engines.cpu_waveglow import FastWaveGlow, accelerate_waveglow
from glowtron.engines.cuda_decoder import CudaTacotron2, accelerate_tacotron2_on_cuda
from glowtron.engines.cuda_waveglow import CudaWaveGlow, accelerate_waveglow_on_cuda
from glowtron.errors import InputError, nearest
from glowtron.mel import FLOOR, log_mel
from glowtron.models.tacotron2 import DecodingOptions, Spoken
from glowtron.synthesis import speakers
from glowtron.synthesis.device import find_device
from glowtron.synthesis.faults import judge, n_end_symbols
from glowtron.synthesis.many import Sound, Speakers, choose_workers, lines_of_each, speak_texts, spoken
from glowtron.synthesis.options import DEFAULTS, SynthesisOptions
from glowtron.synthesis.silence import fade, heard, pause, quiet_pieces
from glowtron.synthesis.stream import MelStream, Samples, SoundStream, sound, speak
from glowtron.synthesis.stretch import stretch
from glowtron.synthesis.takes import Line, Take, perform, said
from glowtron.synthesis.utterance import FaultWarning, Utterance, complain
from glowtron.synthesis.vocoding import Vocoding
from glowtron.synthesis.workers import Here, Workers, usable_cores
from glowtron.text.frontend import Frontend, Reading, make_frontend
from glowtron.text.sentences import MIN_CHARS, Piece
from glowtron.voices import find_voice

_TOGETHER = 8
"""Sentences the acoustic model speaks at once: a decoder step for eight costs hardly more than for one."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


class Voice:
    """What speaks; `Voice.load` makes one.

    A folder may hold only one of the two models. Then `acoustic` or `vocoder` is None, and what needs it says so.
    """

    def __init__(
        self,
        stored: StoredVoice,
        *,
        device: str = "auto",
        precision: str = "auto",
        lexicon: str | Path | None = None,
    ) -> None:
        """See `load` for device, precision and lexicon."""
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision '{precision}'{nearest(precision, PRECISIONS)}")
        self.device = find_device(device)
        if precision == "fp16" and self.device.type == "cpu":
            raise InputError("precision fp16 is for CUDA; on a CPU take bf16, fp32 or auto")
        self.precision = precision
        self.config: VoiceFile = stored.config
        self.mel = stored.mel
        """What both models mean by a mel."""
        self.acoustic = None if stored.acoustic is None else stored.acoustic.to(self.device).eval()
        self.vocoder = None if stored.vocoder is None else stored.vocoder.to(self.device).eval()
        self._lexicon = None if lexicon is None else Path(lexicon)
        if self._lexicon is not None:
            _ = self._frontend  # Its faults are told now, not at the first word.

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        lexicon: str | Path | None = None,
    ) -> Voice:
        """Load a voice that ships, by its name, or any voice from its folder; None: the first that ships.

        device: `auto` (CUDA where there is any), `cpu`, `cuda` or `cuda:1`. precision: `fp32`; `bf16`, which computes
        matrix products in bfloat16, or `fp16`, on CUDA; or `auto`, which on a CPU that has instructions for it is bf16,
        and int8 in the LSTMs of a full-size decoder, on CUDA fp16, and else fp32. On CUDA the first words take longest:
        what they need is compiled. lexicon: a file of your own pronunciations, lines of `word PH0 PH1
        ...`, for voices that read phones. Raises InputError for an unknown voice, device or precision, for a damaged
        folder, and for a faulty lexicon.
        """
        return cls(checkpoint.load_voice(find_voice(source)), device=device, precision=precision, lexicon=lexicon)

    def save(self, folder: str | Path) -> None:
        """Write the voice into a folder, whole or not at all. Raises InputError where it cannot be written."""
        checkpoint.save_voice(StoredVoice(self.config, self.acoustic, self.vocoder), Path(folder))

    def say(
        self, text: str, options: SynthesisOptions = DEFAULTS, progress: Callable[[int], Any] | None = None
    ) -> Audio:
        """Speak a text of any length: its sentences, joined with pauses.

        `progress` is called with 1 after each sentence. Raises InputError if the text holds nothing to speak or the
        voice cannot do what the options ask. Warns of sentences that could not be spoken whole (`FaultWarning`).
        """
        parts: list[Audio] = []
        n_sentences = 0
        for utterance in self.utterances(text, options):
            parts.append(utterance.with_pause)
            if progress is not None:
                progress(utterance.sentence + 1 - n_sentences)
            n_sentences = utterance.sentence + 1
        return concatenate(parts)

    def say_many(
        self,
        texts: Sequence[str],
        options: SynthesisOptions = DEFAULTS,
        *,
        workers: int = 0,
        progress: Callable[[int], Any] | None = None,
    ) -> Generator[Audio, None, None]:
        """What `say` says of each text, text after text, in less time than one after the other.

        Sentences of all texts are spoken side by side, in groups of one length, spread over `workers` processes. 1: all
        of it here. 0: as many as there are cores and the work is worth; on CUDA, and with large models, whose products
        use all cores anyway, 1. Each sentence has the noise that it has in its text alone, so that a text sounds as
        `say` says it, within what rounding makes of other company; the same texts, options and number of workers give
        the same sound. Sounds of some hundred sentences are held at most, however many texts there are.

        `progress` is called with numbers of sentences as they are done, in any order. Raises InputError, naming the
        text by its place (from 0), before anything is computed; and while it speaks where a worker is killed. Errors
        and warnings otherwise as of `say`. Closing the iterator, or an error, ends the workers.
        """
        lines = lines_of_each(texts, self._lines)
        speak = self._speaking(options)  # Here too, since it tells what these options cannot have.
        stored = StoredVoice(self.config, self.acoustic, self.vocoder)
        sentences = [line.text for text in lines for line in text]
        n_workers = choose_workers(workers, sentences, self.device, stored)
        elsewhere = partial(_speaking_elsewhere, stored, self.precision, self._lexicon, options, n_workers)
        speaking: Speakers = Workers(elsewhere, n_workers) if n_workers > 1 else Here(partial(spoken, speak))
        return speak_texts(lines, speaking, self.mel.sample_rate, _TOGETHER, n_workers, progress)

    def utterances(self, text: str, options: SynthesisOptions = DEFAULTS) -> Iterator[Utterance]:
        """As `say`, one sentence after the other as they are done.

        Each sentence has noise of its own, made of the seed and the sentence's place, so that what is spoken beside it
        changes nothing. One that fails is said again, then split (`glowtron.synthesis.takes`).
        """
        return self._utterances(text, options, _TOGETHER)

    def takes(self, text: str, options: SynthesisOptions = DEFAULTS) -> Iterator[Take]:
        """As `utterances`, the mels alone: what becomes sound, with no time spent on the sound. Warns of nothing."""
        speaker, lines = speakers.acoustic_row(self.config, options.speaker), list(self._lines(text))
        for first in range(0, len(lines), _TOGETHER):
            for takes in self._perform(lines[first : first + _TOGETHER], speaker, options):
                yield from takes

    def stream(
        self, text: str, options: SynthesisOptions = DEFAULTS, progress: Callable[[int], Any] | None = None
    ) -> Iterator[Audio]:
        """What `say` says, in pieces while the rest is being computed; pauses are pieces of their own.

        On a CPU there is sound before a sentence is done. A voice that reads with monotonic attention is heard while
        it reads; what was heard cannot be taken back, so a sentence is said once, and a fault that `say` would mend is
        only warned of. With soft attention a sentence is read to its end and found good, as by `say`, before its sound
        is computed in pieces. Griffin-Lim, the denoiser and CUDA give a sentence at a time. Errors and `progress` as of
        `say`.
        """
        vocoding, n_sentences = self._vocoding(options), 0
        for line, sounds in self._streams(text, options, vocoding):
            for samples in sounds:
                yield Audio(samples, self.mel.sample_rate)
            silence_s = pause(line.ending, options.pause_s) / options.rate
            silence = np.zeros(round(silence_s * self.mel.sample_rate), np.float32)
            if len(silence):
                yield Audio(silence, self.mel.sample_rate)
            if progress is not None:
                progress(line.sentence + 1 - n_sentences)
            n_sentences = line.sentence + 1

    def _streams(
        self, text: str, options: SynthesisOptions, vocoding: Vocoding
    ) -> Iterator[tuple[Line, Iterator[Samples]]]:
        """Sentences, or parts of them, and the samples of each as they come."""
        speaker, monotonic = speakers.acoustic_row(self.config, options.speaker), self.config.decoding.monotonic

        def stream(line: Line) -> SoundStream:
            return vocoding.stream(self._generator(options.seed, line.place, "wave"), fades=monotonic)

        for line in self._lines(text):
            if monotonic and vocoding.can_stream:
                yield line, self._speak(line, speaker, stream(line), options)
                continue
            for take in self._perform([line], speaker, options)[0]:
                if take.faults:
                    warnings.warn(take.complaint, FaultWarning, stacklevel=3)
                if vocoding.can_stream:
                    yield take.line, sound(take.mel[None], stream(take.line))
                else:
                    yield take.line, iter([self._utterance(take, vocoding, options).audio.samples])

    def _speak(self, line: Line, speaker: int, sound: SoundStream, options: SynthesisOptions) -> Iterator[Samples]:
        """One sentence's samples. Warns of its faults in the end."""
        fast = self.fast_acoustic
        assert isinstance(fast, FastTacotron2)
        r = fast.config.reduction_factor
        ids = torch.tensor(self._frontend.ids(line.text))
        behind = {"mel_behind": fast.frames_behind, "sound_behind": sound.frames_behind}
        mel = MelStream(ids, self._frame_s, r, silence=math.log(FLOOR), **behind)
        chunks = fast.chunks(
            ids[None],
            self._decoding(options.max_frames),
            self._generator(options.seed, line.place, "mel"),
            speaker=torch.tensor([speaker]),
            n_steps=mel.n_steps,
        )
        yield from speak(chunks, mel, sound)
        alignment = mel.alignment[mel.kept].numpy()
        attention = judge(alignment, mel.stopped, self._frame_s * r, n_end_symbols(ids.tolist()))
        faults = attention.faults if self._attempts(options) or not mel.stopped else ()
        if mel.said_nothing:
            faults = ("said nothing",)
        if faults:
            n_frames = (mel.kept.stop - mel.kept.start) * r
            warnings.warn(complain(line.text, faults, n_frames, 1), FaultWarning, stacklevel=3)

    def _lines(self, text: str) -> Iterator[Line]:
        lines = (Line(piece.text, piece.ending, str(i)) for i, piece in enumerate(self.pieces(text)))
        line = next(lines)
        for following in lines:
            yield line
            line = following
        yield line._replace(ending=None)

    def _utterances(self, text: str, options: SynthesisOptions, together: int) -> Iterator[Utterance]:
        """As `utterances`, so many sentences at once."""
        lines, speak = list(self._lines(text)), self._speaking(options)
        for first in range(0, len(lines), together):
            for utterances in speak(lines[first : first + together]):
                for utterance in utterances:
                    if utterance.faults:
                        warnings.warn(utterance.complaint, FaultWarning, stacklevel=2)
                    yield utterance

    def _speaking(self, options: SynthesisOptions) -> Callable[[Sequence[Line]], Iterator[list[Utterance]]]:
        """What speaks lines together and gives the utterances of each. Raises InputError where it cannot."""
        speaker, vocoding = speakers.acoustic_row(self.config, options.speaker), self._vocoding(options)

        def speak(lines: Sequence[Line]) -> Iterator[list[Utterance]]:
            performed = self._perform(lines, speaker, options)
            return ([self._utterance(take, vocoding, options) for take in takes] for takes in performed)

        return speak

    def _perform(self, lines: Sequence[Line], speaker: int, options: SynthesisOptions) -> list[list[Take]]:
        """The takes that speak each line."""
        return perform(
            lines,
            self._attempts(options),
            lambda lines, attempt: self._takes(lines, attempt, speaker, options),
            self._split,
        )

    def vocode(
        self, audio: Audio, options: SynthesisOptions = DEFAULTS, progress: Callable[[int], Any] | None = None
    ) -> Audio:
        """Sound to mel and back, at the voice's rate and as long as it was; another rate is converted.

        A long recording goes through in pieces that meet where it is quiet; `progress` is called with 1 after each.
        Raises InputError for a speaker whom the vocoder does not tell from others.
        """
        speakers.check_vocoder_knows(self.config, options.speaker)
        audio = audio.resample(self.mel.sample_rate)
        vocode = self._vocoding(options)
        mel = log_mel(torch.from_numpy(audio.samples)[None].to(self.device), self.mel)
        parts = []
        for place, piece in enumerate(quiet_pieces(mel)):
            parts.append(vocode(piece, self._generator(options.seed, place, "wave")))
            if progress is not None:
                progress(1)
        return self._audio(torch.cat(parts, dim=1)[:, : len(audio.samples)])

    def phonemes(self, text: str) -> list[Reading]:
        """How each sentence of `text` is read: its words, their phones, and where these are from.

        Raises InputError if it holds nothing to speak.
        """
        return [self._frontend.read(piece.text) for piece in self.pieces(text)]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names, the default first; none where there is neither an acoustic model nor a vocoder that knows any."""
        return speakers.names(self.config)

    def sentences(self, text: str) -> list[str]:
        """What `text` is split into to be spoken. Raises InputError if it holds nothing to speak."""
        return [piece.text for piece in self.pieces(text)]

    def pieces(self, text: str) -> Iterator[Piece]:
        """As `sentences`, each looked for when it is asked for, and with what ends after it."""
        if not text.strip():
            raise InputError("nothing to say: the text is empty")
        yield from self._frontend.pieces(text)

    @cached_property
    def _frontend(self) -> Frontend:
        if self.config.acoustic is None:
            raise InputError(f"voice '{self.config.name}' has no acoustic model; import one into its folder")
        return make_frontend(self.config.acoustic.text, self._lexicon)

    def _takes(self, lines: Sequence[Line], attempt: int, speaker: int, options: SynthesisOptions) -> list[Take]:
        """Speak lines together, each with its own noise, and judge what came of it."""
        ids = [torch.tensor(self._frontend.ids(line.text)) for line in lines]
        purpose = f"mel {attempt}" if attempt else "mel"
        generators = [self._generator(options.seed, line.place, purpose) for line in lines]
        spoken = self._generate(ids, generators, speaker, options.max_frames)
        takes, r = [], self.fast_acoustic.config.reduction_factor
        for i, line in enumerate(lines):
            mel, alignment = said(spoken, i, ids[i], r)
            if self.config.decoding.monotonic and spoken.mel_lengths[i]:
                kept = heard(mel, alignment.argmax(-1), ids[i], self._frame_s * r)
                mel, alignment = mel[:, kept.start * r : kept.stop * r], alignment[kept]
            stopped, step_s = bool(spoken.stopped[i]), self._frame_s * mel.shape[1] / len(alignment)
            attention = judge(alignment.float().cpu().numpy(), stopped, step_s, n_end_symbols(ids[i].tolist()))
            faults = attention.faults if self._attempts(options) or not stopped else ()
            if spoken.mel_lengths[i] == 0:
                faults = ("said nothing",)
            takes.append(Take(line, attempt, mel, alignment, attention, faults))
        return takes

    @torch.inference_mode()
    def _generate(
        self, ids: Sequence[Tensor], generators: Sequence[torch.Generator], speaker: int, max_frames: int | None
    ) -> Spoken:
        return self.fast_acoustic.generate(
            pad_sequence(list(ids), batch_first=True).to(self.device),
            torch.tensor([len(row) for row in ids], device=self.device),
            self._decoding(max_frames),
            generators,
            speaker=torch.full((len(ids),), speaker, device=self.device),
        )

    def _decoding(self, max_frames: int | None) -> DecodingOptions:
        decoding = self.config.decoding
        return decoding if max_frames is None else replace(decoding, max_frames=max_frames)

    def _split(self, line: Line) -> list[Line]:
        """A line in two or more, cut where one breathes or else between words."""
        pieces = list(self._frontend.pieces(line.text, max(MIN_CHARS, -(-len(line.text) // 2))))
        if len(pieces) == 1:
            return []
        parts = [Line(piece.text, piece.ending, f"{line.place}.{i}") for i, piece in enumerate(pieces)]
        return [*parts[:-1], parts[-1]._replace(ending=line.ending)]

    def _utterance(self, take: Take, vocoding: Vocoding, options: SynthesisOptions) -> Utterance:
        """A take as sound."""
        line = take.line
        wave = vocoding(take.mel[None], self._generator(options.seed, line.place, "wave"))
        if self.config.decoding.monotonic:
            wave = fade(wave, self.mel.sample_rate)
        audio = self._audio(wave)
        return Utterance(
            text=line.text,
            sentence=line.sentence,
            audio=audio._replace(samples=stretch(audio.samples, options.rate, audio.sample_rate)),
            pause_s=pause(line.ending, options.pause_s) / options.rate,
            mel=take.mel,
            alignment=take.alignment,
            attention=take.attention,
            faults=take.faults,
            attempts=take.attempt + 1,
            is_part=line.is_part,
        )

    def _attempts(self, options: SynthesisOptions) -> int:
        return self.config.attempts if options.attempts is None else options.attempts

    @property
    def _frame_s(self) -> float:
        return self.mel.hop_length / self.mel.sample_rate

    def _vocoding(self, options: SynthesisOptions) -> Vocoding:
        """What makes mels sound as the options ask."""
        waveglow = None if self.vocoder is None or options.vocoder == "griffin-lim" else self.fast_vocoder
        return Vocoding(self.config, self.mel, waveglow, options, self.device)

    @cached_property
    def fast_acoustic(self) -> FastTacotron2 | CudaTacotron2:
        """The acoustic model as it runs fastest here, its weights packed at the first use."""
        assert self.acoustic is not None
        accelerate = accelerate_tacotron2 if self.device.type == "cpu" else accelerate_tacotron2_on_cuda
        return accelerate(self.acoustic, self.precision)

    @cached_property
    def fast_vocoder(self) -> FastWaveGlow | CudaWaveGlow:
        """The vocoder as it runs fastest here, its weights packed at the first use."""
        assert self.vocoder is not None
        accelerate = accelerate_waveglow if self.device.type == "cpu" else accelerate_waveglow_on_cuda
        return accelerate(self.vocoder, self.precision)

    def _audio(self, wave: Tensor) -> Audio:
        return Audio(wave[0].float().cpu().numpy(), self.mel.sample_rate)

    def _generator(self, seed: int, place: int | str, purpose: str) -> torch.Generator:
        """Noise of one purpose in one sentence, unrelated to that of any other."""
        digest = hashlib.sha256(f"{seed} {place} {purpose}".encode()).digest()
        return torch.Generator(self.device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _speaking_elsewhere(
    stored: StoredVoice, precision: str, lexicon: Path | None, options: SynthesisOptions, n_processes: int
) -> Callable[[Sequence[Line]], list[Sound]]:
    """What one of several processes on a CPU speaks with."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // n_processes))
    return partial(spoken, Voice(stored, device="cpu", precision=precision, lexicon=lexicon)._speaking(options))
