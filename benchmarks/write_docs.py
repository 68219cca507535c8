"""Take all figures of docs/benchmarks.md, or some of them; write that page and README's from benchmarks/results.

    python benchmarks/write_docs.py              measure all (half an hour to an hour on two cores) and write the page
    python benchmarks/write_docs.py --short      measure the most important ones (ten minutes), write the page
    python benchmarks/write_docs.py say vocoder  measure only those whose name begins so, and write the page
    python benchmarks/write_docs.py --no-run     write the page

What `benchmarks/serve.py ... --keep` measured is kept in the same place, and has a section of each machine's.
Figures of another class of machine than the one at hand stay as they were taken. The page is not written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
README = HERE.parent / "README.md"
MARKS = "<!-- speed: benchmarks/write_docs.py -->\n", "<!-- end of speed -->\n"
"""Around the figures in README."""
RUNS = {
    "vocoder-256-5s": "vocoder --model waveglow-256 --seconds 5",
    "vocoder-256-20s": "vocoder --model waveglow-256 --seconds 20 --runs 3",
    "vocoder-256-fp32": "vocoder --model waveglow-256 --seconds 5 --precision fp32",
    "vocoder-512-5s": "vocoder --model waveglow-512 --seconds 5 --runs 3",
    "vocoder-compact": "vocoder --model compact --seconds 5",
    "vocoder-512-1s": "vocoder --model waveglow-512 --seconds 1 --runs 3",
    "vocoder-wavenet-24-one": "vocoder --model wavenet-24x128 --seconds 0.05 --runs 2 --threads 1",
    "vocoder-wavenet-24-eight": "vocoder --model wavenet-24x128 --seconds 0.05 --runs 2 --batch 8 --threads 2",
    "vocoder-wavenet-12-one": "vocoder --model wavenet-12x128 --seconds 0.1 --runs 2 --threads 1",
    "vocoder-wavenet-12-eight": "vocoder --model wavenet-12x128 --seconds 0.05 --runs 2 --batch 8 --threads 2",
    "acoustic-5s": "acoustic --model tacotron2 --seconds 5",
    "acoustic-20s": "acoustic --model tacotron2 --seconds 20 --runs 3",
    "acoustic-fp32": "acoustic --model tacotron2 --seconds 5 --precision fp32",
    "acoustic-16-texts": "acoustic --model tacotron2 --seconds 5 --batch 16 --runs 3",
    "acoustic-compact": "acoustic --model compact --seconds 5",
    "say-compact": "say --model compact --threads 1",
    "say-full-size": "say --model full-size --seconds 5 --runs 3",
    "say-duet": "say --model duet --threads 1",
    "stream-compact": "stream --model compact --threads 1",
    "stream-compact-60s": "stream --model compact --seconds 60 --threads 1 --runs 3",
    "stream-full-size": "stream --model full-size --seconds 5 --runs 3",
    "batch-compact": "batch --model compact --texts 100 --runs 3",
    "train-waveglow-256": "train --model waveglow-256 --batch 2 --segment 8000",
    "train-small-memory": "train --model waveglow-256 --batch 8 --segment 16000 --activation-checkpointing --runs 1",
    "train-tacotron2": "train --model tacotron2 --batch 16 --frames 400 --runs 3",
    "train-compact": "train --model compact --batch 16 --segment 8192",
    "train-compact-acoustic": "train --model compact-acoustic --batch 16 --frames 500",
    "train-two-processes": "train --model waveglow-256 --batch 2 --processes 2",
    "train-two-processes-batch-8": "train --model waveglow-256 --batch 8 --processes 2 --runs 3",
}
SHORT = (
    "vocoder-256-5s",
    "vocoder-512-1s",
    "vocoder-compact",
    "acoustic-5s",
    "acoustic-compact",
    "say-compact",
    "say-duet",
    "stream-compact",
    "batch-compact",
    "train-waveglow-256",
    "train-tacotron2",
    "train-compact",
    "train-compact-acoustic",
)
"""What is measured where there is little time, in two runs each."""
SUMMARY = {
    "vocoder-256-5s": ("WaveGlow of 256 channels, mel to sound", "rtf", "{:.2f} of real time"),
    "acoustic-5s": ("Tacotron 2, one text to its mel", "rtf", "{:.3f} of real time"),
    "say-full-size": ("both, text to sound", "rtf", "{:.2f} of real time"),
    "say-compact": ("`duet-tacotron2`, text to sound", "rtf", "{:.3f} of real time"),
    "say-duet": ("`duet`, text to sound, one core", "rtf", "{:.3f} of real time"),
    "stream-compact": ("`duet-tacotron2`, from the call to the first sound", "first_sound_s", "{:.3f} s"),
    "batch-compact": ("`duet-tacotron2`, a hundred texts", "audio_s_per_s", "{:.0f} s of sound a second"),
    "train-waveglow-256": ("training WaveGlow of 256 channels", "samples_per_s", "{:,.0f} samples/s"),
    "train-tacotron2": ("training Tacotron 2", "mel_frames_per_s", "{:,.0f} mel frames/s"),
}
"""What README tells of: the result, what it is of, the figure and how it is put."""
TITLES = {
    "vocoder": "Mels to sound",
    "acoustic": "Text to mels",
    "say": "Text to sound, end to end",
    "stream": "Text to sound while it is computed",
    "batch": "Many texts to sound",
    "train": "Training, whole steps",
}
SPEEDS = {
    "vocoder": {"rtf": "real-time factor", "khz": "kHz"},
    "acoustic": {"rtf": "real-time factor", "mel_frames_per_s": "mel frames/s"},
    "say": {"rtf": "real-time factor", "first_sentence_s": "first sentence, s", "cold_start_s": "cold start, s"},
    "stream": {
        "rtf": "real-time factor",
        "first_sound_s": "first sound, s",
        "least_ahead_s": "least ahead, s",
        "stream_differs_by": "differs from say by",
    },
    "batch": {
        "audio_s_per_s": "audio seconds/s",
        "rtf": "real-time factor",
        "ratio_to_say": "times one by one",
        "workers": "workers",
        "say_differs_by": "differs from say by",
    },
    "train": {
        "samples_per_s": "samples/s",
        "mel_frames_per_s": "mel frames/s",
        "scaling": "times one process of all threads",
    },
}
SERVING = (
    "serve-first-sound",
    "serve-clients",
    "serve-throughput",
    "serve-hang-up",
    "serve-overload",
    "serve-soak",
    "serve-beside-piper",
)
"""What `benchmarks/serve.py` keeps."""
Machines: TypeAlias = "dict[str, dict[str, dict[str, Any]]]"
"""Results by class of machine and by name."""
INTRODUCTION = """\
# Benchmarks
Written by `python benchmarks/write_docs.py` (`make bench`) from the JSON files of `glowtron bench` in
`benchmarks/results`, which hold every figure; the commands are given below, and work right after installation. Each
class of machine has tables of its own: a ratio holds for one class only.

*Plain* is the textbook: the same model in plain torch and float32 (`glowtron.models`: `Conv1d`, an `LSTMCell` a
step). It takes turns with Glowtron in the same run, each in a process of its own, with the same weights. The figures
of version 0.1.0 were taken against a copy of the published algorithms that 0.2.0 no longer has; the textbook computes
the same in 0.9 to 1.05 times the time ([decision 26](adr/0026-the-yard.md)). *Plain differs by* is their difference.
Figures are medians, with the fastest and the slowest run in brackets behind the first of them. The *real-time factor*
is compute time / audio time of the whole batch, so lower is faster (others state the inverse). *Memory* is the
highest of the process: interpreter, libraries, loading and packing of the weights included. Weights of full-size
models are drawn at the scale of trained ones. *Exactness* is the distance from the same in float32, same noise:
signal to noise, and the mean difference of log-mels; of training, signal to noise of the gradient. Where a figure is
missing, the reason stands in its place.

Of a stream, *first sound* is the time from the call to the first piece of a voice that has spoken before, and *times
plain* the same time of the plain models, over it. In 0.1.0 these had no sound before the whole text was done; now they
speak sentence by sentence. *Least ahead* is how much
sound is in hand at worst when a piece comes, played from the first one on; below zero the listener would have waited.
*Differs from say by* is the largest difference of a sample (full scale is 1) in float32.

A server is asked over loopback by clients on the same cores, whose work is in its figures (`benchmarks/serve.py`).

Many texts take turns with the same voice saying one after the other (*times one by one*); the start of the workers is
in their time, and their memory is added to that of the process they work for.
"""


def main(arguments: list[str]) -> None:
    """Measure what is asked for, then write the page."""
    for name, command in wanted(arguments).items():
        print(f"{name}: glowtron bench {command}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "result.json"
            bench = [sys.executable, "-m", "glowtron", "bench", *shlex.split(command)]
            subprocess.run([*bench, "--quiet", "--json", str(file)], check=True)
            text = file.read_text(encoding="utf-8")
        folder = folder_of(json.loads(text))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    machines = kept_results()
    PAGE.write_text(page(machines), encoding="utf-8")
    README.write_text(with_summary(README.read_text(encoding="utf-8"), machines), encoding="utf-8")


def wanted(arguments: list[str]) -> dict[str, str]:
    """The runs that the command line asks for; another word ends the program with status 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", nargs="*", help="how the names of what is measured begin; all where there is none")
    parser.add_argument("--short", action="store_true", help="the most important ones, two runs each")
    parser.add_argument("--no-run", action="store_true", help="measure nothing: write the page from what is kept")
    asked = parser.parse_args(arguments)
    unknown = [prefix for prefix in asked.prefix if not any(name.startswith(prefix) for name in RUNS)]
    if unknown:
        parser.error(f"no run begins with {unknown[0]!r}; there are {', '.join(RUNS)}")
    if asked.no_run:
        return {}
    names = [name for name in (SHORT if asked.short else RUNS) if name.startswith(tuple(asked.prefix or [""]))]
    return {name: RUNS[name] + " --runs 2" * asked.short for name in names}


def kept_results() -> Machines:
    """All results, by class of machine and by name."""
    machines: Machines = {}
    for folder in sorted(path for path in RESULTS.iterdir() if path.is_dir()):
        found = {name: folder / f"{name}.json" for name in (*RUNS, *SERVING)}
        results = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items() if path.exists()}
        for name, result in results.items():
            machines.setdefault(machine_class(result), {})[name] = result
    return machines


def of_bench(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those of `glowtron bench`, whose tables share their columns."""
    return {name: result for name, result in results.items() if name not in SERVING}


def folder_of(result: dict[str, Any]) -> Path:
    """Where results of a result's machine are kept."""
    return RESULTS / re.sub(r"[^a-z0-9]+", "-", machine_class(result).lower()).strip("-")


def machine_class(result: dict[str, Any]) -> str:
    """What figures can be compared within."""
    machine = result["machine"]
    return f"{machine['device']}, {machine['instructions']}, {machine['cores']} cores"


def with_summary(text: str, machines: Machines) -> str:
    """README with the figures of today, a column for each class of machine."""
    columns = [f"{name} ({versions(results)})" for name, results in machines.items()]
    rows = ["| | " + " | ".join(f"{column} | times plain" for column in columns) + " |"]
    rows.append("|---" * (1 + 2 * len(columns)) + "|")
    for name, (what, figure, shown) in SUMMARY.items():
        cells = []
        for results in machines.values():
            result = results.get(name)
            ratio = result["ratio_to_plain"] if result else ""
            cells.append(shown.format(result[figure]) if result else "")
            cells.append(f"{ratio:.1f}" if isinstance(ratio, float) else "")
        if any(cells):
            rows.append(f"| {what} | {' | '.join(cells)} |")
    (before, _, rest), (start, end) = text.partition(MARKS[0]), MARKS
    return before + start + "\n".join(rows) + "\n" + end + rest.partition(end)[2]


def versions(results: dict[str, dict[str, Any]]) -> str:
    """Of which versions they are, and of which days."""
    kinds = sorted({(result["date"], result["machine"]["glowtron"]) for result in of_bench(results).values()})
    return ", ".join(f"{version} of {date}" for date, version in kinds)


def page(machines: Machines) -> str:
    """All of it."""
    parts = [INTRODUCTION]
    for machine, results in machines.items():
        parts.append(f"## {machine}\nVersion {versions(results)}.\n")
        for what, title in TITLES.items():
            some = [result for result in results.values() if result["what"] == what]
            if some:
                parts.append(f"### {title}\n{table(what, some)}")
        if served := {name: results[name] for name in SERVING if name in results}:
            parts.append(f"### Serving over loopback\n{serving(served)}")
        taken = of_bench(results).values()
        parts.append("### How they were taken\n" + "\n".join(conditions(result) for result in taken) + "\n")
        missing = [command for name, command in RUNS.items() if name not in results]
        if missing:
            parts.append(
                "Not measured there: " + ", ".join(f"`glowtron bench {command}`" for command in missing) + ".\n"
            )
    return "\n".join(parts)


def table(what: str, results: list[dict[str, Any]]) -> str:
    """A row for each result."""
    names = {name: title for name, title in SPEEDS[what].items() if any(name in result for result in results)}
    head = ["model", "size", "precision", *names.values(), "times plain", "memory, GB (plain)", "exactness"]
    rows = [head, ["---"] * len(head)]
    for result in results:
        speeds = [speed(result, name) for name in names]
        for i, text in enumerate(speeds):
            if text:
                speeds[i] = text + spread(result)
                break
        plain = result["plain"] if isinstance(result["plain"], dict) else {}
        memory = f"{result['peak_memory_gb']:.2f}" + (f" ({plain['peak_memory_gb']:.2f})" if plain else "")
        ratio = result["ratio_to_plain"]
        rows.append(
            [
                result["model"],
                size(result),
                result["precision"],
                *speeds,
                f"**{ratio:.2f}**" if isinstance(ratio, float) else ratio,
                memory,
                exactness(result["error"]),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def serving(results: dict[str, dict[str, Any]]) -> str:
    """What `benchmarks/serve.py` found: a row for each thing measured, Piper's server beside ours, and the commands."""
    rows = []
    for name, of in (("serve-first-sound", "one client"), ("serve-clients", "{clients} clients")):
        if result := results.get(name):
            heard, who = result["first_sound"], of.format_map(result)
            rows.append((f"first sound, {who}", f"median {heard['median_s']:.3f} s, 95 % {heard['p95_s']:.3f} s"))
    if result := results.get("serve-throughput"):
        rate, ratio = max(result["audio_s_per_s"]), result["ratio_of_best"]
        told = f"{rate:.1f} s of sound a second, {ratio:.2f} of `say_many`; {result['memory_mb']:.0f} MB"
        rows.append((f"throughput, {result['clients']} clients", told))
    if result := results.get("serve-hang-up"):
        gone = result["stopped"]
        told = f"median {gone['median_s']:.3f} s, 95 % {gone['p95_s']:.3f} s"
        told += f", slowest of {gone['n']} {gone['slowest_s']:.3f} s"
        rows.append(("a client hangs up: until its work has stopped", told))
    if result := results.get("serve-overload"):
        times = result["offered_requests_per_s"] / result["capacity_requests_per_s"]
        rows.append((f"{times:.1f} times the capacity for {result['seconds']:.0f} s", counted(result)))
        rows.append(("`/health` meanwhile", f"99 % {result['health']['p99_s']:.3f} s"))
    if result := results.get("serve-soak"):
        rows.append((f"{result['requests']:,} short requests, some hung up on", counted(result)))
    parts = []
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)]) + "\n")
    if result := results.get("serve-beside-piper"):
        names = {
            "first_sound_s": "first sound, one client, s",
            "first_sound_many_p95_s": f"first sound, {result['clients']} clients, 95 %, s",
            "audio_s_per_s": f"seconds of sound a second, {result['clients']} clients",
            "memory_mb": "memory, MB",
        }
        ours, piper = result["best"]["glowtron"], result["best"]["piper"]
        head = [f"| | `glowtron serve`, `{result['voice']}` | Piper's server, `{result['peer']}` |", "|---|---|---|"]
        lines = [f"| {title} | {ours[name]:.3g} | {piper[name]:.3g} |" for name, title in names.items()]
        parts.append("Best of some rounds, by turns in one run:\n\n" + "\n".join([*head, *lines]) + "\n")
    parts.append("\n".join(f"- `{result['command']}`: {setting(result)}." for result in results.values()) + "\n")
    return "\n".join(parts)


def counted(result: dict[str, Any]) -> str:
    """What came of many requests: answers by kind, work and memory at the end."""
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(result["answers"].items()))
    grown, left = result["memory_mb"]["growth"], result["left_in_work"]
    return f"{kinds}; {left} left in work; memory {grown:+.1%} from the second quarter to the last"


def setting(result: dict[str, Any]) -> str:
    """Where and when a server was measured."""
    machine = result["machine"]
    return (
        f"version {machine['glowtron']} of {result['date']}, voice `{result['voice']}`; {machine['device']}, "
        f"{machine['cores']} cores, load before {machine['load_before'][0]:.1f}"
    )


def size(result: dict[str, Any]) -> str:
    """What one run was of."""
    batch = f"{result['batch']} x " if result.get("batch", 1) > 1 else ""
    if result["what"] == "batch":
        return f"{result['texts']} texts, {result['audio_s']:.0f} s"
    if result["what"] == "train":
        shared = f", {result['processes']} processes" if "processes" in result else ""
        length = f"{result['segment']} samples" if "segment" in result else f"{result['frames']} frames"
        return batch + length + shared
    return f"{batch}{result['audio_s']:.1f} s"


def speed(result: dict[str, Any], name: str) -> str:
    """A figure as people read it; a reason where it is none; nothing where it does not belong."""
    value = result.get(name, "")
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(result: dict[str, Any]) -> str:
    """Fastest and slowest run, in the seconds that a run takes, as shares of the median."""
    seconds = result["seconds"]
    low, high = (seconds[name] / seconds["median"] - 1 for name in ("fastest", "slowest"))
    return f" ({low:+.0%} to {high:+.0%})"


def exactness(error: dict[str, Any]) -> str:
    """Distances from float32, and of the plain implementation."""
    told = []
    for name, title, form in (
        ("snr_db", "{} dB", ".0f"),
        ("gradient_snr_db", "gradient {} dB", ".0f"),
        ("log_mel_l1", "log-mel L1 {}", ".2g"),
        ("plain_differs_by", "plain differs by {}", ".0e"),
        ("loss_differs_by", "loss differs by {}", ".0e"),
    ):
        value = error.get(name)
        if value is not None:
            told.append(value if isinstance(value, str) else title.format(format(value, form)))
    return ", ".join(told)


def conditions(result: dict[str, Any]) -> str:
    """The command, and the machine."""
    machine, settings = result["machine"], result["settings"]
    return (
        f"- `{result['command']}`: {settings['runs']} runs after {settings['warm_up']}, {result['threads']} threads, "
        f"{settings['clock']} time; {machine['device']}, {machine['cores']} cores, load before "
        f"{machine['load_before'][0]}; torch {machine['torch']}, Python {machine['python']}; {result['why']}."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
