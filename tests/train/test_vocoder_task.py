import json
from dataclasses import replace

import pytest
import torch
from runs import run_training
from test_distributed import PATIENCE_S, start

from glowtron.config import (
    LappedConfig,
    OptimizerConfig,
    TrainingConfig,
    VocoderRun,
    WaveGlowConfig,
    WNConfig,
    to_dict,
)
from glowtron.data.cache import Cache
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.train import checkpoints
from glowtron.train.distributed import Shard
from glowtron.train.loop import train
from glowtron.train.state import StoppingCriteria
from glowtron.train.vocoder_task import VocoderTask

CONFIG = VocoderRun(
    vocoder=WaveGlowConfig(
        analysis=LappedConfig(hop_length=64, scale_channels=16),
        n_flows=2,
        early_size=0,
        mixing="permutation",
        wavenet=WNConfig(n_layers=2, n_channels=16),
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
    segment_length=4096,
)


@pytest.fixture
def task(tiny_corpus, tmp_path):
    def make(config=CONFIG) -> VocoderTask:
        return VocoderTask(config, read_manifest(tiny_corpus), Cache(tmp_path / "cache", config.vocoder.mel))

    return make


def held_out_loss(task: VocoderTask) -> float:
    with torch.no_grad():
        batches = list(task.validation_batches())
        losses = [task.losses(task.model, b, torch.Generator())["loss"].item() * task.n_units(b) for b in batches]
    return sum(losses) / sum(task.n_units(b) for b in batches)


def test_resumed_is_as_uninterrupted_and_the_loss_falls(task, tmp_path):
    before = held_out_loss(task())
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(task(), whole, device="cpu", quiet=True)
    interrupted = task()
    given = interrupted.batches

    def fails_at_step_5(first_step, shard):
        batches = given(first_step, shard)
        for _ in range(5):
            yield next(batches)
        raise KeyboardInterrupt

    interrupted.batches = fails_at_step_5
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, cut, device="cpu", quiet=True)
    assert checkpoints.steps(cut)[-1] == 4
    train(task(), cut, device="cpu", quiet=True)
    for name in ("model", "optimizer", "average"):
        one, two = (checkpoints.read_tensors(run / "step-0000006", name) for run in (whole, cut))
        assert [key for key in one if not torch.equal(one[key], two[key])] == []
    trained = task()
    trained.model.load_state_dict(checkpoints.read_tensors(whole / "step-0000006", "model"))
    assert held_out_loss(trained) < before


@pytest.mark.parametrize("parts", [1, 2])
def test_flows_computed_again_end_with_the_same_bits(task, tmp_path, parts):
    usual = replace(CONFIG, training=replace(CONFIG.training, gradient_accumulation_steps=parts, max_steps=3))
    again = replace(usual, activation_checkpointing=True)
    train(task(usual), tmp_path / "usual", device="cpu", quiet=True)
    # In bf16, cut after the first step.
    for hours in (1e-9, None):
        train(task(again), tmp_path / "again", stopping=StoppingCriteria(max_hours=hours), device="cpu", quiet=True)
    for name in ("model", "optimizer", "average"):
        one, two = (checkpoints.read_tensors(tmp_path / run / "step-0000003", name) for run in ("usual", "again"))
        assert [key for key in one if not torch.equal(one[key], two[key])] == []


@pytest.mark.slow
def test_two_processes_that_compute_flows_again_learn_what_one_does(task, tiny_corpus, tmp_path):
    config = replace(
        CONFIG, training=replace(CONFIG.training, precision="fp32", max_steps=3), activation_checkpointing=True
    )
    file = tmp_path / "config.json"
    file.write_text(json.dumps(to_dict(config)))
    train(task(replace(config, activation_checkpointing=False)), tmp_path / "alone", device="cpu", quiet=True)
    command = ["-m", "--", "glowtron", "train", "vocoder", "--config", file, "--data", tiny_corpus, "--device", "cpu"]
    (agent,) = start([[*command, "--run", tmp_path / "two"]])
    try:
        said, _ = agent.communicate(timeout=PATIENCE_S)
    finally:
        agent.kill()
    assert agent.returncode == 0, said
    one, two = (checkpoints.read_tensors(tmp_path / run / "step-0000003", "model") for run in ("alone", "two"))
    assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)


def test_validation_is_the_same_every_time_and_in_any_batches(task):
    losses = [
        held_out_loss(task(replace(CONFIG, training=replace(CONFIG.training, batch_size=size))))
        for size in (2, 2, 1, 5)
    ]
    assert losses[0] == losses[1]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-5)


def test_validation_clips_are_never_trained_on_and_batches_name_theirs(task):
    task = task()
    held_out = {clip.id for clip in task.validation_clips}
    assert len(held_out) == 2 and held_out == {name for batch in task.validation_batches() for name in batch.ids}
    batches = task.batches(0, Shard())
    seen = [name for _ in range(6) for name in next(batches).ids]
    assert len(seen) == 12 and set(seen) == {clip.id for clip in task.clips}
    assert held_out.isdisjoint(seen)


def test_processes_share_each_batch(task):
    task = task()
    whole = next(iter(task.batches(3, Shard())))
    parts = [next(iter(task.batches(3, Shard(rank, 2)))) for rank in range(2)]
    assert whole.ids == [part.ids[0] for part in parts]
    assert torch.equal(whole.content.wave, torch.cat([part.content.wave for part in parts]))


def test_reading_in_other_processes_gives_the_same_batches(task):
    here = task().batches(2, Shard())
    there = task(replace(CONFIG, training=replace(CONFIG.training, workers=1))).batches(2, Shard())
    for _ in range(3):
        one, two = next(here), next(there)
        assert one.ids == two.ids and torch.equal(one.content.wave, two.content.wave)


def test_samples_are_validation_clips(task):
    task = task()
    samples = task.samples(task.model.eval())
    assert samples.audio.keys() == {clip.id for clip in task.validation_clips}
    for clip in task.validation_clips:
        n_samples = len(task.cache.entry(clip).mel) * 256
        assert samples.audio[clip.id].samples.shape == (n_samples,)
    assert samples.metrics["mel_l1"] > 0


def test_a_clip_that_cannot_be_read_is_named_before_anything_is_trained(tiny_corpus, tmp_path):
    (tiny_corpus / "wavs" / "tiny-3.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"1 of 8 clips cannot be used.*tiny-3"):
        run_training(CONFIG, [("a", tiny_corpus)], tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run" / "config.json").exists()


def test_one_id_in_two_corpora_is_refused(tiny_corpus, tmp_path):
    with pytest.raises(InputError, match="clip id 'tiny-0' is in the data of a and of b"):
        run_training(CONFIG, [("a", tiny_corpus), ("b", tiny_corpus)], tmp_path / "run", device="cpu")


def test_no_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to train on; give `data`"):
        run_training(CONFIG, [], tmp_path / "run")
