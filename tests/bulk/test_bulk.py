"""Shards: whole, the same bytes however often a job was stopped, every row once, and what cannot be spoken told."""

import json
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest

from glowtron import Voice
from glowtron.audio import read_audio
from glowtron.bulk.job import BulkSettings, run_bulk
from glowtron.bulk.rows import BadRow, Row, find_stretches, read_stretch
from glowtron.config.synthesis import SynthesisOptions
from glowtron.errors import InputError

TEXTS = [f"This is text number {i}." for i in range(10)]


def settings(voice, **changes):
    return BulkSettings(voice=str(voice), **{"rows_each": 4, **changes})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name[0] != "."}


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


def test_every_row_is_spoken_once_as_the_voice_says_it(tiny_voice, texts, tmp_path):
    reports = []
    spoken, rejected = run_bulk(texts, tmp_path / "out", settings(tiny_voice), 1, reports.append)
    assert (spoken, rejected, len(reports)) == (10, 0, 3)
    voice = Voice.load(tiny_voice, device="cpu")
    found = []
    for name in ("shard-000000.tar", "shard-000001.tar", "shard-000002.tar"):
        with tarfile.open(tmp_path / "out" / name) as tar:
            members = tar.getmembers()
            for sound, facts in zip(members[::2], members[1::2], strict=True):
                told = json.load(tar.extractfile(facts))
                assert sound.name == f"{told['id']}.flac" and facts.name == f"{told['id']}.json"
                heard = read_audio(tar.extractfile(sound).read()).samples
                said = voice.say(told["text"]).samples
                assert np.array_equal(np.rint(heard * 32768), np.clip(np.rint(said * 32768), -32768, 32767))
                assert told["duration_s"] == pytest.approx(len(said) / 22_050, abs=1e-3)
                assert told["normalized"].startswith("this is text number ")
                found.append(told["text"])
    assert found == TEXTS
    manifest = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [line["text"] for line in manifest] == TEXTS and len({line["sha256"] for line in manifest}) > 1


@pytest.mark.slow  # Two processes import torch.
def test_workers_change_nothing(tiny_voice, texts, tmp_path):
    for workers in (1, 2):
        run_bulk(texts, tmp_path / str(workers), settings(tiny_voice), workers, lambda report: None)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_nothing_is_made_twice(tiny_voice, texts, tmp_path):
    run_bulk(texts, tmp_path / "one", settings(tiny_voice), 1, lambda report: None)
    whole = contents(tmp_path / "one")
    (tmp_path / "one" / "shard-000001.tar").unlink()
    (tmp_path / "one" / "shard-000001.tar.json").unlink()
    reports = []
    run_bulk(texts, tmp_path / "one", settings(tiny_voice), 1, reports.append)
    assert [report.name for report in reports] == ["shard-000001.tar"]
    assert contents(tmp_path / "one") == whole


@pytest.mark.slow
def test_a_job_that_is_killed_ends_with_the_same_bytes(tiny_voice, tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [{"id": f"row-{i}", "text": f"Number {i}, and so on.", "seed": i} for i in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_bulk(path, tmp_path / "whole", settings(tiny_voice, rows_each=5), 1, lambda report: None)
    command = [sys.executable, "-m", "glowtron", "bulk", path, "-o", tmp_path / "cut", "--voice", tiny_voice]
    command = [*map(str, command), "--rows", "5", "--workers", "2"]
    for shards in (1, 4, 8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(list((tmp_path / "cut").glob("*.tar"))) < shards and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "60 rows spoken, 0 rejected" in done.stdout
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_what_cannot_be_spoken_is_told_with_its_row(tiny_voice, tmp_path):
    lines = [
        json.dumps({"id": "a", "text": "Hello there.", "speaker": "nobody"}),
        json.dumps({"id": "b", "text": "***"}),
        json.dumps({"text": "No id.", "rate": 1.1}),
        "no json",
        json.dumps({"id": "c/d", "text": "Hello."}),
        json.dumps({"id": "e"}),
        json.dumps({"id": "f", "text": "Hello.", "rate": "fast"}),
        json.dumps(["text"]),
        json.dumps({"id": "g", "text": "Good."}),
        json.dumps({"id": "g", "text": "Again."}),
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out"
    assert run_bulk(tmp_path / "texts.jsonl", out, settings(tiny_voice, rows_each=20), 1, lambda _: None) == (2, 8)
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [line["row"] for line in rejects] == [0, 1, 3, 4, 5, 6, 7, 9]
    said = [
        "no speaker|nobody",
        "nothing speakable",
        "JSON",
        "cannot be the name",
        "no text",
        "rate",
        "object",
        "twice",
    ]
    for line, words in zip(rejects, said, strict=True):
        assert any(word in line["reason"] for word in words.split("|")), line
    ids = [json.loads(line)["id"] for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert ids == ["000000002", "g"]


@pytest.mark.parametrize("sound", ["opus", "wav"])
def test_parquet_goes_in_and_comes_out(sound, tiny_voice, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra 'bulk' is not installed")
    import pyarrow

    table = pyarrow.table({"id": [f"r{i}" for i in range(10)], "text": TEXTS, "other": list(range(10))})
    parquet.write_table(table, tmp_path / "texts.parquet", row_group_size=3)
    chosen = settings(tiny_voice, shards="parquet", sound=sound)
    assert run_bulk(tmp_path / "texts.parquet", tmp_path / "out", chosen, 1, lambda _: None) == (10, 0)
    read = parquet.read_table(tmp_path / "out" / "shard-000001.parquet")
    features = json.loads(read.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["audio"] == {"sampling_rate": 22_050, "_type": "Audio"}
    rows = read.to_pylist()
    assert [row["id"] for row in rows] == ["r4", "r5", "r6", "r7"]
    assert [row["text"] for row in rows] == TEXTS[4:8]
    assert rows[0]["audio"]["path"] == f"r4.{sound}"
    assert len(read_audio(rows[0]["audio"]["bytes"]).samples) > 1000
    first = (tmp_path / "out" / "shard-000001.parquet").read_bytes()
    run_bulk(tmp_path / "texts.parquet", tmp_path / "again", chosen, 1, lambda _: None)
    assert (tmp_path / "again" / "shard-000001.parquet").read_bytes() == first


def test_other_settings_go_into_another_folder(tiny_voice, texts, tmp_path):
    run_bulk(texts, tmp_path / "out", settings(tiny_voice), 1, lambda _: None)
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="was begun with other options"):
        run_bulk(texts, tmp_path / "out", settings(tiny_voice, options=SynthesisOptions(rate=1.2)), 1, print)
    texts.write_text("Another text.\n")
    with pytest.raises(InputError, match="was begun with other texts"):
        run_bulk(texts, tmp_path / "out", settings(tiny_voice), 1, print)
    assert contents(tmp_path / "out") == before


def test_what_is_wrong_is_told_and_leaves_nothing(tiny_voice, tmp_path):
    for name, data, said in (
        ("a.csv", b"x", "texts are .txt, .jsonl, .parquet files"),
        ("a.txt", b"", "has no rows"),
        ("a.parquet", b"no", "is no Parquet file"),
        ("missing.txt", None, "cannot be read"),
    ):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=said):
            run_bulk(tmp_path / name, tmp_path / "out", settings(tiny_voice), 1, print)
        assert not (tmp_path / "out").exists()
    for changes, said in (({"shards": "zip"}, "unknown shards 'zip'"), ({"rows_each": 0}, "rows_each must be 1")):
        with pytest.raises(InputError, match=said):
            settings(tiny_voice, **changes)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_stretches_are_the_lines_of_the_file(ends, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes(ends.join(f"Zeile {i}: ü" for i in range(23)).encode())
    stretches = find_stretches(path, 5)
    assert [stretch.n_rows for stretch in stretches] == [5, 5, 5, 5, 3]
    rows = [row for stretch in stretches for row in read_stretch(path, stretch)]
    assert [row.text for row in rows] == [f"Zeile {i}: ü" for i in range(23)]
    assert [row.place for row in rows] == list(range(23)) and all(isinstance(row, Row) for row in rows)
    path.write_bytes(b"fine\n\xff\xfe\nfine\n")
    kinds = [type(row) for row in read_stretch(path, find_stretches(path, 5)[0])]
    assert kinds == [Row, BadRow, Row]
