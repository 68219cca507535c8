import json
from dataclasses import replace

import pytest
import torch
from runs import run_training

from glowtron.config import AcousticConfig, AcousticRun, OptimizerConfig, Tacotron2Config, TextConfig, TrainingConfig
from glowtron.data.cache import Cache
from glowtron.data.durations import read_alignments
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.train import acoustic_task, checkpoints
from glowtron.train.acoustic_task import AcousticTask
from glowtron.train.loop import train

TINY = Tacotron2Config(
    embedding_channels=8,
    encoder_channels=8,
    prenet_channels=8,
    attention_rnn_channels=8,
    attention_channels=8,
    location_filters=2,
    location_kernel=3,
    decoder_rnn_channels=16,
    postnet_channels=8,
    postnet_layers=2,
    reduction_factor=2,
)
CONFIG = AcousticRun(
    acoustic=AcousticConfig(model=TINY, text=TextConfig(frontend="nvidia")),
    training=TrainingConfig(
        batch_size=3,
        max_steps=4,
        optimizer=OptimizerConfig(lr=1e-2),
        ema_decay=0.9,
        validation_clips=2,
        validate_every=4,
        checkpoint_every=2,
        log_every=2,
    ),
)
MEASURED = replace(CONFIG, attention_supervision="forced_alignment", forced_alignment_share=0.5)


@pytest.fixture
def task(tiny_corpus, tmp_path, alignments):
    def make(config=CONFIG) -> AcousticTask:
        measured = read_alignments(alignments) if config.attention_supervision == "forced_alignment" else None
        return AcousticTask(
            config, read_manifest(tiny_corpus), Cache(tmp_path / "cache", config.acoustic.mel), measured
        )

    return make


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(MEASURED, id="forced_alignment"),
        pytest.param(replace(CONFIG, attention_supervision="guided"), id="guided", marks=pytest.mark.slow),
    ],
)
def test_resumed_is_as_uninterrupted(task, tmp_path, config, monkeypatch):
    monkeypatch.setattr(acoustic_task, "SAMPLE_CLIPS", 1)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(task(config), whole, device="cpu", quiet=True)
    interrupted = task(config)
    given = interrupted.batches

    def fails_at_step_3(first_step, shard):
        batches = given(first_step, shard)
        for _ in range(3):
            yield next(batches)
        raise KeyboardInterrupt

    interrupted.batches = fails_at_step_3
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, cut, device="cpu", quiet=True)
    train(task(config), cut, device="cpu", quiet=True)
    for name in ("model", "optimizer", "average"):
        one, two = (checkpoints.read_tensors(run / "step-0000004", name) for run in (whole, cut))
        assert [key for key in one if not torch.equal(one[key], two[key])] == []
    told = json.loads((whole / "metrics.jsonl").read_text().splitlines()[-1])
    parts = {"mel_before", "mel", "stop"} | ({"attention"} if config.attention_supervision != "none" else set())
    assert {"step", "split", "loss", "stopped_share"} | parts == told.keys()
    weight = config.attention_loss_weight
    assert told["loss"] == pytest.approx(
        told["mel_before"] + told["mel"] + told["stop"] + weight * told.get("attention", 0)
    )


def test_validation_does_not_depend_on_the_batch_size_of_training(task):
    def loss(batch_size: int) -> list[float]:
        one = task(replace(MEASURED, training=replace(MEASURED.training, batch_size=batch_size)))
        one.model.eval()
        generators = (torch.Generator().manual_seed(i) for i in range(9))
        return [
            one.losses(one.model, batch, generator)["loss"].item()
            for batch, generator in zip(one.validation_batches(), generators, strict=False)
        ]

    assert loss(1) == loss(3)


def test_samples_are_spoken_freely_with_pictures_of_alignment_and_mel(task):
    task = task(MEASURED)
    samples = task.samples(task.model.eval())
    names = {clip.id for clip in task.validation_clips}
    assert samples.audio.keys() == names
    assert samples.pictures.keys() == {f"{name}_{kind}" for name in names for kind in ("mel", "alignment")}
    assert 0 <= samples.metrics["stopped_share"] <= 1


def test_clips_too_long_and_clips_not_aligned_are_left_out_by_name(task, alignments):
    lines = alignments.read_text().splitlines()
    alignments.write_text("\n".join(line for line in lines if '"tiny-2"' not in line))
    task = task(replace(MEASURED, max_clip_s=0.85))
    assert task.data()["left_out"].keys() == {"tiny-2", "tiny-7"}
    assert {"tiny-2", "tiny-7"}.isdisjoint(clip.id for clip in (*task.clips, *task.validation_clips))


def test_measured_guidance_needs_alignments_and_known_speakers(tiny_corpus, tmp_path):
    with pytest.raises(InputError, match="attention_supervision 'forced_alignment' needs alignments"):
        run_training(MEASURED, [("speaker", tiny_corpus)], tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(
        InputError, match=r"attention_supervision 'none'; give `attention_supervision=forced_alignment`"
    ):
        run_training(CONFIG, [("speaker", tiny_corpus)], tmp_path / "run", alignments=[tmp_path / "none"], device="cpu")
    with pytest.raises(InputError, match="speaker 'lj' is not among the model's"):
        run_training(CONFIG, [("lj", tiny_corpus)], tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run" / "config.json").exists()
