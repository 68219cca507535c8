"""WaveNet's engine beside its textbook, by turns in one run: python benchmarks/wavenet.py [LAYERSxWIDTH ...].

Prints processor time as a share of the sound's length, best of several frames: the machine's other work counts less
than it would in wall time.
"""

from __future__ import annotations

import sys
import time

import torch

from glowtron.config import WaveNetConfig
from glowtron.engines.cpu_wavenet import KINDS, FastWaveNet, NoiseBlocks, find_kernel
from glowtron.machine import processor_name
from glowtron.models.wavenet import WaveNet

ROUNDS = 30
TEXTBOOK_FRAMES = 1
CLIPS = (1, 4, 8)


def frame_time(engine: FastWaveNet, n_clips: int) -> float:
    """Seconds of processor time of a frame of each clip."""
    config, mel = engine.config, torch.randn(n_clips, engine.config.mel.n_mels, 1)
    stream = engine.stream(NoiseBlocks(config, n_clips, torch.Generator().manual_seed(0)), n_clips)
    for _ in range(engine.lookahead_frames + 1):
        stream.push(mel, False)
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        stream.push(mel, False)
        best = min(best, time.thread_time() - started)
    return best


def main() -> None:
    torch.set_num_threads(1)
    found = find_kernel()
    if found.kernel is None:
        raise SystemExit(found.why_not)
    print(processor_name(), f"torch {torch.__version__}, one thread")
    for size in sys.argv[1:] or ["24x128", "12x128", "24x64", "12x64"]:
        n_layers, width = map(int, size.split("x"))
        sizes = {"residual_channels": width, "gate_channels": 2 * width, "skip_channels": width}
        torch.manual_seed(0)
        model = WaveNet(WaveNetConfig(n_layers=n_layers, **sizes)).eval()
        model.fold_weight_norm()
        frame_s = model.config.mel.hop_length / model.config.mel.sample_rate
        mel = torch.randn(1, model.config.mel.n_mels, TEXTBOOK_FRAMES)
        started = time.thread_time()
        model.generate(mel, generator=torch.Generator().manual_seed(0))
        textbook = (time.thread_time() - started) / (TEXTBOOK_FRAMES * frame_s)
        print(f"{size}: textbook {textbook:.1f} of real time")
        for kind in KINDS:
            engine = FastWaveNet(model, found.kernel, kind)
            shares = {n: frame_time(engine, n) / frame_s / n for n in CLIPS}
            told = ", ".join(f"{n} in step {share:.2f} each" for n, share in shares.items())
            print(f"  {kind:9} {told}; one clip {textbook / shares[1]:.0f} times the textbook")


if __name__ == "__main__":
    main()
