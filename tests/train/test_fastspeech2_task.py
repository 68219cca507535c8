"""Training of FastSpeech 2, with and without its discriminator."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import run_training

from glowtron.checkpoint import load_voice
from glowtron.config import (
    AcousticConfig,
    AdversarialConfig,
    FastSpeech2Config,
    FastSpeech2Run,
    OptimizerConfig,
    PatchDiscriminatorConfig,
    TextConfig,
    TrainingConfig,
)
from glowtron.data.cache import Cache
from glowtron.data.durations import read_alignments
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.models.fastspeech2 import FastSpeech2
from glowtron.train import checkpoints
from glowtron.train.distributed import Shard
from glowtron.train.export import export, load_run
from glowtron.train.fastspeech2_task import FastSpeech2Task
from glowtron.train.gta import write_gta_mels
from glowtron.train.recipe import recipe
from glowtron.train.task import Corpora

CONFIG = FastSpeech2Run(
    acoustic=AcousticConfig(
        model=FastSpeech2Config(
            channels=16, pitch_channels=8, decoder_channels=16, decoder_dilations=(1, 2), pitch_dilations=(1,)
        ),
        text=TextConfig(frontend="nvidia"),
    ),
    training=TrainingConfig(
        batch_size=2,
        max_steps=6,
        optimizer=OptimizerConfig(type="adamw", lr=1e-3),
        ema_decay=0.9,
        validation_clips=2,
        validate_every=3,
        checkpoint_every=2,
        log_every=2,
    ),
    segment_frames=16,
    adversarial=AdversarialConfig(from_step=3, discriminator=PatchDiscriminatorConfig(channels=4)),
)


@pytest.fixture
def make_task(tiny_corpus, tmp_path, alignments):
    def make(config: FastSpeech2Run = CONFIG) -> FastSpeech2Task:
        cache = Cache(tmp_path / "cache", config.acoustic.mel)
        return FastSpeech2Task(config, read_manifest(tiny_corpus), cache, read_alignments(alignments))

    return make


def test_the_statistics_of_the_training_clips_are_in_the_model(make_task) -> None:
    task = make_task()
    acoustic = task.pretrained_part
    assert acoustic.pitch_mean.tolist() == pytest.approx(task.dataset.statistics.pitch_mean)
    assert acoustic.energy_std.item() == pytest.approx(task.dataset.statistics.energy_std)


def test_the_discriminator_joins_at_its_step_however_often_the_run_is_resumed(make_task) -> None:
    task = make_task()
    for first in (0, 2, 5):
        batches = task.batches(first, Shard())
        joined = [bool(next(batches).content[1]) for _ in range(5)]
        assert joined == [first + i >= 3 for i in range(5)]


def test_losses_before_and_after_it_joins(make_task) -> None:
    task = make_task()
    batches = task.batches(2, Shard())
    before, after = (task.losses(task.model.train(), next(batches), torch.Generator()) for _ in range(2))
    assert "d_loss" not in before
    assert {"d_loss", "g_loss", "feature_matching"} <= after.keys()
    assert all(value.isfinite() for value in after.values())
    validation = task.losses(task.model.eval(), next(iter(task.validation_batches())), torch.Generator())
    assert "loss" not in validation and "mel" in validation


def test_a_model_learns_a_corpus(make_task) -> None:
    task = make_task(replace(CONFIG, adversarial=None))
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(task.model.parameters(), lr=3e-3)
    batches = task.batches(0, Shard())
    losses = []
    for _ in range(60):
        loss = task.losses(task.model, next(batches), torch.Generator().manual_seed(0))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


@pytest.fixture(scope="module")
def trained(kept_corpus, tmp_path_factory, kept_alignments) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    data, cache = [("speaker", kept_corpus)], folder / "cache"
    run_training(CONFIG, data, folder / "whole", cache=cache, alignments=[kept_alignments], quiet=True)
    return folder / "whole"


def test_resumed_is_uninterrupted(trained, tiny_corpus, tmp_path, alignments) -> None:
    folder = tmp_path / "parts"
    for max_steps in (4, 6):
        if (folder / "config.json").exists():
            text = (folder / "config.json").read_text()
            (folder / "config.json").write_text(text.replace('"max_steps": 4', f'"max_steps": {max_steps}'))
        config = replace(CONFIG, training=replace(CONFIG.training, max_steps=max_steps))
        data = [("speaker", tiny_corpus)]
        run_training(config, data, folder, cache=tmp_path / "cache", alignments=[alignments], quiet=True)
    whole, parts = (checkpoints.read_tensors(checkpoints.folder(run, 6), "model") for run in (trained, folder))
    assert any(name.startswith("discriminator.") for name in whole)
    for name, weight in whole.items():
        assert torch.equal(weight, parts[name]), name


def test_a_run_becomes_a_voice(trained, tmp_path) -> None:
    export([trained], tmp_path / "voice", store="float32")
    voice, run = load_voice(tmp_path / "voice"), load_run(trained)
    assert isinstance(voice.acoustic, FastSpeech2)
    assert voice.config.decoding.monotonic
    for name, weight in run.model.state_dict().items():
        assert torch.equal(voice.acoustic.state_dict()[name], weight)


def test_another_run_begins_with_its_weights(trained, tiny_corpus, tmp_path, alignments) -> None:
    config = replace(CONFIG, training=replace(CONFIG.training, max_steps=1, validate_every=100))
    data = [("speaker", tiny_corpus)]
    again = tmp_path / "again"
    run_training(config, data, again, cache=tmp_path / "cache", alignments=[alignments], init_from=trained, quiet=True)
    before, after = load_run(trained).model, load_run(again).model
    moved = (before.mel_out.weight - after.mel_out.weight).abs().max().item()
    assert 0 < moved < 0.01, "one step from where the other run ended"


def test_gta_mels_are_as_long_as_the_recordings(trained, tiny_corpus, tmp_path, alignments) -> None:
    corpora = Corpora([("speaker", tiny_corpus)], tmp_path / "cache")
    done = write_gta_mels(trained, corpora, tmp_path / "mels", alignments=[alignments])
    assert done.written == 8
    cache = Cache(tmp_path / "cache", CONFIG.acoustic.mel)
    for clip in read_manifest(tiny_corpus):
        assert np.load(tmp_path / "mels" / f"{clip.id}.npy").T.shape == cache.entry(clip).mel.shape
    with pytest.raises(InputError, match="needs alignments"):
        write_gta_mels(trained, corpora, tmp_path / "other")


def test_durations_need_alignments(tiny_corpus, tmp_path) -> None:
    with pytest.raises(InputError, match="glowtron align"):
        run_training(CONFIG, [("speaker", tiny_corpus)], tmp_path / "run", alignments=[])


def test_named_clips_are_held_out(make_task) -> None:
    named = ("speaker/tiny-1", "speaker/tiny-6")
    task = make_task(replace(CONFIG, training=replace(CONFIG.training, held_out=named)))
    assert task.data()["held_out"] == list(named)
    assert len(task.clips) == 6
    with pytest.raises(InputError, match="no clip 'speaker/other'"):
        make_task(replace(CONFIG, training=replace(CONFIG.training, held_out=("speaker/other",))))


def test_the_recipe_is_of_a_fastspeech2() -> None:
    config = recipe("fastspeech2", "compact-fastspeech2")
    assert isinstance(config, FastSpeech2Run)
    assert config.adversarial is not None
    with pytest.raises(InputError, match="fastspeech2"):
        recipe("acoustic", "compact-fastspeech2")
