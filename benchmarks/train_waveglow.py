"""Training throughput of WaveGlow on this machine: Glowtron's code against the plain one, in one run.

    python benchmarks/train_waveglow.py --channels 256 --batch 2 --segment 8000 --json train_waveglow.json

Both take whole training steps (forward, backward, Adam) on the same noise and mel from the same weights. After a
warm-up the two take turns, so that whatever else the machine does meets both; medians are compared. Before the clock
starts, both compute the loss and its gradient in float32 and must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from plain_waveglow import PlainWaveGlow
from torch import Tensor, nn

from glowtron.config import MelConfig, WaveGlowConfig, WaveNetConfig
from glowtron.models.waveglow import WaveGlow, flow_loss


def main() -> None:
    options = read_options()
    torch.manual_seed(0)
    if options.threads:
        torch.set_num_threads(options.threads)
    wavenet = WaveNetConfig(n_layers=options.layers, n_channels=options.channels, dilation_cycle=options.layers)
    config = WaveGlowConfig(n_flows=options.flows, wavenet=wavenet)
    model, plain = WaveGlow(config), PlainWaveGlow(config)
    for net in model.wavenets:  # An end that is zero would hide what lies before it.
        nn.init.normal_(net.end.weight, std=0.01)
    plain.copy_weights(model)
    wave = 0.1 * torch.randn(options.batch, options.segment)
    mel = torch.randn(options.batch, 80, options.segment // MelConfig().hop_length + 1) - 5
    agreement = compare(model, plain, wave, mel)
    print(f"same function: loss differs by {agreement['loss']:.1e}, gradient norm by {agreement['gradient']:.1e}")

    runs = {"plain, float32": step(plain, lambda: plain(wave, mel))}
    for precision in options.precisions:
        dtype = {"bf16": torch.bfloat16, "fp32": None}[precision]
        runs[f"glowtron, {precision}"] = step(model, lambda dtype=dtype: glowtron_loss(model, wave, mel, dtype))
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[options.clock]
    seconds = measure(runs, options.warm_up, options.runs, clock)
    result = report(options, seconds, agreement)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="WaveGlow training throughput against a plain implementation.")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--flows", type=int, default=12)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--segment", type=int, default=8000, help="samples")
    parser.add_argument("--runs", type=int, default=7, help="timed steps of each")
    parser.add_argument("--warm-up", type=int, default=2, help="steps of each before")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: time on the processor, for a busy machine"
    )
    parser.add_argument("--precisions", nargs="+", choices=["bf16", "fp32"], default=["bf16", "fp32"])
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args()


def glowtron_loss(model: WaveGlow, wave: Tensor, mel: Tensor, dtype: torch.dtype | None) -> Tensor:
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        return flow_loss(model(wave, mel))


def compare(model: WaveGlow, plain: PlainWaveGlow, wave: Tensor, mel: Tensor) -> dict[str, float]:
    """Relative differences of loss and gradient norm, in float32. Raises SystemExit when they are not one function."""
    found = []
    for network, loss in ((model, glowtron_loss(model, wave, mel, None)), (plain, plain(wave, mel))):
        loss.backward()
        grads = [parameter.grad for parameter in network.parameters()]
        found.append((loss.item(), torch.stack([grad.norm() for grad in grads]).norm().item()))
        network.zero_grad(set_to_none=True)
    loss, gradient = (abs(ours - theirs) / abs(theirs) for ours, theirs in zip(*found, strict=True))
    if loss > 1e-4 or gradient > 1e-4:
        raise SystemExit(f"not the same function: loss and gradient norm {found[0]} and {found[1]}")
    return {"loss": loss, "gradient": gradient}


def step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One training step as published: Adam at 1e-4, no clipping. Both get torch's fused Adam."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)

    def take() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return take


def measure(
    runs: dict[str, Callable[[], None]], warm_up: int, n_runs: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of each timed step."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(warm_up + n_runs):
        for name, take in runs.items():
            start = clock()
            take()
            if i >= warm_up:
                seconds[name].append(clock() - start)
    return seconds


def report(
    options: argparse.Namespace, seconds: dict[str, list[float]], agreement: dict[str, float]
) -> dict[str, object]:
    """Print a table and return it as JSON values."""
    n_samples = options.batch * options.segment
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    baseline = medians["plain, float32"]
    table = {
        name: {
            "samples_per_s": round(n_samples / medians[name]),
            "slowest": round(n_samples / max(times)),
            "fastest": round(n_samples / min(times)),
            "ratio": round(baseline / medians[name], 2),
        }
        for name, times in seconds.items()
    }
    sizes = {name: getattr(options, name) for name in ("channels", "layers", "flows", "batch", "segment")}
    machine = {
        "clock": options.clock,
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }
    print(", ".join(f"{name} {value}" for name, value in (sizes | machine).items()))
    print(f"{options.warm_up} steps warm-up, medians of {options.runs} steps each, taken in turns")
    print("| training | samples/s | slowest to fastest | times plain |\n|---|---:|---:|---:|")
    for name, row in table.items():
        print(f"| {name} | {row['samples_per_s']:,} | {row['slowest']:,} to {row['fastest']:,} | {row['ratio']:.2f} |")
    return {"sizes": sizes, "machine": machine, "agreement": agreement, "training": table, "seconds": seconds}


def cpu_name() -> str:
    """The processor as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
