"""WaveGlow made fast on CUDA: the same `generate` and `inverse`, in half precision and in few launches.

`models.waveglow` says what is computed. As on a CPU, matrices are inverted once and rows are time-first (G, B, ...), so
that a step back in time is B rows back. A sound is padded to one of few lengths, so that few recordings serve all; what
lies behind its end is set to zero after every layer, as convolutions see it there, so padding changes nothing. Sounds
too long for one go are computed in pieces with as much around them as the flows see, of which nothing is kept.

Nothing here asks for CUDA: on a CPU the same code is tested.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.engines.cuda_info import Card, choose_on_card, exact_float32, find_card
from glowtron.engines.cuda_launches import Fused, Launches, Recorded, Tensors, bucket, find_launches
from glowtron.engines.hardware import Precision
from glowtron.engines.waveglow import WaveGlowEngine
from glowtron.models.convolution import WeightNormConv
from glowtron.models.waveglow import WN, WaveGlow, inv_conv_inverse

SMALLEST = 256
"""Rows to which less is padded: eight frames of one published sound."""


def accelerate_waveglow_on_cuda(
    model: WaveGlow, precision: str = "auto", card: Card | None = None, launches: Launches | None = None
) -> CudaWaveGlow:
    """A copy of the model's weights, laid out for speaking on the CUDA device that the model is on.

    precision: `fp32` is the model within rounding, and neither compiled nor recorded; `fp16` and `bf16` multiply the
    layers' matrices in that; `auto` picks (`choose_on_card`; `.precision` and `.why` say which). card and launches:
    what the machine has, if not what is found. Raises InputError for an unknown precision.
    """
    device = model.mixing[0].device
    card = find_card(device) if card is None else card
    chosen = choose_on_card(precision, card, model)
    if chosen.name == "fp32":
        return CudaWaveGlow(model, chosen, Launches(None, None, "float32 is computed as the model does"))
    return CudaWaveGlow(model, chosen, find_launches(device, card) if launches is None else launches)


class _Layer(NamedTuple):
    """The weights of a gated layer."""

    enter: Tensor
    """(2C, taps * C) the dilated convolution."""
    condition: Tensor
    """(2C, K)."""
    bias: Tensor
    """(2C,) of both."""
    out: Tensor
    """(C + S, C) residual and skip; the last layer's has skip only, (S, C)."""
    out_bias: Tensor


def gated_layer(
    hidden: Tensor, skip: Tensor, conditioning: Tensor, real: Tensor, step: int, is_last: bool, *weights: Tensor
) -> Tensors:
    """One layer over rows: hidden (R, C) and the sum of skip outputs (R, S), float32, before it -> the same behind it.

    conditioning: (R, K); real: (R, 1), 1 or 0 where a row is padding; step: rows to the convolution's next tap;
    weights: a `_Layer`'s.
    """
    layer, (n_rows, width) = _Layer(*weights), hidden.shape
    n_taps = layer.enter.shape[1] // width
    before = n_taps // 2 * step
    padded = F.pad(hidden, (0, 0, before, (n_taps - 1) * step - before))
    seen = torch.cat([padded[i * step : i * step + n_rows] for i in range(n_taps)], dim=1)
    total = F.linear(seen, layer.enter) + F.linear(conditioning, layer.condition, layer.bias)
    out = F.linear(total[:, :width].tanh() * total[:, width:].sigmoid(), layer.out, layer.out_bias)
    if is_last:
        return hidden, skip + out
    return (hidden + out[:, :width]) * real, skip + out[:, width:]


class _Coupling:
    """One flow, walked from noise to audio."""

    def __init__(self, model: WaveGlow, k: int, dtype: torch.dtype, layer: Fused) -> None:
        net, matrix = model.wavenets[k], model.mixing[k].detach().float()
        assert isinstance(net, WN)
        self.gated_layer, self.dtype, self.dilations, self.width = layer, dtype, net.dilations, net.n_channels
        self.reach = sum(net.dilations) * (net.kernel_size // 2)
        """Groups on either side that an output depends on."""
        self.swapped = model.config.alternate_halves and k % 2 == 1
        self.unmixing = inv_conv_inverse(torch.eye(len(matrix), device=matrix.device), matrix)
        stop = model.config.n_channels - model.channels[k]
        self.joining = slice(stop - model.early[k], stop)
        """Which channels of the noise left before this flow."""
        self.start = net.start.effective_weight().detach().clone()
        self.start_bias, self.end_bias = net.start.bias.detach().clone(), net.end.bias.detach().clone()
        # Where the end is narrower than the skip outputs, it comes first: nothing bends between the two.
        end = net.end.weight.detach().clone()
        end_first, self.end = len(end) < self.width, end
        self.n_skip = len(end) if end_first else self.width
        self.layers = [self._pack(net, i, end if end_first else None) for i in range(len(net.dilations))]

    def _pack(self, net: WN, i: int, end: Tensor | None) -> _Layer:
        dilated, res_skip, width = net.dilated[i], net.res_skip[i], self.width
        assert isinstance(dilated, WeightNormConv) and isinstance(res_skip, WeightNormConv)
        out: Tensor = res_skip.effective_weight()
        out_bias: Tensor = res_skip.bias
        if end is not None:
            out = torch.cat((out[:-width], end @ out[-width:]))
            out_bias = torch.cat((out_bias[:-width], end @ out_bias[-width:]))
        condition = net.condition.effective_weight().chunk(len(net.dilations))[i]
        bias = net.condition.bias.chunk(len(net.dilations))[i] + dilated.bias
        parts = (dilated.effective_weight(), condition, bias, out, out_bias)
        return _Layer(*(part.detach().to(self.dtype, copy=True) for part in parts))

    def __call__(self, x: Tensor, conditioning: Tensor, z: Tensor, real: Tensor, n_batch: int) -> Tensor:
        """Rows (R, C_k), their conditioning (R, K) and all noise (R, C) -> (R, C_k and those channels that join)."""
        first, second = x.chunk(2, dim=-1)
        kept, changed = (second, first) if self.swapped else (first, second)
        hidden = F.linear(kept, self.start, self.start_bias).to(self.dtype) * real
        skip = x.new_zeros(len(x), self.n_skip)
        for i, (layer, dilation) in enumerate(zip(self.layers, self.dilations, strict=True)):
            is_last = i == len(self.layers) - 1
            hidden, skip = self.gated_layer(hidden, skip, conditioning, real, dilation * n_batch, is_last, *layer)
        skip = skip if self.n_skip == len(self.end) < self.width else F.linear(skip, self.end)
        shift, log_s = (skip + self.end_bias).chunk(2, dim=-1)
        changed = (changed - shift) * torch.exp(-log_s)
        x = torch.cat((changed, kept) if self.swapped else (kept, changed), dim=-1) @ self.unmixing
        return torch.cat((z[:, self.joining], x), dim=-1)


class CudaWaveGlow(WaveGlowEngine):
    """A WaveGlow ready to speak; `accelerate_waveglow_on_cuda` makes one. Threads that share it take turns."""

    piece_rows = 2**17
    """48 s of one published sound, and enough to keep any card busy."""

    @torch.no_grad()
    def __init__(self, model: WaveGlow, precision: Precision, launches: Launches) -> None:
        super().__init__(model, precision)
        self._why = precision.why
        self._layer, self._recorded = Fused(gated_layer, launches), Recorded(self._walk, launches)
        self._flows = [_Coupling(model, k, self.dtype, self._layer) for k in range(model.config.n_flows)]

    @property
    def why(self) -> str:
        """Why this precision, and whether operations are compiled and recorded, as known after the first sound."""
        return f"{self._why}; {self._layer.why}; {self._recorded.why}"

    @property
    def _flows_reach(self) -> int:
        return sum(flow.reach for flow in self._flows)

    @torch.inference_mode()
    def _inverse(self, z: Tensor, mel: Tensor, speaker: Tensor | None) -> Tensor:
        exact = exact_float32() if self.dtype == torch.float32 else nullcontext()
        with exact, torch.autocast(z.device.type, enabled=False):
            return self._sound(z, mel, speaker)

    def _sound(self, z: Tensor, mel: Tensor, speaker: Tensor | None) -> Tensor:
        """As `_inverse`, where float32 is float32."""
        z, mel = z.float().permute(2, 0, 1), mel.float().permute(2, 0, 1)  # (G, B, C), (T, B, M)
        added = self.speaker_conditioning(speaker)
        n_groups, reach, pieces = len(z), self.reach, []
        # What is computed around a piece is for nothing, so pieces are not short, however far the flows see.
        at_once = max(self.piece_rows - 2 * reach, self.piece_rows // 2)
        for start in range(0, n_groups, at_once):
            stop = min(start + at_once, n_groups)
            first, last = max(start - reach, 0), min(stop + reach, n_groups)
            pieces.append(self._piece(z[first:last], mel, added, first, last)[start - first : stop - first])
        wave = torch.cat(pieces) if pieces else z
        return wave.transpose(0, 1).flatten(1)  # (G, B, C) -> (B, G * C)

    def _piece(self, z: Tensor, mel: Tensor, added: Tensor | None, first: int, last: int) -> Tensor:
        """Samples (G, B, C) of the groups from `first` to `last`, true but near ends that are not the sound's own."""
        conditioning = self.analysis.condition(mel[self.analysis.first_frame(first) :], first, last)
        if added is not None:
            conditioning = conditioning + added
        n_batch, n_rows = z.shape[1], z.shape[0] * z.shape[1]
        padding = (0, 0, 0, bucket(n_rows, SMALLEST) - n_rows)
        real = F.pad(torch.ones(n_rows, 1, dtype=self.dtype, device=z.device), padding)
        rows = F.pad(z.flatten(0, 1), padding), F.pad(conditioning.flatten(0, 1).to(self.dtype), padding)
        (x,) = self._recorded(n_batch, *rows, real)
        return self.analysis.synthesise(x[:n_rows].unflatten(0, (-1, n_batch)), conditioning)

    def _walk(self, n_batch: int, z: Tensor, conditioning: Tensor, real: Tensor) -> Tensors:
        """All flows over rows: noise (R, C), conditioning (R, K), and which rows are real (R, 1) -> (R, C)."""
        x = z[:, self.last_channels]
        for flow in reversed(self._flows):
            x = flow(x, conditioning, z, real, n_batch)
        return (x,)
