"""Free-running mels that are aligned with a recording (GTA mels).

The decoder sees its own frames, as at inference, and attends by the forced alignment of the recording. Teacher forcing
would show it recorded frames; free running would drift from the recording's pace.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glowtron.models.tacotron2 import Tacotron2


@torch.inference_mode()
def synthesize_aligned(
    model: Tacotron2,
    ids: Tensor,
    id_lengths: Tensor,
    symbols: Tensor,
    *,
    speaker: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mels (B, T, M) before the postnet, T = S times the reduction factor; frames behind a text's end are undefined.

    ids: (B, N); id_lengths, speaker: (B,); symbols: (B, S), the forced alignment: the symbol of each decoder step.
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
