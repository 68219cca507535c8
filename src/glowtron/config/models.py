"""Sizes and meanings of models and of what goes in and out of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import prod
from typing import Annotated, Literal, TypeAlias

from glowtron.config.reading import Config, Untyped, not_negative, positive, require


@dataclass(frozen=True, kw_only=True)
class MelConfig(Config):
    """Definition of the log-mel spectrogram (`glowtron.log_mel`)."""

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
    floor: float = 1e-5
    """Magnitudes below this count as silence."""
    framing: Literal["centred", "lws"] = "centred"
    """`centred`: frames around samples t * hop_length of the reflected sound, under a Hann window. `lws`: as the
    program of that name cuts them, under a sine window, from zeros before and after."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "sample_rate", "n_fft", "hop_length", "win_length", "n_mels", "floor")
        require(self.win_length <= self.n_fft, f"win_length {self.win_length} is over n_fft {self.n_fft}")
        require(
            0 <= self.f_min < self.f_max <= self.sample_rate / 2,
            f"need 0 <= f_min < f_max <= sample_rate / 2, got {self.f_min}, {self.f_max}, {self.sample_rate}",
        )
        require(
            self.framing == "centred" or self.n_fft == self.win_length,
            f"framing lws needs win_length {self.win_length} equal to n_fft {self.n_fft}",
        )


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """Text frontend: from text to symbol ids (`glowtron.text`)."""

    frontend: Literal["nvidia", "english", "basic"] = "english"
    """`nvidia` cleans as the published weights expect, faults included; `english` is the project's own; `basic` leaves
    text as it is, but for capitals that `symbols` lacks: for imported weights of other languages."""
    phonemes: bool = False
    """True if words are looked up and given to the model as ARPAbet symbols (only with `english`)."""
    symbols: tuple[str, ...] = ()
    """Symbols in the order of their ids, of weights that have others than the published 148; a phone is `{AA1}`, an id
    that is not used an empty string. Without any the published symbols are meant."""

    def check(self) -> None:
        """See `Config`."""
        require(
            not (self.phonemes and self.frontend != "english"),
            "phonemes need frontend 'english': the published weights read characters",
        )
        require(not (self.symbols and self.frontend == "english"), "frontend 'english' has symbols of its own")
        require(bool(self.symbols) or self.frontend != "basic", "frontend 'basic' needs symbols")


@dataclass(frozen=True, kw_only=True)
class Tacotron2Config(Config):
    """Sizes of a Tacotron 2 (Shen et al. 2018). The defaults are the published weights' 28,193,153 parameters."""

    type: Literal["tacotron2"] = "tacotron2"
    n_symbols: int = 148
    """Rows of the symbol embedding; id 0 is padding."""
    n_speakers: int = 1
    """One is exactly the published network; more add a learned embedding to the encoder's output. An `AcousticConfig`
    takes it from its names."""
    mask_padding: bool = True
    """True if padding is kept out of convolutions and batch statistics; False lets it leak as the published programs
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

    def check(self) -> None:
        """See `Config`."""
        counts = [f.name for f in fields(self) if f.type == "int"]
        positive(self, *counts)
        for name in ("encoder_kernel", "location_kernel", "postnet_kernel"):
            require(getattr(self, name) % 2 == 1, f"{name} must be odd, got {getattr(self, name)}")
        require(self.encoder_channels % 2 == 0, f"encoder_channels must be even, got {self.encoder_channels}")
        for name in ("prenet_dropout", "encoder_dropout", "attention_dropout", "rnn_dropout", "postnet_dropout"):
            require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class GroupingConfig(Config):
    """Samples enter the flow in groups, conditioned through a learned upsampling (Prenger et al. 2018)."""

    type: Literal["grouping"] = "grouping"
    group_size: int = 8
    """Samples in a group, which are the flow's channels; even."""
    upsample_kernel: int = 1024
    """Samples under the transposed convolution that upsamples the mel."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "group_size", "upsample_kernel")
        require(self.group_size % 2 == 0, f"group_size must be even, got {self.group_size}")


@dataclass(frozen=True, kw_only=True)
class LappedConfig(Config):
    """Samples enter the flow through an orthonormal lapped transform, so that each channel is a frequency.

    Each coefficient is divided by a scale that a small network reads off the mel.
    """

    type: Literal["lapped"] = "lapped"
    hop_length: int = 256
    """Samples a transform frame advances by, which is the number of the flow's channels; even."""
    scale_channels: int = 128
    """Width of the network that reads the coefficients' scale off the mel."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "hop_length", "scale_channels")
        require(self.hop_length % 2 == 0, f"hop_length must be even, got {self.hop_length}")


@dataclass(frozen=True, kw_only=True)
class WNConfig(Config):
    """Sizes of WN, the non-causal WaveNet inside each coupling (Prenger et al. 2018, sec. 2.1)."""

    n_layers: int = 8
    """Gated layers."""
    n_channels: int = 256
    """Width of the residual stream."""
    kernel_size: int = 3
    """Steps under a dilated convolution; odd."""
    dilation_cycle: int = 8
    """Dilations are 2 ** (layer % dilation_cycle)."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "n_layers", "n_channels", "kernel_size", "dilation_cycle")
        require(self.kernel_size % 2 == 1, f"kernel_size must be odd, got {self.kernel_size}")


@dataclass(frozen=True, kw_only=True)
class WaveGlowConfig(Config):
    """Sizes of a WaveGlow (Prenger et al. 2018). The defaults are the published 256-channel network."""

    type: Literal["waveglow"] = "waveglow"
    mel: MelConfig = MelConfig()
    analysis: GroupingConfig | LappedConfig = GroupingConfig()
    """The transform from samples to the flow's channels."""
    n_flows: int = 12
    """Pairs of a 1x1 convolution and a coupling."""
    early_every: int = 4
    """Channels leave before each flow whose index is a multiple of this (not before flow 0)."""
    early_size: int = 2
    """Channels that leave early each time; 0: none leave."""
    mixing: Literal["rotation", "permutation"] = "rotation"
    """Initial value of the 1x1 convolutions."""
    alternate_halves: bool = False
    """True if the halves swap roles in flows of odd index (the model published before the first release)."""
    wavenet: WNConfig = WNConfig()
    speakers: tuple[str, ...] = ()
    """Names, in the order of a learned embedding that is added to the conditioning. None, or a single one, is exactly
    the published network, which hears no more of a speaker than the mel tells."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "n_flows", "early_every")
        require(len(set(self.speakers)) == len(self.speakers), f"speakers repeat: {', '.join(self.speakers)}")
        require(all(self.speakers), "a speaker needs a name that is not empty")
        require(self.early_size >= 0 and self.early_size % 2 == 0, f"early_size must be even, got {self.early_size}")
        left = self.n_channels - self.early_size * ((self.n_flows - 1) // self.early_every)
        require(left >= 2, f"early outputs leave {left} of {self.n_channels} channels; lower early_size or n_flows")
        if isinstance(self.analysis, GroupingConfig):
            require(
                self.mel.hop_length % self.analysis.group_size == 0,
                f"mel.hop_length {self.mel.hop_length} is no multiple of group_size {self.analysis.group_size}",
            )

    @property
    def n_channels(self) -> int:
        """Channels that enter the first flow."""
        return self.analysis.group_size if isinstance(self.analysis, GroupingConfig) else self.analysis.hop_length

    @property
    def n_speakers(self) -> int:
        """Speakers that are told apart."""
        return max(len(self.speakers), 1)


@dataclass(frozen=True, kw_only=True)
class PlainSignalConfig(Config):
    """A WaveNet that models samples, with a gain and pre-emphasis before it, and their inverse after it."""

    type: Literal["plain"] = "plain"
    gain: float = 1.0
    """Samples are multiplied by this."""
    pre_emphasis: float = 0.0
    """From each sample this share of the one before is taken."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "gain")
        require(0 <= self.pre_emphasis < 1, f"pre_emphasis must be in [0, 1), got {self.pre_emphasis}")


@dataclass(frozen=True, kw_only=True)
class LinearPredictionConfig(Config):
    """A WaveNet that models what linear prediction from the mel leaves of the samples (Song et al. 2019)."""

    type: Literal["linear-prediction"] = "linear-prediction"
    order: int = 24
    """Samples that the prediction looks back."""
    blocks_per_frame: int = 4
    """Times a mel frame that the prediction changes."""
    level: float = 0.05
    """Root mean square that the rest is scaled to, from what the mel says it is."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "order", "blocks_per_frame", "level")


@dataclass(frozen=True, kw_only=True)
class WaveNetConfig(Config):
    """Sizes of a WaveNet vocoder (van den Oord et al. 2016; Shen et al. 2018). Defaults: the published 24 x 128."""

    type: Literal["wavenet"] = "wavenet"
    mel: MelConfig = MelConfig()
    layout: Literal["2020", "2018"] = "2020"
    """Which of the two published programs the network follows: `2020` smooths the conditioning and adds up the skip
    outputs; `2018` upsamples by transposed convolutions and halves the power of earlier skip outputs at each layer."""
    n_layers: int = 24
    """Gated layers."""
    dilation_cycle: int = 6
    """Dilations are 2 ** (layer % dilation_cycle)."""
    kernel_size: int = 3
    """Samples under a dilated convolution."""
    residual_channels: int = 128
    """Width of what goes from layer to layer."""
    gate_channels: int = 256
    """Width before the gate, which halves it; even."""
    skip_channels: int = 128
    """Width of what goes from all layers to the output."""
    output: Literal["logistic", "gaussian", "softmax"] = "logistic"
    """Predicted distribution of the next sample: a mixture of logistic distributions or of Gaussians, or one of
    `n_levels` mu-law codes."""
    n_mixtures: int = 10
    """Parts of the mixture; a single Gaussian has two outputs, mean and log-scale."""
    n_levels: int = 65_536
    """Values that a sample of the training data can have."""
    log_scale_min: float = -16.0
    """Log-scales below this count as this in the loss (layout 2018: when samples are drawn, too)."""
    upsample_scales: tuple[int, ...] = (4, 4, 4, 4)
    """Steps in which frames become samples; their product is the mel's hop."""
    context_frames: int = 2
    """Frames on either side that a frame's conditioning looks at (layout 2020)."""
    dropout: float = 0.0
    """Share of a layer's input that is dropped in training."""
    signal: PlainSignalConfig | LinearPredictionConfig = PlainSignalConfig()
    """The signal that is modelled: the samples, or what is left of them."""
    speakers: tuple[str, ...] = ()
    """Names, in the order of a learned embedding; none: the network hears no more of a speaker than the mel tells."""
    speaker_channels: int = 16
    """Width of that embedding."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "n_layers", "dilation_cycle", "kernel_size", "residual_channels", "gate_channels")
        positive(self, "skip_channels", "n_mixtures", "speaker_channels")
        not_negative(self, "context_frames")
        require(self.n_levels >= 2, f"n_levels must be 2 at least, got {self.n_levels}")
        require(self.gate_channels % 2 == 0, f"gate_channels must be even, got {self.gate_channels}")
        require(
            min(self.upsample_scales, default=0) > 0 and prod(self.upsample_scales) == self.mel.hop_length,
            f"upsample_scales {self.upsample_scales} must multiply to mel.hop_length {self.mel.hop_length}",
        )
        require(self.layout == "2020" or self.context_frames == 0, "layout 2018 has no context_frames; give 0")
        require(0 <= self.dropout < 1, f"dropout must be in [0, 1), got {self.dropout}")
        require(len(set(self.speakers)) == len(self.speakers), f"speakers repeat: {', '.join(self.speakers)}")
        require(all(self.speakers), "a speaker needs a name that is not empty")
        require(
            self.output != "softmax" or isinstance(self.signal, PlainSignalConfig),
            "output softmax is for mu-law codes of samples: it needs signal.type plain",
        )

    @property
    def n_outputs(self) -> int:
        """Channels of the network's output."""
        if self.output == "softmax":
            return self.n_levels
        return 2 if self.output == "gaussian" and self.n_mixtures == 1 else 3 * self.n_mixtures

    @property
    def n_speakers(self) -> int:
        """Speakers that are told apart."""
        return max(len(self.speakers), 1)

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of each layer, in samples."""
        return tuple(2 ** (layer % self.dilation_cycle) for layer in range(self.n_layers))

    @property
    def receptive_samples(self) -> int:
        """Samples that the next one depends on."""
        return 1 + (self.kernel_size - 1) * sum(self.dilations)


@dataclass(frozen=True, kw_only=True)
class FastSpeech2Config(Config):
    """Sizes of the parallel acoustic model (Ren et al. 2021, with convolutions). Defaults: a compact voice."""

    type: Literal["fastspeech2"] = "fastspeech2"
    n_symbols: int = 148
    """Symbols of the text frontend."""
    n_speakers: int = 1
    """Speakers that are told apart; an `AcousticConfig` takes it from its names."""
    channels: int = 192
    """Width of the encoder and the predictors."""
    encoder_layers: int = 3
    """Convolutions before the encoder's LSTM."""
    encoder_kernel: int = 5
    """Symbols under one of these; odd."""
    pitch_channels: int = 128
    """Width of the pitch predictor."""
    pitch_dilations: tuple[int, ...] = (1, 2, 4, 8)
    """Frames between the taps of its layers; their sum is how far it sees."""
    decoder_channels: int = 192
    """Width of the decoder."""
    decoder_dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    """Frames between the taps of its layers; their sum is how far it sees."""
    noise_channels: int = 8
    """Channels of noise that enter the decoder in each frame."""
    encoder_dropout: float = 0.2
    """Share of the encoder's values that is dropped in training."""
    predictor_dropout: float = 0.3
    """The same in the predictors."""
    decoder_dropout: float = 0.0
    """The same in the decoder."""
    detach_predictors: bool = True
    """True if the predictors' losses stop at the encoder."""

    @property
    def reduction_factor(self) -> int:
        """Frames a step: every frame is one."""
        return 1

    def check(self) -> None:
        """See `Config`."""
        positive(self, "n_symbols", "n_speakers", "channels", "encoder_layers", "encoder_kernel")
        positive(self, "pitch_channels", "decoder_channels")
        not_negative(self, "noise_channels")
        require(self.channels % 2 == 0, f"channels must be even, got {self.channels}")
        require(self.encoder_kernel % 2 == 1, f"encoder_kernel must be odd, got {self.encoder_kernel}")
        for name in ("pitch_dilations", "decoder_dilations"):
            dilations = getattr(self, name)
            require(bool(dilations) and min(dilations) >= 1, f"{name} must be 1 or more each, got {dilations}")
        for name in ("encoder_dropout", "predictor_dropout", "decoder_dropout"):
            require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class ProsodyOptions(Config):
    """Changes of what an acoustic model predicts for a text; the defaults change nothing."""

    rate: float = 1.0
    """Durations are divided by this."""
    pause: float = 1.0
    """Durations of marks and spaces are multiplied by this."""
    pitch: float = 0.0
    """Semitones by which the voice speaks higher."""
    pitch_range: float = 1.0
    """Pitch moves this many times as far from the speaker's mean; 0 is a monotone."""
    energy: float = 0.0
    """Decibels by which the voice speaks up. It sounds more effortful, not only louder."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "rate")
        not_negative(self, "pause", "pitch_range")

    def on_top_of(self, base: ProsodyOptions) -> ProsodyOptions:
        """These changes of speech that `base` has changed already."""
        return ProsodyOptions(
            rate=self.rate * base.rate,
            pause=self.pause * base.pause,
            pitch=self.pitch + base.pitch,
            pitch_range=self.pitch_range * base.pitch_range,
            energy=self.energy + base.energy,
        )


@dataclass(frozen=True, kw_only=True)
class DecodingOptions(Config):
    """Inference options of an acoustic model."""

    max_frames: int = 2000
    """Limit at which a text that does not stop is cut."""
    stop_threshold: float = 0.5
    """Stop probability that ends a text; monotonic attention weighs it over the steps at the last symbol instead."""
    keep_stop_frame: bool = True
    """True if the step that asked to stop is part of the mel."""
    monotonic: bool = False
    """True if the attention moves forward one symbol at a time; for models taught by measured alignments."""
    max_dwell: int = 100
    """Frames after which the monotonic attention leaves a symbol whatever the network says."""
    max_sound_dwell: int = 43
    """The same for letters and phones: half a second, which 9,999 of 10,000 phones of real speech do not last."""
    prosody: ProsodyOptions = ProsodyOptions()
    """Changes of predicted durations, pitch and energy; Tacotron 2 predicts none of them and ignores this."""


@dataclass(frozen=True, kw_only=True)
class GriffinLimConfig(Config):
    """Phase reconstruction without a network (Griffin & Lim 1984; Perraudin et al. 2013)."""

    type: Literal["griffin-lim"] = "griffin-lim"
    mel: MelConfig = MelConfig()
    n_iterations: int = 60
    """Rounds of inverse and forward transform."""
    momentum: float = 0.99
    """Acceleration of Perraudin et al.; 0 is the plain algorithm."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "n_iterations")
        require(0 <= self.momentum < 1, f"momentum must be in [0, 1), got {self.momentum}")


@dataclass(frozen=True, kw_only=True)
class VocodingConfig(Config):
    """Inference options of a voice's WaveGlow, as measured for it."""

    sigma: float = 0.7
    """Standard deviation of the noise: 1.0 in training, calmer below."""
    correction: int = 0
    """Rounds in which the sound's bands are given the loudness that the mel asks for."""
    wavenet_sigma: float = 1.0
    """Factor of a WaveNet's noise: 1.0 is as it learnt, less is calmer."""

    def check(self) -> None:
        """See `Config`."""
        require(0 <= self.wavenet_sigma <= 2, f"wavenet_sigma must be from 0 to 2, got {self.wavenet_sigma}")
        require(0 <= self.sigma <= 2, f"sigma must be from 0 to 2, got {self.sigma}")
        require(0 <= self.correction <= 100, f"correction must be from 0 to 100, got {self.correction}")


VocoderConfig: TypeAlias = WaveGlowConfig | WaveNetConfig | GriffinLimConfig
AcousticModelConfig = Annotated[Tacotron2Config | FastSpeech2Config, Untyped("tacotron2")]
"""Files from before there were two name no type."""


@dataclass(frozen=True, kw_only=True)
class AcousticConfig(Config):
    """An acoustic model with all that its input and output mean."""

    model: AcousticModelConfig = Tacotron2Config()
    text: TextConfig = TextConfig()
    mel: MelConfig = MelConfig()
    speakers: tuple[str, ...] = ("speaker",)
    """Names, in the order of the speaker embedding, whose rows they are: `model.n_speakers` follows from them."""

    def check(self) -> None:
        """See `Config`."""
        require(bool(self.speakers), "speakers must not be empty")
        object.__setattr__(self, "model", replace(self.model, n_speakers=len(self.speakers)))
        require(
            not self.text.symbols or len(self.text.symbols) == self.model.n_symbols,
            f"{len(self.text.symbols)} text.symbols for model.n_symbols {self.model.n_symbols}",
        )
        require(len(set(self.speakers)) == len(self.speakers), f"speakers repeat: {', '.join(self.speakers)}")

    @property
    def tacotron2(self) -> Tacotron2Config:
        """The model where it is known to be a Tacotron 2."""
        assert isinstance(self.model, Tacotron2Config)
        return self.model

    @property
    def fastspeech2(self) -> FastSpeech2Config:
        """The model where it is known to be a FastSpeech 2."""
        assert isinstance(self.model, FastSpeech2Config)
        return self.model
