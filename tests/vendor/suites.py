"""A small corpus and small networks, in the files that the projects' pages name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

SMALL_TACOTRON2 = {
    "symbols_embedding_dim": 8,
    "encoder_embedding_dim": 8,
    "encoder_n_convolutions": 1,
    "prenet_dim": 8,
    "attention_rnn_dim": 8,
    "decoder_rnn_dim": 8,
    "attention_dim": 4,
    "attention_location_n_filters": 2,
    "postnet_embedding_dim": 8,
    "postnet_n_convolutions": 2,
}
SMALL_WAVEGLOW = {"flows": 2, "early_every": 4, "wn_channels": 8, "wn_layers": 2}
N_TRAINING, N_VALIDATION = 5, 2


def write_corpus(folder: Path) -> None:
    """LJSpeech's folders and lists, with seven clips of a quarter to half a second."""
    rng = np.random.default_rng(0)
    wavs = folder / "LJSpeech-1.1" / "wavs"
    wavs.mkdir(parents=True)
    (folder / "filelists").mkdir()
    names = [f"LJ001-{i:04d}" for i in range(N_TRAINING + N_VALIDATION)]
    for i, name in enumerate(names):
        time = np.arange(int(22_050 * (0.25 + 0.04 * i))) / 22_050
        wave = 0.3 * np.sin(2 * np.pi * (200 + 50 * i) * time) + 0.01 * rng.standard_normal(len(time))
        soundfile.write(wavs / f"{name}.wav", wave, 22_050, "PCM_16")
    for part, chosen in (("train", names[:N_TRAINING]), ("val", names[N_TRAINING:])):
        audio = "".join(f"LJSpeech-1.1/wavs/{name}.wav|Printing, in short.\n" for name in chosen)
        mels = "".join(f"LJSpeech-1.1/mels/{name}.pt|Printing, in short.\n" for name in chosen)
        (folder / "filelists" / f"ljs_audio_text_{part}_filelist.txt").write_text(audio)
        (folder / "filelists" / f"ljs_mel_text_{part}_filelist.txt").write_text(mels)
    (folder / "train_files.txt").write_text("".join(f"LJSpeech-1.1/wavs/{name}.wav\n" for name in names[:N_TRAINING]))


def write_hparams(folder: Path, **values: object) -> None:
    """An `hparams.py` as the published one begins, of a small network."""
    told = {**SMALL_TACOTRON2, **values}
    lines = "".join(f"        {name}={value!r},\n" for name, value in told.items())
    (folder / "hparams.py").write_text(
        "import tensorflow as tf\nfrom text import symbols\n\n\ndef create_hparams(hparams_string=None):\n"
        f"    return tf.contrib.training.HParams(\n        n_symbols=len(symbols),\n{lines}    )\n"
    )


def shrink_config(folder: Path, **train: object) -> None:
    """Make the `config.json` in a folder that of a small network."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["train_config"] |= train
    config["data_config"]["segment_length"] = 2048
    config["waveglow_config"] |= {"n_flows": 2}
    config["waveglow_config"]["WN_config"] = {"n_layers": 2, "n_channels": 8, "kernel_size": 3}
    path.write_text(json.dumps(config))


def shell(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """Run a line of a page in a shell: `python` and `python3` are this one."""
    bin_folder = folder / ".bin"
    bin_folder.mkdir(exist_ok=True)
    for name in ("python", "python3"):
        if not (bin_folder / name).exists():
            (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
            (bin_folder / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **variables,
    }
    bash = shutil.which("bash")
    assert bash, "the pages' commands are written for bash"
    done = subprocess.run(
        [bash, "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done
