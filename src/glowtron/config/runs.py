"""Everything that decides the weights a training run ends with, but for the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from glowtron.config.models import AcousticConfig, FastSpeech2Config, Tacotron2Config, WaveGlowConfig, WaveNetConfig
from glowtron.config.reading import Config, not_negative, positive, require


@dataclass(frozen=True, kw_only=True)
class PatchDiscriminatorConfig(Config):
    """Sizes of the network that learns to tell made mels from real ones, in training only."""

    channels: int = 32
    """Width of the first layer; the later ones have two and four times as many."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "channels")


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(Config):
    """A discriminator that joins the training of mels."""

    from_step: int = 1500
    """Steps without it, so that it meets mels that are nearly right."""
    discriminator: PatchDiscriminatorConfig = PatchDiscriminatorConfig()
    weight: float = 0.5
    """Weight of being taken for a recording (least squares: Mao et al. 2017)."""
    feature_weight: float = 8.0
    """Weight of the mean absolute difference between the discriminator's features of both (Larsen et al. 2016)."""

    def check(self) -> None:
        """See `Config`."""
        not_negative(self, "from_step", "weight", "feature_weight")


@dataclass(frozen=True, kw_only=True)
class SpectralDiscriminatorConfig(Config):
    """Sizes of the networks that learn to tell vocoded sound from recordings, in training only."""

    channels: int = 24
    """Width of each layer."""
    windows: tuple[tuple[int, int], ...] = ((512, 128), (1024, 256), (2048, 512))
    """Samples under a Fourier transform, and between two, for each of the networks."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "channels")
        require(bool(self.windows), "windows must not be empty")
        require(
            all(0 < hop <= n_fft for n_fft, hop in self.windows),
            f"windows must be pairs of n_fft and a hop of at most that, got {self.windows}",
        )


@dataclass(frozen=True, kw_only=True)
class SoundConfig(Config):
    """WaveGlow's inverse pass trained on the sound that it makes, after likelihood."""

    from_step: int = 8000
    """Steps of likelihood before it; 0: the run begins with it."""
    sigma: float = 0.7
    """Standard deviation of the noise that it makes sound from."""
    discriminator: SpectralDiscriminatorConfig = SpectralDiscriminatorConfig()
    stft_weight: float = 1.0
    """Weight of the multi-resolution STFT loss (Yamamoto et al. 2020)."""
    mel_weight: float = 3.0
    """Weight of the mean absolute error of the log-mel."""
    adversarial_weight: float = 0.4
    """Weight of being taken for a recording (hinge loss: Lim & Ye 2017)."""
    feature_weight: float = 3.2
    """Weight of the mean absolute difference between the discriminators' features of both."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "sigma")
        not_negative(self, "from_step", "stft_weight", "mel_weight", "adversarial_weight", "feature_weight")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Config):
    """Optimizer and learning rate schedule."""

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
    `max_steps` or `max_epochs`; `constant` stays but for what `lr_milestones` says."""
    warmup_steps: int = 0
    """Steps over which the rate rises from 0."""
    final_share: float = 0.01
    """Last value of `cosine`, as a share of `lr`."""
    lr_milestones: tuple[tuple[float, float], ...] = ()
    """Pairs: from when on, and at which share of `lr`; such as [[500, 0.1], [1000, 0.01]]."""
    lr_milestone_unit: Literal["epochs", "steps"] = "epochs"
    """Unit of `lr_milestones`."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "lr", "eps")
        times = [time for time, _ in self.lr_milestones]
        require(
            times == sorted(set(times)) and min(times, default=1) > 0,
            f"lr_milestones must rise from over 0, got {times}",
        )
        require(all(share >= 0 for _, share in self.lr_milestones), "shares of lr in lr_milestones must not be under 0")
        require(
            not self.lr_milestones or self.schedule == "constant",
            f"lr_milestones needs schedule constant, not {self.schedule}",
        )
        not_negative(self, "weight_decay", "clip_norm", "warmup_steps")
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")
        require(0 <= self.final_share <= 1, f"final_share must be from 0 to 1, got {self.final_share}")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Config):
    """Settings that all training runs share."""

    seed: int = 1234
    """Of the first weights, the order of data, and all noise."""
    batch_size: int = 16
    """Clips or segments a step, over all processes and parts."""
    gradient_accumulation_steps: int = 1
    """Parts in which a process computes its share of a batch, one after the other, to save memory."""
    max_steps: int | None = 100_000
    """Last step of training; None: `max_epochs` alone says it."""
    max_epochs: float | None = None
    """Last epoch of training; of this and `max_steps`, whichever comes first."""
    precision: Literal["auto", "bf16", "fp16", "tf32", "fp32"] = "auto"
    """`auto` is bf16 on CUDA, and on a CPU bf16 or fp32, as products are measured to be faster. `bf16` runs matrix
    products under autocast; weights, losses and log-determinants stay in float32. `fp16` does so in half precision, the
    loss scaled, and `tf32` keeps float32 but for the products' inputs: both on CUDA only."""
    optimizer: OptimizerConfig = OptimizerConfig()
    ema_decay: float = 0.0
    """Decay a step of the running average of weights that is validated and exported; 0: none is kept."""
    validation_clips: int = 20
    """Clips of each speaker kept out of training, chosen by the seed."""
    held_out: tuple[str, ...] = ()
    """Clips, as speaker/id, that are kept out instead, as when a voice's training goes on with more data."""
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

    def check(self) -> None:
        """See `Config`."""
        positive(self, "batch_size", "gradient_accumulation_steps", "validate_every", "checkpoint_every")
        positive(self, "keep_checkpoints", "log_every")
        require(self.max_steps is not None or self.max_epochs is not None, "give max_steps, max_epochs or both")
        positive(self, *(name for name in ("max_steps", "max_epochs") if getattr(self, name) is not None))
        parts = self.gradient_accumulation_steps
        require(
            self.batch_size % parts == 0,
            f"batch_size {self.batch_size} is no multiple of gradient_accumulation_steps {parts}",
        )
        not_negative(self, "validation_clips", "workers")
        require(0 <= self.ema_decay < 1, f"ema_decay must be in [0, 1), got {self.ema_decay}")


@dataclass(frozen=True, kw_only=True)
class AcousticRun(Config):
    """`glowtron train acoustic`: everything that decides the weights, but for the data."""

    type: Literal["acoustic"] = "acoustic"
    acoustic: AcousticConfig = AcousticConfig()
    training: TrainingConfig = TrainingConfig()
    count_padding: bool = False
    """True if means of the loss divide by padded frames too, as the published programs do."""
    max_clip_s: float = 12.0
    """Longer clips are left out, and named."""
    attention_supervision: Literal["none", "guided", "forced_alignment"] = "none"
    """A loss on the attention: none, guided attention (Tachibana et al. 2018), or distance to forced alignments."""
    attention_loss_weight: float = 1.0
    """Weight of that loss."""
    forced_alignment_share: float = 1.0
    """Share of steps in which the decoder attends by the forced alignment itself (only with that supervision)."""

    @property
    def monotonic(self) -> bool:
        """True if the model speaks with monotonic attention: it does where alignments teach it."""
        return self.attention_supervision == "forced_alignment"

    def check(self) -> None:
        """See `Config`."""
        positive(self, "max_clip_s")
        not_negative(self, "attention_loss_weight")
        require(isinstance(self.acoustic.model, Tacotron2Config), "train acoustic is for Tacotron 2; use fastspeech2")
        require(
            0 <= self.forced_alignment_share <= 1,
            f"forced_alignment_share must be from 0 to 1, got {self.forced_alignment_share}",
        )


@dataclass(frozen=True, kw_only=True)
class VocoderRun(Config):
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
    sound: SoundConfig | None = None
    """The stage on sound that follows; None: likelihood alone."""
    activation_checkpointing: bool = False
    """Activation checkpointing: each flow is computed again for its gradient, which is the same, to save memory."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "segment_length", "sigma")
        not_negative(self, "dither")


@dataclass(frozen=True, kw_only=True)
class WaveNetRun(Config):
    """`glowtron train vocoder` of a WaveNet: everything that decides the weights, but for the data."""

    type: Literal["wavenet"] = "wavenet"
    wavenet: WaveNetConfig = WaveNetConfig()
    training: TrainingConfig = TrainingConfig()
    segment_frames: int = 40
    """Mel frames in a segment whose samples are learnt; those around them give context."""
    dither: float = 1e-4
    """Standard deviation of the noise added to the audio, so that silence cannot drive the loss to infinity."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "segment_frames")
        not_negative(self, "dither")


@dataclass(frozen=True, kw_only=True)
class PostnetRun(Config):
    """`glowtron train postnet`: a trained acoustic model's postnet learns to make mels that look real.

    Two networks play against each other (least squares: Mao et al. 2017); all else in the acoustic model stays.
    """

    type: Literal["postnet"] = "postnet"
    acoustic: AcousticConfig = AcousticConfig()
    """Of the model that is refined, which the run takes from there."""
    monotonic: bool = True
    """True if that model speaks with monotonic attention."""
    discriminator: PatchDiscriminatorConfig = PatchDiscriminatorConfig()
    training: TrainingConfig = TrainingConfig()
    segment_frames: int = 64
    """Mel frames in a segment."""
    reconstruction_weight: float = 1.0
    """Weight of the mean absolute difference from the recording's mel."""
    feature_weight: float = 1.0
    """Weight of the same between the discriminator's features of both (Larsen et al. 2016)."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "segment_frames")
        not_negative(self, "reconstruction_weight", "feature_weight")


@dataclass(frozen=True, kw_only=True)
class FastSpeech2Run(Config):
    """`glowtron train fastspeech2`: everything that decides the weights, but for the data."""

    type: Literal["fastspeech2"] = "fastspeech2"
    acoustic: AcousticConfig = AcousticConfig(model=FastSpeech2Config())
    training: TrainingConfig = TrainingConfig()
    segment_frames: int = 192
    """Mel frames of a clip that a step learns from; the text is always whole."""
    max_clip_s: float = 12.0
    """Longer clips are left out, and named."""
    adversarial: AdversarialConfig | None = None
    """The discriminator that joins; None: the mel's absolute error alone, which blurs."""

    def check(self) -> None:
        """See `Config`."""
        positive(self, "segment_frames", "max_clip_s")
        require(isinstance(self.acoustic.model, FastSpeech2Config), 'acoustic.model.type must be "fastspeech2"')


RunConfig: TypeAlias = AcousticRun | VocoderRun | WaveNetRun | PostnetRun | FastSpeech2Run


def run_class(kind: str) -> type[RunConfig] | None:
    """The class of a run's configuration, by its `type`; None for an unknown one."""
    classes: tuple[type[RunConfig], ...] = (AcousticRun, VocoderRun, WaveNetRun, PostnetRun, FastSpeech2Run)
    return next((one for one in classes if one.type == kind), None)
