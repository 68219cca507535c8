"""Options of `glowtron train` on their way to the loop."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from test_vocoder_task import CONFIG

from glowtron.cli import main
from glowtron.config import to_dict
from glowtron.train import loop
from glowtron.train.loop import Outcome
from glowtron.train.state import StoppingCriteria


@pytest.fixture
def given(monkeypatch, tmp_path, tiny_corpus):
    """The command's exit status, and the configuration, options and stopping criteria that it gives to training."""
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(to_dict(CONFIG)))
    command = import_module("glowtron.cli.train")

    def given(*options):
        calls = []

        def record(config, corpora, options):
            calls.append((config, options))

        def record_loop(task, run, *, stopping, **_):
            calls[-1] += (stopping,)
            return Outcome(1, True, "max_steps")

        monkeypatch.setattr(command, "make_task", record)
        monkeypatch.setattr(loop, "train", record_loop)
        arguments = ["train", "vocoder", "--config", "config.json", "--data", tiny_corpus, "--run", "run", *options]
        with pytest.raises(SystemExit) as status:
            main([str(argument) for argument in arguments])
        return status.value.code, calls

    return given


@pytest.mark.parametrize(
    ("options", "steps", "epochs"),
    [
        ([], 6, None),
        (["--max-steps", 9], 9, None),
        (["--max-epochs", 2.5], None, 2.5),
        (["--max-steps", 9, "--max-epochs", 3], 9, 3.0),
        (["--max-epochs", 3, "--set", "training.max_steps=7"], 7, 3.0),
    ],
)
def test_a_given_end_takes_the_place_of_the_recipes(given, options, steps, epochs):
    status, [(config, _, _)] = given(*options)
    assert status == 0
    assert (config.training.max_steps, config.training.max_epochs) == (steps, epochs)


def test_stopping_criteria_and_weights_are_handed_on(given, tmp_path):
    (tmp_path / "other").mkdir()
    status, [(config, options, stopping)] = given(
        "--target-val-loss", -5.5, "--max-hours", 2, "--init-from", "other", "--reinit", "a", "--reinit", "b.c"
    )
    assert status == 0 and config == CONFIG
    assert stopping == StoppingCriteria(target_val_loss=-5.5, max_hours=2.0)
    assert options.init_from == Path("other") and options.reinit == ("a", "b.c")
    _, [(_, options, _)] = given("--init-from", "duet")
    assert (options.init_from / "voice.json").exists()


def test_former_names_of_options_go_on_working_with_a_warning(given, tmp_path, capfd):
    (tmp_path / "other").mkdir()
    status, [(_, options, _)] = given("--from", "other", "--reset=a", "-q")
    assert status == 0
    assert options.init_from == Path("other") and options.reinit == ("a",)
    assert capfd.readouterr().err == (
        "glowtron: warning: --from is called --init-from now\nglowtron: warning: --reset is called --reinit now\n"
    )


@pytest.mark.parametrize(
    ("kind", "recipe", "options", "said"),
    [
        (
            "vocoder",
            "waveglow",
            ["--alignments", "a.jsonl"],
            "--alignments is for acoustic models",
        ),
        ("vocoder", "waveglow", ["--lexicon", "l.txt"], "--lexicon is for acoustic models; a vocoder reads no text"),
        ("acoustic", "tacotron2", ["--mels", "mels"], "--mels is for vocoders and postnets"),
        ("vocoder", "waveglow", ["--reinit", "wavenets"], "give --init-from too"),
        ("postnet", "compact-postnet", ["--init-from", "duet"], "a postnet needs --init-from"),
        ("postnet", "compact-postnet", ["--mels", "mels"], "a postnet needs --init-from"),
    ],
)
def test_options_of_other_kinds_are_refused(tiny_corpus, tmp_path, capfd, kind, recipe, options, said):
    arguments = ["train", kind, "--config", recipe, "--data", tiny_corpus, "--run", tmp_path / "run", *options]
    with pytest.raises(SystemExit) as status:
        main([str(argument) for argument in arguments])
    assert status.value.code == 2 and said in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-hours", "0"], "0"),
        (["--max-steps", "0"], "0"),
        (["--init-from", "nobody"], "no voice 'nobody'"),
        (["--single", "nowhere"], "result.json: cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(given, capfd, options, said):
    status, calls = given(*options)
    assert (status, calls) == (2, [])
    assert said in capfd.readouterr().err
