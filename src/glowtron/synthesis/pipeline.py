"""Text to sound, in one generator: sentences -> mels (batched, retried, trimmed) -> samples.

`Synthesizer.segments` is the way; `say` concatenates its segments, `stream` yields them, `say_many` spreads it over
processes, and evaluation takes the mels (`Synthesizer.utterances`) alone.

Nothing is cross-faded: every stage waits until it has seen as far ahead as it looks, so joined segments are the whole
sentence, within rounding. The compact voice's flow and correction look some 170 frames ahead, two seconds, so most of
the latency is computing these.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from threading import Event
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.config import FastSpeech2Config, MelConfig, ProsodyOptions
from glowtron.config.synthesis import SynthesisOptions, within_limits
from glowtron.errors import InputError
from glowtron.mel_filters import FLOOR
from glowtron.synthesis import speakers
from glowtron.synthesis.alignment_checks import check_alignment, n_end_symbols
from glowtron.synthesis.interfaces import (
    AcousticModel,
    CompanyVocoder,
    Floats,
    MelPiece,
    ProsodicModel,
    Vocoder,
    VocoderStream,
)
from glowtron.synthesis.retry import synthesize_with_retry
from glowtron.synthesis.trimming import EDGE_S, fade_out, pause, trim_bounds
from glowtron.synthesis.types import Markup, Samples, Segment, Sentence, Utterance, WordTime, joined, word_times
from glowtron.text.english import NothingToSayError, unspeakable
from glowtron.text.frontend import Frontend, MarkedText

if TYPE_CHECKING:
    from glowtron.config import DecodingOptions, VoiceFile
    from glowtron.synthesis.wsola import Wsola

BATCH = 8
"""Sentences that the acoustic model synthesises at once: a decoder step for eight costs hardly more than for one."""
FIRST_FRAMES, MOST_FRAMES = 16, 64
"""Mel frames of a sentence's first piece of sound, and of its largest; each piece is twice the one before."""
DECODED_GROWTH, MOST_DECODED_FRAMES = 4, 256
"""The same where sound is computed while the decoder runs: such voices are small, and each piece costs some rounds."""
SAID_NOTHING = "said nothing"


def split_text(text: str | MarkedText, frontend: Frontend) -> Iterator[Sentence]:
    """The sentences of a text, each normalised when it is asked for. Raises InputError if there is nothing to speak."""
    if isinstance(text, MarkedText):
        yield from _split_passages(text, frontend)
        return
    if not isinstance(text, str):
        raise InputError(f"a text must be str, got {type(text).__name__}")
    if not text.strip():
        raise InputError("nothing to say: the text is empty")
    before: Sentence | None = None
    for i, source in enumerate(frontend.split(text)):
        if before is not None:
            yield before
        before = Sentence(frontend, source, source.ending, str(i))
    assert before is not None, "a frontend gives a sentence or raises"
    before.ending = None
    yield before


def check_markup(config: VoiceFile, text: MarkedText) -> None:
    """Raise InputError if a text's markup asks for what the voice cannot do."""
    predicts_prosody = config.acoustic is not None and isinstance(config.acoustic.model, FastSpeech2Config)
    for passage in text.passages:
        speakers.acoustic_row(config, passage.speaker)
        for start, end, prosody in passage.spans:
            if not predicts_prosody and prosody != ProsodyOptions(rate=prosody.rate):
                raise InputError(
                    f"voice '{config.name}' predicts no pitch and no energy; leave pitch, range, volume and emphasis "
                    f"out of '{passage.text[start:end].strip()}'"
                )


def _split_passages(text: MarkedText, frontend: Frontend) -> Iterator[Sentence]:
    """The sentences of a text with markup. The silence around a passage with nothing to speak is kept."""
    before: Sentence | None = None
    lead_s, number = 0.0, 0
    for passage in text.passages:
        markup = Markup(passage.speaker, passage.spans, passage.before_s + lead_s, passage.pause_s)
        try:
            sources = list(frontend.split(passage.text))
        except NothingToSayError:
            silence_s = passage.before_s + (passage.pause_s or 0.0)
            if before is None:
                lead_s += silence_s
            elif silence_s:
                before.markup = before.markup._replace(pause_s=(before.markup.pause_s or 0.0) + silence_s)
            continue
        marks = markup.parted(passage.text, [source.text for source in sources])
        for i, source in enumerate(sources):
            if before is not None:
                yield before
            ending = passage.ending if i == len(sources) - 1 else source.ending
            before = Sentence(frontend, source, ending, str(number), marks[i])
            lead_s, number = 0.0, number + 1
    if before is None:
        raise unspeakable(text.text) if text.text.strip() else InputError("nothing to say: the text is empty")
    before.ending = None
    yield before


def noise_seed(seed: int, place: str | int, purpose: str) -> int:
    """Seed of the noise of one purpose in one sentence, unrelated to that of any other."""
    digest = hashlib.sha256(f"{seed} {place} {purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Synthesizer:
    """A voice's models with one set of options."""

    def __init__(
        self,
        config: VoiceFile,
        mel: MelConfig,
        acoustic: AcousticModel,
        vocoder: Vocoder,
        options: SynthesisOptions,
        vocoder_of: Callable[[str], Vocoder] | None = None,
    ) -> None:
        """vocoder_of: Gives the vocoder of a speaker whom markup names; None: the same one does for all.

        Raises InputError for a speaker that the voice does not know.
        """
        self._mel, self._acoustic = mel, acoustic
        self._config, self._options, self._monotonic = config, options, config.decoding.monotonic
        self._vocoder_of = vocoder_of
        self._vocoders: dict[str | None, Vocoder] = {None: vocoder}
        speakers.acoustic_row(config, options.speaker)
        self._attempts = config.attempts if options.attempts is None else options.attempts
        limit = config.decoding.max_frames if options.max_frames is None else options.max_frames
        self._decoding: DecodingOptions = replace(config.decoding, max_frames=limit)
        self._stretch = options.rate
        """Factor by which the sound is made faster afterwards."""
        if acoustic.predicts_prosody:  # It speaks at this rate by itself.
            self._stretch = 1.0
            self._decoding = replace(self._decoding, prosody=options.prosody.on_top_of(config.decoding.prosody))
        elif options.prosody != ProsodyOptions(rate=options.rate):
            raise InputError(f"voice '{config.name}' predicts no pitch and no energy; leave these options out")
        self._steps = _Steps(acoustic.reduction_factor, mel)

    def parts(self, sentence: Sentence) -> list[Sentence]:
        """The sentence, or the parts that markup sets apart by their rate, where a voice does not predict durations."""
        if self._acoustic.predicts_prosody or not sentence.markup.spans:
            return [sentence]
        return sentence.parts_of_one_rate()

    def segments(
        self, sentences: Iterable[Sentence], *, incremental: bool = False, stop: Event | None = None
    ) -> Iterator[Segment]:
        """The sound of sentences, in order.

        Args:
            sentences: They are asked for as they are needed.
            incremental: Whether sound is given before its sentence is finished. A voice with monotonic attention is
                then heard while its decoder runs; such a sentence is synthesised once, and not retried.
            stop: Once it is set, by any thread, no segment follows.
        """
        return self._segments(self._sources(sentences, incremental), stop)

    def sound(self, utterances: Iterable[Utterance]) -> Iterator[Segment]:
        """The sound of synthesised sentences, in order."""
        return self._segments(self._finished(list(utterances)))

    def _segments(self, sources: Iterable[_MelSource], stop: Event | None = None) -> Iterator[Segment]:
        n_samples, rate = 0, self._mel.sample_rate
        for source in sources:
            markup, before_s = source.sentence.markup, 0.0
            if markup.before_s:
                silence = np.zeros(round(markup.before_s * rate), np.float32)
                n_samples, before_s = n_samples + len(silence), len(silence) / rate
                yield Segment(Audio(silence, rate), source.sentence, ())
            stream = source.made or self._vocoder(markup.speaker).stream(self._seed(source.sentence, "wave"))
            sound = _Sound(stream, self._tempo(source.sentence), rate, EDGE_S if self._monotonic else 0.0)
            start_s, n_words = n_samples / rate, 0
            for mel, last in source.pieces():
                samples = sound.push(mel, last)
                n_samples += len(samples)
                words = self._words(source.sentence, source.places, start_s, ended=last)[n_words:]
                if not last:  # A word is reported with the segment in which it begins.
                    words = [word for word in words if word.start_s < n_samples / rate]
                n_words += len(words)
                if len(samples) or words:
                    yield Segment(Audio(samples, rate), source.sentence, tuple(words))
                if stop is not None and stop.is_set():
                    return
            pause_s = pause(source.sentence.ending, self._options.pause_s) / self._options.rate
            pause_s = pause_s if markup.pause_s is None else markup.pause_s
            silence = np.zeros(round(pause_s * rate), np.float32)
            n_samples += len(silence)
            words = self._words(source.sentence, source.places, before_s, ended=True)
            utterance = source.utterance._replace(pause_s=pause_s, words=tuple(words))
            yield Segment(Audio(silence, rate), source.sentence, (), utterance)
            if stop is not None and stop.is_set():
                return

    def utterances(self, sentences: Sequence[Sentence]) -> list[list[Utterance]]:
        """Synthesise sentences together, without sound: those of each sentence, or of its parts (`retry`)."""
        parts = [self.parts(sentence) for sentence in sentences]
        all_parts = [part for group in parts for part in group]
        spoken = iter(synthesize_with_retry(all_parts, self._attempts, self._attempt))
        return [[utterance for _ in group for utterance in next(spoken)] for group in parts]

    def _vocoder(self, speaker: str | None) -> Vocoder:
        """That of a speaker whom markup names; None: of the options' one."""
        if speaker not in self._vocoders:
            assert speaker is not None
            self._vocoders[speaker] = self._vocoder_of(speaker) if self._vocoder_of else self._vocoders[None]
        return self._vocoders[speaker]

    def _speaker(self, sentence: Sentence) -> int:
        """The row of who speaks it."""
        return speakers.acoustic_row(self._config, sentence.markup.speaker or self._options.speaker)

    def _tempo(self, sentence: Sentence) -> float:
        """Factor by which time stretching speeds the sound up."""
        if self._acoustic.predicts_prosody or not sentence.markup.spans:
            return self._stretch
        return within_limits(sentence.markup.spans[0].prosody.on_top_of(self._options.prosody)).rate

    def _engine(self, sentence: Sentence) -> AcousticModel:
        """The acoustic model, with the changes that markup makes within the sentence."""
        if not sentence.markup.spans or not isinstance(self._acoustic, ProsodicModel):
            return self._acoustic
        changes = [within_limits(change.on_top_of(self._options.prosody)) for change in sentence.changes]
        return self._acoustic.with_prosody([change.on_top_of(self._config.decoding.prosody) for change in changes])

    def _seed(self, sentence: Sentence, purpose: str) -> int:
        return noise_seed(self._options.seed, sentence.place, purpose)

    def _sources(self, sentences: Iterable[Sentence], incremental: bool) -> Iterator[_MelSource]:
        lookahead = self._vocoder(None).lookahead_frames
        if incremental and self._monotonic and lookahead is not None:
            n_fading = round(EDGE_S * self._mel.sample_rate)
            yield from (
                self._decoded(part, lookahead + -(-n_fading // self._mel.hop_length))
                for sentence in sentences
                for part in self.parts(sentence)
            )
            return
        remaining = iter(sentences)
        while batch := list(islice(remaining, 1 if incremental else BATCH)):
            utterances = [utterance for group in self.utterances(batch) for utterance in group]
            if incremental:
                yield from (_FinishedMel(utterance, lookahead) for utterance in utterances)
            else:
                yield from self._finished(utterances)

    def _finished(self, utterances: Sequence[Utterance]) -> Iterator[_FinishedMel]:
        """Whole mels, with their sound where the vocoder makes several together."""
        made: dict[int, _MadeSound] = {}
        for speaker in dict.fromkeys(utterance.sentence.markup.speaker for utterance in utterances):
            vocoder = self._vocoder(speaker)
            places = [i for i, one in enumerate(utterances) if one.sentence.markup.speaker == speaker]
            if isinstance(vocoder, CompanyVocoder) and len(places) > 1:
                seeds = [self._seed(utterances[place].sentence, "wave") for place in places]
                waves = vocoder.together([utterances[place].mel for place in places], seeds)
                made |= {place: _MadeSound(wave) for place, wave in zip(places, waves, strict=True)}
        for place, utterance in enumerate(utterances):
            yield _FinishedMel(utterance, None, made.get(place))

    def _words(self, sentence: Sentence, places: NDArray[np.int64], start_s: float, *, ended: bool) -> list[WordTime]:
        step_s = self._steps.step_s / self._tempo(sentence)
        times = word_times(sentence.encoded, places, step_s, ended=ended)
        return [word.shifted(start_s) for word in times]

    def _attempt(self, sentences: Sequence[Sentence], attempt: int) -> list[Utterance]:
        """Decode sentences together, each with its own noise, and check what came of it."""
        if len(sentences) > 1 and any(sentence.markup.spans for sentence in sentences):
            return [utterance for sentence in sentences for utterance in self._attempt([sentence], attempt)]
        ids = [sentence.encoded.ids for sentence in sentences]
        purpose = f"mel {attempt}" if attempt else "mel"
        seeds = [self._seed(sentence, purpose) for sentence in sentences]
        utterances, r = [], self._steps.reduction_factor
        speaking = [self._speaker(sentence) for sentence in sentences]
        spoken = self._engine(sentences[0]).generate(ids, self._decoding, seeds, speaking)
        for sentence, (mel, alignment, stopped) in zip(sentences, spoken, strict=True):
            n_frames = mel.shape[1]
            if n_frames == 0:  # A sentence that stops at once, at a frame that does not count, is a frame of silence.
                mel = _silence(self._mel.n_mels)
            elif self._monotonic:
                kept = trim_bounds(mel, alignment.argmax(-1), sentence.encoded.ids, self._steps.step_s)
                mel, alignment = mel[:, kept.start * r : kept.stop * r], alignment[kept]
            step_s = self._steps.frame_s * mel.shape[1] / len(alignment)
            utterances.append(self._checked(sentence, attempt + 1, mel, alignment, stopped, step_s, empty=not n_frames))
        return utterances

    def _decoded(self, sentence: Sentence, lookahead_frames: int) -> _DecodedMel:
        """A sentence whose mel comes while the decoder runs; its stages look `lookahead_frames` ahead."""
        acoustic = self._engine(sentence)
        ids, seed = sentence.encoded.ids, self._seed(sentence, "mel")
        trimmer = MelTrimmer(ids, self._steps, mel_lag=acoustic.frames_behind, lookahead_frames=lookahead_frames)
        chunks = acoustic.stream(ids, self._decoding, seed, self._speaker(sentence), trimmer.n_steps)
        return _DecodedMel(self, sentence, chunks, trimmer)

    def _checked(
        self,
        sentence: Sentence,
        attempts: int,
        mel: Floats,
        alignment: Floats,
        stopped: bool,
        step_s: float,
        *,
        empty: bool,
    ) -> Utterance:
        """An utterance with what its alignment tells of it."""
        n_end = n_end_symbols(sentence.encoded.ids)
        stats = check_alignment(alignment, stopped, step_s, n_end)
        # Who asks for no attempts wants no checks, but for the limit of frames.
        failures = stats.failures if self._attempts or not stopped else ()
        return Utterance(sentence, attempts, mel, alignment, stats, (SAID_NOTHING,) if empty else failures)


class _Steps:
    """Decoder steps in frames and seconds."""

    def __init__(self, reduction_factor: int, mel: MelConfig) -> None:
        self.reduction_factor = reduction_factor
        self.frame_s = mel.hop_length / mel.sample_rate
        self.step_s = self.frame_s * reduction_factor


class _MelSource(Protocol):
    """A sentence's mel, in pieces for the vocoder."""

    sentence: Sentence
    made: VocoderStream | None
    """Its sound, where that is made already."""

    def pieces(self) -> Iterator[tuple[Floats, bool]]:
        """Frames (M, T), and whether they are the last."""

    @property
    def places(self) -> NDArray[np.int64]:
        """(S,) the symbol of each decoder step so far, where the mel begins."""

    @property
    def utterance(self) -> Utterance:
        """The finished sentence, once all pieces have come."""


class _FinishedMel:
    """A mel that is there, in one piece, or in growing ones so that its sound begins early."""

    def __init__(self, utterance: Utterance, lookahead_frames: int | None, made: VocoderStream | None = None) -> None:
        """lookahead_frames: of the vocoder; None: the mel is one piece."""
        self.utterance, self.sentence, self.made = utterance, utterance.sentence, made
        self.places = utterance.alignment.argmax(-1)
        self._lookahead = lookahead_frames

    def pieces(self) -> Iterator[tuple[Floats, bool]]:
        """See `_MelSource`. The first of several is longer than when decoding: a full-size vocoder has not computed the
        next one by the time that 16 frames are heard.
        """
        mel = self.utterance.mel
        if self._lookahead is None:
            yield mel, True
            return
        start, n_frames, n_more = 0, 2 * FIRST_FRAMES, self._lookahead
        while start < mel.shape[1]:
            stop = start + n_frames + n_more
            yield mel[:, start:stop], stop >= mel.shape[1]
            start, n_frames, n_more = stop, min(2 * n_frames, MOST_FRAMES), 0


class _DecodedMel:
    """A mel that comes while the decoder runs. What was heard cannot be taken back, so there is one attempt."""

    def __init__(
        self, synthesizer: Synthesizer, sentence: Sentence, chunks: Iterator[MelPiece], trimmer: MelTrimmer
    ) -> None:
        self.sentence = sentence
        self.made: VocoderStream | None = None
        self._synthesizer, self._chunks, self._trimmer = synthesizer, chunks, trimmer

    @property
    def places(self) -> NDArray[np.int64]:
        """See `_MelSource`."""
        return self._trimmer.places

    @property
    def utterance(self) -> Utterance:
        """See `_MelSource`."""
        trimmer, steps = self._trimmer, self._synthesizer._steps
        mel = trimmer.mel[:, trimmer.kept.start * steps.reduction_factor : trimmer.kept.stop * steps.reduction_factor]
        alignment = trimmer.alignment[trimmer.kept]
        return self._synthesizer._checked(
            self.sentence, 1, mel, alignment, trimmer.stopped, steps.step_s, empty=trimmer.is_empty
        )

    def pieces(self) -> Iterator[tuple[Floats, bool]]:
        """See `_MelSource`."""
        for chunk in self._chunks:
            piece = self._trimmer.push(chunk)
            if piece is not None:
                yield piece, chunk.ended


class _MadeSound:
    """See `VocoderStream`: of a mel in one piece whose samples are there."""

    def __init__(self, samples: Floats) -> None:
        self._samples = samples

    def push(self, mel: Floats, last: bool) -> Floats:
        """See `VocoderStream`."""
        assert last, "a finished mel is one piece"
        return self._samples


class MelTrimmer:
    """One sentence's mel without the silence around it, as `trim_bounds` cuts the whole, in growing pieces."""

    def __init__(self, ids: Sequence[int], steps: _Steps, *, mel_lag: int, lookahead_frames: int) -> None:
        """ids: symbols. mel_lag: frames by which the mel lags the decoder. lookahead_frames: of what follows.

        The first piece is just enough for some sound, and asked for at once, since nothing can be heard before.
        """
        self._ids, self._steps, self._lag = ids, steps, mel_lag
        self._n_frames, self._missing = FIRST_FRAMES, FIRST_FRAMES + lookahead_frames
        """Frames of the next piece, as they are counted for it, and those that it still wants."""
        self._n_settled = 0
        self._waiting: list[Floats] = []
        """Settled frames (M, T) of the next piece."""
        self.mel = self.alignment = np.zeros((0, 0), np.float32)
        """(M, T) and (S, N) of all that came."""
        self.kept = slice(0, 0)
        """Steps that are kept."""
        self.stopped = self.is_empty = False

    @property
    def places(self) -> NDArray[np.int64]:
        """(S,) the symbol of each decoder step so far, from the first that is kept on."""
        return self.alignment[self.kept.start :].argmax(-1) if self.kept.stop else np.zeros(0, np.int64)

    def n_steps(self) -> int:
        """Number of decoder steps of the next piece, if their mel is kept; never very few."""
        r = self._steps.reduction_factor
        n_frames = self.kept.start * r + self._n_settled + self._missing + self._lag
        return max(-(-n_frames // r) - len(self.alignment), -(-FIRST_FRAMES // r))

    def push(self, chunk: MelPiece) -> Floats | None:
        """The next frames of the mel -> the next piece (M, T) of the trimmed mel, where it is complete."""
        settled = self._settle(chunk)
        self._waiting.append(settled)
        self._missing -= settled.shape[1]
        if self._missing > 0 and not chunk.ended:
            return None
        piece = np.concatenate(self._waiting, axis=1)
        self._waiting = []
        self._missing = self._n_frames = min(DECODED_GROWTH * self._n_frames, MOST_DECODED_FRAMES)
        return piece

    def _settle(self, chunk: MelPiece) -> Floats:
        """The final part of the trimmed mel: (M, T), T may be 0."""
        mel, alignment, r = chunk.mel, chunk.alignment, self._steps.reduction_factor
        self.mel = np.concatenate((self.mel, mel), axis=1) if self.mel.size else mel
        self.alignment = np.concatenate((self.alignment, alignment)) if self.alignment.size else alignment
        self.stopped = chunk.stopped
        n_frames = self.mel.shape[1]
        if chunk.ended and n_frames == 0:
            self.is_empty, self.kept = True, slice(0, 1)
            self.mel = _silence(len(mel))
            return self.mel
        n_steps = -(-n_frames // r) if chunk.ended else n_frames // r
        places = self.alignment[:n_steps].argmax(-1)
        self.kept = trim_bounds(self.mel[:, : n_steps * r], places, self._ids, self._steps.step_s, ended=chunk.ended)
        start = self.kept.start * r + self._n_settled
        settled = self.mel[:, start : max(self.kept.stop * r, start)]
        self._n_settled += settled.shape[1]
        return settled


class _Sound:
    """The samples of one sentence: vocoder, fade at the end, tempo."""

    def __init__(self, vocoder: VocoderStream, rate: float, sample_rate: int, fade_s: float) -> None:
        """fade_s: seconds at the end that fade out."""
        self._vocoder, self._sample_rate, self._fade_s = vocoder, sample_rate, fade_s
        self._wsola: Wsola | None = None
        if rate != 1.0:
            from glowtron.synthesis.wsola import Wsola

            self._wsola = Wsola(rate, sample_rate)
        self._tail = np.zeros(0, np.float32)
        """(L,) sound that will fade out if no more comes."""

    def push(self, mel: Floats, last: bool) -> Samples:
        """The next frames (M, T) of the mel -> the samples that are settled."""
        samples = self._vocoder.push(mel, last)
        if self._fade_s:
            samples = np.concatenate((self._tail, samples))
            if last:
                samples = fade_out(samples, self._sample_rate)
            else:
                n_settled = max(len(samples) - round(self._fade_s * self._sample_rate), 0)
                samples, self._tail = samples[:n_settled], samples[n_settled:]
        return samples if self._wsola is None else self._wsola.push(samples, is_last=last)


def sounds_of(vocoder: Vocoder, mels: Sequence[Floats], seeds: Sequence[int]) -> Iterator[Floats]:
    """The sound of each whole mel (M, T), made together where the vocoder can."""
    if isinstance(vocoder, CompanyVocoder) and len(mels) > 1:
        yield from vocoder.together(mels, seeds)
        return
    for mel, seed in zip(mels, seeds, strict=True):
        yield vocoder.stream(seed).push(mel, True)


def _silence(n_mels: int) -> Floats:
    """A frame (M, 1) that nobody hears."""
    return np.full((n_mels, 1), math.log(FLOOR), np.float32)


def utterances_with_sound(segments: Iterable[Segment]) -> Iterator[Utterance]:
    """The finished sentences of segments, each with its sound, without the pause after it."""
    parts: list[Samples] = []
    for segment in segments:
        if segment.utterance is None:
            parts.append(segment.audio.samples)
        else:
            yield segment.utterance._replace(audio=segment.audio._replace(samples=joined(parts)))
            parts = []
