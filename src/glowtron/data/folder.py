"""Recordings of one's own made into a corpus: cut, levelled, checked and reported on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence, Set
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from glowtron.data.archive import METADATA
from glowtron.data.corpus_report import KIND, CorpusReport, KeptClip, LeftOut
from glowtron.data.manifest import Clip, over_clips
from glowtron.data.quality import Fault, Rules, examine
from glowtron.data.recordings import Recording
from glowtron.errors import InputError
from glowtron.files import hold, partial_of, unwritable, write_bytes

LIST = "clips.txt"
"""Of several speakers: all clips, as path|text|speaker."""
_REPORT, _TEXT, _PICTURE = "report.json", "report.md", "report.png"


def prepare_folder(
    source: Path,
    recordings: Sequence[Recording],
    out: Path,
    rules: Rules,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CorpusReport:
    """Make a corpus in LJSpeech's layout in `out` of what was found in the folder `source`.

    One speaker's `metadata.csv` and `wavs/` lie in `out`; several have a folder each, and `clips.txt` lists all as
    `path|text|speaker`. `report.json`, `report.md` and, with matplotlib, `report.png` say what became of the
    recordings. The work is done anew each time; it ends with the same bytes, whatever was there and however often it
    was broken off. Raises InputError if `out` and `source` lie in each other, if `out` holds anything but an earlier
    run's files, if a speaker cannot name a folder, or if no recording makes a clip, which leaves an earlier corpus.
    """
    _require_apart(source, out)
    listened: dict[Clip, Recording] = {}
    left_out: list[LeftOut] = []
    for recording in recordings:
        fault = _fault(recording)
        if fault is not None:
            left_out.append(LeftOut(_place(recording, source), recording.speaker, *fault))
        elif recording.audio is not None:
            listened[Clip(recording.id, recording.audio, recording.text, recording.speaker)] = recording
    speakers = {clip.speaker for clip in listened}
    several = len(speakers) > 1
    if several:
        _require_folder_names(speakers)

    def make(clip: Clip) -> KeptClip | LeftOut:
        return _make(clip, listened[clip].raw, _place(listened[clip], source), rules, out, _file(clip, several))

    with hold(out, "another process is at work there; wait for it, or choose another folder"):
        planned = _planned(list(listened), several)
        before, ours = _claim(out, planned)
        try:
            made = over_clips(list(listened), make, lambda done: progress(done, len(listened)))
        except OSError as error:
            raise unwritable(out, error) from error
        left_out += [one for one in made if isinstance(one, LeftOut)]
        report = CorpusReport(rules, tuple(one for one in made if isinstance(one, KeptClip)), tuple(left_out))
        if not report.kept:
            _restore(out, before)
            raise InputError(
                f"none of {len(left_out)} recordings makes a clip: {report.summary()}; the first: {left_out[0].name}: "
                f"{left_out[0].detail}"
            )
        _write(out, report, several, planned, ours)
    return report


def _make(clip: Clip, raw: str, source: str, rules: Rules, out: Path, file: str) -> KeptClip | LeftOut:
    """Examine one recording and, if it is good, write its clip. Raises OSError if it cannot be written."""
    result = examine(clip, rules)
    if isinstance(result, Fault):
        return LeftOut(source, clip.speaker, *result)
    try:
        write_bytes(out / file, result.audio.encode(".wav"))
    except InputError as error:
        # No fault of the clip: the first of these ends it all, instead of being collected with those.
        raise error.__cause__ or error from None
    return KeptClip(
        id=clip.id,
        speaker=clip.speaker,
        file=file,
        source=source,
        raw=raw,
        text=clip.text,
        seconds=result.audio.duration_s,
        recorded_s=result.recorded_s,
        recorded_rate=result.recorded_rate,
        loudness=result.loudness,
        gain_db=result.gain_db,
        limited=result.limited,
    )


def _require_apart(source: Path, out: Path) -> None:
    inner, outer = out.resolve(), source.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise InputError(f"{out}: recordings and corpus must lie apart; choose a folder outside {source}")


def _require_folder_names(speakers: Set[str]) -> None:
    for name in sorted(speakers):
        if PurePosixPath(name).name != name or name.startswith(".") or not name.isprintable() or set("|=") & set(name):
            raise InputError(f"speaker {name!r} cannot name a folder; give letters, digits, '-' and '_'")


def _fault(recording: Recording) -> Fault | None:
    """A fault of a recording that can be found without reading it."""
    if recording.audio is None:
        return Fault("no recording", "there is a text of this name only")
    if not any(letter.isalnum() for letter in recording.text):
        return Fault("untranscribed", "there is no text of it")
    if "|" in recording.raw + recording.text:
        return Fault("unusable text", "it holds '|', which parts the columns of metadata.csv")
    return None


def _place(recording: Recording, source: Path) -> str:
    """Path of a recording in its folder, in characters that any terminal and file can hold."""
    audio = recording.audio
    if audio is None:
        return recording.id
    place = audio.relative_to(source) if audio.is_relative_to(source) else audio
    return place.as_posix().encode("utf-8", "backslashreplace").decode()


def _home(speaker: str, several: bool) -> str:
    """The beginning of the paths of what is a speaker's."""
    return f"{speaker}/" if several else ""


def _file(clip: Clip, several: bool) -> str:
    """Path of a clip in the corpus."""
    return f"{_home(clip.speaker, several)}wavs/{clip.id}.wav"


def _planned(clips: Sequence[Clip], several: bool) -> set[str]:
    """All files that may be written, as paths in the corpus."""
    lists = {f"{_home(clip.speaker, several)}{METADATA}" for clip in clips}
    return lists | {_file(clip, several) for clip in clips} | {LIST, _TEXT, _PICTURE, _REPORT}


def _claim(out: Path, planned: Set[str]) -> tuple[bytes | None, Set[str]]:
    """Note in the report what is about to be written; what it said before, and all files that it ever noted.

    So every file is known for one of ours, even if the run that wrote it was killed. Raises InputError for a folder
    that holds things and no report of ours.
    """
    path = out / _REPORT
    before = None
    earlier: set[str] = set()
    if any(not place.name.startswith(".") for place in out.iterdir()):
        try:
            before = path.read_bytes()
            report = json.loads(before)
        except (OSError, ValueError):
            report = None
        if not isinstance(report, dict) or report.get("kind") != KIND:
            raise InputError(f"{out}: holds other files, which might be lost; choose an empty or a new folder")
        earlier = {name for name in report.get("owned", []) if _is_inside(PurePosixPath(name))}
    if not planned <= earlier:
        note = {"kind": KIND, "owned": sorted(planned | earlier)}
        write_bytes(path, json.dumps(note).encode())
    return before, planned | earlier


def _is_inside(path: PurePosixPath) -> bool:
    """True if a path stays inside the corpus, so that a changed report cannot make us delete other files."""
    return not path.is_absolute() and ".." not in path.parts


def _restore(out: Path, before: bytes | None) -> None:
    """Take the claim back."""
    if before is None:
        (out / _REPORT).unlink()
    else:
        write_bytes(out / _REPORT, before)


def _write(out: Path, report: CorpusReport, several: bool, planned: Set[str], ours: Set[str]) -> None:
    """Everything but the clips, which are there; what is `ours` of earlier runs and not of this one goes."""
    files: dict[str, bytes] = {}
    for speaker in report.speakers:
        rows = [f"{clip.id}|{clip.raw}|{clip.text}\n" for clip in report.kept if clip.speaker == speaker]
        files[f"{_home(speaker, several)}{METADATA}"] = "".join(rows).encode()
    if several:
        files[LIST] = "".join(f"{clip.file}|{clip.text}|{clip.speaker}\n" for clip in report.kept).encode()
    if find_spec("matplotlib") is not None:
        from glowtron.data.pictures import draw  # Which needs matplotlib.

        files[_PICTURE] = draw(report)
    files[_TEXT] = report.markdown([_PICTURE] if _PICTURE in files else []).encode()
    try:
        _clear(out, ours - files.keys() - {clip.file for clip in report.kept} - {_REPORT})
    except OSError as error:
        raise unwritable(out, error) from error
    for name, data in files.items():
        write_bytes(out / name, data)
    write_bytes(out / _REPORT, report.json(sorted(planned)).encode())


def _clear(out: Path, unwanted: Set[str]) -> None:
    """Take files away, what a killed run left of them, and folders that are empty then."""
    for name in sorted(unwanted):
        path = out / name
        path.unlink(missing_ok=True)
        partial_of(path).unlink(missing_ok=True)
        for folder in path.parents:
            if folder == out or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
