import json
from dataclasses import replace

import pytest
import torch
from runs import run_training
from test_acoustic_task import CONFIG as ACOUSTIC
from test_vocoder_task import CONFIG as VOCODER

from glowtron.checkpoint import load_voice
from glowtron.errors import InputError
from glowtron.train import acoustic_task, checkpoints
from glowtron.train.export import export, load_run


@pytest.fixture(scope="module")
def trained(kept_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")

    def make(config, name, **changes):
        config = replace(config, training=replace(config.training, **changes))
        data, cache = [("speaker", kept_corpus)], folder / "cache"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(acoustic_task, "SAMPLE_CLIPS", 1)
            run_training(config, data, folder / name, cache=cache, device="cpu", quiet=True)
        return folder / name

    return make


@pytest.fixture(scope="module")
def acoustic(trained):
    return trained(ACOUSTIC, "acoustic")


@pytest.fixture(scope="module")
def vocoder(trained):
    return trained(VOCODER, "vocoder")


def test_two_runs_become_a_voice_with_their_averaged_weights(acoustic, vocoder, tmp_path):
    file = export([vocoder, acoustic], tmp_path / "voice", store="float32")
    assert file.name == "voice" and file.training_data == "acoustic: 6 clips of speaker; vocoder: 6 clips of speaker"
    held_out = [json.loads((run / "data.json").read_text())["held_out"] for run in (acoustic, vocoder)]
    assert file.held_out and set(file.held_out) == set(held_out[0]) & set(held_out[1])
    assert file.metrics["acoustic"]["steps"] == 4
    assert file.metrics["vocoder"]["validation"].keys() == {"loss", "mel_l1"}
    assert not file.decoding.monotonic and file.vocoding.correction > 0
    voice = load_voice(tmp_path / "voice")
    step = file.metrics["acoustic"]["steps"]
    average = checkpoints.read_tensors(checkpoints.folder(acoustic, step), "average")
    raw = checkpoints.read_tensors(checkpoints.folder(acoustic, step), "model")
    state = voice.acoustic.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in average.items())
    assert any(not torch.equal(state[name], raw[name]) for name in average)
    wave, mel = torch.randn(1, 4096) / 10, torch.randn(1, 80, 17) - 5
    torch.testing.assert_close(voice.vocoder(wave, mel).z, load_run(vocoder).model(wave, mel).z, rtol=1e-4, atol=1e-4)


def test_the_best_checkpoint_is_taken_unless_a_step_is_asked_for(vocoder):
    run = vocoder
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {line["step"]: line["loss"] for line in lines if line["split"] == "validation"}
    best = load_run(run)
    assert best.step == min(losses, key=losses.get) and best.metrics["loss"] == losses[best.step]
    assert load_run(run, 4).step == 4 and load_run(run, 4).metrics == {}
    with pytest.raises(InputError, match="holds no checkpoint of step 1; it has "):
        load_run(run, 1)


def test_without_an_average_the_weights_themselves_are_taken(trained):
    run = trained(VOCODER, "unaveraged", ema_decay=0.0, max_steps=2, validate_every=2)
    state = load_run(run).model.state_dict()
    assert not (run / "step-0000002" / "average.safetensors").exists()
    assert all(
        torch.equal(state[name], tensor)
        for name, tensor in checkpoints.read_tensors(run / "step-0000002", "model").items()
    )


def test_a_voice_gives_the_model_that_no_run_does(acoustic, vocoder, tmp_path):
    both = export([acoustic, vocoder], tmp_path / "both", store="float32")
    for run, part in ((acoustic, "vocoder"), (vocoder, "acoustic")):
        file = export([run, tmp_path / "both"], tmp_path / f"with-{part}", store="float32")
        assert file.sha256 == both.sha256 and file.held_out == both.held_out
        assert (file.decoding, file.vocoding) == (both.decoding, both.vocoding)
        assert f"{part}: of both (acoustic: 6 clips of speaker; vocoder: 6 clips of speaker)" in file.training_data
    for wrong in ([acoustic, vocoder, tmp_path / "both"], [tmp_path / "both"]):
        with pytest.raises(InputError, match=r"both: .*(leave it out|training run too)"):
            export(wrong, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_clips_that_a_voice_knows_are_not_held_out(acoustic, vocoder, tmp_path):
    kept = export([vocoder], tmp_path / "base").held_out
    path = tmp_path / "base" / "voice.json"
    voice = json.loads(path.read_text())
    for theirs, left in (([kept[0]], kept[:1]), (["other/clip"], kept)):
        path.write_text(json.dumps({**voice, "held_out": theirs}))
        assert export([acoustic, tmp_path / "base"], tmp_path / "voice").held_out == left


def test_what_is_no_run_is_refused_and_leaves_nothing(trained, tmp_path):
    with pytest.raises(InputError, match=r"config.json: cannot be read .*give the folder of a training run"):
        export([tmp_path / "missing"], tmp_path / "voice")
    run = trained(VOCODER, "damaged", max_steps=2, validate_every=2)
    with pytest.raises(InputError, match="second run of kind 'vocoder'"):
        export([run, run], tmp_path / "voice")
    checkpoint = run / "step-0000002"
    (checkpoint / "model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=r"model.safetensors: damaged"):
        export([run], tmp_path / "voice")
    for path in checkpoint.iterdir():
        path.unlink()
    checkpoint.rmdir()
    with pytest.raises(InputError, match="holds no checkpoint yet"):
        export([run], tmp_path / "voice")
    assert not (tmp_path / "voice").exists()
