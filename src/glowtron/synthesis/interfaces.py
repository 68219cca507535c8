"""Interfaces of a runtime for synthesis: NumPy arrays go in and come out, so torch is one runtime among others.

A `Runtime` holds the two models of a voice. `glowtron.synthesis.torch_runtime` runs them by torch, on any device;
`glowtron.onnx.runtime` by onnxruntime, without torch.

Letters: N symbols, S decoder steps, T mel frames, M mel bands, L samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from glowtron.config import DecodingOptions, MelConfig, ProsodyOptions, VoiceFile
    from glowtron.config.synthesis import SynthesisOptions

Floats: TypeAlias = NDArray[np.float32]


class SpokenMel(NamedTuple):
    """The mel of one text."""

    mel: Floats
    """(M, T)."""
    alignment: Floats
    """(S, N) attention weights."""
    stopped: bool
    """False where the limit of frames ended it."""


class MelPiece(NamedTuple):
    """The next piece of a text's mel."""

    mel: Floats
    """(M, T); T may be 0 in the last piece."""
    alignment: Floats
    """(S, N) of the steps that this piece added, which are some frames ahead of its mel."""
    ended: bool
    """True if this is the last piece."""
    stopped: bool
    """True if the text ended by itself; False before the last piece, and where the limit of frames ended it."""


class AcousticModel(Protocol):
    """Texts to mels. The noise of a text is drawn from its seed alone, so that company changes nothing."""

    predicts_prosody: bool
    """True if it takes `DecodingOptions.prosody`: rate, pitch and energy."""

    @property
    def reduction_factor(self) -> int:
        """Frames of a decoder step."""

    @property
    def frames_behind(self) -> int:
        """Mel frames by which a streamed piece lags the steps that settled it."""

    def generate(
        self, ids: Sequence[Sequence[int]], options: DecodingOptions, seeds: Sequence[int], speakers: Sequence[int]
    ) -> list[SpokenMel]:
        """The mel of each text."""

    def stream(
        self, ids: Sequence[int], options: DecodingOptions, seed: int, speaker: int, n_steps: Callable[[], int]
    ) -> Iterator[MelPiece]:
        """The mel of one text as soon as each piece is final; joined, it is that of `generate`.

        n_steps: How many decoder steps to take for the next piece.
        """


@runtime_checkable
class ProsodicModel(Protocol):
    """An acoustic model whose prosody may be changed within a text."""

    def with_prosody(self, prosody: Sequence[ProsodyOptions]) -> AcousticModel:
        """The same for a single text, each symbol of which is changed in its own way, in place of the options' one."""


class VocoderStream(Protocol):
    """The sound of one mel that comes in pieces."""

    def push(self, mel: Floats, last: bool) -> Floats:
        """The next frames (M, T) -> the samples (L,) that are settled; L may be 0. With `last`, all the rest."""


class Vocoder(Protocol):
    """Turns mels into samples."""

    @property
    def lookahead_frames(self) -> int | None:
        """Mel frames by which the sound lags the mel; None: it needs the whole mel first."""

    def stream(self, seed: int) -> VocoderStream:
        """A stream for one mel, and the seed of its noise."""


@runtime_checkable
class CompanyVocoder(Protocol):
    """A vocoder that makes several sounds together in less time than one after the other."""

    def together(self, mels: Sequence[Floats], seeds: Sequence[int]) -> list[Floats]:
        """The sound of each whole mel (M, T), the same as alone."""


class Runtime(Protocol):
    """The models of a voice, ready to compute; it can be pickled."""

    @property
    def config(self) -> VoiceFile:
        """The contents of `voice.json`."""

    @property
    def mel(self) -> MelConfig:
        """The mel definition that both models share."""

    @property
    def acoustic_model(self) -> AcousticModel:
        """Texts to mels; made at the first use."""

    @property
    def device(self) -> object:
        """Name of the device: `cpu`, `cuda:1`."""

    @property
    def is_small(self) -> bool:
        """True if its products take microseconds, so that one thread is enough, and processes side by side are not
        too much for the memory.
        """

    def vocoder_for(self, options: SynthesisOptions) -> Vocoder:
        """The vocoder that the options ask for. Raises InputError where there is none."""

    def log_mel(self, samples: Floats) -> Floats:
        """The log-mel (M, T) of a sound (L,) (`glowtron.log_mel`)."""

    def suit_threads(self) -> None:
        """Use one thread in this process where the models are small; the user's OMP_NUM_THREADS stands."""

    def in_worker(self, n_threads: int | None) -> Runtime:
        """The same for one of several processes on a CPU, of which each may use so many threads."""

    def save(self, folder: Path) -> None:
        """Write the voice into a folder, whole or not at all. Raises InputError where it cannot be written."""
