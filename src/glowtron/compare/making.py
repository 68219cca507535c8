"""Makes a comparison: the page, its JSON, and the clips as files."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from glowtron import __version__
from glowtron.audio import Audio
from glowtron.compare.columns import (
    Column,
    folder_columns,
    n_steps,
    spoken_column,
    unseen_clips,
    vocoder_columns,
)
from glowtron.compare.measuring import MEASURES, best, means, measure_column, speed
from glowtron.errors import InputError
from glowtron.evaluate.asr_mos import Instruments
from glowtron.evaluate.optional import require
from glowtron.evaluate.recogniser import POCKETSPHINX
from glowtron.files import unwritable, write_json, write_text
from glowtron.listen.make import one_loudness
from glowtron.machine import processor_name
from glowtron.pages import compose, embedded, part
from glowtron.voice import Voice

FORMAT = 1
_LOUDNESS_LUFS = -23.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a comparison."""

    title: str = "Side by side"
    n_clips: int = 10
    n_turns: int = 3
    """Times that each vocoder is timed."""
    spoken: bool = False
    """True if the voice speaks the texts, too."""
    measures: bool = True
    recogniser: str = POCKETSPHINX
    """As of `glowtron evaluate`."""
    seed: int = 0
    root: Path | None = None
    """Folder that paths in lists are relative to."""

    def __post_init__(self) -> None:
        for name in ("n_clips", "n_turns"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 or more, got {getattr(self, name)}")


Bar = Callable[[int, str], Callable[[int], object]]
"""Shows progress of a number of steps of a kind; what it gives is called with steps as they are done."""


def compare(
    voice: Voice,
    data: Sequence[tuple[str, Path]],
    folders: Mapping[str, Path],
    out: Path,
    settings: Settings,
    bar: Bar = lambda total, unit: lambda steps: None,
) -> dict[str, Any]:
    """Write `index.html`, `compare.json` and the clips by column to the folder `out`.

    The columns are the vocoders of `voice`, folders of equally named clips, and the recordings of `data`, on clips that
    the voice's training kept out. Returns what `compare.json` holds. Raises InputError for a missing extra, data
    without such clips, folders that lack some, and where `out` cannot be written.
    """
    require("matplotlib")
    clips = unseen_clips(voice, data, settings.root, settings.n_clips)
    ids = [clip.id for clip in clips]
    given = folder_columns(folders, ids)
    instruments = Instruments(settings.recogniser, p835=True, processes=1) if settings.measures else None
    columns, real = vocoder_columns(
        voice, clips, settings.seed, settings.n_turns, bar(n_steps(len(clips), settings.n_turns), "clip")
    )
    if settings.spoken:
        columns.append(spoken_column(voice, clips, settings.seed))
    columns += [*given, real]
    texts = [clip.text for clip in clips]
    told = []
    advance = bar(len(columns) * len(clips), "measured")
    for column in columns:
        rows: list[dict[str, float | None]] = [{} for _ in clips]
        scores: list[Any] = []
        if instruments is not None:
            rows, scores = measure_column(column, texts, real.audios, instruments, advance)
        told.append(
            {
                "name": column.name,
                "title": column.title,
                "about": column.about,
                "real_time_factor": speed(column, settings.seed),
                "measures": means(rows, scores, settings.seed),
                "clips": [{"id": id, "measures": row} for id, row in zip(ids, rows, strict=True)],
            }
        )
    compared = {
        "format": FORMAT,
        "title": settings.title,
        "voice": voice.config.name,
        "glowtron": __version__,
        "made_at": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "processor": processor_name(),
        "seed": settings.seed,
        "items": [{"id": clip.id, "text": clip.text, "speaker": clip.speaker} for clip in clips],
        "columns": told,
    }
    _write(compared, columns, voice, out)
    return compared


def _write(compared: Mapping[str, Any], columns: Sequence[Column], voice: Voice, out: Path) -> None:
    levelled, _ = one_loudness({column.name: column.audios for column in columns}, _LOUDNESS_LUFS)
    ids = [item["id"] for item in compared["items"]]
    # As loud as each other, and the spectrograms of all on one scale.
    flacs = {name: [audio.encode("flac") for audio in audios] for name, audios in levelled.items()}
    try:
        for name, files in flacs.items():
            (out / "clips" / name).mkdir(parents=True, exist_ok=True)
            for id, data in zip(ids, files, strict=True):
                (out / "clips" / name / f"{id}.flac").write_bytes(data)
    except OSError as error:
        raise unwritable(out, error) from error
    write_json(out / "compare.json", dict(compared))
    shown = {
        **compared,
        "best": {name: sorted(best(compared["columns"], name)) for name in MEASURES},
        "measures": {name: {"title": title, "more": more} for name, (title, _, more) in MEASURES.items()},
        "sound": {name: [_base64(data) for data in files] for name, files in flacs.items()},
        "spectrograms": {
            name: [_base64(spectrogram(audio, voice)) for audio in audios] for name, audios in levelled.items()
        },
        "seconds": {name: [round(audio.duration_s, 3) for audio in audios] for name, audios in levelled.items()},
    }
    write_text(out / "index.html", page(shown))


def page(shown: Mapping[str, Any]) -> str:
    """The page, which carries everything with it."""
    title = html.escape(str(shown["title"]))
    return compose(
        part("compare.html"),
        {
            "<!--title-->": title,
            "<!--heading-->": title,
            "/*base*/": part("base.css"),
            "/*style*/": part("compare.css"),
            "<!--data-->": embedded(shown),
            "/*player*/": part("element.js") + part("player.js"),
            "/*script*/": part("compare.js"),
        },
    )


def spectrogram(audio: Audio, voice: Voice) -> bytes:
    """A PNG of the log-mel, low bands below, from silence to loud in dark to light."""
    mel = voice.runtime.log_mel(audio.resample(voice.mel.sample_rate).samples)
    mel = np.asarray(mel).reshape(-1, np.asarray(mel).shape[-1])
    out = io.BytesIO()
    require("matplotlib.image").imsave(
        out, mel[::-1], vmin=-10.5, vmax=1.0, cmap="magma", format="png", metadata={"Software": None}
    )
    return out.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
