"""A decoder that hears only itself, and reads where a recording was read.

Between teacher forcing, which shows it frames it will never have, and free running, whose pace drifts from any
recording's: mels as they are spoken, in step with the sound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glowtron.models.tacotron2 import Tacotron2


@torch.inference_mode()
def follow(
    model: Tacotron2,
    ids: Tensor,
    id_lengths: Tensor,
    symbols: Tensor,
    *,
    speaker: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mels (B, T, M) before the postnet, T = S times the reduction factor; frames behind a text's end mean nothing.

    ids: (B, N); id_lengths: (B,); symbols: (B, S), the measured symbol of each decoder step; speaker: (B,).
    """
    memory = model.encode(ids, id_lengths, speaker)
    state = model.start(memory)
    contexts = memory.values.gather(1, symbols[..., None].expand(-1, -1, memory.values.shape[2]))  # (B, S, C)
    frame = contexts.new_zeros(len(ids), model.n_mels)
    attention, decoder = (state.attention_h, state.attention_c), (state.decoder_h, state.decoder_c)
    context = state.context
    mels = []
    for reading in contexts.unbind(1):
        squeezed = model.prenet(frame, model.prenet.draw(len(ids), like=frame, generator=generator))
        attention = model.attention_rnn(torch.cat((squeezed, context), dim=-1), attention)
        context = reading
        decoder = model.decoder_rnn(torch.cat((attention[0], context), dim=-1), decoder)
        frames, _ = model.project(decoder[0], context)
        frame = frames[:, -1]
        mels.append(frames)
    return torch.cat(mels, dim=1).float()
