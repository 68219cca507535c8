"""Texts to mels by onnxruntime: `synthesis.interfaces.AcousticModel` without torch.

Letters: N symbols, S decoder steps, r frames a step, T mel frames, M mel bands, C channels, P prenet channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glowtron.config import DecodingOptions, FastSpeech2Config, ProsodyOptions, Tacotron2Config
from glowtron.onnx import fastspeech2, tacotron2
from glowtron.onnx.graph import Graph
from glowtron.onnx.layers import Weights
from glowtron.onnx.noise import Noise
from glowtron.onnx.sessions import Session
from glowtron.synthesis.interfaces import MelPiece, SpokenMel

Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]

NOISE_STEPS = 64
"""As in the textbook: decoder steps whose noise is drawn at once."""


class OnnxFastSpeech2:
    """A FastSpeech 2 ready to speak. Texts go through one by one, so that none depends on those beside it."""

    predicts_prosody = True
    reduction_factor = 1
    frames_behind = 0

    def __init__(self, weights: Weights, config: FastSpeech2Config, n_threads: int) -> None:
        self._config = config
        self._prosody: Sequence[ProsodyOptions] | None = None
        self._reach = 1 + sum(config.decoder_dilations)
        """Frames of a plan, on either side, that a frame of the mel depends on."""
        graph = Graph("plan", fed=True)
        ids = graph.input("ids", "int64", ["B", "N"])
        lengths, speaker = (graph.input(name, "int64", ["B"]) for name in ("lengths", "speaker"))
        prosody = fastspeech2.prosody_inputs(graph)
        limit = graph.input("max_frames", "int64", [1])
        plan = fastspeech2.plan(graph, weights, config, ids, lengths, speaker, prosody, limit)
        sizes = {"frames": config.channels + 2, "log_f0": 1, "voiced": 1, "mask": 1}
        for (name, size), value in zip(sizes.items(), plan, strict=False):
            graph.output(name, value, ["B", size, "T"])
        graph.output("alignment", plan.alignment, ["B", "N", "T"])
        self._plan_session = Session(graph, n_threads)
        graph = Graph("decode", fed=True)
        sizes["noise"] = config.noise_channels
        given = [graph.input(name, "float32", ["B", size, "T"]) for name, size in sizes.items()]
        graph.output("mel", fastspeech2.decode(graph, weights, config, *given), ["B", "M", "T"])
        self._decode_session = Session(graph, n_threads)

    def with_prosody(self, prosody: Sequence[ProsodyOptions]) -> OnnxFastSpeech2:
        """See `ProsodicModel`."""
        changed = object.__new__(OnnxFastSpeech2)
        changed.__dict__.update(self.__dict__, _prosody=prosody)
        return changed

    def generate(
        self, ids: Sequence[Sequence[int]], options: DecodingOptions, seeds: Sequence[int], speakers: Sequence[int]
    ) -> list[SpokenMel]:
        """See `AcousticModel`. The alignment has a row for each frame, with weight 1 at its symbol."""
        spoken = []
        for row, seed, speaker in zip(ids, seeds, speakers, strict=True):
            plan, alignment, noise = self._plan(row, options, seed, speaker)
            n_frames = noise.shape[2]
            mel = self._decode(plan, noise, 0, n_frames)
            spoken.append(SpokenMel(mel, alignment, n_frames < options.max_frames))
        return spoken

    def stream(
        self, ids: Sequence[int], options: DecodingOptions, seed: int, speaker: int, n_steps: Callable[[], int]
    ) -> Iterator[MelPiece]:
        """See `AcousticModel`."""
        plan, alignment, noise = self._plan(ids, options, seed, speaker)
        n_frames, start = noise.shape[2], 0
        while start < n_frames:
            stop = min(start + n_steps(), n_frames)
            ended = stop == n_frames
            mel = self._decode(plan, noise, start, stop)
            yield MelPiece(mel, alignment[start:stop], ended, ended and n_frames < options.max_frames)
            start = stop

    def _plan(
        self, ids: Sequence[int], options: DecodingOptions, seed: int, speaker: int
    ) -> tuple[Arrays, Floats, Floats]:
        """The plan of one text, its alignment (T, N), and the noise (1, Z, T) of its frames."""
        prosody = self._prosody or [options.prosody]
        changes = {
            name: np.array([[getattr(one, name) for one in prosody]], np.float32)
            for name in fastspeech2.Prosody._fields
        }
        outputs = self._plan_session(
            ids=np.array([ids]),
            lengths=np.array([len(ids)]),
            speaker=np.array([speaker]),
            max_frames=np.array([options.max_frames]),
            **changes,
        )
        plan = dict(zip(("frames", "log_f0", "voiced", "mask"), outputs, strict=False))
        n_frames = plan["frames"].shape[2]
        noise = Noise(seed).normal(n_frames, self._config.noise_channels).T[None]
        return plan, np.ascontiguousarray(outputs[4][0].T), np.ascontiguousarray(noise)

    def _decode(self, plan: Arrays, noise: Floats, start: int, stop: int) -> Floats:
        """Some frames of a plan's mel, (M, T), computed from no more than they depend on."""
        first, last = max(start - self._reach, 0), min(stop + self._reach, noise.shape[2])
        window = {name: np.ascontiguousarray(values[..., first:last]) for name, values in plan.items()}
        (mel,) = self._decode_session(noise=np.ascontiguousarray(noise[..., first:last]), **window)
        return mel[0, :, start - first : stop - first]


class OnnxTacotron2:
    """A Tacotron 2 ready to speak: encoder, a loop of some decoder steps at a time, and postnet."""

    predicts_prosody = False

    def __init__(
        self, weights: Weights, config: Tacotron2Config, n_mels: int, options: DecodingOptions, n_threads: int
    ) -> None:
        """options: how the decoder runs; of those of a call only the limit of frames counts."""
        self._config, self._n_mels = config, n_mels
        self.reduction_factor = config.reduction_factor
        self.frames_behind = config.postnet_layers * (config.postnet_kernel - 1) // 2
        """Mel frames by which a piece is behind the steps that settled it: the reach of the postnet."""
        self._encode_session = self._encoder(weights, n_threads)
        self._advance_session = self._loop(weights, options, n_threads)
        graph = Graph("postnet", fed=True)
        frames = graph.input("frames", "float32", ["B", "T", n_mels])
        graph.output("mel", tacotron2.refine(graph, weights, config, frames, None), ["B", n_mels, "T"])
        self._postnet_session = Session(graph, n_threads)

    def _encoder(self, weights: Weights, n_threads: int) -> Session:
        graph, config = Graph("encoder", fed=True), self._config
        ids, lengths = graph.input("ids", "int64", ["B", "N"]), graph.input("lengths", "int64", ["B"])
        speaker = graph.input("speaker", "int64", ["B"]) if config.n_speakers > 1 else None
        memory = tacotron2.encode(graph, weights, config, ids, lengths, speaker)
        graph.output("values", memory.values, ["B", "N", config.encoder_channels])
        graph.output("keys", memory.keys, ["B", "N", config.attention_channels])
        start = tacotron2.start(graph, config, self._n_mels, memory)
        tacotron2.state_outputs(graph, config, self._n_mels, start)
        return Session(graph, n_threads)

    def _loop(self, weights: Weights, options: DecodingOptions, n_threads: int) -> Session:
        graph, config = Graph("decoder"), self._config
        memory = tacotron2.MemoryValues(
            graph.input("values", "float32", ["B", "N", config.encoder_channels]),
            graph.input("keys", "float32", ["B", "N", config.attention_channels]),
            graph.input("ids", "int64", ["B", "N"]),
            graph.input("lengths", "int64", ["B"]),
        )
        state = tacotron2.state_inputs(graph, config, self._n_mels)
        keep = graph.input("keep", "float32", ["S", 2, "B", config.prenet_channels])
        decoded = tacotron2.advance(graph, weights, config, self._n_mels, memory, state, keep, options)
        graph.output("mel_frames", decoded.frames, ["B", "T", self._n_mels])
        graph.output("alignment", decoded.alignment, ["B", "S", "N"])
        tacotron2.state_outputs(graph, config, self._n_mels, decoded.state, "_then")
        return Session(graph, n_threads)

    def generate(
        self, ids: Sequence[Sequence[int]], options: DecodingOptions, seeds: Sequence[int], speakers: Sequence[int]
    ) -> list[SpokenMel]:
        """See `AcousticModel`."""
        spoken = []
        for row, seed, speaker in zip(ids, seeds, speakers, strict=True):
            pieces = list(self.stream(row, options, seed, speaker, lambda: NOISE_STEPS))
            mel, alignment = (
                np.concatenate([piece.mel for piece in pieces], axis=1),
                np.concatenate([piece.alignment for piece in pieces]),
            )
            n_rows = max(-(-mel.shape[1] // self.reduction_factor), 1)
            spoken.append(SpokenMel(mel, alignment[:n_rows], pieces[-1].stopped))
        return spoken

    def stream(
        self, ids: Sequence[int], options: DecodingOptions, seed: int, speaker: int, n_steps: Callable[[], int]
    ) -> Iterator[MelPiece]:
        """See `AcousticModel`. The postnet sees some frames ahead, and a piece is by as many behind its steps."""
        r, reach = self.reduction_factor, self.frames_behind
        left = -(-options.max_frames // r)
        window = np.zeros((0, self._n_mels), np.float32)  # Frames before the postnet, from `start` on.
        start = given = 0
        for frames, alignment, stopped in self._steps(ids, seed, speaker, left, n_steps):
            left -= len(alignment)
            window = np.concatenate([window, frames])
            end = start + len(window)
            if stopped or not left:
                settled = min(end - r * (stopped and not options.keep_stop_frame), options.max_frames)
                if self._config.mask_padding:
                    window = window[: settled - start]
            else:
                settled = max(end - reach, given)
            mel = self._refined(window)[:, given - start : settled - start]
            yield MelPiece(mel, alignment, stopped or not left, stopped)
            given = settled
            window = window[max(given - reach, 0) - start :]
            start = max(given - reach, 0)

    def _refined(self, frames: Floats) -> Floats:
        """(T, M) -> (M, T) with the postnet's addition."""
        if len(frames) == 0:
            return np.zeros((self._n_mels, 0), np.float32)
        mel: Floats = self._postnet_session(frames=frames[None])[0][0]
        return mel

    def _steps(
        self, ids: Sequence[int], seed: int, speaker: int, left: int, n_steps: Callable[[], int]
    ) -> Iterator[tuple[Floats, Floats, bool]]:
        """Frames (S * r, M) and alignment (S, N) of some steps at a time, and whether the text has ended."""
        text = {"ids": np.array([ids]), "lengths": np.array([len(ids)])}
        who = {"speaker": np.array([speaker])} if self._config.n_speakers > 1 else {}
        values, keys, *state = self._encode_session(**text, **who)
        noise = _PrenetNoise(self._config, seed)
        ended = False
        while left and not ended:
            keep = noise.peek(min(left, max(n_steps(), 1)))
            frames, alignment, *state = self._advance_session(
                values=values,
                keys=keys,
                keep=keep,
                **text,
                **dict(zip(tacotron2.StateValues._fields, state, strict=True)),
            )
            n_taken = alignment.shape[1]
            noise.drop(n_taken)
            left -= n_taken
            ended = not state[-1][0]
            yield frames[0], alignment[0], ended


class _PrenetNoise:
    """The dropout masks of the next steps, drawn as `models.decode` draws them."""

    def __init__(self, config: Tacotron2Config, seed: int) -> None:
        self._config, self._noise = config, Noise(seed)
        self._drawn = self._draw()

    def _draw(self) -> Floats:
        """(S, 2, 1, P)."""
        stays = 1 - self._config.prenet_dropout
        keep = self._noise.bernoulli(stays, 2, NOISE_STEPS, self._config.prenet_channels) / np.float32(stays)
        return np.ascontiguousarray(keep.transpose(1, 0, 2)[:, :, None])

    def peek(self, n_steps: int) -> Floats:
        """Of the next steps."""
        while len(self._drawn) < n_steps:
            self._drawn = np.concatenate([self._drawn, self._draw()])
        return self._drawn[:n_steps]

    def drop(self, n_steps: int) -> None:
        """These steps have been taken."""
        self._drawn = self._drawn[n_steps:]
