"""A postnet trained against a discriminator."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import run_training
from test_acoustic_task import CONFIG as ACOUSTIC
from torch.nn import functional as F

from glowtron.config import PatchDiscriminatorConfig, PostnetRun, TrainingConfig
from glowtron.errors import InputError
from glowtron.models.patch_discriminator import PatchDiscriminator
from glowtron.models.tacotron2 import Tacotron2
from glowtron.train.export import export, load_run
from glowtron.train.gta import load_acoustic, write_gta_mels
from glowtron.train.postnet_task import AdversarialPostnet
from glowtron.train.task import Corpora

CONFIG = PostnetRun(
    discriminator=PatchDiscriminatorConfig(channels=4),
    training=TrainingConfig(batch_size=2, max_steps=4, validation_clips=2, validate_every=2, ema_decay=0.9),
    segment_frames=16,
)


SPEAKERS = torch.tensor([0, 1])


@pytest.fixture
def model():
    torch.manual_seed(0)
    acoustic = Tacotron2(ACOUSTIC.acoustic.model, 80)
    return AdversarialPostnet(acoustic, PatchDiscriminator(PatchDiscriminatorConfig(channels=4), 80, 2))


def test_each_player_learns_from_its_own_loss_alone(model):
    made, recorded = torch.randn(2, 80, 16) - 5, torch.randn(2, 80, 16) - 5
    model.acoustic.postnet.dropout.p = 0.0

    def gradients(loss):
        model.zero_grad()
        loss.backward()
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    losses = model(made, recorded, SPEAKERS[: len(made)])
    together = gradients(losses.d_loss + losses.g_loss + losses.feature_matching + losses.reconstruction)
    judge = gradients(model(made, recorded, SPEAKERS[: len(made)]).d_loss)
    losses = model(made, recorded, SPEAKERS[: len(made)])
    postnet = gradients(losses.g_loss + losses.feature_matching + losses.reconstruction)
    assert judge and all(name.startswith("discriminator.") for name in judge)
    assert postnet and all(name.startswith("acoustic.postnet.") for name in postnet)
    assert together.keys() == judge.keys() | postnet.keys()
    for name, gradient in (judge | postnet).items():
        torch.testing.assert_close(gradient, together[name], msg=name)


def test_the_game_is_least_squares(model):
    made, recorded = torch.randn(1, 80, 24) - 5, torch.randn(1, 80, 24) - 5
    model.eval()
    losses = model(made, recorded, SPEAKERS[: len(made)])
    real = model.discriminator(recorded.transpose(1, 2), SPEAKERS[:1]).score
    fake = model.discriminator(model.refine(made).transpose(1, 2), SPEAKERS[:1]).score
    torch.testing.assert_close(losses.d_loss, F.mse_loss(real, torch.ones_like(real)) + fake.square().mean())
    torch.testing.assert_close(losses.g_loss, F.mse_loss(fake, torch.ones_like(fake)))


def test_a_score_sees_a_patch_and_no_more(model):
    mel = torch.randn(1, 96, 80)
    mel.requires_grad_()
    score = model.discriminator(mel, SPEAKERS[:1]).score
    score[0, 0, score.shape[2] // 2, score.shape[3] // 2].backward()
    seen = mel.grad[0].ne(0)
    frames, bands = seen.any(1).nonzero(), seen.any(0).nonzero()
    assert int(frames.max() - frames.min()) + 1 == 25
    assert int(bands.max() - bands.min()) + 1 == 61


def test_it_judges_each_speaker_by_that_speaker(model):
    mel = torch.randn(1, 32, 80) - 5
    one, other = (model.discriminator(mel, SPEAKERS[i : i + 1]).score for i in (0, 1))
    assert not torch.allclose(one, other)
    assert PatchDiscriminator(PatchDiscriminatorConfig(channels=4))(mel).score.shape == one.shape


@pytest.fixture(scope="module")
def corpora(kept_corpus, tmp_path_factory):
    return Corpora([("speaker", kept_corpus)], tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def acoustic(corpora, kept_alignments, tmp_path_factory):
    config = replace(
        ACOUSTIC,
        attention_supervision="forced_alignment",
        training=replace(ACOUSTIC.training, max_steps=2, validation_clips=2),
    )
    run, given = tmp_path_factory.mktemp("runs") / "acoustic", {"alignments": [kept_alignments], "quiet": True}
    run_training(config, corpora.sources, run, cache=corpora.cache, device="cpu", **given)
    return run


@pytest.fixture(scope="module")
def free(acoustic, corpora, kept_alignments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("free")
    write_gta_mels(acoustic, corpora, folder, alignments=[kept_alignments], free_running=True, before_postnet=True)
    return folder


@pytest.fixture(scope="module")
def train(acoustic, free, corpora):
    def train(run, config=CONFIG):
        given = {"init_from": acoustic, "mels": free, "cache": corpora.cache, "device": "cpu", "quiet": True}
        return run_training(config, corpora.sources, run, **given)

    return train


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "postnet"
    assert train(run).finished
    return run


def test_only_the_postnet_learns_and_a_voice_gets_it(acoustic, whole, tmp_path):
    before, after = load_acoustic(acoustic), load_acoustic(whole)
    assert after.monotonic and after.config == before.config
    old = before.model.state_dict()
    changed = {name for name, weight in after.model.state_dict().items() if not torch.equal(weight, old[name])}
    assert changed and all(name.startswith("postnet.") for name in changed)
    metrics = load_run(whole).metrics
    assert {"mel_l1", "movement", "spread"} <= metrics.keys()
    voice = export([whole], tmp_path / "voice")
    assert voice.decoding.monotonic
    with pytest.raises(InputError, match="second run of kind 'acoustic'"):
        export([whole, acoustic], tmp_path / "both")


def test_a_run_cut_and_gone_on_with_ends_alike(train, whole, tmp_path):
    short = replace(CONFIG, training=replace(CONFIG.training, checkpoint_every=2, keep_checkpoints=9))
    train(tmp_path / "cut", short)
    shutil.rmtree(tmp_path / "cut" / "step-0000004")
    train(tmp_path / "cut", short)
    one, two = (load_acoustic(run).model.state_dict() for run in (whole, tmp_path / "cut"))
    assert all(torch.equal(weight, two[name]) for name, weight in one.items())


def test_free_mels_keep_step_and_hear_nothing_of_the_recording(acoustic, free, corpora, kept_alignments, tmp_path):
    forced = tmp_path / "forced"
    write_gta_mels(acoustic, corpora, forced, alignments=[kept_alignments])
    for path in free.glob("*.npy"):
        assert np.load(path).shape == np.load(forced / path.name).shape
        assert not np.allclose(np.load(path), np.load(forced / path.name))
    with pytest.raises(InputError, match="free running needs alignments"):
        write_gta_mels(acoustic, corpora, tmp_path / "no", free_running=True)
