"""The interfaces of engines. Whoever adds an engine writes one file behind them, and one test against the textbook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from glowtron.config import DecodingOptions, FastSpeech2Config, ProsodyOptions, Tacotron2Config
from glowtron.models.decode import AcousticOutput, MelChunk


class AcousticEngine(Protocol):
    """An acoustic model ready to synthesise: texts to mels. Threads may share it."""

    precision: str
    predicts_prosody: bool
    """True if it takes `DecodingOptions.prosody`: rate, pitch and energy."""

    @property
    def config(self) -> Tacotron2Config | FastSpeech2Config:
        """The model's sizes."""

    @property
    def why(self) -> str:
        """One line for people: why this precision and these operations."""

    def generate(
        self,
        ids: Tensor,
        id_lengths: Tensor,
        options: DecodingOptions,
        generators: Sequence[torch.Generator],
        *,
        speaker: Tensor | None = None,
    ) -> AcousticOutput:
        """Mels of texts.

        ids: (B, N) symbols; id_lengths: (B,); generators: one for each text, so that company changes nothing;
        speaker: (B,) indices.
        """


@runtime_checkable
class ProsodicEngine(Protocol):
    """An acoustic engine whose prosody may be changed within a text."""

    def with_prosody(self, prosody: Sequence[ProsodyOptions]) -> AcousticEngine:
        """The same for a single text, each symbol of which is changed in its own way, in place of the options' one."""


@runtime_checkable
class IncrementalAcousticEngine(Protocol):
    """An acoustic engine that also gives a mel in pieces while it is computed."""

    @property
    def frames_behind(self) -> int:
        """Mel frames by which a piece lags the steps that settled it."""

    def stream(
        self,
        ids: Tensor,
        options: DecodingOptions,
        generator: torch.Generator,
        *,
        speaker: Tensor | None = None,
        n_steps: Callable[[], int],
    ) -> Iterator[MelChunk]:
        """The mel of one text, ids (1, N), as soon as each piece is final; joined, it is that of `generate`.

        n_steps: How many decoder steps to take for the next piece.
        """
