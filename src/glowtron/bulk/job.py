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
from glowtron.machine import usable_cores
from glowtron.synthesis.executors import ProcessPool, SerialExecutor
from glowtron.synthesis.types import FaultWarning, joined
from glowtron.text.english import NothingToSayError
from glowtron.voice import Voice
from glowtron.voices import find_voice

SOUNDS = ("flac", "opus", "wav")
PLAN = "bulk.json"
"""Settings that a folder of shards was made with; other settings go into another folder."""


@dataclass(frozen=True, kw_only=True)
class BulkSettings:
    """Settings that decide the bytes of all shards."""

    voice: str
    options: SynthesisOptions = DEFAULTS
    shards: str = "tar"
    """One of `SHARDS`."""
    sound: str = "flac"
    """One of `SOUNDS`."""
    precision: str = "auto"
    """As of `Voice.load`; `auto` may be another one on another kind of machine."""
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


class Job(NamedTuple):
    """Paths of a job's texts and shards, and the settings of its output; it can be pickled."""

    texts: Path
    output: Path
    settings: BulkSettings

    def name(self, stretch: Stretch) -> str:
        """Name of the shard of a stretch."""
        return f"shard-{stretch.first // self.settings.rows_each:06}.{self.settings.shards}"

    def facts_path(self, stretch: Stretch) -> Path:
        """The file that tells of a shard, written after it: a shard without one is made again."""
        return self.output / f"{self.name(stretch)}.json"


def run_bulk(
    texts: Path,
    output: Path,
    settings: BulkSettings,
    workers: int = 0,
    tell: Callable[[ShardReport], Any] = print,
    cluster: str | None = None,
) -> tuple[int, int]:
    """Make all shards of a job that are not there yet; returns how many rows were spoken and rejected in all.

    Args:
        texts: The input, `.txt`, `.jsonl` or `.parquet`.
        output: A folder: `shard-000000.tar` and so on, `manifest.jsonl` with a line for each row that was spoken, and
            `rejects.jsonl` with a line and the reason for each that was not.
        settings: What is made.
        workers: Processes; 0: as many as there are cores.
        tell: Called with each shard that was made.
        cluster: Address of a Ray cluster whose machines do the work, as of `ray.init`; `texts` and `output` lie on a
            drive that all of them have at the same place. None: this machine does it.

    Raises:
        InputError: The input cannot be read, the folder holds a job of other settings, or one is at it now; the
            cluster cannot be reached, or its machines do not find the files.
    """
    if settings.shards == "parquet":
        _check_parquet()
    stretches = find_stretches(texts, settings.rows_each)
    if not stretches:
        raise InputError(f"{texts}: has no rows")
    job = Job(texts.resolve(), output.resolve(), settings)
    plan = _plan(job)
    output.mkdir(parents=True, exist_ok=True)
    with hold(output, f"{output}: another job is at work there; wait for it, or choose another folder"):
        _check_plan(output, plan)
        _tidy(output)
        left = [stretch for stretch in stretches if not job.facts_path(stretch).exists()]
        if cluster is None:
            reports = _by_processes(job, left, workers)
        else:
            from glowtron.bulk.on_ray import make_on_ray

            reports = make_on_ray(job, left, workers, cluster)
        for report in reports:
            tell(report)
        _tidy(output)
        return _join(job, stretches)


def _tidy(output: Path) -> None:
    """Remove what killed processes were writing."""
    for partial_path in output.glob(".shard-*.partial"):
        partial_path.unlink(missing_ok=True)


def _by_processes(job: Job, stretches: list[Stretch], workers: int) -> Iterator[ShardReport]:
    """Make shards by processes of this machine; yields a report of each, in the order in which they are done."""
    n_workers = min(len(stretches), workers or usable_cores())
    if not n_workers:
        return
    make = partial(shard_maker, job, n_workers)
    executor: Any = ProcessPool(make, n_workers) if n_workers > 1 else SerialExecutor(make())
    waiting, n_out = list(reversed(stretches)), 0
    with executor:
        while waiting or n_out:
            while waiting and executor.has_room:
                executor.submit(waiting[-1].first, waiting.pop())
                n_out += 1
            yield executor.next_result()[1]
            n_out -= 1


def shard_maker(job: Job, n_workers: int) -> Callable[[Stretch], ShardReport]:
    """A function that makes the shard of a stretch, its voice loaded; n_workers: processes like it on its machine."""
    warnings.simplefilter("ignore", FaultWarning)  # A row's faults are told beside it.
    voice = Voice.load(job.settings.voice, device="cpu", precision=job.settings.precision)
    voice.runtime.suit_threads()
    if n_workers > 1:
        voice = Voice.on(voice.runtime.in_worker(1))
    return partial(_make_shard, voice, job)


def _make_shard(voice: Voice, job: Job, stretch: Stretch) -> ShardReport:
    settings, name = job.settings, job.name(stretch)
    lines, rejects, duration_s = [], [], 0.0
    seen: set[str] = set()
    with (
        # On a cluster, a machine that was given up as lost may still be at the shard that another one makes.
        write_atomic(job.output / name, shared=True) as partial_path,
        closing(make_shard(settings.shards, partial_path, settings.sound, voice.mel.sample_rate)) as shard,
    ):
        for row in read_stretch(job.texts, stretch):
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
    write_text(job.facts_path(stretch), json.dumps(facts, ensure_ascii=False) + "\n", shared=True)
    return ShardReport(name, len(lines), len(rejects), duration_s)


def find_made(job: Job, stretch: Stretch) -> ShardReport | None:
    """The report of a shard that is there; None: it is to be made."""
    path = job.facts_path(stretch)
    if not path.exists():
        return None
    facts = read_json(path)
    duration_s = sum(line["duration_s"] for line in facts["spoken"])
    return ShardReport(job.name(stretch), len(facts["spoken"]), len(facts["rejects"]), duration_s)


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


def _join(job: Job, stretches: list[Stretch]) -> tuple[int, int]:
    """Write the manifest and the rejects of all shards; returns how many rows each has."""
    counts = [0, 0]
    with (
        write_atomic(job.output / "manifest.jsonl") as manifest,
        write_atomic(job.output / "rejects.jsonl") as rejected,
        manifest.open("w", encoding="utf-8") as spoken,
        rejected.open("w", encoding="utf-8") as rejects,
    ):
        for stretch in stretches:
            facts = read_json(job.facts_path(stretch))
            for place, (key, file) in enumerate((("spoken", spoken), ("rejects", rejects))):
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in facts[key])
                counts[place] += len(facts[key])
    return counts[0], counts[1]


def _plan(job: Job) -> dict[str, Any]:
    told = asdict(job.settings)
    told["voice"] = sha256(find_voice(job.settings.voice) / "voice.json")
    return {"texts": sha256(job.texts), **told}


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
