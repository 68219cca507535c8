"""Evaluates a voice: vocodes held-out clips, speaks sentences, measures both beside the reader, writes a report."""

from __future__ import annotations

import json
import os
import platform
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from glowtron import __version__
from glowtron.audio import Audio
from glowtron.config import TrainingConfig
from glowtron.config.synthesis import SynthesisOptions
from glowtron.data.manifest import Clip, read_clip, read_corpora, speakers_of, split
from glowtron.data.pitch import track_pitch
from glowtron.errors import InputError
from glowtron.evaluate import asr_mos, synthesis, vocoders
from glowtron.evaluate.asr_mos import Instruments, Score
from glowtron.evaluate.completeness import RateRange, is_complete, rate_range
from glowtron.evaluate.optional import folder_of, how_to_install, is_installed, require
from glowtron.evaluate.pictures import draw_alignment, draw_mels
from glowtron.evaluate.pitch import pitch_range
from glowtron.evaluate.recogniser import POCKETSPHINX, check_recogniser
from glowtron.evaluate.report import FORMAT, markdown
from glowtron.evaluate.sentences import Sentence, hard_sentences, unseen_sentences
from glowtron.evaluate.speaker_similarity import (
    Embedding,
    SpeakerEncoder,
    centroid,
    embed_all,
    own_similarities,
    similarities,
)
from glowtron.evaluate.speaking_rate import speaking_rate, timing
from glowtron.evaluate.wer import spoken_words, total
from glowtron.files import write_text
from glowtron.mel import log_mel
from glowtron.voice import Voice

_N_RATED = {"quick": 20, "full": 50}
"""Unseen sentences whose quality is estimated."""
_N_SPOKEN = {"quick": 20, "full": 500}
"""Unseen sentences that are spoken and recognised."""
_N_RATE_CLIPS = 200
"""Recordings of a reader that tell the range of the speaking rate."""
_PACKAGES_OF_WEIGHTS = ("distillmos", "resemblyzer")
_EXAMPLES = 3
"""Clips and sentences whose sound is kept for people to hear."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one evaluation."""

    quick: bool = True
    """A few minutes: fewer sentences, and no P.835 among the MOS estimates."""
    recogniser: str = POCKETSPHINX
    """`pocketsphinx`, or `whisper:FOLDER` for a Whisper model in faster-whisper's layout."""
    seed: int = 1234
    """Of the choice of sentences, of all noise, and of the intervals."""
    sigma: float | None = None
    """Standard deviation of WaveGlow's noise; None: the voice's own."""
    root: Path | None = None
    """Folder that paths in lists are relative to, if not where the lists are."""
    sentences: Path | None = None
    """Transcripts to draw unseen sentences from; None: `metadata_all.csv` of the first data folder that has one."""
    n_sentences: int | None = None
    """Unseen sentences to speak; None: 20 in the quick set, 500 in the full one."""
    n_held_out: int = TrainingConfig().validation_clips
    """Clips a speaker to measure on where the voice does not say which its training kept out."""
    processes: int | None = None
    """Recognisers at work; None: one a processor."""
    quiet: bool = False
    """True to go without a progress bar."""

    @property
    def n_rated(self) -> int:
        """Unseen sentences whose quality is estimated."""
        return _N_RATED["quick" if self.quick else "full"]

    @property
    def n_spoken(self) -> int:
        """Unseen sentences that are spoken and recognised."""
        return _N_SPOKEN["quick" if self.quick else "full"] if self.n_sentences is None else self.n_sentences


def evaluate(voice: Voice, data: Sequence[tuple[str, Path]], out: Path, settings: Settings) -> dict[str, Any]:
    """Measure a voice and write `report.json`, `report.md`, pictures and a few examples to the folder `out`.

    data: speakers, and folders in LJSpeech's layout or lists, speakers named as in training, since the clips that
    training kept out are found by speaker and id. Returns what `report.json` holds. Raises InputError for a missing
    extra, a folder that cannot be read or written, or a speaker the voice does not have, before anything is measured.
    """
    began = time.monotonic()
    check_recogniser(settings.recogniser)
    for library in ("pesq", "pystoi", "onnxruntime", "matplotlib"):
        require(library)
    folder_of("speechmos")
    if not data:
        raise InputError("give `data` of one speaker at least")
    corpora = _corpora(voice, data, settings)
    unseen = _unseen(corpora, data, settings) if voice.acoustic is not None else []
    _make_folder(out)
    with tqdm(desc="evaluate", total=_amount(voice, corpora, unseen), disable=settings.quiet) as bar:
        tools = _Tools.open(corpora, settings)
        speakers = {
            corpus.speaker: _Measuring(voice, corpus, unseen, out, settings, tools, bar).all() for corpus in corpora
        }
    report = {
        "format": FORMAT,
        "voice": voice.config.name,
        "sha256": voice.config.sha256,
        "held_out_known": bool(voice.config.held_out),
        "quick": settings.quick,
        "recogniser": settings.recogniser.partition(":")[0],
        "seed": settings.seed,
        "sigma": voice.config.vocoding.sigma if settings.sigma is None else settings.sigma,
        "correction": voice.config.vocoding.correction,
        "minutes": (time.monotonic() - began) / 60,
        "versions": _versions(settings),
        "not_measured": [how_to_install(name) for name in _PACKAGES_OF_WEIGHTS if not is_installed(name)],
        "speakers": speakers,
    }
    write_text(out / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    write_text(out / "report.md", markdown(report))
    return report


@dataclass(frozen=True)
class _Corpus:
    """A speaker's clips that took no part in training."""

    speaker: str
    seen: frozenset[str]
    """Ids and texts of all clips."""
    clips: tuple[Clip, ...]
    audios: tuple[Audio, ...]
    rate_clips: tuple[Clip, ...]
    """Clips, of training or not, that tell how fast and how slowly the reader speaks."""

    @property
    def texts(self) -> list[str]:
        return [clip.text for clip in self.clips]


def _corpora(voice: Voice, data: Sequence[tuple[str, Path]], settings: Settings) -> list[_Corpus]:
    """The recordings of each speaker, in the order in which `data` first names them."""
    clips_of: dict[str, list[Clip]] = {name: [] for name in speakers_of(data)}
    for speaker in clips_of:
        if len(voice.speakers) > 1 and speaker not in voice.speakers:
            raise InputError(f"`data` of {speaker}: the voice has the speakers {', '.join(voice.speakers)}")
    for clip in read_corpora(data, settings.root):
        clips_of[clip.speaker].append(clip)
    corpora = []
    for speaker, clips in clips_of.items():
        held_out = _held_out(voice, clips, settings)
        seen = frozenset(name for clip in clips for name in (clip.id, clip.text))
        audios = tuple(read_clip(clip, voice.mel.sample_rate) for clip in held_out)
        rate_clips = tuple(random.Random(settings.seed).sample(clips, min(len(clips), _N_RATE_CLIPS)))
        corpora.append(_Corpus(speaker, seen, tuple(held_out), audios, rate_clips))
    return corpora


def _held_out(voice: Voice, clips: Sequence[Clip], settings: Settings) -> list[Clip]:
    """The clips that the voice's training kept out, or some, if the voice says nothing of it."""
    if not voice.config.held_out:
        return split(clips, settings.n_held_out, TrainingConfig().seed)[1]
    held_out = [clip for clip in clips if clip.label in voice.config.held_out]
    if not held_out:
        speaker, folder = clips[0].speaker, clips[0].audio.parent.parent
        raise InputError(
            f"`data` {speaker}={folder}: holds none of the clips that the training of '{voice.config.name}' kept out; "
            "give the folder and the speaker's name it was trained with"
        )
    return held_out


@dataclass(frozen=True)
class _Tools:
    """Networks and recogniser, opened once, and the embeddings of all readers."""

    instruments: Instruments
    encoder: SpeakerEncoder | None
    embeddings: Mapping[str, Sequence[Embedding]]
    """Of the held-out recordings of each speaker; none where speaker similarity is not measured."""

    @classmethod
    def open(cls, corpora: Sequence[_Corpus], settings: Settings) -> _Tools:
        instruments = Instruments(settings.recogniser, p835=not settings.quick, processes=settings.processes)
        encoder = SpeakerEncoder() if is_installed("resemblyzer") else None
        embeddings = {corpus.speaker: embed_all(encoder, corpus.audios) for corpus in corpora if encoder is not None}
        return cls(instruments, encoder, embeddings)


class _Measuring:
    """All measures of one speaker; each method adds its part."""

    def __init__(
        self,
        voice: Voice,
        corpus: _Corpus,
        unseen: Sequence[Sentence],
        out: Path,
        settings: Settings,
        tools: _Tools,
        bar: tqdm[Any],
    ) -> None:
        self.voice, self.corpus, self.unseen = voice, corpus, unseen
        self.out, self.settings, self.tools, self.bar = out, settings, tools, bar

    def all(self) -> dict[str, Any]:
        """The report on this speaker."""
        real = self._summary(self._measure(self.corpus.texts, self.corpus.audios))
        speaker = _speaker(self.voice, self.corpus.speaker)
        vocoders_of_voice = vocoders.vocoders_of(self.voice, speaker, self.settings.seed, self.settings.sigma)
        vocoded = {name: self._vocode(vocode) for name, vocode in vocoders_of_voice.items()}
        measured: dict[str, Any] = {
            "clips": [clip.id for clip in self.corpus.clips],
            "vocoders": {"real": real, **{name: self._compare(audios) for name, audios in vocoded.items()}},
        }
        if self.voice.vocoder is not None:
            measured["vocoders"]["waveglow"]["log_likelihood"] = vocoders.likelihood(
                self.voice, speaker, self.corpus.audios, self.settings.seed, self.bar.update
            )
        self._keep({"real": self.corpus.audios, **vocoded})
        pictured = {"real": self.corpus.audios[0], **{name: audios[0] for name, audios in vocoded.items()}}
        measured["pictures"] = []
        if self.voice.acoustic is not None:
            spoken = self._speak_all(measured, real)
            pictured["spoken"] = spoken.audio
            measured["pictures"] += [self._draw_alignment(spoken)]
        measured["pictures"] += [self._draw_mels(pictured)]
        return measured

    def _vocode(self, vocode: vocoders.Vocoder) -> list[Audio]:
        vocoded = []
        for audio in vocode(self.corpus.audios):
            vocoded.append(audio)
            self.bar.update(1)
        return vocoded

    def _compare(self, vocoded: Sequence[Audio]) -> dict[str, Any]:
        comparisons = []
        for audio, real in zip(vocoded, self.corpus.audios, strict=True):
            comparisons.append(vocoders.compare(audio, real, self.voice))
            self.bar.update(1)
        scores = self._measure(self.corpus.texts, vocoded)
        return {**self._summary(scores), **self._similarity(vocoded), **vocoders.summary(comparisons)}

    def _measure(self, texts: Sequence[str], audios: Sequence[Audio], n_rated: int | None = None) -> list[Score]:
        return self.tools.instruments.measure(texts, audios, n_rated=n_rated, progress=self.bar.update)

    def _summary(self, scores: Sequence[Score]) -> dict[str, Any]:
        return asr_mos.summary(scores, self.settings.seed)

    def _speak_all(self, measured: dict[str, Any], real: Mapping[str, Any]) -> synthesis.SpokenSentence:
        """Add the measures of the whole system; returns the first clip's text as spoken."""
        texts = [Sentence(clip.id, clip.text) for clip in self.corpus.clips]
        reader = self._reader()
        columns: dict[str, Any] = {"real": {**real, **self._style(self.corpus.texts, self.corpus.audios)}}
        columns["real"] |= self._own_similarity()
        measured["speaking"], measured["alignment"] = columns, {}
        first: list[synthesis.SpokenSentence] = []
        for name, sentences, n_rated in (
            ("held_out_texts", texts, len(texts)),
            ("unseen_sentences", self.unseen, self.settings.n_rated),
            ("hard_sentences", hard_sentences(), 0),
        ):
            if not sentences:
                continue
            options = _options(self.voice, self.corpus.speaker, self.settings)
            spoken = list(synthesis.speak(self.voice, sentences, options, self.bar.update))
            first = first or spoken
            scores = self._measure([one.sentence.text for one in spoken], [one.audio for one in spoken], n_rated)
            measured["alignment"][name] = self._completeness(spoken, scores, reader)
            if n_rated:
                columns[name] = self._judge(spoken[:n_rated], scores[:n_rated])
                self._keep({name: [one.audio for one in spoken]})
        # Only these are the texts of the real recordings.
        same = columns["held_out_texts"]
        same["word_error_rate_above_real"] = same["word_error_rate"] - real["word_error_rate"]
        return first[0]

    def _judge(self, spoken: Sequence[synthesis.SpokenSentence], scores: Sequence[Score]) -> dict[str, Any]:
        """Measures of how sentences sound."""
        texts, audios = [one.sentence.text for one in spoken], [one.audio for one in spoken]
        return {**self._summary(scores), **self._style(texts, audios), **self._similarity(audios)}

    def _completeness(
        self, spoken: Sequence[synthesis.SpokenSentence], scores: Sequence[Score], reader: RateRange
    ) -> dict[str, Any]:
        complete = [
            is_complete(score.errors, self.tools.instruments.n_phones(one.sentence.text), timing(one.audio), reader)
            for one, score in zip(spoken, scores, strict=True)
        ]
        return {
            "complete": sum(complete) / len(complete),
            "word_error_rate": total([score.errors for score in scores]).error_rate,
            **synthesis.alignment_summary(spoken),
            "incomplete_sentences": [
                {"text": one.sentence.text, "heard": " ".join(score.heard)}
                for one, score, whole in zip(spoken, scores, complete, strict=True)
                if not (whole and one.aligned)
            ],
        }

    def _reader(self) -> RateRange:
        """Range of the reader's speaking rate."""
        clips = self.corpus.rate_clips
        rate = self.voice.mel.sample_rate
        timings = [timing(read_clip(clip, rate)) for clip in clips]
        return rate_range([self.tools.instruments.n_phones(clip.text) for clip in clips], timings)

    def _style(self, texts: Sequence[str], audios: Sequence[Audio]) -> dict[str, float | None]:
        """Speaking rate, pauses and pitch range."""
        rate = speaking_rate([spoken_words(text) for text in texts], [timing(audio) for audio in audios])
        return {**rate._asdict(), **pitch_range([track_pitch(audio) for audio in audios])._asdict()}

    def _similarity(self, audios: Sequence[Audio]) -> dict[str, float]:
        """Mean similarity to the reader, where it is measured."""
        if self.tools.encoder is None or not self.tools.embeddings[self.corpus.speaker]:
            return {}
        reader = centroid(self.tools.embeddings[self.corpus.speaker])
        found = similarities(embed_all(self.tools.encoder, audios), reader)
        return {"speaker_similarity": fmean(found)} if found else {}

    def _own_similarity(self) -> dict[str, float]:
        """Of the reader's recordings to one another, and of the most similar other reader's recordings."""
        own = own_similarities(self.tools.embeddings.get(self.corpus.speaker, ()))
        values = {"speaker_similarity": fmean(own)} if own else {}
        others = [
            fmean(similarities(embeddings, centroid(self.tools.embeddings[self.corpus.speaker])))
            for speaker, embeddings in self.tools.embeddings.items()
            if own and embeddings and speaker != self.corpus.speaker
        ]
        return {**values, "other_speaker_similarity": max(others)} if others else values

    def _keep(self, sounds: Mapping[str, Sequence[Audio]]) -> None:
        """Write the first sounds of each kind for people to hear."""
        for name, audios in sounds.items():
            for place, audio in enumerate(islice(audios, _EXAMPLES), 1):
                audio.write(self.out / f"{self.corpus.speaker}-{name}-{place}.flac")

    def _draw_alignment(self, spoken: synthesis.SpokenSentence) -> str:
        name = f"{self.corpus.speaker}-alignment.png"
        draw_alignment(self.out / name, spoken.alignment, spoken.sentence.text)
        return name

    def _draw_mels(self, sounds: Mapping[str, Audio]) -> str:
        name = f"{self.corpus.speaker}-mels.png"
        mels = {kind: _mel(audio, self.voice) for kind, audio in sounds.items()}
        draw_mels(self.out / name, mels, self.voice.mel, self.corpus.clips[0].text)
        return name


def _mel(audio: Audio, voice: Voice) -> NDArray[np.float32]:
    mel: NDArray[np.float32] = log_mel(torch.from_numpy(audio.samples)[None], voice.mel)[0].numpy()
    return mel


def _speaker(voice: Voice, name: str) -> str | None:
    """As the voice is told; a voice of one speaker has no use for a name."""
    return name if len(voice.speakers) > 1 else None


def _options(voice: Voice, speaker: str, settings: Settings) -> SynthesisOptions:
    return SynthesisOptions(
        speaker=_speaker(voice, speaker),
        vocoder=None if voice.config.vocoder or voice.config.wavenet else "griffin-lim",
        sigma=settings.sigma,
        seed=settings.seed,
    )


def _unseen(corpora: Sequence[_Corpus], data: Sequence[tuple[str, Path]], settings: Settings) -> list[Sentence]:
    """Sentences that none of the corpora has; none where there is no file of them."""
    beside = (folder / "metadata_all.csv" for _, folder in data)
    file = settings.sentences or next((path for path in beside if path.is_file()), None)
    if file is None:
        return []
    seen = frozenset[str]().union(*(corpus.seen for corpus in corpora))
    return unseen_sentences(file, seen, settings.n_spoken, settings.seed)


def _amount(voice: Voice, corpora: Sequence[_Corpus], unseen: Sequence[Sentence]) -> int:
    """Steps of the progress bar."""
    steps = 0
    for corpus in corpora:
        n_clips = len(corpus.clips)
        n_vocoders = len(vocoders.vocoders_of(voice, None, 0, None))
        steps += n_clips * (1 + 3 * n_vocoders + (voice.vocoder is not None))
        if voice.acoustic is not None:
            steps += 2 * (n_clips + len(unseen) + len(hard_sentences()))
    return steps


def _versions(settings: Settings) -> dict[str, str]:
    recogniser = "pocketsphinx" if settings.recogniser == POCKETSPHINX else "faster-whisper"
    libraries = ("torch", recogniser, "distillmos", "speechmos", "pesq", "pystoi", "Resemblyzer")
    return {
        "glowtron": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in libraries if is_installed(library.lower().replace("-", "_"))},
    }


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made a folder: {error.strerror or error}; choose another") from error
    if not os.access(out, os.W_OK):
        raise InputError(f"{out}: cannot be written to; choose another folder")
