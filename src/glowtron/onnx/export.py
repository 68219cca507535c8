"""A voice as ONNX files for other programs: symbols to samples in one graph, or acoustic model and vocoder apart.

The inputs and outputs are described in docs/onnx.md. Noise is an input, so that the same numbers give the same sound,
or is drawn inside the graph.

Letters: B batch, N symbols, T mel frames, M mel bands, S decoder steps, P prenet channels, Z noise, C channels,
G groups of samples, L samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from glowtron.config import (
    FastSpeech2Config,
    GriffinLimConfig,
    MelConfig,
    Tacotron2Config,
    VoiceFile,
    WaveGlowConfig,
    to_dict,
)
from glowtron.errors import InputError
from glowtron.files import write_bytes
from glowtron.onnx import correction, fastspeech2, griffin_lim, tacotron2, waveglow
from glowtron.onnx.graph import Graph, Value
from glowtron.onnx.weights import StoredWeights
from glowtron.text.symbols import SYMBOLS
from glowtron.voice_folder import ACOUSTIC, VOCODER, map_weights, read_voice, read_voice_file, vocoder_folder

Form: TypeAlias = Literal["whole", "parts", "sherpa-matcha", "sherpa-vits"]
FORMS: tuple[Form, ...] = ("whole", "parts", "sherpa-matcha", "sherpa-vits")
CONTROLS = ("rate", "pitch", "pitch_range", "energy")
"""Inputs by which a caller changes the prosody of a voice that predicts it; 1 and 0 are as the voice is."""


@dataclass(frozen=True, kw_only=True)
class GraphOptions:
    """Options of the export of a voice to graphs."""

    noise_inside: bool = False
    """True if noise is drawn in the graph: no seed, each run another."""
    int8: bool = False
    """True if large weights are kept as bytes with a scale for each row, a quarter of the size; onnxruntime multiplies
    them out when it reads the file."""
    correction: int | None = None
    """Rounds that bring the sound back to its mel; None: as the voice has it."""


class ExportedVoice:
    """A voice folder's models, to be written into graphs."""

    def __init__(self, folder: Path, options: GraphOptions) -> None:
        """Raises InputError for a folder that is missing or damaged."""
        self.config, self.options = read_voice(folder), options
        self._acoustic = self._weights(folder, ACOUSTIC) if self.config.acoustic is not None else None
        self._vocoder: StoredWeights | None = None
        if isinstance(self.config.vocoder, WaveGlowConfig):
            self._vocoder = self._weights(vocoder_folder(folder, self.config), VOCODER)

    @staticmethod
    def _weights(folder: Path, name: str) -> StoredWeights:
        return StoredWeights(map_weights(folder, name, read_voice_file(folder)), folder / name)

    @property
    def mel(self) -> MelConfig:
        """The mel definition that both models share."""
        return self.config.mel

    @property
    def n_speakers(self) -> int:
        """Speakers that are told apart."""
        acoustic, vocoder = self.config.acoustic, self.config.vocoder
        if acoustic is not None:
            return acoustic.model.n_speakers
        return vocoder.n_speakers if isinstance(vocoder, WaveGlowConfig) else 1

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of each file."""
        return {
            "name": self.config.name,
            "licence": self.config.licence,
            "training_data": self.config.training_data,
            "sample_rate": str(self.mel.sample_rate),
            "hop_length": str(self.mel.hop_length),
            "n_mels": str(self.mel.n_mels),
            "speakers": json.dumps(list(self.config.acoustic.speakers if self.config.acoustic else ())),
            "producer": "glowtron",
        }

    def graph(self, name: str) -> Graph:
        """A new graph."""
        return Graph(name, int8=self.options.int8)

    def acoustic(
        self, graph: Graph, ids: Value, lengths: Value, speaker: Value, controls: Mapping[str, Value], noise: Noise
    ) -> Mel:
        """Symbols to mels. Raises InputError if the voice has no acoustic model."""
        config = self.config.acoustic
        if config is None or self._acoustic is None:
            raise InputError(f"voice '{self.config.name}' has no acoustic model; import one, or export `form` parts")
        limit = graph.constant(np.array([self.config.decoding.max_frames]))
        if isinstance(config.model, FastSpeech2Config):
            return self._fastspeech2(graph, config.model, ids, lengths, speaker, controls, noise, limit)
        return self._tacotron2(graph, config.model, ids, lengths, speaker, noise, limit)

    def _fastspeech2(
        self,
        graph: Graph,
        config: FastSpeech2Config,
        ids: Value,
        lengths: Value,
        speaker: Value,
        controls: Mapping[str, Value],
        noise: Noise,
        limit: Value,
    ) -> Mel:
        assert self._acoustic is not None
        own = self.config.decoding.prosody
        prosody = fastspeech2.Prosody(
            rate=controls["rate"] * own.rate,
            pause=graph.constant(np.full((1, 1), own.pause, np.float32)),
            pitch=controls["pitch"] + own.pitch,
            pitch_range=controls["pitch_range"] * own.pitch_range,
            energy=controls["energy"] + own.energy,
        )
        plan = fastspeech2.plan(graph, self._acoustic, config, ids, lengths, speaker, prosody, limit)
        drawn = noise.normal("acoustic_noise", [plan.frames.size(0), config.noise_channels, plan.frames.size(2)])
        mel = fastspeech2.decode(graph, self._acoustic, config, *plan[:4], drawn)
        frames = plan.mask.squeeze(1).sum(1, keep=False).to("int64")
        return Mel(mel * plan.mask, frames, plan.alignment.transpose(0, 2, 1))

    def _tacotron2(
        self,
        graph: Graph,
        config: Tacotron2Config,
        ids: Value,
        lengths: Value,
        speaker: Value,
        noise: Noise,
        limit: Value,
    ) -> Mel:
        assert self._acoustic is not None
        n_mels, options = self.mel.n_mels, self.config.decoding
        memory = tacotron2.encode(graph, self._acoustic, config, ids, lengths, speaker)
        n_steps = -(-options.max_frames // config.reduction_factor)
        keep = noise.dropout("dropout", n_steps, ids.size(0), config)
        state = tacotron2.start(graph, config, n_mels, memory)
        decoded = tacotron2.advance(graph, self._acoustic, config, n_mels, memory, state, keep, options)
        mel, frames = tacotron2.whole_mel(graph, self._acoustic, config, decoded, options, limit)
        return Mel(mel, frames, decoded.alignment)

    def vocoder(self, graph: Graph, mel: Value, speaker: Value, noise: Noise) -> Value:
        """Mels (B, M, T) to samples (B, L). Raises InputError if the voice has no vocoder."""
        config = self.config.vocoder
        if isinstance(config, GriffinLimConfig):
            n_frames = mel.size(2).at_least(config.mel.n_fft // 2 // config.mel.hop_length + 1)
            turns = noise.uniform("vocoder_noise", [mel.size(0), config.mel.n_fft // 2 + 1, n_frames])
            return griffin_lim.generate(graph, config, mel, turns)
        if not isinstance(config, WaveGlowConfig) or self._vocoder is None:
            raise InputError(
                f"voice '{self.config.name}' has no vocoder that ONNX can run; import one, or export `form` parts"
            )
        n_groups = mel.size(2) * config.mel.hop_length / config.n_channels
        z = noise.normal("vocoder_noise", [mel.size(0), config.n_channels, n_groups]) * self.config.vocoding.sigma
        who = speaker if config.n_speakers > 1 else None
        wave = waveglow.generate(graph, self._vocoder, config, z, mel, who)
        rounds = self.config.vocoding.correction if self.options.correction is None else self.options.correction
        return correction.correct(graph, config.mel, wave, mel, rounds)


class Mel(NamedTuple):
    """Output of the acoustic model."""

    mel: Value
    """(B, M, T), zero behind each text."""
    lengths: Value
    """(B,) frames."""
    alignment: Value
    """(B, S, N) attention weights, or for each frame its symbol."""


class Noise:
    """Source of a graph's noise: inputs of these names, or draws inside, scaled by `scale`."""

    def __init__(self, graph: Graph, *, inside: bool, scale: Value | None = None) -> None:
        self._graph, self._inside, self._scale = graph, inside, scale

    def normal(self, name: str, shape: list[Value | int]) -> Value:
        """Standard normal numbers. An input may be longer than is needed; what it lacks is nothing."""
        return self._scaled(self._drawn("RandomNormalLike", name, shape, mean=0.0, scale=1.0))

    def uniform(self, name: str, shape: list[Value | int]) -> Value:
        """Numbers from 0 on, under 1."""
        return self._drawn("RandomUniformLike", name, shape, low=0.0, high=1.0)

    def dropout(self, name: str, n_steps: int, n_texts: Value, config: Tacotron2Config) -> Value:
        """Masks of the prenet (S, 2, B, P), divided by their mean; as an input it may have fewer steps."""
        graph, stays = self._graph, 1 - config.prenet_dropout
        if not self._inside:
            return graph.input(name, "float32", ["S", 2, "B", config.prenet_channels])
        like = graph.full([n_steps, 2, n_texts, config.prenet_channels], 0.0)
        drawn = graph.op("RandomUniformLike", like, low=0.0, high=1.0)
        return (drawn < float(stays)).to("float32") * (1 / stays)

    def _drawn(self, op: str, name: str, shape: list[Value | int], **how: float) -> Value:
        graph = self._graph
        if self._inside:
            return graph.op(op, graph.full(shape, 0.0), **how)
        given = graph.input(name, "float32", ["B", shape[1] if isinstance(shape[1], int) else "C", f"{name}_length"])
        wanted = shape[2]
        assert isinstance(wanted, Value)
        missing = (wanted - given.size(2)).at_least(0)
        return given.pad(2, 3, after=missing).cut(2, 0, wanted)

    def _scaled(self, drawn: Value) -> Value:
        return drawn if self._scale is None else drawn * self._scale


def control_inputs(graph: Graph, config: VoiceFile) -> dict[str, Value]:
    """Inputs for what a caller may change, (1, 1) or (1, N) for each symbol; none for a voice that predicts nothing."""
    if config.acoustic is None or not isinstance(config.acoustic.model, FastSpeech2Config):
        return {}
    return {name: graph.input(name, "float32", ["one", f"n_{name}"]) for name in CONTROLS}


def whole_graph(voice: ExportedVoice) -> Graph:
    """One text's symbols to samples."""
    graph = voice.graph("voice")
    ids = graph.input("ids", "int64", [1, "N"])
    speaker = _speaker_input(graph, voice, 1)
    controls = control_inputs(graph, voice.config)
    noise = Noise(graph, inside=voice.options.noise_inside)
    mel = voice.acoustic(graph, ids, ids.size(1), speaker, controls, noise)
    graph.output("samples", voice.vocoder(graph, mel.mel, speaker, noise), [1, "L"])
    graph.output("alignment", mel.alignment, [1, "S", "N"])
    return graph


def acoustic_graph(voice: ExportedVoice) -> Graph:
    """A batch of texts' symbols to mels."""
    graph = voice.graph("acoustic")
    ids, lengths = graph.input("ids", "int64", ["B", "N"]), graph.input("lengths", "int64", ["B"])
    speaker = _speaker_input(graph, voice, "B")
    controls = control_inputs(graph, voice.config)
    noise = Noise(graph, inside=voice.options.noise_inside)
    mel = voice.acoustic(graph, ids, lengths, speaker, controls, noise)
    graph.output("mel", mel.mel, ["B", voice.mel.n_mels, "T"])
    graph.output("mel_lengths", mel.lengths, ["B"], "int64")
    graph.output("alignment", mel.alignment, ["B", "S", "N"])
    return graph


def vocoder_graph(voice: ExportedVoice) -> Graph:
    """A batch of mels of one length to samples."""
    graph = voice.graph("vocoder")
    mel = graph.input("mel", "float32", ["B", voice.mel.n_mels, "T"])
    config = voice.config.vocoder
    several = isinstance(config, WaveGlowConfig) and config.n_speakers > 1
    speaker = graph.input("speaker", "int64", ["B"]) if several else graph.constant(np.zeros(1, np.int64))
    noise = Noise(graph, inside=voice.options.noise_inside)
    graph.output("samples", voice.vocoder(graph, mel, speaker, noise), ["B", "L"])
    return graph


def _speaker_input(graph: Graph, voice: ExportedVoice, n_texts: int | str) -> Value:
    """Speaker input, (B,); a voice of one has no such input."""
    if voice.n_speakers > 1:
        return graph.input("speaker", "int64", [n_texts])
    return graph.constant(np.zeros(1, np.int64))


def export_onnx(source: Path, folder: Path, form: Form = "whole", options: GraphOptions | None = None) -> list[str]:
    """Write a voice as ONNX files, once all of them are made. Returns their names.

    Raises InputError for a folder that is no voice, a voice that lacks a model that the form needs or cannot be had in
    it, and a folder that cannot be written.
    """
    from glowtron.onnx import sherpa

    voice = ExportedVoice(source, options or GraphOptions())
    if form == "sherpa-matcha":
        files = sherpa.matcha_files(voice)
    elif form == "sherpa-vits":
        files = sherpa.vits_files(voice)
    elif form == "whole":
        files = {"voice.onnx": whole_graph(voice).model(voice.metadata), **_symbol_files(voice.config)}
    else:
        files = {}
        if voice.config.acoustic is not None:
            files["acoustic.onnx"] = acoustic_graph(voice).model(voice.metadata)
            files |= _symbol_files(voice.config)
        if isinstance(voice.config.vocoder, WaveGlowConfig | GriffinLimConfig):
            files["vocoder.onnx"] = vocoder_graph(voice).model(voice.metadata)
    for name, data in files.items():
        write_bytes(folder / name, data)
    return sorted(files)


def _symbol_files(config: VoiceFile) -> dict[str, bytes]:
    """The symbols in the order of their ids, a line each, and what the voice is."""
    assert config.acoustic is not None
    symbols = config.acoustic.text.symbols or SYMBOLS
    about = json.dumps(to_dict(config), indent=2, ensure_ascii=False)
    return {"symbols.txt": "".join(f"{one}\n" for one in symbols).encode(), "about.json": (about + "\n").encode()}
