"""A bulk job: the input's rows in stretches, each of which a process makes a shard of, whole or not at all.

A row is spoken by itself, with noise of its own seed, so a shard is the same bytes whichever process makes it, and
when. What is there is not made again: a job that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from glowtron.bulk.rows import BadRow, Row, Stretch, find_stretches, read_stretch
from glowtron.bulk.shards import SHARDS, Spoken, make_shard
from glowtron.config.synthesis import DEFAULTS, SynthesisOptions
from glowtron.errors import InputError, nearest
from glowtron.files import hold, read_json, sha256, write_atomic, write_json, write_text
from glowtron.synthesis.executors import ProcessPool, SerialExecutor, usable_cores
from glowtron.synthesis.types import FaultWarning, joined
from glowtron.text.english import NothingToSayError
from glowtron.voice import Voice
from glowtron.voices import find_voice

SOUNDS = ("flac", "opus", "wav")
PLAN = "bulk.json"
"""What a folder of shards was made with; other settings go into another folder."""


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """Settings that decide the bytes of all shards."""

    voice: str
    options: SynthesisOptions = DEFAULTS
    shards: str = "tar"
    """One of `SHARDS`."""
    sound: str = "flac"
    """One of `SOUNDS`."""
    rows_each: int = 1000
    """Rows of a shard."""

    def __post_init__(self) -> None:
        for name, value, known in (("shards", self.shards, SHARDS), ("sound", self.sound, SOUNDS)):
            if value not in known:
                raise InputError(f"unknown {name} '{value}'{nearest(value, known)}")
        if self.rows_each < 1:
            raise InputError(f"rows_each must be 1 or more, got {self.rows_each}")


class ShardReport(NamedTuple):
    """Result of a stretch."""

    name: str
    n_spoken: int
    n_rejected: int
    duration_s: float


def run_bulk(
    texts: Path, output: Path, settings: BulkSettings, workers: int = 0, tell: Callable[[ShardReport], Any] = print
) -> tuple[int, int]:
    """Make all shards of a job that are not there yet; returns how many rows were spoken and rejected in all.

    Args:
        texts: The input, `.txt`, `.jsonl` or `.parquet`.
        output: A folder: `shard-000000.tar` and so on, `manifest.jsonl` with a line for each row that was spoken, and
            `rejects.jsonl` with a line and the reason for each that was not.
        settings: What is made.
        workers: Processes; 0: as many as there are cores.
        tell: Called with each shard that was made.

    Raises:
        InputError: The input cannot be read, the folder holds a job of other settings, or one is at it now.
    """
    if settings.shards == "parquet":
        _check_parquet()
    stretches = find_stretches(texts, settings.rows_each)
    if not stretches:
        raise InputError(f"{texts}: has no rows")
    plan = _plan(texts, settings)
    output.mkdir(parents=True, exist_ok=True)
    with hold(output, f"{output}: another job is at work there; wait for it, or choose another folder"):
        _check_plan(output, plan)
        left = [stretch for stretch in stretches if not _facts_path(output, settings, stretch).exists()]
        n_workers = min(len(left), workers or usable_cores())
        make = partial(_worker, texts, output, settings, n_workers)
        executor: Any = ProcessPool(make, n_workers) if n_workers > 1 else SerialExecutor(make()) if left else None
        if executor is not None:
            with executor:
                for report in _results(executor, left):
                    tell(report)
        return _join(output, settings, stretches)


def _results(executor: Any, stretches: list[Stretch]) -> Iterator[ShardReport]:
    waiting, n_out = list(reversed(stretches)), 0
    while waiting or n_out:
        while waiting and executor.has_room:
            executor.submit(waiting[-1].first, waiting.pop())
            n_out += 1
        yield executor.next_result()[1]
        n_out -= 1


def _worker(texts: Path, output: Path, settings: BulkSettings, n_workers: int) -> Callable[[Stretch], ShardReport]:
    """The work of a process on stretches."""
    warnings.simplefilter("ignore", FaultWarning)  # A row's faults are told beside it.
    voice = Voice.load(settings.voice, device="cpu")
    voice.runtime.suit_threads()
    if n_workers > 1:
        voice = Voice.on(voice.runtime.in_worker(1))
    return partial(_make_shard, voice, texts, output, settings)


def _make_shard(voice: Voice, texts: Path, output: Path, settings: BulkSettings, stretch: Stretch) -> ShardReport:
    name = _name(settings, stretch)
    lines, rejects, duration_s = [], [], 0.0
    seen: set[str] = set()
    with (
        write_atomic(output / name) as partial_path,
        closing(make_shard(settings.shards, partial_path, settings.sound, voice.mel.sample_rate)) as shard,
    ):
        for row in read_stretch(texts, stretch):
            if isinstance(row, Row) and row.id in seen:
                row = BadRow(row.place, f"id '{row.id}' stands twice in {name}")
            spoken = _speak(voice, row, settings) if isinstance(row, Row) else row
            if isinstance(spoken, BadRow):
                rejects.append({"row": spoken.place, "reason": spoken.reason})
                continue
            seen.add(spoken.id)
            shard.add(spoken)
            duration_s += spoken.facts["duration_s"]
            lines.append({**spoken.facts, "shard": name, "sha256": hashlib.sha256(spoken.data).hexdigest()})
    # The facts come last: a shard without them is made again.
    facts = {"spoken": lines, "rejects": rejects}
    write_text(_facts_path(output, settings, stretch), json.dumps(facts, ensure_ascii=False) + "\n")
    return ShardReport(name, len(lines), len(rejects), duration_s)


def _speak(voice: Voice, row: Row, settings: BulkSettings) -> Spoken | BadRow:
    try:
        options = replace(settings.options, **row.options)
        utterances = list(voice.utterances(row.text, options))
    except NothingToSayError as error:
        return BadRow(row.place, str(error))
    except (InputError, TypeError) as error:
        return BadRow(row.place, str(error))
    sound = utterances[0].with_pause
    sound = sound._replace(samples=joined([utterance.with_pause.samples for utterance in utterances]))
    encoded = [utterance.sentence.encoded for utterance in utterances]
    facts = {
        "id": row.id,
        "text": row.text,
        "normalized": " ".join(str(one.normalized) for one in encoded),
        "phones": " ".join(one.symbols for one in encoded),
        "speaker": options.speaker or (voice.speakers[0] if voice.speakers else ""),
        "seed": options.seed,
        "duration_s": round(sound.duration_s, 4),
        "faults": [utterance.warning for utterance in utterances if utterance.failures],
    }
    return Spoken(row.id, sound.encode(settings.sound), facts)


def _join(output: Path, settings: BulkSettings, stretches: list[Stretch]) -> tuple[int, int]:
    """Write the manifest and the rejects of all shards; returns how many rows each has."""
    counts = [0, 0]
    with (
        write_atomic(output / "manifest.jsonl") as manifest,
        write_atomic(output / "rejects.jsonl") as rejected,
        manifest.open("w", encoding="utf-8") as spoken,
        rejected.open("w", encoding="utf-8") as rejects,
    ):
        for stretch in stretches:
            facts = read_json(_facts_path(output, settings, stretch))
            for place, (key, file) in enumerate((("spoken", spoken), ("rejects", rejects))):
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in facts[key])
                counts[place] += len(facts[key])
    return counts[0], counts[1]


def _plan(texts: Path, settings: BulkSettings) -> dict[str, Any]:
    told = asdict(settings)
    told["voice"] = sha256(find_voice(settings.voice) / "voice.json")
    return {"texts": sha256(texts), **told}


def _check_plan(output: Path, plan: dict[str, Any]) -> None:
    path = output / PLAN
    if not path.exists():
        if any(output.glob("shard-*")):
            raise InputError(f"{output}: holds shards of no known job; choose another folder")
        write_json(path, plan)
        return
    found = read_json(path)
    if differ := [name for name in plan if not isinstance(found, dict) or found.get(name) != plan[name]]:
        message = f"{output}: was begun with other {', '.join(differ)}; choose another folder, or give the same again"
        raise InputError(message)


def _check_parquet() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise InputError("Parquet takes pip install 'glowtron[bulk]'; tar needs nothing") from error


def _name(settings: BulkSettings, stretch: Stretch) -> str:
    return f"shard-{stretch.first // settings.rows_each:06}.{settings.shards}"


def _facts_path(output: Path, settings: BulkSettings, stretch: Stretch) -> Path:
    return output / f"{_name(settings, stretch)}.json"
