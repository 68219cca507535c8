"""Training throughput of WaveGlow: `glowtron bench train` with the sizes that docs/training.md speaks of.

    python benchmarks/train_waveglow.py --json train_waveglow.json

takes all options of `glowtron bench train`.
"""

import sys

from glowtron.cli import main

if __name__ == "__main__":  # The processes that are measured import this file, too.
    main(["bench", "train", "--model", "waveglow-256", "--batch", "2", "--segment", "8000", *sys.argv[1:]])
