"""Checkpoints of other models than Tacotron 2 and WaveGlow that people have, told by their tensors' names."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple


class OtherModel(NamedTuple):
    """A model that is not read here."""

    name: str
    """With its article, as an error says it."""
    tensors: tuple[str, ...]
    """Patterns, each of which some tensor's name must begin with."""


OTHER_MODELS = (
    OtherModel("a HiFi-GAN generator", (r"conv_pre\.", r"ups\.0\.", r"resblocks\.")),
    OtherModel("a HiFi-GAN generator", (r"conv_pre\.", r"ups\.0\.")),
    OtherModel("the discriminators of a HiFi-GAN", (r"(mpd|msd)\.",)),
    OtherModel("a VITS", (r"(model_g\.|net_g\.)?enc_p\.", r"(model_g\.|net_g\.)?dec\.")),
    OtherModel("a VITS", (r"text_encoder\.", r"posterior_encoder\.")),
    OtherModel("a Glow-TTS", (r"encoder\.emb\.", r"decoder\.flows\.")),
    OtherModel("a FastPitch", (r"encoder\.word_emb\.", r"(duration_predictor|pitch_predictor|pitch_emb)\.")),
    OtherModel("a FastSpeech 2 of another program", (r"(variance_adaptor|duration_predictor)\.",)),
    OtherModel("a Flowtron", (r"flows\.\d+\.(attention_layer|lstm|ar_step|conv)", r"speaker_embedding\.")),
    OtherModel("a Tacotron 2 of Coqui or Mozilla TTS", (r"encoder\.convolutions\.\d+\.convolution1d\.",)),
    OtherModel("a Tacotron 2 of ESPnet", (r"(tts\.)?enc\.embed\.", r"(tts\.)?dec\.lstm\.")),
    OtherModel("a first Tacotron (CBHG)", (r"(encoder|postnet)\.(cbhg|conv1d_banks)",)),
    OtherModel("a WaveRNN", (r"(upsample\.resnet\.|rnn1\.)",)),
    OtherModel("a MelGAN or Parallel WaveGAN", (r"(first_conv|upsample_net|melgan)\.",)),
    OtherModel("a Whisper recogniser", (r"encoder\.conv1\.", r"decoder\.token_embedding\.")),
)
"""The first whose patterns all match is meant."""

KNOWN = "Tacotron 2 and WaveGlow as NVIDIA's programs wrote them, and WaveNet as wavenet_vocoder did"


def other_model(names: Collection[str]) -> str | None:
    """Name of another model whose tensors have these names, with its article; None if it is not known either."""
    for model in OTHER_MODELS:
        if all(any(re.match(pattern, name) for name in names) for pattern in model.tensors):
            return model.name
    return None
