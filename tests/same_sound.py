"""What is kept of the sound of the shipped voices, so that a change of the code is no change of the sound.

`python tests/same_sound.py` writes `same_sound.npz` anew, from the code it is run with. That is right only where the
sound was meant to change, and the commit says why.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glowtron import SynthesisOptions, Voice

KEPT = Path(__file__).with_name("same_sound.npz")
STEP = 101
"""Every so many samples are kept: a prime, so that no period hides between them."""
TEXTS = (
    "Hello.",
    "Who is it?",
    "A, B and C!",
    "Dr. Smith paid $5.",
    "The rain fell; he left.",
    "No.\n\nYes.",
    "It's 10:45.",
    "{HH AH0 L OW1} there.",
    "One hundred and one.",
    "Stop",
)
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def machine_class() -> str:
    """Machines of one class compute the same bits with the same libraries."""
    path = Path("/proc/cpuinfo")
    words = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()
    vendor = next((name for name in ("GenuineIntel", "AuthenticAMD") if name in words), platform.processor())
    return " ".join([vendor, *(flag for flag in FLAGS if flag in words), f"torch {torch.__version__}"])


def sounds() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Sounds by a name that says how each was made."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in ("duet", "duet-tacotron2"):
            voice = Voice.load(name, device="cpu", precision="fp32")
            for speaker in voice.speakers:
                for seed in (1, 2, 3):
                    options = SynthesisOptions(speaker=speaker, seed=seed)
                    for i in range(seed % 2, len(TEXTS), 2):
                        yield f"{name} say {speaker} {seed} {i}", voice.say(TEXTS[i], options).samples
                    streamed = [audio.samples for audio in voice.stream(TEXTS[seed + 2], options)]
                    yield f"{name} stream {speaker} {seed}", np.concatenate(streamed)
            for i, audio in enumerate(voice.say_many(TEXTS, workers=1)):
                yield f"{name} say_many {i}", audio.samples
    finally:
        torch.set_num_threads(before)


def digest(samples: NDArray[np.float32]) -> str:
    """SHA-256 of the samples' bits."""
    return hashlib.sha256(samples.tobytes()).hexdigest()


def write() -> None:
    """Write the file of what is kept."""
    made = dict(sounds())
    arrays = {name: samples[::STEP] for name, samples in made.items()}
    lengths = np.array([len(samples) for samples in made.values()])
    hashes = np.array([digest(samples) for samples in made.values()])
    np.savez_compressed(KEPT, machine=np.array(machine_class()), lengths=lengths, hashes=hashes, **arrays)


if __name__ == "__main__":
    sys.exit(write())
