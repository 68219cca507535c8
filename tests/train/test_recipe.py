import json
from dataclasses import replace

import pytest

from glowtron.config import AcousticRun, TrainingConfig, VocoderRun, to_dict
from glowtron.errors import InputError
from glowtron.train.recipe import names, recipe

KINDS = {
    "compact-acoustic": "acoustic",
    "compact-fastspeech2": "fastspeech2",
    "compact-postnet": "postnet",
    "compact-vocoder": "vocoder",
    "tacotron2": "acoustic",
    "waveglow": "vocoder",
    "waveglow-on-sound": "vocoder",
}

WAVENETS = ("compact-wavenet", "wavenet")
"""Recipes of a vocoder too, by another task."""


@pytest.mark.parametrize("name", WAVENETS)
def test_a_vocoder_is_a_wavenet_where_its_recipe_says_so(name):
    assert recipe("vocoder", name).type == "wavenet"


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_shipped_recipes_are_read_by_name(name, kind):
    config = recipe(kind, name)
    assert config.type == kind
    other = "acoustic" if kind == "vocoder" else "vocoder"
    with pytest.raises(InputError, match=f"{name} is for `train {kind}`, not for `train {other}`"):
        recipe(other, name)


def test_the_published_recipes_are_the_published_ones():
    assert names() == sorted((*KINDS, *WAVENETS))
    waveglow = recipe("vocoder", "waveglow")
    assert waveglow.vocoder == VocoderRun().vocoder
    assert (waveglow.training.optimizer.type, waveglow.training.optimizer.lr) == ("adam", 1e-4)
    assert recipe("acoustic", "tacotron2").acoustic.model == AcousticRun().acoustic.model


def test_a_file_and_changes(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"sigma": 0.8, "training": {"max_steps": 7}}))
    changes = ["training.optimizer.lr=1e-5", "vocoder.mixing=permutation", "training.optimizer.type=adamw", "sigma=0.9"]
    config = recipe("vocoder", path, changes)
    optimizer = replace(TrainingConfig().optimizer, lr=1e-5, type="adamw")
    expected = VocoderRun(sigma=0.9, training=TrainingConfig(max_steps=7, optimizer=optimizer))
    assert config == replace(expected, vocoder=replace(expected.vocoder, mixing="permutation"))
    path.write_text(json.dumps(to_dict(config)))
    assert recipe("vocoder", str(path)) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.max_step=3", r"unknown key 'training.max_step' \(did you mean 'max_steps'\?\)"),
        ("trainin.max_steps=3", r"unknown key 'trainin' \(did you mean 'training'\?\)"),
        ("training.max_steps", "give key=value"),
        ("training.max_steps=many", "training.max_steps"),
        ("training.max_steps=0", "max_steps must be over 0"),
        ("batch_size=3", r"unknown key 'batch_size' \(did you mean 'training.batch_size'\?\)"),
        ("optimizer.lr=1", r"unknown key 'optimizer' \(did you mean 'training.optimizer.lr'\?\)"),
        ("sigma.deep=1", "unknown key 'sigma'"),
        ("=1", "unknown key ''"),
    ],
)
def test_a_wrong_change_is_named(change, message):
    with pytest.raises(InputError, match=message) as error:
        recipe("vocoder", "compact-vocoder", [change])
    assert str(error.value).startswith(f"`changes` {change}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"sigmaa": 1}', r"unknown key 'sigmaa' \(did you mean 'sigma'\?\)"),
        ("{", "not JSON"),
        ("[]", "is a JSON object, this is list"),
        ('{"type": "acoustic"}', "is for `train acoustic`"),
        ('{"sigma": "1"}', "sigma"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        recipe("vocoder", path)
    assert "wrong.json" in str(error.value)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"is called 'wavglow' \(did you mean 'waveglow'\?\)"):
        recipe("vocoder", "wavglow")
    with pytest.raises(InputError, match=r"missing.json: cannot be read"):
        recipe("vocoder", "missing.json")
