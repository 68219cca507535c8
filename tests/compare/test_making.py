import shutil

import pytest

from glowtron.cli import _status
from glowtron.compare.columns import Column, folder_columns
from glowtron.compare.making import Settings, compare
from glowtron.compare.measuring import MEASURES, best, means, speed
from glowtron.errors import InputError
from glowtron.voice import Voice


def test_a_folder_needs_every_clip(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(InputError, match="lacks a clip 'b'"):
        folder_columns({"x": tmp_path}, ["b"])
    with pytest.raises(InputError, match="no such folder"):
        folder_columns({"x": tmp_path / "none"}, ["b"])


def test_means_leave_out_what_is_not_measured():
    rows = [{"pesq": 2.0, "stoi": None}, {"pesq": 3.0, "stoi": None}]
    found = means(rows, [], seed=0)
    assert found.keys() == {"pesq"}
    assert found["pesq"]["mean"] == 2.5 and found["pesq"]["low"] == 2.0 and found["pesq"]["high"] == 3.0


def test_the_best_are_all_whose_interval_reaches_it():
    def column(name, mean, low, high):
        return {"name": name, "measures": {"pesq": {"mean": mean, "low": low, "high": high}}}

    columns = [column("a", 3, 2.5, 3.5), column("b", 2.8, 2.4, 3.1), column("c", 2, 1.9, 2.1), column("real", 5, 5, 5)]
    assert best(columns, "pesq") == {"a", "b"}
    assert best(columns, "stoi") == set()
    assert set(MEASURES) >= {"mos_distill", "mos_p808", "word_error_rate", "pesq", "stoi"}


def test_no_speed_where_nothing_was_computed():
    assert speed(Column("x", "X", "", []), 0) is None


def test_data_of_other_clips_are_refused(tiny_corpus, tmp_path, capsys):
    voice = Voice.load("duet", device="cpu")
    with pytest.raises(InputError, match="hold none of the clips"):
        compare(voice, [("lj", tiny_corpus)], {}, tmp_path / "out", Settings(measures=False))
    assert not (tmp_path / "out").exists()
    assert _status(["compare", "--data", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--no-measures"]) == 2


@pytest.mark.slow
def test_measures_of_a_voice_that_ships(shared, tmp_path):
    folder = tmp_path / "ljspeech"
    shutil.copytree(shared("data/ljspeech"), folder)
    voice = Voice.load("duet", device="cpu")
    compared = compare(voice, [("lj", folder)], {}, tmp_path / "out", Settings(n_clips=2))
    of = {column["name"]: column["measures"] for column in compared["columns"]}
    assert (
        of["real"]["mos_distill"]["mean"]
        > of["waveglow"]["mos_distill"]["mean"]
        > of["griffin-lim"]["mos_distill"]["mean"]
    )
    assert 0.7 < of["griffin-lim"]["stoi"]["mean"] <= 1
    assert "pesq" not in of["real"]
