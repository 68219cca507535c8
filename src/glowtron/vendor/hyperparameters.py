"""The published programs' hyperparameters, by the names they share, as configurations of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glowtron.config import (
    AcousticConfig,
    AcousticRun,
    GroupingConfig,
    MelConfig,
    OptimizerConfig,
    Tacotron2Config,
    TextConfig,
    TrainingConfig,
    VocoderRun,
    WaveGlowConfig,
    WNConfig,
)
from glowtron.errors import InputError
from glowtron.text.symbols import SYMBOLS

SPEAKER = "speaker"
"""The name of the one speaker."""
MAX_CLIP_S = 3600.0
"""The published programs leave no clip out for its length."""

AUDIO: dict[str, Any] = {
    "max_wav_value": 32768.0,
    "sampling_rate": 22050,
    "filter_length": 1024,
    "hop_length": 256,
    "win_length": 1024,
    "n_mel_channels": 80,
    "mel_fmin": 0.0,
    "mel_fmax": 8000.0,
}
"""Of sound and its mel."""
TACOTRON2: dict[str, Any] = {
    "mask_padding": False,
    "n_symbols": len(SYMBOLS),
    "symbols_embedding_dim": 512,
    "encoder_kernel_size": 5,
    "encoder_n_convolutions": 3,
    "encoder_embedding_dim": 512,
    "n_frames_per_step": 1,
    "decoder_rnn_dim": 1024,
    "prenet_dim": 256,
    "max_decoder_steps": 2000,
    "gate_threshold": 0.5,
    "p_attention_dropout": 0.1,
    "p_decoder_dropout": 0.1,
    "decoder_no_early_stopping": False,
    "attention_rnn_dim": 1024,
    "attention_dim": 128,
    "attention_location_n_filters": 32,
    "attention_location_kernel_size": 31,
    "postnet_embedding_dim": 512,
    "postnet_kernel_size": 5,
    "postnet_n_convolutions": 5,
}
"""Of the network, as in NVIDIA's DeepLearningExamples."""
WAVEGLOW: dict[str, Any] = {
    "flows": 12,
    "groups": 8,
    "early_every": 4,
    "early_size": 2,
    "sigma": 1.0,
    "segment_length": 4000,
    "wn_kernel_size": 3,
    "wn_channels": 512,
    "wn_layers": 8,
}
"""Of the network and its segments, as in NVIDIA's DeepLearningExamples."""


def mel_config(values: Mapping[str, Any]) -> MelConfig:
    """The mel that `AUDIO` describes."""
    if values["max_wav_value"] != AUDIO["max_wav_value"]:
        raise InputError(f"max_wav_value {values['max_wav_value']}: recordings are read as they say; leave it at 32768")
    return MelConfig(
        sample_rate=values["sampling_rate"],
        n_fft=values["filter_length"],
        hop_length=values["hop_length"],
        win_length=values["win_length"],
        n_mels=values["n_mel_channels"],
        f_min=float(values["mel_fmin"]),
        f_max=float(values["mel_fmax"]),
    )


def acoustic_run(values: Mapping[str, Any], training: TrainingConfig) -> AcousticRun:
    """A run of Tacotron 2. Raises InputError for what the published text frontend or network cannot be."""
    if values["n_symbols"] != len(SYMBOLS):
        raise InputError(f"n_symbols {values['n_symbols']}: the published frontend has {len(SYMBOLS)}")
    if list(values["text_cleaners"]) != ["english_cleaners"]:
        raise InputError(
            f"text_cleaners {', '.join(values['text_cleaners'])}: english_cleaners is the one that is built in; "
            "for other languages see `glowtron train`"
        )
    if values["n_frames_per_step"] != 1:
        raise InputError(f"n_frames_per_step {values['n_frames_per_step']}: the published layout makes 1 a step")
    if values["p_attention_dropout"] != values["p_decoder_dropout"]:
        raise InputError("p_attention_dropout and p_decoder_dropout differ; both LSTMs have one value here")
    network = Tacotron2Config(
        mask_padding=False,
        embedding_channels=values["symbols_embedding_dim"],
        encoder_channels=values["encoder_embedding_dim"],
        encoder_layers=values["encoder_n_convolutions"],
        encoder_kernel=values["encoder_kernel_size"],
        prenet_channels=values["prenet_dim"],
        attention_rnn_channels=values["attention_rnn_dim"],
        attention_channels=values["attention_dim"],
        location_filters=values["attention_location_n_filters"],
        location_kernel=values["attention_location_kernel_size"],
        decoder_rnn_channels=values["decoder_rnn_dim"],
        postnet_channels=values["postnet_embedding_dim"],
        postnet_layers=values["postnet_n_convolutions"],
        postnet_kernel=values["postnet_kernel_size"],
        rnn_dropout=float(values["p_decoder_dropout"]),
    )
    acoustic = AcousticConfig(
        model=network, text=TextConfig(frontend="nvidia"), mel=mel_config(values), speakers=(SPEAKER,)
    )
    return AcousticRun(acoustic=acoustic, training=training, count_padding=True, max_clip_s=MAX_CLIP_S)


def vocoder_run(values: Mapping[str, Any], training: TrainingConfig) -> VocoderRun:
    """A run of WaveGlow on the names of `WAVEGLOW` and `AUDIO`."""
    network = WaveGlowConfig(
        mel=mel_config(values),
        analysis=GroupingConfig(group_size=values["groups"]),
        n_flows=values["flows"],
        early_every=values["early_every"],
        early_size=values["early_size"],
        wavenet=WNConfig(
            n_layers=values["wn_layers"],
            n_channels=values["wn_channels"],
            kernel_size=values["wn_kernel_size"],
            dilation_cycle=values["wn_layers"],
        ),
    )
    return VocoderRun(
        vocoder=network,
        training=training,
        segment_length=values["segment_length"],
        sigma=float(values["sigma"]),
        dither=0.0,
    )


def optimizer(
    learning_rate: float,
    *,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    anneal_steps: Sequence[int] = (),
    anneal_factor: float = 0.1,
    steps_per_epoch: int = 1,
) -> OptimizerConfig:
    """Adam as the published programs use it, its rate lowered after the epochs `anneal_steps`.

    With the factor 0.3 every second time makes it a tenth, so that it goes 1, 0.3, 0.1, 0.03.
    """
    shares = [
        0.1 ** (n // 2) * (0.3 if n % 2 else 1.0) if anneal_factor == 0.3 else anneal_factor**n
        for n in range(1, len(anneal_steps) + 1)
    ]
    return OptimizerConfig(
        lr=float(learning_rate),
        weight_decay=float(weight_decay),
        clip_norm=float(clip_norm),
        lr_milestones=tuple(
            (float(int(epoch) * steps_per_epoch), share) for epoch, share in zip(anneal_steps, shares, strict=True)
        ),
        lr_milestone_unit="steps",
    )
