"""Voices on the Hugging Face hub: `hf://OWNER/NAME[@REVISION]` wherever a voice is named (extra `hub`).

A repository there is a voice folder with a card. Nothing is asked of the hub unless a name begins with `hf://`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glowtron.errors import InputError, reason

if TYPE_CHECKING:
    from glowtron.config import VoiceFile

PREFIX = "hf://"
VOICE_FILES = ("voice.json", "*.safetensors", "*.onnx", "README.md", "LICENSE*")
"""Files of a repository that are fetched: never anything that could be run."""

CARD = "README.md"
COUNTED = "config.json"
"""A file that holds nothing: the hub counts downloads by requests for it."""

_REFERENCE = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


class Reference(NamedTuple):
    """A voice on the hub."""

    repository: str
    """`OWNER/NAME`."""
    revision: str | None
    """A branch, a tag, or a commit in full, which asks the hub nothing once it is there; None: the main branch."""


def parse_reference(source: str) -> Reference:
    """`hf://OWNER/NAME[@REVISION]` in parts. Raises InputError if it is none."""
    match = _REFERENCE.fullmatch(source)
    if match is None:
        raise InputError(f"'{source}' is no voice on the hub; write hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    return Reference(match[1], match[2])


def fetch_voice(source: str) -> Path:
    """The folder of a voice on the hub, fetched if it is not in the hub's cache yet.

    Without network what is in the cache is taken (at once with HF_HUB_OFFLINE=1). Raises InputError: there is no such
    repository, revision or voice, or the hub cannot be reached.
    """
    reference = parse_reference(source)
    library = _library()
    with _told(source):
        folder = library.snapshot_download(
            reference.repository,
            revision=reference.revision,
            allow_patterns=[*VOICE_FILES, COUNTED],
            library_name="glowtron",
            library_version=version("glowtron"),
        )
    if not (Path(folder) / "voice.json").exists():
        raise InputError(f"{source}: holds no voice.json, so it is no voice of Glowtron")
    return Path(folder)


def fetch_file(source: str, name: str) -> Path:
    """A single file of a repository on the hub. Raises InputError as `fetch_voice`, and if there is no such file."""
    reference = parse_reference(source)
    library = _library()
    with _told(source):
        path = library.hf_hub_download(
            reference.repository,
            name,
            revision=reference.revision,
            library_name="glowtron",
            library_version=version("glowtron"),
        )
    return Path(path)


def push_folder(
    folder: Path, source: str, voice: VoiceFile, *, private: bool = False, message: str = "Upload a voice"
) -> str:
    """Upload a voice folder with a card, which is written unless the folder has one; returns the address.

    Args:
        folder: What `Voice.save` wrote.
        source: `hf://OWNER/NAME[@BRANCH]`, or `OWNER/NAME`. The repository is made if there is none.
        voice: What `voice.json` says.
        private: Whether a repository that is made is private.
        message: Of the commit.

    Raises:
        InputError: There is no permission, no token, or no hub to be reached.
    """
    reference = parse_reference(source if source.startswith(PREFIX) else PREFIX + source)
    library = _library()
    api = library.HfApi(library_name="glowtron", library_version=version("glowtron"))
    cards = {} if (folder / CARD).exists() else {CARD: model_card(voice, reference.repository)}
    texts = {**cards, COUNTED: json.dumps({"library_name": "glowtron", "format_version": voice.format_version}) + "\n"}
    operations = [
        library.CommitOperationAdd(path.name, path)
        for path in sorted(folder.iterdir())
        if path.is_file() and any(path.match(pattern) for pattern in VOICE_FILES)
    ]
    operations += [library.CommitOperationAdd(name, text.encode()) for name, text in texts.items()]
    with _told(PREFIX + reference.repository):
        url = api.create_repo(reference.repository, private=private, exist_ok=True)
        api.create_commit(
            reference.repository, operations, commit_message=message, revision=reference.revision or "main"
        )
    return str(url)


def model_card(voice: VoiceFile, repository: str) -> str:
    """A card in the hub's form: what programs read in front, what people read below."""
    metrics = dict(_numbers(voice.metrics))
    front: dict[str, Any] = {
        "license": voice.licence.lower() or "unknown",
        "language": ["en"],
        "pipeline_tag": "text-to-speech",
        "library_name": "glowtron",
        "tags": ["text-to-speech", *sorted({model.lower() for model in _models(voice)})],
    }
    if metrics:
        front["model-index"] = [
            {
                "name": voice.name,
                "results": [
                    {
                        "task": {"type": "text-to-speech"},
                        "dataset": {"name": "held-out clips", "type": "private"},
                        "metrics": [{"type": name, "name": name, "value": value} for name, value in metrics.items()],
                    }
                ],
            }
        ]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    speakers = voice.acoustic.speakers if voice.acoustic else ()
    body = [
        f"# {voice.name}",
        voice.description,
        "```sh\npip install 'glowtron[torch,hub]'\n"
        f'glowtron say "Hello, world." --voice {PREFIX}{repository} -o hello.wav\n```',
        "```python\nimport glowtron\n\n"
        f'glowtron.Voice.load("{PREFIX}{repository}").say("Hello, world.").write("hello.wav")\n```',
        f"Speakers: {', '.join(speakers)}." if speakers else "",
        f"Trained on: {voice.training_data}." if voice.training_data else "",
        "| measure | value |\n|---|---|\n" + "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.items())
        if metrics
        else "",
    ]
    return "---\n" + "\n".join(lines) + "\n---\n" + "\n\n".join(filter(None, body)) + "\n"


def _models(voice: VoiceFile) -> Iterator[str]:
    if voice.acoustic is not None:
        yield voice.acoustic.model.type
    if voice.vocoder is not None:
        yield voice.vocoder.type


def _numbers(metrics: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in nested metrics, by their joined names."""
    for name, value in metrics.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)


def _library() -> Any:
    """The hub's library. Raises InputError that names the extra where it is missing."""
    try:
        import huggingface_hub
    except ImportError as error:
        raise InputError("voices on the hub take pip install 'glowtron[hub]'") from error
    return huggingface_hub


@contextmanager
def _told(source: str) -> Iterator[None]:
    """The library's errors in one line that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise InputError(f"{source}: access has to be asked for on the hub; then log in: hf auth login") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{source}: there is no such revision; name a branch, a tag or a commit") from error
    except errors.RepositoryNotFoundError as error:
        message = f"{source}: there is no such repository, or it is private; log in with: hf auth login"
        raise InputError(message) from error
    except errors.HFValidationError as error:
        raise InputError(f"{source}: {reason(error)}") from error
    except errors.RemoteEntryNotFoundError as error:
        raise InputError(f"{source}: there is no such file in it") from error
    except errors.LocalEntryNotFoundError as error:
        message = f"{source}: is not in the cache, and the hub is not reached; go on line, or unset HF_HUB_OFFLINE"
        raise InputError(message) from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        hint = "; log in with: hf auth login" if status in (401, 403) else ""
        raise InputError(f"{source}: the hub refused (status {status}){hint}") from error
    except OSError as error:
        raise InputError(f"{source}: cannot be fetched: {reason(error)}") from error
