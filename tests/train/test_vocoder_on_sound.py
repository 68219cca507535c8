"""WaveGlow's inverse pass trained on its sound, after likelihood, in one run."""

import json
from dataclasses import replace

import pytest
import torch
from runs import run_training
from test_distributed import PATIENCE_S, start
from test_vocoder_task import CONFIG

from glowtron.checkpoint import load_voice
from glowtron.config import SoundConfig, SpectralDiscriminatorConfig, to_dict
from glowtron.data.cache import Cache
from glowtron.data.manifest import read_manifest
from glowtron.models.waveglow import WaveGlow
from glowtron.train import checkpoints
from glowtron.train.distributed import Shard
from glowtron.train.export import export, load_run
from glowtron.train.recipe import recipe
from glowtron.train.vocoder_task import VocoderTask

ON_SOUND = replace(
    CONFIG, sound=SoundConfig(from_step=3, discriminator=SpectralDiscriminatorConfig(channels=4, windows=((512, 128),)))
)


@pytest.fixture
def task(tiny_corpus, tmp_path) -> VocoderTask:
    return VocoderTask(ON_SOUND, read_manifest(tiny_corpus), Cache(tmp_path / "cache", CONFIG.vocoder.mel))


def test_likelihood_comes_first_and_then_sound(task: VocoderTask) -> None:
    batches = task.batches(2, Shard())
    likelihood, sound = (task.losses(task.model.train(), next(batches), torch.Generator()) for _ in range(2))
    assert likelihood.keys() == {"loss"}
    assert {"stft", "mel_l1", "d_loss", "g_loss", "feature_matching"} < sound.keys()
    assert all(value.isfinite() for value in sound.values())


def test_validation_tells_both_and_has_no_total(task: VocoderTask) -> None:
    values = task.losses(task.model.eval(), next(iter(task.validation_batches())), torch.Generator())
    assert {"nll", "stft", "mel_l1"} <= values.keys()
    assert "loss" not in values


def test_the_likelihood_stage_is_that_of_a_run_without_sound(task: VocoderTask, tiny_corpus, tmp_path) -> None:
    alone = VocoderTask(CONFIG, read_manifest(tiny_corpus), Cache(tmp_path / "cache", CONFIG.vocoder.mel))
    ours = task.losses(task.model.train(), next(task.batches(0, Shard())), torch.Generator())["loss"]
    theirs = alone.losses(alone.model.train(), next(alone.batches(0, Shard())), torch.Generator())["loss"]
    assert torch.equal(ours, theirs)


def test_the_flow_is_still_invertible(task: VocoderTask) -> None:
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(task.model.parameters(), lr=1e-3)
    batches = task.batches(3, Shard())
    for _ in range(5):
        batch = next(batches)
        optimizer.zero_grad()
        task.losses(task.model, batch, torch.Generator().manual_seed(0))["loss"].backward()
        optimizer.step()
    flow, (wave, mel, speaker) = task.pretrained_part.eval(), batch.content[0]
    assert isinstance(flow, WaveGlow)
    with torch.no_grad():
        torch.testing.assert_close(flow.inverse(flow(wave, mel, speaker).z, mel, speaker), wave, atol=1e-4, rtol=1e-3)


def test_resumed_is_uninterrupted_and_becomes_a_voice(tiny_corpus, tmp_path) -> None:
    def run(name: str, *lengths: int) -> dict[str, torch.Tensor]:
        folder = tmp_path / name
        for max_steps in lengths:
            if (folder / "config.json").exists():
                text = (folder / "config.json").read_text()
                (folder / "config.json").write_text(text.replace('"max_steps": 4', f'"max_steps": {max_steps}'))
            config = replace(ON_SOUND, training=replace(ON_SOUND.training, max_steps=max_steps))
            run_training(config, [("speaker", tiny_corpus)], folder, cache=tmp_path / "cache", quiet=True)
        return checkpoints.read_tensors(checkpoints.folder(folder, 6), "model")

    whole, parts = run("whole", 6), run("parts", 4, 6)
    for name, weight in whole.items():
        assert torch.equal(weight, parts[name]), name
    export([tmp_path / "whole"], tmp_path / "voice", store="float32")
    vocoder = load_voice(tmp_path / "voice").vocoder
    trained = load_run(tmp_path / "whole").model
    assert isinstance(vocoder, WaveGlow) and isinstance(trained, WaveGlow)
    mel = torch.randn(1, 80, 20) - 5
    ours, theirs = (
        model.generate(mel, 0.5, torch.Generator().manual_seed(0)) for model in (vocoder.eval(), trained.eval())
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_train_both_stages_as_one_does(tiny_corpus, tmp_path) -> None:
    config = replace(ON_SOUND, training=replace(ON_SOUND.training, max_steps=4, precision="fp32", validate_every=4))
    file = tmp_path / "config.json"
    file.write_text(json.dumps(to_dict(config)))
    run_training(config, [("speaker", tiny_corpus)], tmp_path / "alone", device="cpu", quiet=True)
    command = ["-m", "--", "glowtron", "train", "vocoder", "--config", file, "--data", tiny_corpus, "--device", "cpu"]
    (agent,) = start([[*command, "--run", tmp_path / "two"]])
    try:
        said, _ = agent.communicate(timeout=PATIENCE_S)
    finally:
        agent.kill()
    assert agent.returncode == 0, said
    one, two = (checkpoints.read_tensors(tmp_path / run / "step-0000004", "model") for run in ("alone", "two"))
    assert any(name.startswith("discriminator.") for name in one)
    # Noise is drawn by each process for its own part of a batch, so the sound stage is not the same to the bit.
    assert all(two[key].isfinite().all() and one[key].shape == two[key].shape for key in one)


@pytest.mark.parametrize("name", ["compact-vocoder", "waveglow-on-sound"])
def test_recipes_train_on_sound_after_likelihood(name: str) -> None:
    config = recipe("vocoder", name)
    assert config.sound is not None
    assert config.training.max_steps is not None
    assert 0 < config.sound.from_step < config.training.max_steps
