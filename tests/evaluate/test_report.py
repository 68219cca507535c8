"""Reports of this version and of older ones, as tables."""

import json
from pathlib import Path
from typing import Any

import pytest

from glowtron.errors import InputError
from glowtron.evaluate.report import FORMAT, markdown, read_report

OLD: dict[str, Any] = {
    "voice": "old",
    "sha256": {},
    "held_out_known": True,
    "quick": False,
    "seed": 1,
    "sigma": 0.25,
    "correction": 16,
    "minutes": 10.9,
    "versions": {"glowtron": "0.1.0"},
    "speakers": {
        "lj": {
            "clips": ["a"],
            "vocoders": {
                "real": {"n": 1, "words_recognised": 0.8, "word_error_rate": 0.3, "mos_p808": 4.0},
                "waveglow": {"n": 1, "words_recognised": 0.7, "words_recognised_interval": [0.6, 0.8]},
            },
            "speaking": {
                "real": {"n": 1, "words_recognised": 0.8, "word_error_rate": 0.3},
                "held_out_texts": {"n": 1, "words_recognised": 0.7, "relative_words": 0.9, "word_error_rate": 0.35},
            },
            "attention": {
                "held_out_texts": {
                    "n": 1,
                    "complete": 0.75,
                    "stopped_by_themselves": 1.0,
                    "reach_the_end": 1.0,
                    "skip": 0.25,
                    "repeat": 0.0,
                    "race": 0.0,
                    "endless": 0.5,
                    "stuck": 0.0,
                    "said_again": 0.0,
                    "incomplete_sentences": ["It was $5."],
                }
            },
            "pictures": ["lj-mels.png"],
        }
    },
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content))
    return path


def test_an_old_report_is_read_under_the_new_names(tmp_path: Path) -> None:
    report = read_report(written(tmp_path, OLD))
    lj = report["speakers"]["lj"]
    assert report["format"] == FORMAT and "attention" not in lj
    assert lj["vocoders"]["waveglow"] == {"n": 1, "words_correct": 0.7, "words_correct_interval": [0.6, 0.8]}
    aligned = lj["alignment"]["held_out_texts"]
    assert (aligned["aligned"], aligned["skipping"], aligned["no_stop"]) == (0.75, 0.25, 0.5)
    assert lj["speaking"]["held_out_texts"]["word_error_rate_above_real"] == pytest.approx(0.05)
    text = markdown(report)
    assert "| words correct | 80.0 % | 70.0 % |" in text
    assert "| the same, above the real recordings |  | +5.0 % |" in text
    assert "- It was $5." in text and "| no stop | 50.0 % |" in text and "PocketSphinx" in text


def test_a_report_of_today_is_read_as_it_is(tmp_path: Path) -> None:
    report = read_report(written(tmp_path, OLD))
    assert read_report(written(tmp_path, report)) == report


def test_what_was_not_measured_is_told(tmp_path: Path) -> None:
    report = read_report(written(tmp_path, OLD)) | {"not_measured": ["pip install --no-deps distillmos==0.9.1"]}
    assert "Not measured, install it by: `pip install --no-deps distillmos==0.9.1`." in markdown(report)


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "is not a report"), ([], "is not a report"), ({**OLD, "format": FORMAT + 1}, "use a newer glowtron")],
)
def test_other_files_are_refused(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_report(written(tmp_path, content))
    with pytest.raises(InputError, match="cannot be read as a report"):
        read_report(tmp_path / "nothing.json")
