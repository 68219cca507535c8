"""A voice folder as it is read and written, without torch: `voice.json`, and the bytes of the weights, checked."""

from __future__ import annotations

import hashlib
import json
import mmap
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from glowtron.config import FORMAT_VERSION, VoiceFile, WaveGlowConfig, WaveNetConfig, from_dict, to_dict
from glowtron.errors import InputError, reason

ACOUSTIC = "acoustic.safetensors"
VOCODER = "vocoder.safetensors"
WAVENET = "wavenet.safetensors"
SCALE = ".scale"
"""Added to the name of a matrix of int8: the scale of each of its rows."""


def read_voice_file(folder: Path) -> VoiceFile:
    """Read `voice.json` alone. Raises InputError as `load_voice` does."""
    path = folder / "voice.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        missing = f"has no {path.name}" if folder.is_dir() else "does not exist"
        raise InputError(
            f"{folder}: {missing}; give a voice folder, which `glowtron import` or a training makes"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {reason(error)}; restore the file") from error
    version = value.get("format_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise InputError(f"{path}: has format version {version}, this program reads up to {FORMAT_VERSION}; update it")
    config: VoiceFile = from_dict(value, VoiceFile, str(path))
    if config.acoustic is None and config.vocoder is None and config.wavenet is None:
        raise InputError(f"{path}: describes neither an acoustic model nor a vocoder; restore the file")
    return config


def read_voice(folder: Path) -> VoiceFile:
    """Read `voice.json`, with the vocoder of the voice that it names, where it names one.

    Raises InputError as `read_voice_file`, and where the models disagree on their mel or their speakers.
    """
    config = read_voice_file(folder)
    if config.vocoder_of:
        base = read_voice_file(vocoder_folder(folder, config))
        if not isinstance(base.vocoder, WaveGlowConfig):
            raise InputError(f"{folder}: the voice '{config.vocoder_of}' has no WaveGlow to speak with")
        config = replace(config, vocoder=base.vocoder)
    check_same_mel(config)
    check_same_speakers(config)
    return config


def read_weights(folder: Path, name: str, config: VoiceFile) -> bytes:
    """The contents of a file of weights. Raises InputError if it is not the one that `voice.json` was written with."""
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}; restore the file") from error
    _check_hash(path, data, config)
    return data


def map_weights(folder: Path, name: str, config: VoiceFile) -> bytes | mmap.mmap:
    """As `read_weights`, but the file is mapped: of its contents that only is in memory which is looked at."""
    path = folder / name
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}; restore the file") from error
    _check_hash(path, data, config)
    return data


def _check_hash(path: Path, data: bytes | mmap.mmap, config: VoiceFile) -> None:
    if sha256(data) != config.sha256.get(path.name):
        raise InputError(f"{path}: is not the file that voice.json was written with (sha256 differs); fetch it again")


def sha256(data: bytes | mmap.mmap) -> str:
    """As `voice.json` writes it."""
    return hashlib.sha256(data).hexdigest()


def vocoder_folder(folder: Path, config: VoiceFile) -> Path:
    """The folder that holds the weights of a voice's vocoder. Raises InputError if `vocoder_of` leads elsewhere."""
    if not config.vocoder_of:
        return folder
    if Path(config.vocoder_of).name != config.vocoder_of or config.vocoder_of == folder.resolve().name:
        raise InputError(f"{folder}: vocoder_of '{config.vocoder_of}' is no name of a folder beside it")
    return folder.resolve().parent / config.vocoder_of


def check_same_mel(config: VoiceFile) -> None:
    """Raise InputError, naming fields and values, if what one model makes is not what the other reads."""
    models = {"acoustic": config.acoustic, "vocoder": config.vocoder, "wavenet": config.wavenet}
    (first, *others) = [(name, to_dict(model.mel)) for name, model in models.items() if model is not None]
    for name, theirs in others:
        ours = first[1]
        differ = [f"mel.{key} ({ours[key]}, {theirs[key]})" for key in ours if ours[key] != theirs[key]]
        if differ:
            raise InputError(
                f"voice '{config.name}': {first[0]} and {name} disagree on {', '.join(differ)}; "
                "retrain one or choose another vocoder"
            )


def check_same_speakers(config: VoiceFile) -> None:
    """Raise InputError, naming them, if some whom the acoustic model speaks as are unknown to the vocoder."""
    acoustic = config.acoustic
    if acoustic is None:
        return
    for vocoder in (config.vocoder, config.wavenet):
        if not isinstance(vocoder, WaveGlowConfig | WaveNetConfig) or vocoder.n_speakers == 1:
            continue
        if unknown := [name for name in acoustic.speakers if name not in vocoder.speakers]:
            raise InputError(
                f"voice '{config.name}': the vocoder knows the speakers {', '.join(vocoder.speakers)}, and not "
                f"{', '.join(unknown)} of the acoustic model; train it with them, too, or choose another vocoder"
            )


def check_is_voice_or_empty(folder: Path) -> None:
    """Raise InputError if `folder` holds other things than a voice, so that nobody's files are touched by mistake."""
    try:
        foreign = folder.exists() and not (folder / "voice.json").exists() and any(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be a voice folder: {reason(error)}; choose another") from error
    if foreign:
        raise InputError(f"{folder}: is not empty and holds no voice; choose another folder")


def write_voice(config: VoiceFile, files: Mapping[str, bytes], folder: Path) -> VoiceFile:
    """Write a voice folder, whole or not at all, with these files of weights; a voice that is there is replaced.

    Returns the file as written, with its sha256. Raises InputError where the models' mel definitions or speakers
    disagree, nothing can be written, or the folder holds other things than a voice.
    """
    check_same_mel(config)
    check_same_speakers(config)
    hashes = {name: sha256(data) for name, data in files.items()}
    config = replace(config, format_version=FORMAT_VERSION, vocoder_of="", sha256=hashes)
    with _draft(folder) as draft:
        for name, data in files.items():
            (draft / name).write_bytes(data)
        text = json.dumps(to_dict(config), indent=2, ensure_ascii=False)
        (draft / "voice.json").write_text(text + "\n", encoding="utf-8")
    return config


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends well; it is gone otherwise.

    A new folder appears whole. In an old one `voice.json` is replaced last, so that no moment leaves wrong weights
    unnoticed; other files in it stay.
    """
    check_is_voice_or_empty(folder)
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    draft = (folder if folder.is_dir() else folder.absolute().parent) / f".partial-{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        yield draft
        if not folder.is_dir():
            draft.replace(folder)
            return
        for name in (ACOUSTIC, VOCODER, WAVENET, "voice.json"):
            if (draft / name).exists():
                (draft / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {reason(error)}; choose another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # a parent that has something in it by now stays
            for parent in made:
                parent.rmdir()
