"""Convolutions as matrix products, which are quicker on a CPU, above all in bfloat16."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from glowtron.engines.products import make_up
from glowtron.models.convolution import Convolution
from glowtron.models.tacotron2 import Encoder, MaskedBatchNorm, Postnet

MATRIX_WORTHWHILE = 8
"""Input channels under which gathering shifted views costs more than the matrix product saves."""


class MatrixConvolution(Convolution):
    """The shifted views times the matrix of weights."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, in_channels). Returns (B, T, out_channels)."""
        if x.shape[-1] < MATRIX_WORTHWHILE:
            return super().forward(x)
        if torch.is_autocast_enabled(x.device.type):
            # Narrowed before it is copied; autocast itself would narrow the copies.
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return F.linear(shifted_views(x, self.kernel_size), self.weight, self.bias)


def shifted_views(x: Tensor, kernel_size: int, dilation: int = 1) -> Tensor:
    """The inputs of each output of a centred convolution, side by side.

    x: (B, T, C), zero outside. Returns (B, T, kernel_size * C), the earliest step first.
    """
    if kernel_size == 1:
        return x
    reach = dilation * (kernel_size - 1)
    padded = F.pad(x, (0, 0, reach // 2, reach - reach // 2))
    return torch.cat([padded[:, i * dilation : i * dilation + x.shape[1]] for i in range(kernel_size)], dim=-1)


class FoldedConvolutions:
    """Tacotron 2's stack of convolutions in evaluation mode, the batch normalisation folded in."""

    def __init__(
        self,
        stack: Encoder | Postnet,
        activation: Literal["relu", "tanh"],
        *,
        last_is_linear: bool,
        dtype: torch.dtype,
    ) -> None:
        self.dtype = dtype
        self.layers: list[tuple[int, Tensor, Tensor]] = []
        for layer, norm in zip(stack.convolutions, stack.norms, strict=True):
            assert isinstance(layer, Convolution) and isinstance(norm, MaskedBatchNorm)
            self.layers.append((layer.kernel_size, *fold(layer, norm, dtype)))
        self.activation = {"relu": torch.relu_, "tanh": torch.tanh_}[activation]
        self.n_activations = len(self.layers) - last_is_linear
        self.reach = sum((kernel_size - 1) // 2 for kernel_size, _, _ in self.layers)
        """Steps on either side that an output depends on."""

    def __call__(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (B, T, C); mask: (B, T) real steps, all others become zero. Returns (B, T, C) in float32."""
        n_steps = x.shape[1]
        # What is behind the end stays zero, as a convolution finds it there.
        x = make_up(x.to(self.dtype))
        for i, (kernel_size, weight, bias) in enumerate(self.layers):
            x = F.linear(shifted_views(x, kernel_size), weight, bias)
            if i < self.n_activations:
                self.activation(x)
            if mask is not None:
                x[:, :n_steps] *= mask[..., None]
            x[:, n_steps:] = 0
        return x[:, :n_steps].float()


def fold(convolution: Convolution, norm: MaskedBatchNorm, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """One matrix (out, kernel * in) and bias (out,) that convolve and normalise."""
    mean, variance, bias = norm.running_mean, norm.running_var, convolution.bias
    assert mean is not None and variance is not None and bias is not None
    gain = norm.weight.double() / (variance.double() + norm.eps).sqrt()
    weight = convolution.weight.double() * gain[:, None]
    return weight.to(dtype), ((bias.double() - mean.double()) * gain + norm.bias.double()).to(dtype)
