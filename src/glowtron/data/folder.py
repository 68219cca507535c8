"""Recordings of one's own made into a corpus: cut, levelled, checked and reported on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from glowtron.data.corpus_report import KIND, CorpusReport, KeptClip, LeftOut
from glowtron.data.manifest import Clip, over_clips
from glowtron.data.quality import Fault, Rules, examine
from glowtron.data.recordings import Recording
from glowtron.data.storage import held, unwritable, write_whole
from glowtron.errors import InputError

PICTURE = "report.png"


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
    was broken off. Raises InputError if `out` holds anything that is not of an earlier run, or if no recording makes a
    clip.
    """
    _require_apart(source, out)
    with held(out):
        _claim(out)
        several = len({recording.speaker for recording in recordings}) > 1
        clips, raws, left_out = _clips(recordings, several)

        def make(clip: Clip) -> KeptClip | LeftOut:
            result = examine(clip, rules)
            if isinstance(result, Fault):
                return LeftOut(clip.audio.name, clip.speaker, *result)
            write_whole(_home(out, clip.speaker, several) / "wavs" / f"{clip.id}.wav", result.audio.encode(".wav"))
            place = clip.audio.relative_to(source) if clip.audio.is_relative_to(source) else clip.audio
            return KeptClip(
                clip.id,
                clip.speaker,
                str(place),
                raws[clip],
                clip.text,
                result.audio.duration_s,
                result.recorded_s,
                result.loudness,
                result.gain_db,
                result.limited,
            )

        made = over_clips(clips, make, lambda done: progress(done, len(clips)))
        report = CorpusReport(
            rules,
            tuple(one for one in made if isinstance(one, KeptClip)),
            (*left_out, *(one for one in made if isinstance(one, LeftOut))),
        )
        _write(out, report, several)
    return report


def _require_apart(source: Path, out: Path) -> None:
    inner, outer = out.resolve(), source.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise InputError(f"{out}: recordings and corpus must lie apart; choose a folder outside {source}")


def _claim(out: Path) -> None:
    """Mark an empty folder as this program's own. Raises InputError for one that is not and holds anything."""
    path = out / "report.json"
    if not any(not place.name.startswith(".") for place in out.iterdir()):
        write_whole(path, json.dumps({"kind": KIND}).encode())
        return
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = None
    if not isinstance(report, dict) or report.get("kind") != KIND:
        raise InputError(f"{out}: holds other files, which might be lost; choose an empty or a new folder")


def _clips(recordings: Sequence[Recording], several: bool) -> tuple[list[Clip], dict[Clip, str], list[LeftOut]]:
    """What there is sound and text of, with the raw texts, and what there is not."""
    ids = {(recording.speaker, recording.id) for recording in recordings}
    alike = len({name for _, name in ids}) < len(ids)  # Files of two speakers share a name.
    raws: dict[Clip, str] = {}
    left_out: list[LeftOut] = []
    taken: set[str] = set()
    for recording in recordings:
        name = f"{recording.speaker}-{recording.id}" if alike else recording.id
        fault = _fault(recording, name in taken, several)
        if fault is None and recording.audio is not None:
            taken.add(name)
            raws[Clip(name, recording.audio, recording.text, recording.speaker)] = recording.raw
        elif fault is not None:
            shown = recording.audio.name if recording.audio else recording.id
            left_out.append(LeftOut(shown, recording.speaker, *fault))
    return list(raws), raws, left_out


def _fault(recording: Recording, taken: bool, several: bool) -> Fault | None:
    """What can be said against a recording without listening to it."""
    if recording.audio is None:
        return Fault("no recording", "there is a text of this name only")
    if not any(letter.isalnum() for letter in recording.text):
        return Fault("untranscribed", "there is no text of it")
    if "|" in recording.raw + recording.text:
        return Fault("unusable text", "it holds '|', which parts the columns of metadata.csv")
    if taken:
        return Fault("name taken", "another recording has this name; rename one")
    speaker = recording.speaker
    if several and (Path(speaker).name != speaker or speaker.startswith(".") or "=" in speaker or "|" in speaker):
        return Fault("unusable speaker", f"'{speaker}' cannot name a folder; rename them")
    return None


def _home(out: Path, speaker: str, several: bool) -> Path:
    """Where a speaker's clips lie."""
    return out / speaker if several else out


def _write(out: Path, report: CorpusReport, several: bool) -> None:
    """Everything but the clips, which are there; what earlier runs have left and this one does not want goes."""
    files: dict[Path, str] = {}
    for speaker in report.speakers:
        rows = [f"{clip.id}|{clip.raw}|{clip.text}\n" for clip in report.kept if clip.speaker == speaker]
        files[_home(out, speaker, several) / "metadata.csv"] = "".join(rows)
    if several:
        rows = [f"{clip.speaker}/wavs/{clip.id}.wav|{clip.text}|{clip.speaker}\n" for clip in report.kept]
        files[out / "clips.txt"] = "".join(rows)
    wavs = {_home(out, clip.speaker, several) / "wavs" / f"{clip.id}.wav" for clip in report.kept}
    try:
        _clear(out, wavs | files.keys())
    except OSError as error:
        raise unwritable(out, error) from error
    if not report.kept:
        first = report.left_out[0]
        (out / "report.json").unlink()
        raise InputError(
            f"none of {len(report.left_out)} recordings makes a clip: {report.summary()}; the first: {first.name}: "
            f"{first.detail}"
        )
    for path, text in files.items():
        write_whole(path, text.encode())
    pictures = _picture(out, report)
    write_whole(out / "report.md", report.markdown(pictures).encode())
    write_whole(out / "report.json", report.json().encode())


def _picture(out: Path, report: CorpusReport) -> list[str]:
    """Draw the picture where that is possible; names of what there is."""
    if find_spec("matplotlib") is None:
        return []
    from glowtron.data.pictures import draw  # Which needs matplotlib.

    write_whole(out / PICTURE, draw(report))
    return [PICTURE]


def _clear(out: Path, wanted: set[Path]) -> None:
    """Take away clips and lists of earlier runs, and only these."""
    for home in (out, *(place for place in out.iterdir() if place.is_dir() and place.name != "wavs")):
        places = [*home.glob("wavs/*.wav"), *home.glob("wavs/.*.partial"), home / "metadata.csv", home / "clips.txt"]
        for path in places:
            if path not in wanted:
                path.unlink(missing_ok=True)
        for folder in (home / "wavs", home):
            if folder != out and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
