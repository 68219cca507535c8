"""A voice: a text frontend, an acoustic model, a vocoder and one mel definition. Text goes in and sound comes out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glowtron import checkpoint
from glowtron.audio import Audio, concatenate
from glowtron.checkpoint import StoredVoice, VoiceFile
from glowtron.config import GriffinLimConfig
from glowtron.errors import InputError, nearest
from glowtron.mel import log_mel
from glowtron.models.denoiser import Denoiser
from glowtron.models.griffin_lim import GriffinLim
from glowtron.models.mel_correction import MelCorrection
from glowtron.models.tacotron2 import Spoken
from glowtron.text.frontend import Frontend, make_frontend

VOICES = Path(__file__).parent / "voices"
"""Where the voices that ship lie, a folder each."""

Vocode: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""Mel (1, M, T) and a source of noise to audio (1, L)."""

_TOGETHER = 8
"""Sentences the acoustic model speaks at once: a decoder step for eight costs hardly more than for one."""


PRECISIONS = ("auto", "fp32", "bf16")


class FrameLimitWarning(UserWarning):
    """A sentence did not end by itself and was cut at the frame limit."""


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions:
    """How a text is spoken."""

    speaker: str | None = None
    """One of the voice's speakers; None: its first."""
    vocoder: Literal["waveglow", "griffin-lim"] | None = None
    """What turns mels into sound; None: the voice's own. Griffin-Lim needs no weights and does for any voice."""
    sigma: float | None = None
    """Standard deviation of WaveGlow's noise, from 0 to 2: 1.0 in training, calmer below; None: the voice's own."""
    correction: int | None = None
    """Rounds, up to 100, in which WaveGlow's sound is brought back to its mel; None: as the voice has it."""
    denoise: float = 0.0
    """How much of WaveGlow's answer to an empty mel is taken off the spectrum of what it says; 0: nothing."""
    seed: int = 0
    """The same text, options and seed give the same audio on the same machine."""
    max_frames: int | None = None
    """Mel frames at which a sentence that does not stop is cut; None: the voice's own limit."""
    pause_s: float = 0.2
    """Seconds of silence between sentences."""

    def __post_init__(self) -> None:
        for name, high in (("sigma", 2), ("correction", 100), ("denoise", 10), ("pause_s", 60)):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= high:  # NaN is refused too.
                raise InputError(f"{name} must be from 0 to {high}, got {value}")
        if self.max_frames is not None and self.max_frames < 1:
            raise InputError(f"max_frames must be 1 at least, got {self.max_frames}")
        if self.vocoder not in (None, "waveglow", "griffin-lim"):
            raise InputError(f"unknown vocoder '{self.vocoder}'{nearest(self.vocoder, ('waveglow', 'griffin-lim'))}")


DEFAULTS = SynthesisOptions()


class Utterance(NamedTuple):
    """A sentence, spoken."""

    text: str
    audio: Audio
    mel: Tensor
    """(M, T)"""
    alignment: Tensor
    """(S, N) attention weights, a row for each decoder step and a column for each symbol of this sentence."""
    stopped: bool
    """False where the frame limit cut it."""


class Voice:
    """What speaks; `Voice.load` makes one.

    A folder may hold only one of the two models. Then `acoustic` or `vocoder` is None, and what needs it says so.
    """

    def __init__(self, stored: StoredVoice, *, device: str = "auto", precision: str = "auto") -> None:
        """See `load` for device and precision."""
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision '{precision}'{nearest(precision, PRECISIONS)}")
        self.device = find_device(device)
        self.precision = precision
        self.config: VoiceFile = stored.config
        self.mel = stored.mel
        """What both models mean by a mel."""
        self.acoustic = None if stored.acoustic is None else stored.acoustic.to(self.device).eval()
        self.vocoder = None if stored.vocoder is None else stored.vocoder.to(self.device).eval()

    @classmethod
    def load(cls, source: str | Path | None = None, *, device: str = "auto", precision: str = "auto") -> Voice:
        """Load a voice that ships, by its name, or any voice from its folder; None: the first that ships.

        device: `auto` (CUDA where there is any), `cpu`, `cuda` or `cuda:1`. precision: `fp32`, which `auto` is, or
        `bf16`, which computes matrix products in bfloat16. Raises InputError for an unknown voice, device or precision,
        and for a damaged folder.
        """
        return cls(checkpoint.load_voice(find_voice(source)), device=device, precision=precision)

    def save(self, folder: str | Path) -> None:
        """Write the voice into a folder, whole or not at all. Raises InputError where it cannot be written."""
        checkpoint.save_voice(StoredVoice(self.config, self.acoustic, self.vocoder), Path(folder))

    def say(
        self, text: str, options: SynthesisOptions = DEFAULTS, progress: Callable[[int], Any] | None = None
    ) -> Audio:
        """Speak a text of any length: its sentences, joined with pauses.

        `progress` is called with 1 after each sentence. Raises InputError if the text holds nothing to speak or the
        voice cannot do what the options ask. Warns of sentences that do not stop by themselves (`FrameLimitWarning`).
        """
        parts = []
        for utterance in self.utterances(text, options):
            parts.append(utterance.audio)
            if progress is not None:
                progress(1)
        return concatenate(parts, options.pause_s)

    def utterances(self, text: str, options: SynthesisOptions = DEFAULTS) -> Iterator[Utterance]:
        """As `say`, one sentence after the other as they are done.

        Each sentence has noise of its own, made of the seed and the sentence's place, so that what is spoken beside it
        changes nothing.
        """
        sentences = self.sentences(text)
        speaker = self._speaker(options.speaker)
        vocode = self._vocoder(options)
        for first in range(0, len(sentences), _TOGETHER):
            batch = sentences[first : first + _TOGETHER]
            ids = [self._frontend.ids(sentence) for sentence in batch]
            spoken = self._mels(ids, first, speaker, options)
            for i, sentence in enumerate(batch):
                mel = spoken.mel[i : i + 1, :, : int(spoken.mel_lengths[i])]
                wave = vocode(mel, self._generator(options.seed, first + i, "wave"))
                stopped = bool(spoken.stopped[i])
                if not stopped:
                    message = f"cut at the limit of {mel.shape[2]} frames, before its end: '{sentence}'"
                    warnings.warn(message, FrameLimitWarning, stacklevel=2)
                alignment = spoken.alignment[i, : self._n_steps(mel), : len(ids[i])]
                yield Utterance(sentence, self._audio(wave), mel[0], alignment, stopped)

    def vocode(
        self, audio: Audio, options: SynthesisOptions = DEFAULTS, progress: Callable[[int], Any] | None = None
    ) -> Audio:
        """Sound to mel and back, at the voice's rate and as long as it was; another rate is converted.

        A long recording goes through in pieces that meet where it is quiet; `progress` is called with 1 after each.
        """
        audio = audio.resample(self.mel.sample_rate)
        vocode = self._vocoder(options)
        mel = log_mel(torch.from_numpy(audio.samples)[None].to(self.device), self.mel)
        parts = []
        for place, piece in enumerate(quiet_pieces(mel)):
            parts.append(vocode(piece, self._generator(options.seed, place, "wave")))
            if progress is not None:
                progress(1)
        return self._audio(torch.cat(parts, dim=1)[:, : len(audio.samples)])

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names, the default first; none without an acoustic model."""
        return self.config.acoustic.speakers if self.config.acoustic else ()

    def sentences(self, text: str) -> list[str]:
        """What `text` is split into to be spoken. Raises InputError if it holds nothing to speak."""
        if not text.strip():
            raise InputError("nothing to say: the text is empty")
        return self._frontend.sentences(text)

    @cached_property
    def _frontend(self) -> Frontend:
        if self.config.acoustic is None:
            raise InputError(f"voice '{self.config.name}' has no acoustic model; import one into its folder")
        return make_frontend(self.config.acoustic.text)

    def _speaker(self, name: str | None) -> int:
        """The speaker's row in the embedding."""
        if name is None:
            return 0
        if name not in self.speakers:
            raise InputError(f"voice '{self.config.name}' has no speaker '{name}'{nearest(name, self.speakers)}")
        return self.speakers.index(name)

    @torch.inference_mode()
    def _mels(self, rows: Sequence[list[int]], first: int, speaker: int, options: SynthesisOptions) -> Spoken:
        """Speak a batch of sentences, given as ids; `first` is the place in the text of the first of them."""
        assert self.acoustic is not None
        ids = [torch.tensor(row) for row in rows]
        decoding = self.config.decoding
        if options.max_frames is not None:
            decoding = replace(decoding, max_frames=options.max_frames)
        generators = [self._generator(options.seed, first + i, "mel") for i in range(len(ids))]
        with self._autocast():
            spoken: Spoken = self.acoustic.generate(
                pad_sequence(ids, batch_first=True).to(self.device),
                torch.tensor([len(row) for row in ids], device=self.device),
                decoding,
                generators,
                speaker=torch.full((len(ids),), speaker, device=self.device),
            )
        return spoken

    def _n_steps(self, mel: Tensor) -> int:
        """Decoder steps behind a mel (1, M, T)."""
        assert self.acoustic is not None
        return -(-mel.shape[2] // self.acoustic.config.reduction_factor)

    def _vocoder(self, options: SynthesisOptions) -> Vocode:
        """The vocoder that the options name, with all but the mel and the noise settled."""
        stored = self.config.vocoder
        if options.vocoder == "griffin-lim" or (options.vocoder is None and isinstance(stored, GriffinLimConfig)):
            config = stored if isinstance(stored, GriffinLimConfig) else GriffinLimConfig(mel=self.mel)
            griffin_lim = GriffinLim(config)
            return lambda mel, generator: griffin_lim.generate(mel, generator=generator)
        if self.vocoder is None:
            raise InputError(
                f"voice '{self.config.name}' has no WaveGlow; import one, or choose the vocoder griffin-lim"
            )
        waveglow, own = self.vocoder, self.config.vocoding
        sigma = own.sigma if options.sigma is None else options.sigma
        rounds = own.correction if options.correction is None else options.correction
        correct = MelCorrection(self.mel, self.device)
        denoiser = Denoiser(waveglow, self.mel.n_mels, self.device) if options.denoise else None

        @torch.inference_mode()
        def vocode(mel: Tensor, generator: torch.Generator) -> Tensor:
            with self._autocast():
                wave = waveglow.generate(mel, sigma, generator)
            wave = correct(wave.float(), mel, rounds)
            return denoiser(wave, options.denoise) if denoiser else wave

        return vocode

    def _audio(self, wave: Tensor) -> Audio:
        return Audio(wave[0].float().cpu().numpy(), self.mel.sample_rate)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _generator(self, seed: int, place: int, purpose: str) -> torch.Generator:
        """Noise of one purpose in one sentence, unrelated to that of any other."""
        digest = hashlib.sha256(f"{seed} {place} {purpose}".encode()).digest()
        return torch.Generator(self.device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def quiet_pieces(mel: Tensor, shortest: int = 700, longest: int = 1400) -> list[Tensor]:
    """A log-mel (1, M, T) of any length in pieces of `shortest` to `longest` frames, cut where it is quietest.

    The last piece may be shorter. A WaveGlow's memory grows with the piece: 1,400 frames are 16 s as published.
    """
    loudness = mel[0].mean(dim=0)  # (T,)
    cuts = [0]
    while mel.shape[2] - cuts[-1] > longest:
        earliest = cuts[-1] + shortest
        cuts.append(earliest + int(loudness[earliest : cuts[-1] + longest].argmin()))
    return [mel[:, :, start:end] for start, end in zip(cuts, [*cuts[1:], mel.shape[2]], strict=True)]


def shipped() -> list[str]:
    """Names of the voices that ship."""
    return sorted(path.parent.name for path in VOICES.glob("*/voice.json"))


def find_voice(source: str | Path | None = None) -> Path:
    """The folder of a voice that ships, by its name, or the folder given; None: the first that ships.

    Raises InputError, naming those that ship, if there is no such voice.
    """
    names = shipped()
    if source is None:
        if not names:
            raise InputError("no voice ships with this program; give the folder of one")
        return VOICES / names[0]
    if str(source) in names:
        return VOICES / str(source)
    if Path(source).is_dir():
        return Path(source)
    known = nearest(str(source), names) if names else ""
    raise InputError(f"no voice '{source}': it neither ships{known} nor is a folder here")


def find_device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:1` means here. Raises InputError if there is none such."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise InputError(f"unknown device '{name}'{nearest(name, ('auto', 'cpu', 'cuda'))}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"no device '{name}' here: {torch.cuda.device_count()} CUDA devices are seen; use auto or cpu")
    return device
