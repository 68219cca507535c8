"""Mels of a model's own, and a vocoder that learns from them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs import run_training
from test_acoustic_task import CONFIG as ACOUSTIC
from test_vocoder_task import CONFIG as VOCODER

from glowtron.config import MelConfig
from glowtron.data.cache import Cache
from glowtron.data.dataset import VocoderDataset
from glowtron.data.manifest import read_manifest
from glowtron.data.precomputed_mels import PrecomputedMels, write_mel
from glowtron.data.sampler import Key
from glowtron.errors import InputError
from glowtron.mel import FLOOR
from glowtron.train.export import export, load_run
from glowtron.train.gta import write_gta_mels
from glowtron.train.task import Corpora


@pytest.fixture(scope="module")
def acoustic(kept_corpus, tmp_path_factory):
    config = replace(ACOUSTIC, training=replace(ACOUSTIC.training, max_steps=2, validation_clips=0))
    folder = tmp_path_factory.mktemp("runs")
    data, cache = [("speaker", kept_corpus)], folder / "cache"
    run_training(config, data, folder / "acoustic", cache=cache, device="cpu", quiet=True)
    return folder / "acoustic"


@pytest.fixture
def make(acoustic, tiny_corpus, tmp_path):
    def make(name="mels", source=acoustic, **options):
        return write_gta_mels(source, Corpora([("ann", tiny_corpus)], tmp_path / "cache"), tmp_path / name, **options)

    return make


@pytest.fixture
def given(tiny_corpus, tmp_path):
    """A folder of mels: frame t holds t throughout."""
    for name, n_frames in lengths(tiny_corpus, tmp_path).items():
        write_mel(tmp_path / "mels", name, np.tile(np.arange(n_frames, dtype=np.float32), (80, 1)))
    return PrecomputedMels(tmp_path / "mels", MelConfig())


def lengths(tiny_corpus, tmp_path):
    cache = Cache(tmp_path / "cache", MelConfig())
    return {clip.id: len(cache.entry(clip).mel) for clip in read_manifest(tiny_corpus)}


@pytest.mark.parametrize("aligned", [True, False])
def test_each_mel_is_the_models_and_as_long_as_its_recording(
    make, acoustic, tiny_corpus, tmp_path, alignments, aligned
):
    given = {"alignments": [alignments]} if aligned else {}
    assert make(**given) == (8, {})
    mels = {name: np.load(tmp_path / "mels" / f"{name}.npy") for name in lengths(tiny_corpus, tmp_path)}
    assert {name: mel.shape for name, mel in mels.items()} == {
        name: (80, length) for name, length in lengths(tiny_corpus, tmp_path).items()
    }
    make("again", **given)
    assert all(np.array_equal(mel, np.load(tmp_path / "again" / f"{name}.npy")) for name, mel in mels.items())
    # The average of the weights speaks, as it does in the voice that is made of the run.
    export([acoustic], tmp_path / "voice", store="float32")
    make("voice-mels", source=tmp_path / "voice", **given)
    for name, mel in mels.items():
        np.testing.assert_allclose(mel, np.load(tmp_path / "voice-mels" / f"{name}.npy"), atol=1e-5)
    assert sorted(path.suffix for path in (tmp_path / "mels").iterdir()) == [".npy"] * 8


def test_clips_without_alignment_are_left_out_and_named(make, alignments, tmp_path):
    lines = alignments.read_text().splitlines(keepends=True)
    alignments.write_text("".join(lines[:-1]))
    assert make(alignments=[alignments]) == (7, {"tiny-7": "it could not be aligned"})
    alignments.write_text("")
    with pytest.raises(InputError, match="none of the clips has an alignment"):
        make(alignments=[alignments])


def train_vocoder(tiny_corpus, tmp_path, run="vocoder", mels="mels"):
    config = replace(VOCODER, training=replace(VOCODER.training, max_steps=2, validate_every=2))
    return run_training(
        config,
        [("speaker", tiny_corpus)],
        tmp_path / run,
        mels=tmp_path / mels,
        cache=tmp_path / "cache",
        device="cpu",
        quiet=True,
    )


def test_a_vocoder_learns_from_them_and_says_which(given, tiny_corpus, tmp_path):
    (tmp_path / "mels" / "tiny-7.npy").unlink()
    assert train_vocoder(tiny_corpus, tmp_path).finished
    told = json.loads((tmp_path / "vocoder" / "data.json").read_text())
    assert told["left_out"].keys() == {"tiny-7"} and len(told["mels"]) == 64
    shutil.copytree(tmp_path / "mels", tmp_path / "same")
    assert train_vocoder(tiny_corpus, tmp_path, mels="same").finished
    write_mel(tmp_path / "same", "tiny-6", np.load(tmp_path / "mels" / "tiny-6.npy") + 1)
    with pytest.raises(InputError, match=r"other data: mels"):
        train_vocoder(tiny_corpus, tmp_path, mels="same")
    assert load_run(tmp_path / "vocoder").step == 2


@pytest.mark.parametrize("length", [4096, 16384])
def test_a_segment_has_the_given_mel_at_its_place(given, tiny_corpus, tmp_path, length):
    clips, cache = read_manifest(tiny_corpus), Cache(tmp_path / "cache", MelConfig())
    mine = VocoderDataset(clips, cache, segment_length=length, seed=1, mels=given)
    real = VocoderDataset(clips, cache, segment_length=length, seed=1)
    for item, clip in enumerate(clips):
        wave, mel, _ = mine[Key(3, item)]
        assert torch.equal(wave, real[Key(3, item)].wave) and mel.shape == real[Key(3, item)].mel.shape
        whole, n_frames = cache.entry(clip).wave, len(cache.entry(clip).mel)
        first = int(mel[0, 0, 0])
        heard = min(mel.shape[2], n_frames)
        assert mel[0, :, :heard].eq(torch.arange(first, first + heard)).all()
        silence = mel[0, :, heard + 2 :]  # Before that the window still reaches what is heard.
        assert torch.allclose(silence, torch.full_like(silence, np.log(FLOOR)))
        n = min(length, len(whole))
        assert np.array_equal(whole[first * 256 : first * 256 + n], (wave[0, :n] * 32768).short())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a mel"),
        (b"\x93NUMPY\x01\x00", "cannot be read as a mel"),
        (np.zeros((80, 3), np.float32), r"is float32 \(80, 3\); its recording asks for floats \(80, "),
        (np.zeros(9), r"is float64 \(9,\)"),
        (np.array([{}], object), "cannot be read as a mel"),
    ],
    ids=["empty", "cut", "short", "flat", "pickle"],
)
def test_a_mel_that_does_not_fit_is_named_before_anything_is_trained(given, tiny_corpus, tmp_path, content, said):
    path = tmp_path / "mels" / "tiny-2.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(InputError, match=rf"tiny-2.npy: {said}"):
        train_vocoder(tiny_corpus, tmp_path)
    assert not (tmp_path / "vocoder" / "config.json").exists()


def test_what_cannot_be_done_is_refused(make, given, tiny_corpus, tmp_path):
    with pytest.raises(InputError, match="missing: is no folder of mels"):
        train_vocoder(tiny_corpus, tmp_path, mels="missing")
    train_vocoder(tiny_corpus, tmp_path)
    with pytest.raises(InputError, match="is the run of a vocoder"):
        make(source=tmp_path / "vocoder")
