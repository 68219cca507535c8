"""A WaveNet as a vocoder of synthesis: on a CPU it streams, a frame of sound at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glowtron.config import MelConfig, VoiceFile
from glowtron.config.synthesis import SynthesisOptions
from glowtron.engines.cpu_wavenet import FastWaveNet, NoiseBlocks
from glowtron.errors import InputError
from glowtron.models.wavenet import WaveNet
from glowtron.synthesis import speakers
from glowtron.synthesis.interfaces import Floats, VocoderStream


def make_wavenet_vocoder(
    config: VoiceFile, engine: FastWaveNet | WaveNet, options: SynthesisOptions, n_threads: int
) -> WaveNetVocoder:
    """The voice's WaveNet as the options ask for. Raises InputError for what only WaveGlow has.

    n_threads: Which several clips are spread over.
    """
    for name in ("denoise", "correction"):
        if getattr(options, name):
            raise InputError(f"{name} is for WaveGlow; a WaveNet has none, leave it out")
    sizes = engine.config
    row = speakers.row_of(sizes, config, options.speaker)
    sigma = config.vocoding.wavenet_sigma if options.sigma is None else options.sigma
    return WaveNetVocoder(engine, sigma, None if row is None else torch.tensor([row]), n_threads)


def samples_before(mel: MelConfig) -> int:
    """Samples of the zeros before the sound that frames begin with; only those of lws have any."""
    return mel.n_fft - mel.hop_length if mel.framing == "lws" else 0


class WaveNetVocoder:
    """See `Vocoder` and `CompanyVocoder`."""

    def __init__(self, engine: FastWaveNet | WaveNet, sigma: float, speaker: Tensor | None, n_threads: int = 1) -> None:
        self._engine, self._sigma, self._speaker, self._n_threads = engine, sigma, speaker, n_threads

    @property
    def lookahead_frames(self) -> int | None:
        """See `Vocoder`. The textbook needs the whole mel."""
        return self._engine.lookahead_frames if isinstance(self._engine, FastWaveNet) else None

    def stream(self, seed: int) -> VocoderStream:
        """See `Vocoder`."""
        return _WaveNetStream(self._engine, self._sigma, self._speaker, torch.Generator().manual_seed(seed))

    @torch.inference_mode()
    def together(self, mels: Sequence[Floats], seeds: Sequence[int]) -> list[Floats]:
        """See `CompanyVocoder`. Clips go in step, a group a thread."""
        if not isinstance(self._engine, FastWaveNet):
            return [self.stream(seed).push(mel, True) for mel, seed in zip(mels, seeds, strict=True)]
        waves = self._engine.generate_each(
            [torch.from_numpy(np.ascontiguousarray(mel)) for mel in mels],
            [torch.Generator().manual_seed(seed) for seed in seeds],
            self._sigma,
            self._speaker,
            n_threads=self._n_threads,
        )
        return [wave[samples_before(self._engine.config.mel) :].numpy() for wave in waves]


class _WaveNetStream:
    def __init__(
        self, engine: FastWaveNet | WaveNet, sigma: float, speaker: Tensor | None, generator: torch.Generator
    ) -> None:
        config = engine.config
        self._engine, self._sigma, self._speaker, self._generator = engine, sigma, speaker, generator
        self._stream = None
        if isinstance(engine, FastWaveNet):
            self._stream = engine.stream(NoiseBlocks(config, 1, generator), 1, sigma, speaker)
        self._pieces: list[Tensor] = []
        self._ahead = samples_before(config.mel)

    @torch.inference_mode()
    def push(self, mel: Floats, last: bool) -> Floats:
        """See `VocoderStream`."""
        frames = torch.from_numpy(np.ascontiguousarray(mel))[None]
        if self._stream is not None:
            wave = self._stream.push(frames, last)[0]
        else:
            self._pieces.append(frames)
            if not last:
                return np.zeros(0, np.float32)
            assert isinstance(self._engine, WaveNet)
            whole = torch.cat(self._pieces, dim=2)
            wave = self._engine.generate(whole, self._sigma, self._generator, speaker=self._speaker)[0]
        skipped = min(self._ahead, len(wave))
        self._ahead -= skipped
        samples: Floats = wave[skipped:].numpy()
        return samples
