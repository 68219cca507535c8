"""`glowtron bench batch`: what its figures are of."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from glowtron import Audio
from glowtron.bench.batch import BatchWork, bench_batch, stacked
from glowtron.bench.measurement import Settings, processor_time
from glowtron.bench.models import CHARACTERS_PER_S
from glowtron.bench.result import as_table
from glowtron.cli import main
from glowtron.synthesis.executors import ProcessPool

TEXT_S = 20 * 256 / 22_050
"""How long the tiny voice speaks on each sentence."""
SETTINGS = Settings(runs=2, warm_up=0, threads=1)


def test_seconds_of_sound_a_second_beside_one_text_after_the_other(tiny_voice: Path) -> None:
    result = bench_batch(BatchWork(str(tiny_voice), n_texts=6, seconds=1.0, workers=2), SETTINGS._replace(runs=1))
    json.dumps(result, allow_nan=False)
    assert (result["what"], result["texts"], result["workers"]) == ("batch", 6, 2)
    assert result["audio_s"] == pytest.approx(6 * TEXT_S)
    assert result["audio_s_per_s"] == pytest.approx(6 * TEXT_S / result["seconds"]["median"])
    assert result["audio_s_per_s"] * result["rtf"] == pytest.approx(1)
    assert result["ratio_to_say"] == result["say"]["seconds"]["median"] / result["seconds"]["median"]
    assert result["peak_memory_gb"] > 2 * result["worker_memory_gb"] > 0.2, "the workers' too"
    assert result["say_differs_by"] < 1e-4
    assert result["error"]["texts"] == 6
    assert "| audio s per s |" in as_table(result)


def test_in_one_process_and_without_a_rival_the_reasons_are_told(tiny_voice: Path) -> None:
    result = bench_batch(BatchWork(str(tiny_voice), n_texts=2, seconds=1.0), SETTINGS._replace(plain=False))
    assert result["workers"] == 1
    for name in ("worker_memory_gb", "ratio_to_say", "say", "ratio_to_plain", "plain"):
        assert result[name].startswith("not measured: ")


def test_texts_are_different_and_drawn_by_the_seed() -> None:
    work = BatchWork(n_texts=50, seconds=4.0)
    assert len(set(work.texts)) == 50
    assert work.texts == work._replace(workers=3).texts != work._replace(seed=1).texts
    lengths = [len(text) / CHARACTERS_PER_S for text in work.texts]
    assert 1.6 < min(lengths) < 2.5 and 5.5 < max(lengths) < 7.0 and 3.2 < sum(lengths) / 50 < 4.8


def test_rows_hold_sounds_of_any_length() -> None:
    rows = stacked([Audio(np.ones(n, np.float32), 8000) for n in (3, 1, 5)])
    assert rows.shape == (3, 5)
    assert (~np.isnan(rows)).sum(axis=1).tolist() == [3, 1, 5]


def test_time_on_the_processor_is_that_of_all_processes() -> None:
    before = processor_time()
    with ProcessPool(partial(partial, eval), 1) as workers:
        workers.submit(0, "sum(range(10_000_000))")
        workers.next_result()
    assert processor_time() - before > 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--model", "nobody"), "known: compact, full-size"), (("--texts", "0"), "--texts"), (("--workers", "-1"), "-1")],
)
def test_the_command_refuses(arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "batch", *arguments])
    out, err = capfd.readouterr()
    assert (exit_.value.code, out) == (2, "")
    assert err.startswith("glowtron: error: ") and message in err and err.count("\n") == 1


def test_the_command_writes_figures(tiny_voice: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "batch.json"
    arguments = [
        "--model",
        str(tiny_voice),
        "--texts",
        "2",
        "--seconds",
        "1",
        "--runs",
        "1",
        "--warm-up",
        "0",
        "--no-plain",
    ]
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "batch", *arguments, "--no-plain", "--quiet", "--json", str(file)])
    assert (exit_.value.code, *capfd.readouterr()) == (0, "", "")
    assert {"settings", "machine", "power", "command"} <= set(json.loads(file.read_text(encoding="utf-8")))
