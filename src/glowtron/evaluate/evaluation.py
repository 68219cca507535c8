"""A voice evaluated: vocoded and spoken, measured beside the real speaker, and reported."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from glowtron import __version__
from glowtron.audio import Audio
from glowtron.config import TrainingConfig
from glowtron.data.manifest import Clip, read_clip, read_corpora, speakers_of, split
from glowtron.errors import InputError
from glowtron.evaluate import asr_mos, synthesis, vocoders
from glowtron.evaluate.optional import folder_of, require
from glowtron.evaluate.pictures import draw_alignment, draw_mels
from glowtron.evaluate.report import markdown
from glowtron.evaluate.sentences import Sentence, hard_sentences, unseen_sentences
from glowtron.evaluate.speaking_rate import pace, timing
from glowtron.evaluate.wer import spoken_words
from glowtron.mel import log_mel
from glowtron.synthesis.options import SynthesisOptions
from glowtron.voice import Voice

_N_HEARD = {"quick": 20, "full": 50}
"""Unseen sentences recognised and rated."""
_N_ATTENDED = {"quick": 20, "full": 500}
"""Unseen sentences whose attention is judged."""
_EXAMPLES = 3
"""Clips and sentences whose sound is kept for people to hear."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a voice is evaluated."""

    quick: bool = True
    """A few minutes: fewer sentences, and P.808 alone of the MOS estimates."""
    seed: int = 1234
    """Of the choice of sentences, of all noise, and of the intervals."""
    sigma: float | None = None
    """Standard deviation of WaveGlow's noise; None: the voice's own."""
    root: Path | None = None
    """Where the paths in lists begin, if not where the lists are."""
    sentences: Path | None = None
    """Transcripts to draw unseen sentences from; None: `metadata_all.csv` of the first data folder that has one."""
    n_held_out: int = TrainingConfig().validation_clips
    """Clips a speaker to measure on where the voice does not say which its training kept out."""
    processes: int | None = None
    """Recognisers at work; None: one a processor."""
    quiet: bool = False
    """Whether to go without a progress bar."""


def evaluate(voice: Voice, data: Sequence[tuple[str, Path]], out: Path, settings: Settings) -> dict[str, Any]:
    """Measure a voice and write `report.json`, `report.md`, pictures and a few examples to the folder `out`.

    data: speakers, and folders in LJSpeech's layout or lists, speakers named as in training, since the clips that
    training kept out are found by speaker and id. Returns what `report.json` holds. Raises InputError for a missing
    extra, a folder that cannot be read or written, or a speaker the voice does not have, before anything is measured.
    """
    began = time.monotonic()
    for library in ("pocketsphinx", "pesq", "pystoi", "onnxruntime", "matplotlib"):
        require(library)
    folder_of("speechmos")
    if not data:
        raise InputError("give at least one --data")
    corpora = _corpora(voice, data, settings)
    unseen = _unseen(corpora, data, settings) if voice.acoustic is not None else []
    _make_folder(out)
    with tqdm(desc="evaluate", total=_amount(voice, corpora, unseen, settings), disable=settings.quiet) as bar:
        speakers = {corpus.speaker: _Measuring(voice, corpus, unseen, out, settings, bar).all() for corpus in corpora}
    report = {
        "voice": voice.config.name,
        "sha256": voice.config.sha256,
        "held_out_known": bool(voice.config.held_out),
        "quick": settings.quick,
        "seed": settings.seed,
        "sigma": voice.config.vocoding.sigma if settings.sigma is None else settings.sigma,
        "correction": voice.config.vocoding.correction,
        "minutes": (time.monotonic() - began) / 60,
        "versions": _versions(),
        "speakers": speakers,
    }
    _write(out / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    _write(out / "report.md", markdown(report))
    return report


@dataclass(frozen=True)
class _Corpus:
    """A speaker's clips that took no part in training."""

    speaker: str
    seen: frozenset[str]
    """Ids and texts of all clips."""
    clips: tuple[Clip, ...]
    audios: tuple[Audio, ...]

    @property
    def texts(self) -> list[str]:
        return [clip.text for clip in self.clips]


def _corpora(voice: Voice, data: Sequence[tuple[str, Path]], settings: Settings) -> list[_Corpus]:
    """What there is of each speaker, in the order in which `data` first names them."""
    clips_of: dict[str, list[Clip]] = {name: [] for name in speakers_of(data)}
    for speaker in clips_of:
        if len(voice.speakers) > 1 and speaker not in voice.speakers:
            raise InputError(f"--data of {speaker}: the voice has the speakers {', '.join(voice.speakers)}")
    for clip in read_corpora(data, settings.root):
        clips_of[clip.speaker].append(clip)
    corpora = []
    for speaker, clips in clips_of.items():
        held_out = _held_out(voice, clips, settings)
        seen = frozenset(name for clip in clips for name in (clip.id, clip.text))
        audios = tuple(read_clip(clip, voice.mel.sample_rate) for clip in held_out)
        corpora.append(_Corpus(speaker, seen, tuple(held_out), audios))
    return corpora


def _held_out(voice: Voice, clips: Sequence[Clip], settings: Settings) -> list[Clip]:
    """The clips that the voice's training kept out, or some, if the voice says nothing of it."""
    if not voice.config.held_out:
        return split(clips, settings.n_held_out, TrainingConfig().seed)[1]
    held_out = [clip for clip in clips if f"{clip.speaker}/{clip.id}" in voice.config.held_out]
    if not held_out:
        speaker, folder = clips[0].speaker, clips[0].audio.parent.parent
        raise InputError(
            f"--data {speaker}={folder}: holds none of the clips that the training of '{voice.config.name}' kept out; "
            "give the folder and the speaker's name it was trained with"
        )
    return held_out


class _Measuring:
    """All measures of one speaker; each method adds its part."""

    def __init__(
        self,
        voice: Voice,
        corpus: _Corpus,
        unseen: Sequence[Sentence],
        out: Path,
        settings: Settings,
        bar: tqdm[Any],
    ) -> None:
        self.voice, self.corpus, self.unseen = voice, corpus, unseen
        self.out, self.settings, self.bar = out, settings, bar

    def all(self) -> dict[str, Any]:
        """What the report says of this speaker."""
        real = self._hear(self.corpus.texts, self.corpus.audios)
        speaker = _speaker(self.voice, self.corpus.speaker)
        vocoded = {
            name: [self._vocode(audio, options) for audio in self.corpus.audios]
            for name, options in vocoders.vocoders_of(
                self.voice, speaker, self.settings.seed, self.settings.sigma
            ).items()
        }
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
            spoken = self._speaking(measured, real)
            pictured["spoken"] = spoken.audio
            measured["pictures"] += [self._draw_alignment(spoken)]
        measured["pictures"] += [self._draw_mels(pictured)]
        return measured

    def _vocode(self, audio: Audio, options: SynthesisOptions) -> Audio:
        vocoded = self.voice.vocode(audio, options)
        self.bar.update(1)
        return vocoded

    def _compare(self, vocoded: Sequence[Audio]) -> dict[str, Any]:
        comparisons = []
        for audio, real in zip(vocoded, self.corpus.audios, strict=True):
            comparisons.append(vocoders.compare(audio, real, self.voice))
            self.bar.update(1)
        return {**self._hear(self.corpus.texts, vocoded), **vocoders.summary(comparisons)}

    def _hear(self, texts: Sequence[str], audios: Sequence[Audio]) -> dict[str, Any]:
        settings = self.settings
        heard = asr_mos.hear(
            texts, audios, thorough=not settings.quick, processes=settings.processes, progress=self.bar.update
        )
        return asr_mos.summary(heard, settings.seed)

    def _speaking(self, measured: dict[str, Any], real: Mapping[str, Any]) -> synthesis.Speech:
        """Add what the whole system does; returns the first clip's text as spoken."""
        texts = [Sentence(clip.id, clip.text) for clip in self.corpus.clips]
        held_out = list(self._say(texts))
        n_heard = _N_HEARD[_size(self.settings)]
        unseen = [*self._say(self.unseen[:n_heard]), *self._say(self.unseen[n_heard:], sounds=False)]
        hard = list(self._say(hard_sentences(), sounds=False))
        spoken = {"held_out_texts": held_out, "unseen_sentences": unseen[:n_heard]}
        columns = {name: self._judge_sound(speeches, real) for name, speeches in spoken.items() if speeches}
        measured["speaking"] = {"real": {**real, **_pace(self.corpus.texts, self.corpus.audios)}, **columns}
        attended = {"held_out_texts": held_out, "unseen_sentences": unseen, "hard_sentences": hard}
        measured["attention"] = {
            name: synthesis.attention_summary(speeches) for name, speeches in attended.items() if speeches
        }
        self._keep({name: [speech.audio for speech in speeches] for name, speeches in spoken.items()})
        return held_out[0]

    def _say(self, sentences: Sequence[Sentence], *, sounds: bool = True) -> Iterator[synthesis.Speech]:
        """sounds: False where only the attention is judged; five hundred sentences are an hour of sound."""
        options = _options(self.voice, self.corpus.speaker, self.settings)
        say = synthesis.speak if sounds else synthesis.read
        return say(self.voice, sentences, options, self.bar.update)

    def _judge_sound(self, speeches: Sequence[synthesis.Speech], real: Mapping[str, Any]) -> dict[str, Any]:
        texts = [speech.sentence.text for speech in speeches]
        audios = [speech.audio for speech in speeches]
        heard = self._hear(texts, audios)
        share, best = heard["words_recognised"], real["words_recognised"]
        return {**heard, "relative_words": share / best if best else None, **_pace(texts, audios)}

    def _keep(self, sounds: Mapping[str, Sequence[Audio]]) -> None:
        """Write the first sounds of each kind for people to hear."""
        for name, audios in sounds.items():
            for place, audio in enumerate(islice(audios, _EXAMPLES), 1):
                audio.write(self.out / f"{self.corpus.speaker}-{name}-{place}.flac")

    def _draw_alignment(self, speech: synthesis.Speech) -> str:
        name = f"{self.corpus.speaker}-alignment.png"
        draw_alignment(self.out / name, speech.alignment, speech.sentence.text)
        return name

    def _draw_mels(self, sounds: Mapping[str, Audio]) -> str:
        name = f"{self.corpus.speaker}-mels.png"
        mels = {kind: _mel(audio, self.voice) for kind, audio in sounds.items()}
        draw_mels(self.out / name, mels, self.voice.mel, self.corpus.clips[0].text)
        return name


def _mel(audio: Audio, voice: Voice) -> NDArray[np.float32]:
    mel: NDArray[np.float32] = log_mel(torch.from_numpy(audio.samples)[None], voice.mel)[0].numpy()
    return mel


def _pace(texts: Sequence[str], audios: Sequence[Audio]) -> dict[str, float]:
    return pace([spoken_words(text) for text in texts], [timing(audio) for audio in audios])._asdict()


def _size(settings: Settings) -> str:
    return "quick" if settings.quick else "full"


def _speaker(voice: Voice, name: str) -> str | None:
    """As the voice is told; a voice of one speaker has no use for a name."""
    return name if len(voice.speakers) > 1 else None


def _options(voice: Voice, speaker: str, settings: Settings) -> SynthesisOptions:
    return SynthesisOptions(
        speaker=_speaker(voice, speaker),
        vocoder=None if voice.config.vocoder is not None else "griffin-lim",
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
    return unseen_sentences(file, seen, _N_ATTENDED[_size(settings)], settings.seed)


def _amount(voice: Voice, corpora: Sequence[_Corpus], unseen: Sequence[Sentence], settings: Settings) -> int:
    """Steps of the progress bar."""
    steps = 0
    for corpus in corpora:
        n_clips = len(corpus.clips)
        n_vocoders = 1 if voice.vocoder is None else 2
        steps += n_clips * (1 + 3 * n_vocoders + (voice.vocoder is not None))
        if voice.acoustic is not None:
            n_heard = min(len(unseen), _N_HEARD[_size(settings)])
            steps += 2 * n_clips + len(unseen) + n_heard + len(hard_sentences())
    return steps


def _versions() -> dict[str, str]:
    libraries = ("torch", "pocketsphinx", "speechmos", "pesq", "pystoi")
    return {
        "glowtron": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in libraries},
    }


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made a folder: {error.strerror or error}; choose another") from error
    if not os.access(out, os.W_OK):
        raise InputError(f"{out}: cannot be written to; choose another folder")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
