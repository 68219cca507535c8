"""A voice's models on torch, as synthesis asks for them: NumPy arrays become tensors here, and seeds generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glowtron.checkpoint import StoredVoice, save_voice
from glowtron.config import DecodingOptions, MelConfig, ProsodyOptions, VoiceFile
from glowtron.config.synthesis import SynthesisOptions
from glowtron.engines.choose import acoustic_engine, vocoder_engine
from glowtron.engines.hardware import SMALL, find_device, release_memory, suit_threads
from glowtron.engines.interfaces import AcousticEngine, IncrementalAcousticEngine, ProsodicEngine
from glowtron.engines.waveglow import WaveGlowEngine
from glowtron.errors import InputError, nearest
from glowtron.machine import thread_limit
from glowtron.mel import log_mel
from glowtron.synthesis.interfaces import AcousticModel, Floats, MelPiece, SpokenMel, Vocoder
from glowtron.synthesis.vocoders import as_array, make_vocoder, uses_wavenet

if TYPE_CHECKING:
    from glowtron.engines.cpu_wavenet import FastWaveNet
    from glowtron.models.waveglow import WaveGlow
    from glowtron.models.wavenet import WaveNet

PRECISIONS = ("auto", "fp32", "int16", "bf16", "int8", "fp16")


class TorchRuntime:
    """A `Runtime` on any device of torch's. `acoustic` and `vocoder` are the textbook's models."""

    def __init__(
        self, stored: StoredVoice, *, device: str = "auto", precision: str = "auto", n_threads: int | None = None
    ) -> None:
        """See `Voice.load` for device and precision; n_threads: for clips side by side, None: as many as there are.

        Raises InputError for an unknown device or precision.
        """
        if precision not in PRECISIONS:
            raise InputError(f"unknown precision '{precision}'{nearest(precision, PRECISIONS)}")
        self.device = find_device(device)
        if precision == "fp16" and self.device.type == "cpu":
            raise InputError("precision fp16 is for CUDA; on a CPU take int8, int16, bf16, fp32 or auto")
        self.precision = precision
        self.n_threads = thread_limit() if n_threads is None else n_threads
        self.config: VoiceFile = stored.config
        self.mel: MelConfig = stored.mel
        self.acoustic = None if stored.acoustic is None else stored.acoustic.to(self.device).eval()
        self._vocoder, self._stored_vocoder = stored.vocoder, stored.stored_vocoder
        # A sample of a WaveNet takes microseconds; no GPU is as quick for a single clip.
        self.wavenet = None if stored.wavenet is None else stored.wavenet.eval()
        models = [model for model in (stored.acoustic, stored.vocoder) if model is not None]
        sizes = [sum(weight.numel() for weight in model.parameters()) for model in models]
        if stored.stored_vocoder is not None:
            sizes.append(stored.stored_vocoder.n_parameters)
        self._sizes = sizes

    @cached_property
    def vocoder(self) -> WaveGlow | None:
        """The textbook's vocoder; None: the voice has none. Made when it is asked for, as engines do without."""
        model = self._vocoder if self._stored_vocoder is None else self._stored_vocoder.whole()
        return None if model is None else model.to(self.device).eval()

    @cached_property
    def acoustic_engine(self) -> AcousticEngine:
        """The acoustic model as it runs fastest here; its weights are packed at the first use."""
        assert self.acoustic is not None
        return acoustic_engine(self.acoustic, self.device, self.precision)

    @cached_property
    def vocoder_engine(self) -> WaveGlowEngine:
        """The vocoder as it runs fastest here; its weights are packed at the first use."""
        stored = self._stored_vocoder
        model = self.vocoder if stored is None or self._is_made or self.device.type != "cpu" else stored.net_by_net()
        assert model is not None
        engine = vocoder_engine(model, self.device, self.precision)
        release_memory()
        return engine

    @property
    def _is_made(self) -> bool:
        """True if the textbook's vocoder was asked for, and may have been changed since."""
        return self._stored_vocoder is None or "vocoder" in vars(self)

    @cached_property
    def wavenet_engine(self) -> FastWaveNet | WaveNet:
        """The WaveNet as it runs fastest here; its weights are packed at the first use."""
        from glowtron.engines.choose import wavenet_engine

        assert self.wavenet is not None
        return wavenet_engine(self.wavenet, self.precision)

    def __getstate__(self) -> dict[str, Any]:
        """Engines are made anew in another process, or for a copy: they hold what cannot be sent."""
        made = ("acoustic_engine", "vocoder_engine", "wavenet_engine")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    @property
    def stored(self) -> StoredVoice:
        """The voice as a folder holds it."""
        return StoredVoice(self.config, self.acoustic, self.vocoder, self.wavenet)

    @property
    def _small_as_stored(self) -> StoredVoice:
        """The same with the vocoder as it was stored, where nobody can have changed it."""
        if self._is_made:
            return self.stored
        return StoredVoice(self.config, self.acoustic, None, self.wavenet, self._stored_vocoder)

    @property
    def acoustic_model(self) -> AcousticModel:
        """See `Runtime`."""
        engine = self.acoustic_engine
        kind = TorchProsodicModel if isinstance(engine, ProsodicEngine) else TorchAcousticModel
        return kind(engine, self.device)

    @property
    def is_small(self) -> bool:
        """See `Runtime`. The products of large models use all cores, and their weights are better in memory once."""
        return all(size < SMALL for size in self._sizes)

    def vocoder_for(self, options: SynthesisOptions) -> Vocoder:
        """See `Runtime`."""
        if uses_wavenet(self.config, options):
            if self.wavenet is None:
                raise InputError(
                    f"voice '{self.config.name}' has no WaveNet; train or import one, or choose another vocoder"
                )
            from glowtron.synthesis.wavenet import make_wavenet_vocoder

            return make_wavenet_vocoder(self.config, self.wavenet_engine, options, self.n_threads)
        there = not self._is_made or self.vocoder is not None
        waveglow = self.vocoder_engine if there and options.vocoder != "griffin-lim" else None
        return make_vocoder(self.config, self.mel, waveglow, options, self.device)

    def log_mel(self, samples: Floats) -> Floats:
        """See `Runtime`."""
        return as_array(log_mel(torch.from_numpy(samples)[None].to(self.device), self.mel)[0])

    def suit_threads(self) -> None:
        """See `Runtime`."""
        suit_threads(self.is_small)

    def in_worker(self, n_threads: int | None) -> TorchRuntime:
        """See `Runtime`."""
        if n_threads is not None:
            torch.set_num_threads(n_threads)
        return TorchRuntime(self._small_as_stored, device="cpu", precision=self.precision, n_threads=n_threads)

    def save(self, folder: Path) -> None:
        """See `Runtime`."""
        save_voice(self.stored, folder)


class TorchAcousticModel:
    """An engine as an `AcousticModel`."""

    def __init__(self, engine: AcousticEngine, device: torch.device) -> None:
        self._engine, self._device = engine, device
        self.predicts_prosody = engine.predicts_prosody

    @property
    def reduction_factor(self) -> int:
        """See `AcousticModel`."""
        return self._engine.config.reduction_factor

    @property
    def frames_behind(self) -> int:
        """See `AcousticModel`."""
        return self._incremental.frames_behind

    @property
    def _incremental(self) -> IncrementalAcousticEngine:
        assert isinstance(self._engine, IncrementalAcousticEngine), "a vocoder that streams runs on a CPU"
        return self._engine

    @torch.inference_mode()
    def generate(
        self, ids: Sequence[Sequence[int]], options: DecodingOptions, seeds: Sequence[int], speakers: Sequence[int]
    ) -> list[SpokenMel]:
        """See `AcousticModel`."""
        output = self._engine.generate(
            pad_sequence([torch.tensor(row) for row in ids], batch_first=True).to(self._device),
            torch.tensor([len(row) for row in ids], device=self._device),
            options,
            [self._generator(seed) for seed in seeds],
            speaker=torch.tensor(speakers, device=self._device),
        )
        mel, alignment, r = as_array(output.mel), as_array(output.alignment), self.reduction_factor
        return [
            SpokenMel(mel[i, :, :n_frames], alignment[i, : max(-(-n_frames // r), 1), : len(row)], stopped)
            for i, (row, n_frames, stopped) in enumerate(
                zip(ids, output.mel_lengths.tolist(), output.stopped.tolist(), strict=True)
            )
        ]

    def stream(
        self, ids: Sequence[int], options: DecodingOptions, seed: int, speaker: int, n_steps: Callable[[], int]
    ) -> Iterator[MelPiece]:
        """See `AcousticModel`."""
        who = torch.tensor([speaker])
        for chunk in self._incremental.stream(
            torch.tensor([ids]), options, self._generator(seed), speaker=who, n_steps=n_steps
        ):
            yield MelPiece(_of_one(chunk.mel), _of_one(chunk.alignment), chunk.ended, chunk.stopped)

    def _generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(seed)


class TorchProsodicModel(TorchAcousticModel):
    """The same for an engine whose prosody may be changed within a text."""

    def with_prosody(self, prosody: Sequence[ProsodyOptions]) -> AcousticModel:
        """See `ProsodicModel`."""
        assert isinstance(self._engine, ProsodicEngine)
        return TorchProsodicModel(self._engine.with_prosody(prosody), self._device)


def _of_one(batch: Tensor) -> Floats:
    return np.ascontiguousarray(as_array(batch[0]))
