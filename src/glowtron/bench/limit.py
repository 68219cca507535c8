"""Upper limit of a vocoder's speed on a machine: its multiplications over the rate of one large product."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from glowtron.bench.child import Child
from glowtron.bench.measurement import CLOCKS, Settings
from glowtron.config import LappedConfig, WaveGlowConfig, WaveNetConfig
from glowtron.engines.hardware import find_capabilities
from glowtron.models.waveglow import schedule

_SIZES = {"cpu": 2048, "cuda": 8192}
"""Rows and columns: as many as leave nothing but multiplying to be measured."""
_RUNS = 5


class MatrixRate(NamedTuple):
    """Rate at which a machine multiplies."""

    gflops: float
    """Thousand million operations a second, a product and its sum being two, in the fastest of some runs."""
    what: str
    """The products that were computed."""


def share_of_limit(
    config: WaveGlowConfig | WaveNetConfig, audio_s: float, seconds: float, rate: MatrixRate
) -> dict[str, Any]:
    """Share of the rate that so much sound in so many seconds reaches, and the rate itself."""
    work = gflop_a_second(config)
    limit = {"gflop_a_second_of_audio": work, "matrix_gflops": rate.gflops, "of_products": rate.what}
    return {"share_of_limit": work * audio_s / seconds / rate.gflops, "limit": limit}


def ask_matrix_rate(device: str, settings: Settings) -> MatrixRate:
    """As `measure_matrix_rate`, in a process of its own with the threads and the clock of a measurement."""
    with Child(partial(measure_matrix_rate, device, settings.clock), settings.threads) as child:
        return child.ask(_whole)


def measure_matrix_rate(device: str, clock: str = "wall") -> MatrixRate:
    """Of square matrices, in the precision that is fastest for them; `clock` as of `Settings`."""
    kind = torch.device(device).type
    if kind == "cuda":
        dtypes = [torch.bfloat16, torch.float16]
    else:
        # Without instructions for it, a product this large takes minutes in bfloat16.
        dtypes = [torch.float32, *([torch.bfloat16] if find_capabilities().bf16 else [])]
    return max(_rate(device, _SIZES[kind], dtype, CLOCKS[clock]) for dtype in dtypes)


def _rate(device: str, size: int, dtype: torch.dtype, now: Callable[[], float]) -> MatrixRate:
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(_RUNS + 1):  # The first is slower, and never the fastest.
        start = now()
        torch.mm(left, right)
        if left.is_cuda:
            torch.cuda.synchronize(left.device)
        fastest = min(fastest, now() - start)
    return MatrixRate(2e-9 * size**3 / fastest, f"{size} x {size} in {str(dtype).removeprefix('torch.')}")


def gflop_a_second(config: WaveGlowConfig | WaveNetConfig) -> float:
    """Thousand million operations that a second of a vocoder's sound takes in its matrix products."""
    if isinstance(config, WaveNetConfig):
        return _gflop_of_wavenet(config)
    net, mel, (_, channels) = config.wavenet, config.mel, schedule(config)
    width, n_layers = net.n_channels, net.n_layers
    if isinstance(config.analysis, LappedConfig):
        scale, n_conditioning = config.analysis.scale_channels, mel.n_mels
        around = 3 * scale * (mel.n_mels + scale + config.n_channels) + config.n_channels**2
    else:
        n_conditioning = mel.n_mels * config.n_channels
        around = config.analysis.upsample_kernel // mel.hop_length * mel.n_mels * n_conditioning
    gates = n_layers * 2 * width * (n_conditioning + net.kernel_size * width)
    outputs = (2 * n_layers - 1) * width * width
    flows = sum(gates + outputs + width * n // 2 + width * n + n * n for n in channels)
    return 2e-9 * (around + flows) * mel.sample_rate / config.n_channels


def _gflop_of_wavenet(config: WaveNetConfig) -> float:
    residual, skip, n_layers = config.residual_channels, config.skip_channels, config.n_layers
    gates = config.gate_channels
    layers = n_layers * config.kernel_size * residual * gates
    outputs = gates // 2 * (n_layers * skip + (n_layers - 1) * residual)
    head = skip * (skip + config.n_outputs)
    conditioning = n_layers * gates * config.mel.n_mels / config.mel.hop_length  # At the rate of frames.
    return 2e-9 * (layers + outputs + head + conditioning) * config.mel.sample_rate


def _whole(rate: MatrixRate) -> MatrixRate:
    return rate
