"""Options of `glowtron train` on their way to the loop."""

import json
from pathlib import Path

import pytest
from test_vocoder_task import CONFIG

from glowtron.cli import main
from glowtron.config import to_dict
from glowtron.train import run as training
from glowtron.train.loop import Outcome
from glowtron.train.state import Stops


@pytest.fixture
def given(monkeypatch, tmp_path, tiny_corpus):
    """What a command hands to training, and the exit status."""
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(to_dict(CONFIG)))

    def given(*options):
        calls = []

        def record(config, data, run, **more):
            calls.append((config, more))
            return Outcome(1, True, "max_steps")

        monkeypatch.setattr(training, "run_training", record)
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
    status, [(config, _)] = given(*options)
    assert status == 0
    assert (config.training.max_steps, config.training.max_epochs) == (steps, epochs)


def test_goals_weights_and_parts_to_reset_are_handed_on(given, tmp_path):
    (tmp_path / "other").mkdir()
    status, [(config, more)] = given(
        "--target-val-loss", -5.5, "--max-hours", 2, "--from", "other", "--reset", "a", "--reset", "b.c"
    )
    assert status == 0 and config == CONFIG
    assert more["stops"] == Stops(val_loss=-5.5, hours=2.0)
    assert more["base"] == Path("other") and more["reset"] == ("a", "b.c")
    _, [(_, more)] = given("--from", "duet")
    assert (more["base"] / "voice.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-hours", "0"], "0"),
        (["--max-steps", "0"], "0"),
        (["--from", "nobody"], "no voice 'nobody'"),
        (["--single", "nowhere"], "result.json: cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(given, capfd, options, said):
    status, calls = given(*options)
    assert (status, calls) == (2, [])
    assert said in capfd.readouterr().err
