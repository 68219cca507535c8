"""The page of benchmarks says what the figures say, and why where there are none."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "write_docs.py"
PLAIN = {"seconds": {"median": 9.0}, "peak_memory_gb": 2.0}
RESULT = {
    "what": "vocoder",
    "model": "waveglow-256",
    "batch": 2,
    "audio_s": 5.0,
    "precision": "bf16",
    "why": "it was asked for",
    "threads": 2,
    "rtf": 0.321,
    "khz": 68.7,
    "seconds": {"median": 3.0, "fastest": 2.7, "slowest": 3.6, "each": [2.7, 3.0, 3.6]},
    "ratio_to_plain": 3.0,
    "plain": PLAIN,
    "peak_memory_gb": 1.0,
    "error": {"against": "float32", "snr_db": 41.3, "log_mel_l1": 0.0123, "plain_differs_by": 1e-6},
    "command": "glowtron bench vocoder --batch 2",
    "settings": {"runs": 3, "warm_up": 1, "seed": 0, "clock": "wall"},
    "date": "2026-01-02",
    "machine": {
        "device": "a processor",
        "instructions": "AVX2",
        "glowtron": "0.1",
        "cores": 2,
        "load_before": [0.1, 0, 0],
        "torch": "2",
        "python": "3",
    },
}


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("write_docs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_figures_stand_in_their_columns(script: Any) -> None:
    page = script.page({"a processor, AVX2, 2 cores": {"vocoder-256-5s": RESULT}})
    assert (
        "| waveglow-256 | 2 x 5.0 s | bf16 | 0.321 (-10% to +20%) | 68.7 | **3.00** | 1.00 (2.00) | "
        "41 dB, log-mel L1 0.012, plain differs by 1e-06 |\n"
    ) in page
    assert "`glowtron bench vocoder --batch 2`: 3 runs after 1, 2 threads, wall time; a processor, 2 cores" in page
    assert "## Training" not in page


def test_reasons_stand_where_figures_are_missing(script: Any) -> None:
    reason = "not measured: nothing is published"
    told = {"snr_db": "no difference", "log_mel_l1": 0.0}
    page = script.page(
        {"here": {"vocoder-compact": {**RESULT, "ratio_to_plain": reason, "plain": reason, "error": told}}}
    )
    assert f"| {reason} | 1.00 | no difference, log-mel L1 0 |" in page
    assert "Not measured there: `glowtron bench vocoder --model waveglow-256 --seconds 5`" in page


def test_processes_stand_beside_one(script: Any) -> None:
    why = "not measured: processes are compared with one process"
    told = {"what": "train", "segment": 8000, "processes": 2, "threads": 1, "scaling": 0.87, "samples_per_s": 12_000.0}
    result = {**RESULT, **told, "ratio_to_plain": why, "plain": why, "error": {"loss_differs_by": 2e-5}}
    page = script.page({"here": {"train-two-processes": result}})
    assert "| 2 x 8000 samples, 2 processes | bf16 | 12,000 (-10% to +20%) | 0.87 | not measured: " in page
    assert "| loss differs by 2e-05 |" in page


def test_only_what_is_asked_for_is_measured(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(script.wanted(["say", "batch"])) == {"say-compact", "say-full-size", "say-duet", "batch-compact"}
    assert set(script.wanted([])) == set(script.RUNS)
    assert set(script.wanted(["--short"])) == set(script.SHORT)
    assert all(command.endswith(" --runs 2") for command in script.wanted(["--short"]).values())
    assert script.wanted(["--no-run"]) == {}
    with pytest.raises(SystemExit, match="0"):
        script.wanted(["--help"])
    for wrong in (["--shrot"], ["sai"]):
        with pytest.raises(SystemExit, match="2"):
            script.wanted(wrong)
    assert "no run begins with 'sai'" in capsys.readouterr().err


def test_every_run_is_a_command(script: Any) -> None:
    from glowtron.cli import glowtron

    bench = glowtron.commands["bench"]
    for line in script.RUNS.values():
        name, *words = line.split()
        command = bench.commands[name]
        assert command.make_context(name, words).params["model"]


def test_readme_has_the_figures_of_the_last_run(script: Any) -> None:
    before, after = "Words.\n\n", "\nMore words.\n"
    text = before + script.MARKS[0] + "| old |\n" + script.MARKS[1] + after
    machines = {"new": {"vocoder-256-5s": RESULT}, "old": {"acoustic-5s": {**RESULT, "ratio_to_plain": "none"}}}
    found = script.with_summary(text, machines)
    assert found.startswith(before) and found.endswith(after)
    assert "| | new (0.1 of 2026-01-02) | times plain | old (0.1 of 2026-01-02) | times plain |" in found.splitlines()
    assert "| WaveGlow of 256 channels, mel to sound | 0.32 of real time | 3.0 |  |  |" in found.splitlines()
    assert "| Tacotron 2, one text to its mel |  |  | 0.321 of real time |  |" in found.splitlines()
    assert "| old |" not in found
    assert script.with_summary(found, machines) == found


def test_what_was_served_has_a_section_of_its_own(script: Any) -> None:
    times = {"median_s": 0.08, "p95_s": 0.0912, "p99_s": 0.1, "slowest_s": 0.2, "n": 40}
    about = {"what": "serving", "date": "2026-01-09", "voice": "duet", "machine": RESULT["machine"]}
    best = {"first_sound_s": 0.0812, "first_sound_many_p95_s": 0.5, "audio_s_per_s": 20.04, "memory_mb": 412.3}
    memory = {"start": 1.0, "second_quarter": 2.0, "last_quarter": 2.02, "growth": 0.01}
    load = {"answers": {"right": 1234, "429": 3000}, "left_in_work": 0, "memory_mb": memory, "health": times}
    rates = {"seconds": 300.0, "offered_requests_per_s": 40.0, "capacity_requests_per_s": 10.0}
    found = {
        "serve-first-sound": {"command": "serve.py first-sound", "first_sound": times, **about},
        "serve-hang-up": {"command": "serve.py hang-up", "stopped": times, **about},
        "serve-overload": {"command": "serve.py overload", **load, **rates, **about},
        "serve-beside-piper": {
            "command": "serve.py beside-piper", "clients": 4, "peer": "joe", **about,
            "best": {"glowtron": best, "piper": {**best, "memory_mb": 500}},
        },
    }  # fmt: skip
    machines = {"here": {"vocoder-256-5s": RESULT, **found}}
    page = script.page(machines)
    assert "Version 0.1 of 2026-01-02.\n" in page, "the tables of bench are of their own days"
    assert "| first sound, one client | median 0.080 s, 95 % 0.091 s |" in page
    assert "median 0.080 s, 95 % 0.091 s, slowest of 40 0.200 s |" in page
    assert "| 4.0 times the capacity for 300 s | 3,000 429, 1,234 right; 0 left in work; memory +1.0% from" in page
    assert "| `/health` meanwhile | 99 % 0.100 s |" in page
    assert "| | `glowtron serve`, `duet` | Piper's server, `joe` |" in page and "| memory, MB | 412 | 500 |" in page
    assert (
        "- `serve.py hang-up`: version 0.1 of 2026-01-09, voice `duet`; a processor, 2 cores, load before 0.1." in page
    )
    assert "Serving" not in script.page({"here": {"vocoder-256-5s": RESULT}})
    assert "2026-01-09" not in script.with_summary("".join(script.MARKS), machines)


def test_classes_of_machines_stand_apart(script: Any) -> None:
    other = {**RESULT, "date": "2026-01-03", "machine": {**RESULT["machine"], "instructions": "AMX"}}
    assert script.machine_class(RESULT) == "a processor, AVX2, 2 cores"
    assert script.machine_class(other) == "a processor, AMX, 2 cores"
    page = script.page({script.machine_class(one): {"vocoder-256-5s": one} for one in (RESULT, other)})
    assert "## a processor, AVX2, 2 cores\nVersion 0.1 of 2026-01-02.\n" in page
    assert "## a processor, AMX, 2 cores\nVersion 0.1 of 2026-01-03.\n" in page


def test_readme_and_page_are_those_of_the_results_that_are_kept(script: Any) -> None:
    machines = script.kept_results()
    assert script.PAGE.read_text(encoding="utf-8") == script.page(machines)
    readme = script.README.read_text(encoding="utf-8")
    assert script.with_summary(readme, machines) == readme
