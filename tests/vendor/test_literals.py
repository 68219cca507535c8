"""Settings written as Python are read, and nothing in them is run."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.vendor.literals import read_keywords, read_settings


def test_a_vendors_file_is_read_with_the_one_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "config_common.py").write_text('# who\nvendor: str = "nvidia"\ndist_backend = "nccl"\n')
    path = tmp_path / "config_A100x1x8.py"
    path.write_text(
        '"""A vendor."""\nfrom config_common import *\nfp16 = True\ntrain_batch_size = 128 * 2\n'
        "eval_batch_size = train_batch_size\nlearning_rate: float = 1e-3\nlr_anneal_steps: list = [500, 1000]\n"
        "seed = None\nlow = -5.72\n"
    )
    assert read_settings(path) == {
        "vendor": "nvidia",
        "dist_backend": "nccl",
        "fp16": True,
        "train_batch_size": 256,
        "eval_batch_size": 256,
        "learning_rate": 1e-3,
        "lr_anneal_steps": [500, 1000],
        "seed": None,
        "low": -5.72,
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("import os", "no assignment"),
        ("batch_size = open('trap', 'w').write('x')", "no plain value"),
        ("batch_size = [open('trap', 'w') for _ in range(1)]", "no plain value"),
        ("batch_size = __import__('os').system('touch trap')", "no plain value"),
        ("if True: batch_size = 1", "no assignment"),
        ("batch_size = 10 ** 10 ** 10", "no plain value"),
        ("batch_size = 'x' * 10", "is no number"),
        ("batch_size = 1 / 0", "division by zero"),
        ("from os import *", "cannot be read"),
        ("from settings import *", "imports itself"),
        ("batch_size = other", "no plain value"),
        ("batch_size = = 1", "is no file of settings"),
        ("a.b = 1", "no assignment"),
    ],
)
def test_what_is_no_value_is_refused_and_not_run(tmp_path: Path, monkeypatch, line: str, why: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "settings.py"
    path.write_text(f"epochs = 1\n{line}\n")
    with pytest.raises(InputError, match=why):
        read_settings(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["settings.py"]


@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_refused(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "settings.py"
    path.write_bytes(data)
    with suppress(InputError):
        assert isinstance(read_settings(path), dict)


def test_hyperparameters_are_the_keywords_of_one_call(tmp_path: Path) -> None:
    path = tmp_path / "hparams.py"
    path.write_text(
        "import tensorflow as tf\nfrom text import symbols\n\ndef create_hparams(hparams_string=None):\n"
        "    hparams = tf.contrib.training.HParams(\n        epochs=3,\n        n_symbols=len(symbols),\n"
        "        ignore_layers=['embedding.weight'],\n    )\n    return hparams\n"
    )
    told = read_keywords(path, "HParams", {"len(symbols)": 148})
    assert told == {"epochs": 3, "n_symbols": 148, "ignore_layers": ["embedding.weight"]}
    path.write_text("x = 1\n")
    with pytest.raises(InputError, match="no call HParams"):
        read_keywords(path, "HParams", {})
