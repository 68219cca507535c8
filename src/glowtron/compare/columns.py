"""The columns of a comparison: what each makes of the same sentences, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glowtron.audio import Audio, read_audio
from glowtron.config import TrainingConfig, WaveGlowConfig
from glowtron.config.synthesis import VOCODERS, SynthesisOptions
from glowtron.data.manifest import Clip, read_clip, read_corpora, split
from glowtron.errors import InputError
from glowtron.listen.make import SUFFIXES
from glowtron.voice import Voice

_TITLES = {"griffin-lim": "Griffin-Lim", "wavenet": "WaveNet", "waveglow": "WaveGlow"}
_ORDER = ("griffin-lim", "wavenet", "waveglow")
"""As on the demonstration page of the WaveGlow paper; vocoders that are not named here follow."""
Progress = Callable[[int], object]


@dataclass
class Column:
    """One system."""

    name: str
    title: str
    about: str
    audios: list[Audio]
    """One for each item."""
    seconds: list[float] = field(default_factory=list)
    """Compute time of each item; none where it was not computed here."""
    same_words: bool = True
    """True if it is made of the recording, so that it can be compared with it moment by moment."""

    @property
    def real_time_factors(self) -> list[float]:
        """Compute time / audio time, by item."""
        return [s / audio.duration_s for s, audio in zip(self.seconds, self.audios, strict=False)]


def unseen_clips(voice: Voice, data: Sequence[tuple[str, Path]], root: Path | None, n: int) -> list[Clip]:
    """The first `n` clips that the voice's training kept out, of its speakers in turn.

    Raises InputError where the data hold none.
    """
    clips = read_corpora(data, root)
    if voice.config.held_out:
        unseen = [clip for clip in clips if clip.label in voice.config.held_out]
        if not unseen:
            raise InputError(
                f"the data hold none of the clips that the training of '{voice.config.name}' kept out; "
                "give `data` with the speakers named as in training"
            )
    else:
        unseen = split(clips, min(n, len(clips) - 1), TrainingConfig().seed)[1]
    of: dict[str, list[Clip]] = {}
    for clip in unseen:
        of.setdefault(clip.speaker, []).append(clip)
    turns = [clip for k in range(max(map(len, of.values()))) for own in of.values() for clip in own[k : k + 1]]
    return turns[:n]


def vocoder_columns(
    voice: Voice, clips: Sequence[Clip], seed: int, n_turns: int, progress: Progress | None = None
) -> tuple[list[Column], Column]:
    """A column for each vocoder that the voice can speak with, and the recordings'.

    n_turns: Times that each vocoder is timed, in turns; the least counts, as other work on the machine only adds.
    """
    rate = voice.mel.sample_rate
    recordings = [read_clip(clip, rate) for clip in clips]
    real = Column("real", "Recording", "The recording itself.", recordings)
    columns = []
    known = [name for name in _ORDER if name in VOCODERS] + [name for name in VOCODERS if name not in _ORDER]
    for name in known:
        title = _TITLES.get(name, name)
        try:
            # Compiled kernels and caches are ready after this.
            voice.vocode(_short(recordings[0]), _by_vocoder(voice, name, clips[0].speaker, seed))
        except InputError as error:
            if f"has no {title}" not in str(error):
                raise
            continue  # A voice has the vocoders that it has.
        columns.append(Column(name, title, f"The recording's mel through {title}.", []))
    for column in columns:
        column.seconds = [float("inf")] * len(clips)
    for turn in range(n_turns):
        for place, (clip, audio) in enumerate(zip(clips, recordings, strict=True)):
            for column in columns:
                options = _by_vocoder(voice, column.name, clip.speaker, seed)
                began = time.perf_counter()
                made = voice.vocode(audio, options)
                column.seconds[place] = min(column.seconds[place], time.perf_counter() - began)
                if turn == 0:
                    column.audios.append(made)
                if progress is not None:
                    progress(1)
    return columns, real


def n_steps(n_clips: int, n_turns: int) -> int:
    """Progress that `vocoder_columns` tells, at most."""
    return n_turns * n_clips * len(VOCODERS)


def _short(audio: Audio) -> Audio:
    return Audio(audio.samples[: audio.sample_rate // 2], audio.sample_rate)


def _by_vocoder(voice: Voice, name: str, speaker: str, seed: int) -> SynthesisOptions:
    """Runs a vocoder on a speaker's recording; only some vocoders tell speakers apart."""
    stored = voice.config.vocoder
    known = stored.speakers if isinstance(stored, WaveGlowConfig) and stored.n_speakers > 1 else ()
    return SynthesisOptions(vocoder=name, speaker=speaker if speaker in known else None, seed=seed)  # type: ignore[arg-type]


def spoken_column(voice: Voice, clips: Sequence[Clip], seed: int) -> Column:
    """The voice speaks the sentences from their texts."""
    audios, seconds = [], []
    for clip in clips:
        options = SynthesisOptions(speaker=clip.speaker if clip.speaker in voice.speakers else None, seed=seed)
        began = time.perf_counter()
        audios.append(voice.say(clip.text, options))
        seconds.append(time.perf_counter() - began)
    return Column("spoken", "Text to speech", f"{voice.config.name} reads the text.", audios, seconds, same_words=False)


def folder_columns(folders: Mapping[str, Path], ids: Sequence[str]) -> list[Column]:
    """A column for each folder that has a clip of every id. Raises InputError for one that lacks any."""
    columns = []
    for name, folder in folders.items():
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        paths = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
        if missing := [id for id in ids if id not in paths]:
            raise InputError(f"{folder}: lacks a clip '{missing[0]}'; it needs one for each of {', '.join(ids)}")
        audios = [read_audio(paths[id]) for id in ids]
        columns.append(Column(name, name, "Given as clips.", audios, same_words=False))
    return columns
