"""Configuration of everything: frozen dataclasses, written to and read strictly from JSON. Imports no torch.

One fact lives in one place: sizes in the model's section, habits of training in the training's section. An unknown key
or a value of another type is an `InputError` that names the key's path and the nearest known key.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from glowtron.errors import InputError, nearest

STRICT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InputError(otherwise)


def _positive(config: Any, *names: str) -> None:
    for name in names:
        _require(getattr(config, name) > 0, f"{name} must be over 0, got {getattr(config, name)}")


def _not_negative(config: Any, *names: str) -> None:
    for name in names:
        _require(getattr(config, name) >= 0, f"{name} must not be under 0, got {getattr(config, name)}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MelConfig:
    """How sound becomes a log-mel spectrogram (`glowtron.log_mel`)."""

    sample_rate: int = 22_050
    """Hz."""
    n_fft: int = 1024
    """Samples in a Fourier transform."""
    hop_length: int = 256
    """Samples between frames."""
    win_length: int = 1024
    """Samples under the periodic Hann window, at most `n_fft`."""
    n_mels: int = 80
    """Bands."""
    f_min: float = 0.0
    """Hz, the lower edge of the lowest band."""
    f_max: float = 8000.0
    """Hz, the upper edge of the highest band."""

    def __post_init__(self) -> None:
        _positive(self, "sample_rate", "n_fft", "hop_length", "win_length", "n_mels")
        _require(self.win_length <= self.n_fft, f"win_length {self.win_length} is over n_fft {self.n_fft}")
        _require(
            0 <= self.f_min < self.f_max <= self.sample_rate / 2,
            f"need 0 <= f_min < f_max <= sample_rate / 2, got {self.f_min}, {self.f_max}, {self.sample_rate}",
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TextConfig:
    """How text becomes symbol ids (`glowtron.text`)."""

    frontend: Literal["nvidia", "english"] = "english"
    """`nvidia` cleans as the published weights expect, faults included; `english` is the project's own."""
    phonemes: bool = False
    """Whether words are looked up and given to the model as ARPAbet symbols (only with `english`)."""

    def __post_init__(self) -> None:
        _require(
            not (self.phonemes and self.frontend == "nvidia"),
            "phonemes need frontend 'english': the published weights read characters",
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Tacotron2Config:
    """Sizes of a Tacotron 2 (Shen et al. 2018). The defaults are the published weights' 28,193,153 parameters."""

    type: Literal["tacotron2"] = "tacotron2"
    n_symbols: int = 148
    """Rows of the symbol embedding; id 0 is padding."""
    n_speakers: int = 1
    """One is exactly the published network; more add a learned embedding to the encoder's output."""
    mask_padding: bool = True
    """Whether padding is kept out of convolutions and batch statistics; False lets it leak as the published programs
    do, which changes nothing for a text alone."""
    embedding_channels: int = 512
    """Width of a symbol's embedding."""
    encoder_channels: int = 512
    """Width of the encoder's convolutions and, both directions together, of its LSTM."""
    encoder_layers: int = 3
    """Convolutions before the encoder's LSTM."""
    encoder_kernel: int = 5
    """Symbols under an encoder convolution; odd."""
    prenet_channels: int = 256
    """Width of both prenet layers."""
    attention_rnn_channels: int = 1024
    """Width of the attention LSTM."""
    attention_channels: int = 128
    """Width in which queries and keys are compared."""
    location_filters: int = 32
    """Filters over the previous and the cumulative attention weights."""
    location_kernel: int = 31
    """Symbols under a location filter; odd."""
    decoder_rnn_channels: int = 1024
    """Width of the decoder LSTM."""
    reduction_factor: int = 1
    """Mel frames made in one decoder step; the last of them is fed back."""
    postnet_channels: int = 512
    """Width of the postnet's convolutions."""
    postnet_layers: int = 5
    """Convolutions in the postnet, the last without tanh."""
    postnet_kernel: int = 5
    """Frames under a postnet convolution; odd."""
    prenet_dropout: float = 0.5
    """Share of prenet activations dropped, at inference too."""
    encoder_dropout: float = 0.5
    """Share of activations dropped after encoder convolutions in training."""
    attention_dropout: float = 0.0
    """Share of what the attention compares, queries and encoded symbols, dropped in training."""
    rnn_dropout: float = 0.1
    """Share of both decoder LSTMs' outputs dropped in training."""
    postnet_dropout: float = 0.5
    """Share of activations dropped after postnet convolutions in training."""

    def __post_init__(self) -> None:
        counts = [f.name for f in fields(self) if f.type == "int"]
        _positive(self, *counts)
        for name in ("encoder_kernel", "location_kernel", "postnet_kernel"):
            _require(getattr(self, name) % 2 == 1, f"{name} must be odd, got {getattr(self, name)}")
        _require(self.encoder_channels % 2 == 0, f"encoder_channels must be even, got {self.encoder_channels}")
        for name in ("prenet_dropout", "encoder_dropout", "attention_dropout", "rnn_dropout", "postnet_dropout"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GroupingConfig:
    """Samples enter the flow in groups, conditioned through a learned upsampling (Prenger et al. 2018)."""

    type: Literal["grouping"] = "grouping"
    group_size: int = 8
    """Samples in a group, which are the flow's channels; even."""
    upsample_kernel: int = 1024
    """Samples under the transposed convolution that upsamples the mel."""

    def __post_init__(self) -> None:
        _positive(self, "group_size", "upsample_kernel")
        _require(self.group_size % 2 == 0, f"group_size must be even, got {self.group_size}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LappedConfig:
    """Samples enter the flow through an orthonormal lapped transform, so that each channel is a frequency.

    Each coefficient is divided by a scale that a small network reads off the mel.
    """

    type: Literal["lapped"] = "lapped"
    hop_length: int = 256
    """Samples a transform frame advances by, which is the number of the flow's channels; even."""
    scale_channels: int = 128
    """Width of the network that reads the coefficients' scale off the mel."""

    def __post_init__(self) -> None:
        _positive(self, "hop_length", "scale_channels")
        _require(self.hop_length % 2 == 0, f"hop_length must be even, got {self.hop_length}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WaveNetConfig:
    """Sizes of the non-causal WaveNet inside each coupling (Prenger et al. 2018, sec. 2.1)."""

    n_layers: int = 8
    """Gated layers."""
    n_channels: int = 256
    """Width of the residual stream."""
    kernel_size: int = 3
    """Steps under a dilated convolution; odd."""
    dilation_cycle: int = 8
    """Dilations are 2 ** (layer % dilation_cycle)."""

    def __post_init__(self) -> None:
        _positive(self, "n_layers", "n_channels", "kernel_size", "dilation_cycle")
        _require(self.kernel_size % 2 == 1, f"kernel_size must be odd, got {self.kernel_size}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WaveGlowConfig:
    """Sizes of a WaveGlow (Prenger et al. 2018). The defaults are the published 256-channel network."""

    type: Literal["waveglow"] = "waveglow"
    mel: MelConfig = MelConfig()
    analysis: Annotated[GroupingConfig | LappedConfig, Field(discriminator="type")] = GroupingConfig()
    """How samples become the flow's channels."""
    n_flows: int = 12
    """Pairs of a 1x1 convolution and a coupling."""
    early_every: int = 4
    """Channels leave before each flow whose index is a multiple of this (not before flow 0)."""
    early_size: int = 2
    """Channels that leave early each time; 0: none leave."""
    mixing: Literal["rotation", "permutation"] = "rotation"
    """What the 1x1 convolutions start as."""
    alternate_halves: bool = False
    """Whether the halves swap roles in flows of odd index (the model published before the first release)."""
    wavenet: WaveNetConfig = WaveNetConfig()

    def __post_init__(self) -> None:
        _positive(self, "n_flows", "early_every")
        _require(self.early_size >= 0 and self.early_size % 2 == 0, f"early_size must be even, got {self.early_size}")
        left = self.n_channels - self.early_size * ((self.n_flows - 1) // self.early_every)
        _require(left >= 2, f"early outputs leave {left} of {self.n_channels} channels; lower early_size or n_flows")
        if isinstance(self.analysis, GroupingConfig):
            _require(
                self.mel.hop_length % self.analysis.group_size == 0,
                f"mel.hop_length {self.mel.hop_length} is no multiple of group_size {self.analysis.group_size}",
            )

    @property
    def n_channels(self) -> int:
        """Channels that enter the first flow."""
        return self.analysis.group_size if isinstance(self.analysis, GroupingConfig) else self.analysis.hop_length


@dataclass(frozen=True, kw_only=True, config=STRICT)
class GriffinLimConfig:
    """Phase reconstruction without a network (Griffin & Lim 1984; Perraudin et al. 2013)."""

    type: Literal["griffin-lim"] = "griffin-lim"
    mel: MelConfig = MelConfig()
    n_iterations: int = 60
    """Rounds of inverse and forward transform."""
    momentum: float = 0.99
    """Acceleration of Perraudin et al.; 0 is the plain algorithm."""

    def __post_init__(self) -> None:
        _positive(self, "n_iterations")
        _require(0 <= self.momentum < 1, f"momentum must be in [0, 1), got {self.momentum}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VocodingConfig:
    """How a voice's WaveGlow wants to be run, as measured for it."""

    sigma: float = 0.7
    """Standard deviation of the noise: 1.0 in training, calmer below."""
    correction: int = 0
    """Rounds in which the sound's bands are given the loudness that the mel asks for."""

    def __post_init__(self) -> None:
        _require(0 <= self.sigma <= 2, f"sigma must be from 0 to 2, got {self.sigma}")
        _require(0 <= self.correction <= 100, f"correction must be from 0 to 100, got {self.correction}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PatchDiscriminatorConfig:
    """Sizes of the network that learns to tell made mels from real ones, in training only."""

    channels: int = 32
    """Width of the first layer; the later ones have two and four times as many."""

    def __post_init__(self) -> None:
        _positive(self, "channels")


VocoderConfig = Annotated[WaveGlowConfig | GriffinLimConfig, Field(discriminator="type")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AcousticConfig:
    """An acoustic model with all that its input and output mean."""

    model: Tacotron2Config = Tacotron2Config()
    text: TextConfig = TextConfig()
    mel: MelConfig = MelConfig()
    speakers: tuple[str, ...] = ("speaker",)
    """Names, in the order of the speaker embedding."""

    def __post_init__(self) -> None:
        _require(
            len(self.speakers) == self.model.n_speakers,
            f"{len(self.speakers)} speaker names for model.n_speakers {self.model.n_speakers}",
        )
        _require(len(set(self.speakers)) == len(self.speakers), f"speakers repeat: {', '.join(self.speakers)}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimizerConfig:
    """How weights move."""

    type: Literal["adam", "adamw"] = "adam"
    """`adam` adds weight decay to the gradient, `adamw` decouples it."""
    lr: float = 1e-3
    """Learning rate at the top of the schedule."""
    beta1: float = 0.9
    """Decay a step of the mean gradient."""
    beta2: float = 0.999
    """Decay a step of the mean squared gradient."""
    eps: float = 1e-8
    """Added to the root of the latter."""
    weight_decay: float = 0.0
    """Share of a weight that is taken off it, times `lr`, each step (`adamw`), or added to its gradient (`adam`)."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Shape of the learning rate after warm-up; `cosine` falls to `final_share` of `lr` where the run is to end, by
    `max_steps` or `max_epochs`; `constant` stays but for what `anneal` says."""
    warmup_steps: int = 0
    """Steps over which the rate rises from 0."""
    final_share: float = 0.01
    """Where `cosine` ends, as a share of `lr`."""
    anneal: tuple[tuple[float, float], ...] = ()
    """Pairs: from when on, and at which share of `lr`; such as [[500, 0.1], [1000, 0.01]]."""
    anneal_unit: Literal["epochs", "steps"] = "epochs"
    """What `anneal` counts in."""

    def __post_init__(self) -> None:
        _positive(self, "lr", "eps")
        times = [time for time, _ in self.anneal]
        _require(
            times == sorted(set(times)) and min(times, default=1) > 0, f"anneal must rise from over 0, got {times}"
        )
        _require(all(share >= 0 for _, share in self.anneal), "shares of lr in anneal must not be under 0")
        _require(not self.anneal or self.schedule == "constant", f"anneal needs schedule constant, not {self.schedule}")
        _not_negative(self, "weight_decay", "clip_norm", "warmup_steps")
        for name in ("beta1", "beta2"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")
        _require(0 <= self.final_share <= 1, f"final_share must be from 0 to 1, got {self.final_share}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainingConfig:
    """What every training run has."""

    seed: int = 1234
    """Of the first weights, the order of data, and all noise."""
    batch_size: int = 16
    """Clips or segments a step, over all processes and parts."""
    accumulate: int = 1
    """Parts that a process takes its share of a batch in, one after the other, to save memory."""
    max_steps: int | None = 100_000
    """Where training ends; None: `max_epochs` alone says it."""
    max_epochs: float | None = None
    """Where training ends, in times through the data; of this and `max_steps` what comes first."""
    precision: Literal["bf16", "fp16", "tf32", "fp32"] = "bf16"
    """`bf16` runs matrix products under autocast; weights, losses and log-determinants stay in float32. `fp16` does so
    in half precision, the loss scaled, and `tf32` keeps float32 but for the products' inputs: both on CUDA only."""
    optimizer: OptimizerConfig = OptimizerConfig()
    ema_decay: float = 0.0
    """Decay a step of the running average of weights that is validated and exported; 0: none is kept."""
    validation_clips: int = 20
    """Clips of each speaker kept out of training, chosen by the seed."""
    validate_every: int = 500
    """Steps between validations, pictures and samples."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints that stay."""
    log_every: int = 10
    """Steps between lines of metrics."""
    workers: int = 0
    """Processes that read data; 0 reads in a thread of the training process."""

    def __post_init__(self) -> None:
        _positive(self, "batch_size", "accumulate", "validate_every", "checkpoint_every")
        _positive(self, "keep_checkpoints", "log_every")
        _require(self.max_steps is not None or self.max_epochs is not None, "give max_steps, max_epochs or both")
        _positive(self, *(name for name in ("max_steps", "max_epochs") if getattr(self, name) is not None))
        _require(
            self.batch_size % self.accumulate == 0,
            f"batch_size {self.batch_size} cannot be cut into accumulate {self.accumulate} equal parts",
        )
        _not_negative(self, "validation_clips", "workers")
        _require(0 <= self.ema_decay < 1, f"ema_decay must be in [0, 1), got {self.ema_decay}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AcousticRun:
    """`glowtron train acoustic`: everything that decides the weights, but for the data."""

    type: Literal["acoustic"] = "acoustic"
    acoustic: AcousticConfig = AcousticConfig()
    training: TrainingConfig = TrainingConfig()
    count_padding: bool = False
    """Whether means of the loss divide by padded frames too, as the published programs do."""
    max_clip_s: float = 12.0
    """Longer clips are left out, and named."""
    guide: Literal["none", "diagonal", "measured"] = "none"
    """What the attention is taught by besides the loss: nothing, the diagonal, or measured alignments."""
    guide_weight: float = 1.0
    """Weight of the attention's own loss."""
    forced_share: float = 1.0
    """Share of steps in which the decoder attends by the measured alignment itself (only with `guide` measured)."""

    def __post_init__(self) -> None:
        _positive(self, "max_clip_s")
        _not_negative(self, "guide_weight")
        _require(0 <= self.forced_share <= 1, f"forced_share must be from 0 to 1, got {self.forced_share}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class VocoderRun:
    """`glowtron train vocoder`: everything that decides the weights, but for the data."""

    type: Literal["vocoder"] = "vocoder"
    vocoder: WaveGlowConfig = WaveGlowConfig()
    training: TrainingConfig = TrainingConfig()
    segment_length: int = 16_000
    """Samples in a segment."""
    sigma: float = 1.0
    """Standard deviation of the noise the flow is trained to reach."""
    dither: float = 1e-4
    """Standard deviation of the noise added to the audio, so that silence cannot drive the loss to infinity."""

    def __post_init__(self) -> None:
        _positive(self, "segment_length", "sigma")
        _not_negative(self, "dither")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PostnetRun:
    """`glowtron train postnet`: a trained acoustic model's postnet learns to make mels that look real.

    Two networks play against each other (least squares: Mao et al. 2017); all else in the acoustic model stays.
    """

    type: Literal["postnet"] = "postnet"
    acoustic: AcousticConfig = AcousticConfig()
    """Of the model that is refined, which the run takes from there."""
    monotonic: bool = True
    """Whether that model speaks with monotonic attention."""
    discriminator: PatchDiscriminatorConfig = PatchDiscriminatorConfig()
    training: TrainingConfig = TrainingConfig()
    segment_frames: int = 64
    """Mel frames in a segment."""
    reconstruction_weight: float = 1.0
    """Weight of the mean absolute difference from the recording's mel."""
    feature_weight: float = 1.0
    """Weight of the same between the discriminator's features of both (Larsen et al. 2016)."""

    def __post_init__(self) -> None:
        _positive(self, "segment_frames")
        _not_negative(self, "reconstruction_weight", "feature_weight")


RunConfig: TypeAlias = AcousticRun | VocoderRun | PostnetRun


def run_class(kind: str) -> type[AcousticRun] | type[VocoderRun] | type[PostnetRun] | None:
    """The class of a run's configuration, by its `type`; None for an unknown one."""
    classes = (AcousticRun, VocoderRun, PostnetRun)
    return next((one for one in classes if one.type == kind), None)


def from_dict(value: Any, kind: Any, source: str) -> Any:
    """Read a configuration of class (or union) `kind` from parsed JSON; `source` names where it is from in errors.

    Raises InputError when a key is unknown, a value is missing, or its type or range is wrong.
    """
    try:
        # Through JSON once more, since pydantic's strict mode reads tuples from lists only there.
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"] if part not in _UNION_TAGS)
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            known = _fields_at(kind, first["loc"][:-1])
            raise InputError(f"{source}: unknown key '{path}'{nearest(str(first['loc'][-1]), known)}") from error
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{source}: {path + ': ' if path else ''}{reason}") from error


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON values, defaults written out."""
    assert is_dataclass(config) and not isinstance(config, type)
    return dict(json.loads(json.dumps(asdict(config))))


_UNION_TAGS = ("grouping", "lapped", "waveglow", "griffin-lim")


def _fields_at(kind: Any, location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the dataclass that `location` leads to from `kind`."""
    schema = TypeAdapter(kind).json_schema()
    definitions = schema.get("$defs", {})
    node = schema
    for part in (None, *location):
        if part is not None and "properties" in node:
            node = node["properties"].get(part, node)
        node = next((option for option in node.get("anyOf", ()) if option.get("type") != "null"), node)
        tags = node.get("discriminator", {}).get("mapping", {})
        if part in tags:
            node = {"$ref": tags[part]}
        while "$ref" in node or "allOf" in node:
            node = definitions[(node.get("$ref") or node["allOf"][0]["$ref"]).rsplit("/", 1)[1]]
    return list(node.get("properties", {}))
