"""Configuration: what is refused, and how that is said."""

import ast
import json
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron import config as configuration
from glowtron.config import (
    AcousticConfig,
    AcousticRun,
    FastSpeech2Config,
    MelConfig,
    Tacotron2Config,
    VocoderConfig,
    VocoderRun,
    VoiceFile,
    from_dict,
    to_dict,
)
from glowtron.config.renamed import RENAMED_KEYS, RENAMED_VALUES
from glowtron.errors import InputError, nearest, reason
from glowtron.train.recipe import recipe

PACKAGE = Path(configuration.__file__).parent.parent
CLASSES = [
    value for value in vars(configuration).values() if is_dataclass(value) and value.__module__ == "glowtron.config"
]


def changed(config, path, value):
    whole = place = to_dict(config)
    *parents, name = path.split(".")
    for parent in parents:
        place = place[parent]
    place[name] = value
    return whole


@pytest.mark.parametrize("config", [AcousticRun(), VocoderRun()], ids=["acoustic", "vocoder"])
def test_what_is_written_is_read(config):
    assert from_dict(to_dict(config), type(config), "x") == config


@pytest.mark.parametrize(
    ("run", "path", "value"),
    [
        (run, path, value)
        for run, cases in {
            AcousticRun(): [
                ("max_clip_s", 0),
                ("attention_loss_weight", -1),
                ("forced_alignment_share", 1.5),
                ("forced_alignment_share", float("nan")),
                ("acoustic.model.encoder_kernel", 4),
                ("acoustic.model.prenet_dropout", 1),
                ("acoustic.mel.f_max", 12_000),
                ("acoustic.speakers", ["a", "a"]),
                ("acoustic.speakers", []),
            ],
            VocoderRun(): [
                ("segment_length", 0),
                ("segment_length", -5),
                ("sigma", 0),
                ("dither", -1e-4),
                ("vocoder.early_size", 1),
                ("vocoder.analysis.group_size", 7),
                ("training.batch_size", 0),
                ("training.validation_clips", -1),
                ("training.workers", -1),
                ("training.ema_decay", 1),
                ("training.optimizer.lr", 0),
                ("training.optimizer.lr", -1e-3),
                ("training.optimizer.lr", float("nan")),
                ("training.optimizer.beta1", 1.5),
                ("training.optimizer.beta2", -0.1),
                ("training.optimizer.eps", 0),
                ("training.optimizer.weight_decay", -1),
                ("training.optimizer.clip_norm", -1),
                ("training.optimizer.warmup_steps", -3),
                ("training.optimizer.final_share", 2),
            ],
        }.items()
        for path, value in cases
    ],
)
def test_values_out_of_range_are_named(run, path, value):
    with pytest.raises(InputError) as error:
        from_dict(changed(run, path, value), type(run), "mine.json")
    *place, name = path.split(".")
    message = str(error.value)
    assert message.startswith(": ".join(filter(None, ("mine.json", ".".join(place), ""))))
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "training.optimizer.learning_rate",
            1,
            "unknown key 'training.optimizer.learning_rate' (known: beta1, ",
        ),
        ("training.batch_sise", 1, "unknown key 'training.batch_sise' (did you mean 'batch_size'?)"),
        ("vocoder.analysis.hop_length", 1, "unknown key 'vocoder.analysis.hop_length' (known: group_size, "),
        ("training.max_steps", "100", "training.max_steps: Input should be a valid integer"),
        ("training.max_steps", 1.5, "training.max_steps: Input should be a valid integer"),
        ("training.optimizer.type", "sgd", "training.optimizer.type: Input should be 'adam' or 'adamw'"),
        ("vocoder.analysis.type", "groups", "vocoder.analysis: Input tag 'groups'"),
    ],
)
def test_unknown_keys_and_types_are_named(path, value, said):
    with pytest.raises(InputError) as error:
        from_dict(changed(VocoderRun(), path, value), VocoderRun, "mine.json")
    assert str(error.value).startswith(f"mine.json: {said}")


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (MelConfig, {"n_fft": "1024"}, "n_fft: Input should be a valid integer, got '1024'"),
        (MelConfig, {"n_fft": True}, "n_fft: Input should be a valid integer, got True"),
        (MelConfig, {"f_max": 10**400}, "f_max: Input should be a valid number"),
        (MelConfig, {"framing": "left"}, "framing: Input should be 'centred' or 'lws', got 'left'"),
        (AcousticConfig, {"speakers": ["ann"]}, "speakers: Input should be a list"),
        (AcousticConfig, {"speakers": ("ann", 3)}, "speakers.1: Input should be a valid string, got 3"),
        (AcousticConfig, {"mel": {}}, "mel: Input should be a MelConfig, got {}"),
        (VocoderRun, {"sound": 3}, "sound: Input should be a SoundConfig, got 3"),
    ],
)
def test_python_is_held_to_the_types_too(kind, changes, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        kind(**changes)


def test_whole_numbers_are_numbers():
    assert repr(MelConfig(f_max=8000)) == repr(MelConfig(f_max=8000.0))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"vocoder": {"n_flows": 2}}, "vocoder: Input has no 'type', which should be one of 'waveglow', 'wavenet', "),
        ({"vocoder": []}, "vocoder: Input should be an object, got []"),
        ({"name": None}, "name: Input should be a valid string, got None"),
        ({"sha256": {"a": 1}}, "sha256: Input should be a valid string, got 1"),
        ({"vocoder": {"type": "waveglow", "speakers": "ann"}}, "vocoder.speakers: Input should be a list, got 'ann'"),
        ({"acoustic": {"model": {"type": 3}}}, "acoustic.model: Input tag 3 should be one of 'tacotron2', "),
    ],
)
def test_what_is_wrong_in_a_voice_file_is_said(value, said):
    with pytest.raises(InputError, match=f"^voice.json: {re.escape(said)}"):
        from_dict({"name": "x"} | value, VoiceFile, "voice.json")


def test_a_model_without_a_type_is_a_tacotron2():
    assert from_dict({"model": {"n_symbols": 9}}, AcousticConfig, "x").model == Tacotron2Config(n_symbols=9)


def test_a_union_is_told_apart_by_its_type():
    assert from_dict({"type": "griffin-lim"}, VocoderConfig, "x").type == "griffin-lim"
    with pytest.raises(InputError, match=r"unknown key 'momentun' \(did you mean 'momentum'\?\)"):
        from_dict({"type": "griffin-lim", "momentun": 0.5}, VocoderConfig, "x")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_read_or_refused(value):
    try:
        assert isinstance(from_dict(value, VocoderRun, "x"), VocoderRun)
    except InputError as error:
        assert str(error).startswith("x: ")


def test_every_field_is_used():
    source = "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.parent.name != "config")
    unread = [f"{kind.__name__}.{f.name}" for kind in CLASSES for f in fields(kind) if f".{f.name}" not in source]
    assert not unread


def test_every_field_says_what_it_is():
    lines = "\n".join((PACKAGE / "config" / name).read_text("utf-8") for name in ("models.py", "runs.py"))
    undocumented = [
        f"{node.name}.{field.target.id}"
        for node in ast.parse(lines).body
        if isinstance(node, ast.ClassDef)
        for field, after in zip(node.body, [*node.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign)
        and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
        and not re.search(r"Literal|Config", ast.unparse(field.annotation))
    ]
    assert not undocumented


def test_imports_no_torch():
    code = "import glowtron.config, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_nearest_is_named():
    assert nearest("wavglow", ["waveglow", "griffin-lim"]) == " (did you mean 'waveglow'?)"
    assert nearest("xyz", ("b", "a")) == " (known: a, b)"


def test_a_reason_does_not_name_the_file_again():
    with pytest.raises(OSError, match="nowhere") as error:
        Path("nowhere").read_text("utf-8")
    assert reason(error.value) == "No such file or directory"
    assert reason(ValueError("odd")) == "odd"


FORMER = {
    "training.accumulate": 2,
    "training.optimizer.anneal": [[3, 0.5]],
    "training.optimizer.anneal_unit": "steps",
    "guide": "none",
    "guide_weight": 0.5,
    "forced_share": 0.25,
    "recompute_flows": True,
}
"""A value for each former key."""


def nested(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def kind_with(path):
    """The kind of run that has this key."""
    return next(run for run in (AcousticRun, VocoderRun) if path.split(".")[0] in {f.name for f in fields(run)})


def at(config, path):
    for name in path.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize(("former", "present"), RENAMED_KEYS.items())
def test_former_keys_of_runs_on_disk_are_read_in_silence(former, present, recwarn):
    run, value = kind_with(present), FORMER[former]
    read = from_dict(nested(former, value), run, "x")
    assert read == from_dict(nested(present, value), run, "x")
    assert to_dict(read) != to_dict(run()) or at(run(), present) == value
    assert not recwarn.list


@pytest.mark.parametrize(("former", "present"), RENAMED_KEYS.items())
def test_former_keys_that_a_user_writes_work_with_a_warning(former, present, tmp_path):
    run, value = kind_with(present), FORMER[former]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(nested(former, value)))
    with pytest.warns(FutureWarning, match=f"mine.json: {re.escape(former)} is called {re.escape(present)} now"):
        by_file = recipe(run.type, path)
    path.write_text("{}")
    change = f"{former}={json.dumps(value)}"
    with pytest.warns(FutureWarning, match=f"{re.escape(former)} is called {re.escape(present)} now"):
        by_change = recipe(run.type, path, [change])
    assert by_file == by_change == from_dict(nested(present, value), run, "x")


@pytest.mark.parametrize(
    ("key", "former", "present"), [(key, *pair) for key, values in RENAMED_VALUES.items() for pair in values.items()]
)
def test_former_values_work_with_a_warning_where_a_user_writes_them(key, former, present, tmp_path, recwarn):
    run = kind_with(key)
    assert at(from_dict(nested(key, former), run, "x"), key) == present
    assert not recwarn.list
    path = tmp_path / "mine.json"
    path.write_text("{}")
    with pytest.warns(FutureWarning, match=f"{key} '{former}' is called '{present}' now"):
        assert at(recipe(run.type, path, [f"{key}={former}"]), key) == present


def test_a_key_by_both_its_names_is_refused():
    with pytest.raises(InputError, match=r"x: attention_supervision is there by its former name, too; leave one out"):
        from_dict({"attention_supervision": "none", "guide": "measured"}, AcousticRun, "x")


def test_the_present_path_of_a_former_key_without_its_beginning_is_named():
    with pytest.raises(InputError, match=r"did you mean 'training.gradient_accumulation_steps'\?"):
        recipe("vocoder", "waveglow", ["accumulate=2"])


@pytest.mark.parametrize("model", [Tacotron2Config(), FastSpeech2Config()], ids=lambda model: model.type)
def test_the_number_of_speakers_is_that_of_their_names(model):
    config = AcousticConfig(model=model, speakers=("ann", "bob", "eve"))
    assert config.model == replace(model, n_speakers=3)
    assert replace(config, speakers=("ann",)).model.n_speakers == 1
    stored = to_dict(config)
    del stored["model"]["n_speakers"]
    assert from_dict(stored, AcousticConfig, "x") == config
