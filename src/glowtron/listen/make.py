"""Makes a listening test from folders of equally named clips."""

from __future__ import annotations

import hashlib
import math
import os
import random
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from glowtron.audio import Audio, read_audio
from glowtron.data.loudness import loudness, true_peak
from glowtron.data.trimming import speech_span
from glowtron.errors import InputError
from glowtron.files import partial_of, unwritable, write_json
from glowtron.listen import checks
from glowtron.listen.design import Cell, all_pairs, page_sessions, pair_sessions, single_sessions
from glowtron.listen.listening_test import CLIPS, FORMAT, KEY, TEST, KeyFile, ListeningTest, Source, TestFile, Trial
from glowtron.listen.methods import MOST_STIMULI, Method, find_method
from glowtron.listen.screening import rules_from

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus")
LOUDNESS_LUFS = -23.0
"""As broadcast (EBU R 128); quiet enough that speech keeps its peaks."""
_HIGHEST_PEAK = 10 ** (-1 / 20)
"""True peak, -1 dB of full scale."""
_ANCHORS = (("anchor-3500-hz", 3500.0), ("anchor-7000-hz", 7000.0))
_INSTRUCTIONS = (
    "Please use headphones in a quiet room, and set the volume once, at the start. Listen to every clip to its end; "
    "you may hear it again. There are no right answers: say what you hear. If a voice asks for an answer, give it."
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a new test."""

    method: str = "mos"
    title: str = "Listening test"
    question: str | None = None
    """None: the method's own."""
    instructions: str = _INSTRUCTIONS
    raters: int = 32
    """Sessions in the design: raters who are expected."""
    trials: int | None = None
    """At most, a rater; None: each rater hears all, up to 60 single clips, 40 pairs or 15 pages."""
    seed: int = 0
    sample_rate: int | None = None
    """Hz; None: the lowest of any clip, so that no system is told by its bandwidth alone."""
    loudness_lufs: float = LOUDNESS_LUFS
    trim: bool = False
    """True if silence at both ends is taken off."""
    reference: str | None = None
    """System of the open reference (MUSHRA)."""
    anchors: bool = True
    """True if MUSHRA gets low-passed anchors."""
    against: str | None = None
    """System that all others are paired with; None: all pairs."""
    attention: int = 1
    """Spoken requests among ten trials, rounded up."""
    repeats: int = 1
    """Trials that come a second time."""
    training: int = 3
    """Trials to begin with that do not count."""
    headphones: bool = True
    """True if headphones are checked, and raters without them left out of the result."""
    volume: bool = True
    """True if the volume is set by a noise first."""
    completion_code: str | None = None
    """None: one is drawn."""
    screening: Mapping[str, Any] = field(default_factory=dict)
    """Rules that differ from `glowtron.listen.screening.Rules`."""

    def __post_init__(self) -> None:
        least = {"raters": 1, "seed": 0, "attention": 0, "repeats": 0, "training": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"{name} must be {low} or more, got {getattr(self, name)}")
        if self.trials is not None and self.trials < 1:
            raise InputError(f"trials must be 1 or more, got {self.trials}")
        if self.attention > 5:
            raise InputError(f"attention must be at most 5 in ten trials, got {self.attention}")
        if self.sample_rate is not None and not 8000 <= self.sample_rate <= 96_000:
            raise InputError(f"sample_rate must be from 8000 to 96000 Hz, got {self.sample_rate}")
        if not -50 <= self.loudness_lufs <= -10:
            raise InputError(f"loudness_lufs must be from -50 to -10, got {self.loudness_lufs}")


Progress = Callable[[int], object]


def make_test(
    folders: Mapping[str, Path],
    out: Path,
    settings: Settings,
    say: checks.Say | None = None,
    progress: Progress | None = None,
) -> ListeningTest:
    """Make a test of systems, given as folders of equally named clips, in the folder `out`.

    say: speaks the attention checks; None: a voice that ships, loaded if there are any. Raises InputError for clips
    that do not match, cannot be read or are silent, for settings that contradict, and where `out` is there already.
    """
    method = find_method(settings.method)
    rules = rules_from(
        {"headphone_right": checks.HEADPHONE_RIGHT if settings.headphones else None, **settings.screening}
    )
    items, paths = matched(folders)
    _check(method, settings, list(folders), items)
    if out.exists():
        raise InputError(f"{out}: exists already; choose another folder, or remove it if nobody has answered")
    clips = _read_clips(paths, settings, progress)
    systems = list(folders)
    anchors: list[str] = []
    if method.open_reference and settings.anchors:
        assert settings.reference is not None
        for name, hertz in _ANCHORS:
            clips[name] = [_low_pass(clip, hertz) for clip in clips[settings.reference]]
            anchors.append(name)
        systems += anchors
    clips, lufs = one_loudness(clips, settings.loudness_lufs)
    maker = _Maker(method, settings, systems, items, clips, lufs, say)
    partial = partial_of(out)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / CLIPS).mkdir(parents=True)
        key, sessions, training = maker.write(partial)
        file = TestFile(
            format=FORMAT,
            id=secrets.token_hex(8),
            title=settings.title,
            method=method.name,
            question=settings.question or method.question,
            instructions=settings.instructions,
            seed=settings.seed,
            loudness_lufs=round(lufs, 2),
            sample_rate=maker.rate,
            screening={name: getattr(rules, name) for name in rules.__dataclass_fields__},
            volume=maker.volume,
            headphones=list(key.headphones),
            training=training,
            sessions=sessions,
            seconds=maker.seconds,
            completion_code=settings.completion_code or secrets.token_hex(4).upper(),
        )
        write_json(partial / TEST, file.model_dump())
        write_json(partial / KEY, key.model_dump())
        (partial / KEY).chmod(0o600)
        partial.rename(out)
    except OSError as error:
        raise unwritable(out, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ListeningTest(out)


def matched(folders: Mapping[str, Path]) -> tuple[list[str], dict[str, list[Path]]]:
    """Names of items, and each system's clips in that order.

    Raises InputError where a folder lacks a clip that another has, or has one name twice.
    """
    if len(folders) < 2:
        raise InputError(f"a listening test compares two folders of clips at least, got {len(folders)}")
    found: dict[str, dict[str, Path]] = {}
    for system, folder in folders.items():
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        clips: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            if path.stem in clips:
                raise InputError(f"{folder}: has {clips[path.stem].name} and {path.name}; keep one of them")
            clips[path.stem] = path
        if not clips:
            raise InputError(f"{folder}: holds no clips ({', '.join(SUFFIXES)})")
        found[system] = clips
    names = set().union(*found.values())
    for system, clips in found.items():
        if missing := sorted(names - clips.keys()):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise InputError(
                f"{folders[system]}: lacks '{missing[0]}'{more}, which another folder has; "
                "every system needs a clip of every item"
            )
    items = sorted(names)
    return items, {system: [clips[item] for item in items] for system, clips in found.items()}


def system_folders(entries: Sequence[str]) -> dict[str, Path]:
    """`name=folder`, or a folder that gives its name, by system. Raises InputError for a name that comes twice."""
    folders: dict[str, Path] = {}
    for entry in entries:
        name, equals, folder = entry.partition("=")
        if not equals or Path(entry).is_dir():
            name, folder = Path(entry).resolve().name, entry
        if not name or not folder:
            raise InputError(f"{entry}: give FOLDER, or NAME=FOLDER")
        if name in folders:
            raise InputError(f"two systems are called '{name}'; name one of them: NAME={folder}")
        folders[name] = Path(folder)
    return folders


def _check(method: Method, settings: Settings, systems: Sequence[str], items: Sequence[str]) -> None:
    for option, name in (("reference", settings.reference), ("against", settings.against)):
        if name is not None and name not in systems:
            raise InputError(f"{option} '{name}' is no system of this test; systems: {', '.join(systems)}")
    if method.open_reference and settings.reference is None:
        raise InputError(f"{method.name} needs a reference: the system that holds the recordings; see `reference`")
    if settings.reference is not None and not method.open_reference:
        raise InputError(f"{method.name} has no open reference; leave `reference` out, or choose the method mushra")
    if settings.against is not None and method.kind != "pair":
        raise InputError(f"`against` is for methods of pairs (cmos, ab), not for {method.name}")
    n_shown = len(systems) + (len(_ANCHORS) if method.open_reference and settings.anchors else 0)
    if method.kind == "page" and n_shown > MOST_STIMULI:
        raise InputError(f"{n_shown} clips on one page are too many to judge; MUSHRA has {MOST_STIMULI} at most")
    for name in systems:
        if name in dict(_ANCHORS):
            raise InputError(f"a system cannot be called '{name}', which is an anchor's name")


def _read_clips(
    paths: Mapping[str, list[Path]], settings: Settings, progress: Progress | None
) -> dict[str, list[Audio]]:
    clips: dict[str, list[Audio]] = {}
    for system, files in paths.items():
        clips[system] = []
        for path in files:
            audio = read_audio(path)
            if settings.trim:
                span = speech_span(audio)
                audio = Audio(audio.samples[span.start : span.end], audio.sample_rate)
            if not math.isfinite(loudness(audio)):
                raise InputError(f"{path}: is silent; give a clip that can be heard")
            clips[system].append(audio)
            if progress is not None:
                progress(1)
    rate = settings.sample_rate or min(clip.sample_rate for own in clips.values() for clip in own)
    return {system: [clip.resample(rate) for clip in own] for system, own in clips.items()}


def one_loudness(clips: Mapping[str, list[Audio]], target: float) -> tuple[dict[str, list[Audio]], float]:
    """All clips at one loudness: the target, or less where a peak would leave full scale. Returns it, too."""
    gains = {system: [target - loudness(clip) for clip in own] for system, own in clips.items()}
    peaks = [
        true_peak(clip) * 10 ** (gain / 20)
        for system, own in clips.items()
        for clip, gain in zip(own, gains[system], strict=True)
    ]
    lower = min(0.0, 20 * math.log10(_HIGHEST_PEAK / max(peaks)))
    return {
        system: [
            Audio((clip.samples * 10 ** ((gain + lower) / 20)).astype(np.float32), clip.sample_rate)
            for clip, gain in zip(own, gains[system], strict=True)
        ]
        for system, own in clips.items()
    }, target + lower


def _low_pass(clip: Audio, hertz: float) -> Audio:
    """Without what is above a frequency, over a slope of 500 Hz."""
    spectrum = np.fft.rfft(clip.samples.astype(np.float64))
    frequencies = np.fft.rfftfreq(len(clip.samples), 1 / clip.sample_rate)
    slope = np.clip((hertz + 500 - frequencies) / 500, 0, 1)
    gain = np.sin(np.pi / 2 * slope) ** 2
    return Audio(np.fft.irfft(spectrum * gain, len(clip.samples)).astype(np.float32), clip.sample_rate)


class _Maker:
    """Writes clips under names that tell nothing, and composes sessions of them."""

    def __init__(
        self,
        method: Method,
        settings: Settings,
        systems: list[str],
        items: list[str],
        clips: Mapping[str, list[Audio]],
        lufs: float,
        say: checks.Say | None,
    ) -> None:
        self.method, self.settings, self.systems, self.items, self.clips = method, settings, systems, items, clips
        self.lufs, self._say = lufs, say
        self.rate = clips[systems[0]][0].sample_rate
        self.seconds: dict[str, float] = {}
        self.volume: str | None = None
        self._salt = secrets.token_bytes(16)
        self._draw = random.Random(f"{settings.seed} sessions")

    def write(self, folder: Path) -> tuple[KeyFile, list[list[Trial]], list[Trial]]:
        """Returns the key, the sessions and the training."""
        self._folder = folder / CLIPS
        ids = {
            system: [
                self._store(f"{system}/{item}", clip.samples, clip.sample_rate)
                for item, clip in zip(self.items, self.clips[system], strict=True)
            ]
            for system in self.systems
        }
        sources = {
            id: Source(system=system, item=item)
            for system in self.systems
            for item, id in zip(self.items, ids[system], strict=True)
        }
        reference = None if self.settings.reference is None else ids[self.settings.reference]

        def trial(cell: Cell) -> Trial:
            clips = [ids[self.systems[system]][cell.item] for system in cell.systems]
            return Trial(clips=clips, reference=None if reference is None else reference[cell.item])

        sessions = [[trial(cell) for cell in session] for session in self._design()]
        training = self._training(sessions)
        attention = self._attention_trials(max(map(len, sessions)))
        sessions = [self._with_checks(session, [each for each, _ in attention]) for session in sessions]
        headphones = {}
        if self.settings.headphones:
            for number, (sound, place) in enumerate(checks.headphone_trials(self.settings.seed, self.rate)):
                headphones[self._store(f"headphones {number}", sound, self.rate)] = place
        if self.settings.volume:
            noise = checks.volume_noise(self.settings.seed, self.rate)
            gain = 10 ** ((self.lufs - loudness(noise)) / 20)
            self.volume = self._store("volume", (noise.samples * gain).astype(np.float32), self.rate)
        key = KeyFile(
            systems=self.systems,
            items=self.items,
            clips=sources,
            attention={id: value for _, values in attention for id, value in values.items()},
            headphones=headphones,
            reference=self.settings.reference,
            anchors=[system for system in self.systems if system in dict(_ANCHORS)],
        )
        return key, sessions, training

    def _design(self) -> list[list[Cell]]:
        settings, n_items, n_systems = self.settings, len(self.items), len(self.systems)
        if self.method.kind == "single":
            n = settings.trials or min(60, n_items * n_systems)
            return single_sessions(n_items, n_systems, settings.raters, n, settings.seed)
        if self.method.kind == "pair":
            against = None if settings.against is None else self.systems.index(settings.against)
            pairs = all_pairs(n_systems, against)
            n = settings.trials or min(40, n_items * len(pairs))
            return pair_sessions(n_items, pairs, settings.raters, n, settings.seed)
        return page_sessions(n_items, n_systems, settings.raters, settings.trials or 15, settings.seed)

    def _training(self, sessions: Sequence[Sequence[Trial]]) -> list[Trial]:
        """Trials of different systems, so that the range of the scale is known before it is used."""
        n = min(self.settings.training, 1) if self.method.kind == "page" else self.settings.training
        pool = list({tuple(trial.clips): trial for session in sessions for trial in session}.values())
        return self._draw.sample(pool, min(n, len(pool)))

    def _attention_trials(self, n_trials: int) -> list[tuple[Trial, dict[str, float]]]:
        """Trials with a request, and the values to give to their clips."""
        n = math.ceil(self.settings.attention * n_trials / 10)
        if n == 0:
            return []
        say = self._say or _say_with_default_voice()
        trials = []
        for number in range(n):
            clip = self._draw.choice(self.clips[self.systems[0]])
            made = checks.attention_clips(self.method, clip, say, self._draw)
            made_even, _ = one_loudness({"": [audio for audio, _ in made]}, self.lufs)
            ids = [
                self._store(f"attention {number} {place}", audio.samples, self.rate)
                for place, audio in enumerate(made_even[""])
            ]
            # Pages have an open reference; here it is one of the clips, so that nothing tells the trial from others.
            reference = ids[0] if self.method.open_reference else None
            values = {id: value for id, (_, value) in zip(ids, made, strict=True)}
            trials.append((Trial(clips=ids, reference=reference), values))
        return trials

    def _with_checks(self, session: list[Trial], attention: Sequence[Trial]) -> list[Trial]:
        """A session with some trials that come again at its end, and requests in between."""
        n = len(session)
        half = session[: max(1, n // 2)]
        result = session + self._draw.sample(half, min(self.settings.repeats, len(half)))
        for number, trial in enumerate(attention[: math.ceil(self.settings.attention * n / 10)]):
            first, last = 1 + 10 * number, min(10 * (number + 1), len(result))
            result.insert(self._draw.randint(min(first, last), last), trial)
        return result

    def _store(self, name: str, samples: NDArray[np.float32], rate: int) -> str:
        id = hashlib.sha256(self._salt + name.encode()).hexdigest()[:16]
        path = self._folder / f"{id}.wav"
        soundfile.write(path, np.clip(samples, -1, 32767 / 32768), rate, "PCM_16")
        os.utime(path, (0, 0))  # The order in which systems were written tells nothing.
        self.seconds[id] = round(len(samples) / rate, 3)
        return id


def _say_with_default_voice() -> checks.Say:
    from glowtron.voice import Voice

    return Voice.load(device="cpu").say
