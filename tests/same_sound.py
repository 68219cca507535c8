"""What is kept of the sound of the shipped voices and of imported ones, so that a change of code is no change of sound.

    python tests/same_sound.py          writes `same_sound.npz` anew, from the code it is run with
    python tests/same_sound.py --add    adds the hashes of this class of machine, if the sound is the one that is kept

The first is right only where the sound was meant to change, and the commit says why.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from glowtron import SynthesisOptions, Voice
from glowtron.audio import read_audio
from glowtron.engines.measured import Measured, Ways
from glowtron.importers import import_voice
from parity_files import PARITY, unpack_checkpoints

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
    """All sounds by a name that says how each was made.

    WaveGlow's layers are computed by the best C that this machine can run, whichever way is the fastest just now: the
    ways differ in rounding, and how fast they are depends on what else the machine does.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        chosen = [mock.patch(f"glowtron.engines.{name}.measure", by_c) for name in ("cpu_waveglow", "fastspeech2")]
        with chosen[0], chosen[1]:
            yield from all_sounds()
    finally:
        torch.set_num_threads(before)


def by_c(what: str, ways: Ways, folder: Path | None = None) -> Measured:
    """In place of a measurement: the most able C, which is named last but for torch's ways; else torch's."""
    compiled = [way for way in ways if not way.endswith("by torch")]
    return Measured({(compiled or list(ways))[-1]: 1.0}, None)


def all_sounds() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Of all voices."""
    yield from shipped_sounds()
    with tempfile.TemporaryDirectory() as folder:
        yield from imported_sounds(Path(folder))


def shipped_sounds() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Of the voices that ship."""
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


def imported_sounds(folder: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Of published checkpoints: their Tacotron 2 and WaveGlow have mels of different sizes, so each is run alone."""
    unpack_checkpoints(folder)
    for name in ("tacotron2", "tacotron2_dle"):
        import_voice([folder / f"{name}.pt"], folder / name)
        voice = Voice.load(folder / name, device="cpu", precision="fp32")
        # Griffin-Lim makes rounding grow a thousandfold on such mels, so it is the mels that are kept.
        options = SynthesisOptions(vocoder="griffin-lim", attempts=0, max_frames=100)
        for i in range(0, len(TEXTS), 3):
            mels = [utterance.mel.ravel() for utterance in voice.mels(TEXTS[i], options)]
            yield f"{name} mels {i}", np.concatenate(mels)
    recording = read_audio(PARITY / "LJ001-0002.flac")
    for layout in ("old", "2018_11_09", "2018_11_22", "2020_09_02", "dle"):
        import_voice([folder / f"waveglow_{layout}.pt"], folder / layout)
        voice = Voice.load(folder / layout, device="cpu", precision="fp32")
        yield f"waveglow_{layout} vocode", voice.vocode(recording).samples


def digest(samples: NDArray[np.float32]) -> str:
    """SHA-256 of the samples' bits."""
    return hashlib.sha256(samples.tobytes()).hexdigest()


class Kept(NamedTuple):
    """The content of the file."""

    samples: dict[str, NDArray[np.float32]]
    """Every `STEP`-th sample of each sound."""
    lengths: dict[str, int]
    hashes: dict[str, dict[str, str]]
    """By class of machine, for each sound that was heard there."""


def read() -> Kept:
    """The file of what is kept."""
    with np.load(KEPT) as arrays:
        samples = {name: arrays[name] for name in arrays.files if name != "about"}
        about = json.loads(str(arrays["about"]))
    return Kept(samples, about["lengths"], about["hashes"])


def write(kept: Kept) -> None:
    """Write the file anew."""
    about = json.dumps({"lengths": kept.lengths, "hashes": kept.hashes})
    np.savez_compressed(KEPT, about=np.array(about), **kept.samples)


def differences(kept: Kept, made: dict[str, NDArray[np.float32]]) -> dict[str, float]:
    """The largest difference of a sample of each sound, infinite where the length is another."""
    return {
        name: float(np.abs(made[name][::STEP] - samples).max()) if len(made[name]) == kept.lengths[name] else np.inf
        for name, samples in kept.samples.items()
    }


def tolerance(name: str) -> float:
    """What rounding on another class of machine, or by another kernel, may change, of samples in [-1, 1].

    Zen 3 and Zen 4 differ by up to 8e-6 in the sound of `duet`, layers in C and in torch by 3e-5. A Tacotron 2 reads
    its own frames back, which makes rounding grow: up to 1e-3.
    """
    return 3e-3 if "tacotron2" in name else 1e-4


def main(arguments: list[str]) -> str | None:
    """Write the file; returns what is wrong."""
    made = dict(sounds())
    hashes = {machine_class(): {name: digest(samples) for name, samples in made.items()}}
    lengths = {name: len(samples) for name, samples in made.items()}
    samples = {name: wave[::STEP] for name, wave in made.items()}
    if "--add" in arguments:
        kept = read()
        changed = {name: by for name, by in differences(kept, made).items() if by > tolerance(name)}
        if changed:
            return f"not the sound that is kept: {changed}"
        hashes, lengths, samples = kept.hashes | hashes, lengths | kept.lengths, samples | kept.samples
    write(Kept(samples, lengths, hashes))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
