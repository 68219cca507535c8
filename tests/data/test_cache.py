"""Decoded clips and mels on disk."""

import os

import numpy as np
import pytest
import soundfile
import torch

from glowtron.config import MelConfig
from glowtron.data.cache import Cache, as_float
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.mel import log_mel

CONFIG = MelConfig()


@pytest.fixture
def clips(tiny_corpus):
    return read_manifest(tiny_corpus)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "deep" / "cache", CONFIG)


def test_entries_are_the_recording_and_its_mel(cache, clips):
    lengths = cache.fill(clips)
    for clip, length in zip(clips, lengths, strict=True):
        entry = cache.entry(clip)
        assert np.array_equal(entry.wave, soundfile.read(clip.audio, dtype="int16")[0])
        expected = log_mel(torch.from_numpy(as_float(entry.wave))[None], CONFIG)[0].T
        assert length == len(entry.mel) == len(entry.wave) // 256 + 1
        assert np.allclose(entry.mel, expected.numpy(), atol=1e-5)


def test_a_second_filling_writes_nothing(cache, clips):
    cache.fill(clips)
    before = {path.name: path.stat().st_mtime_ns for path in cache.folder.iterdir()}
    assert len(before) == 2 * len(clips)
    cache.fill(clips)
    assert {path.name: path.stat().st_mtime_ns for path in cache.folder.iterdir()} == before


def test_another_rate_is_resampled(cache, clips):
    soundfile.write(clips[1].audio, np.sin(np.arange(48_000) / 20), 48_000)
    assert len(cache.entry(clips[1]).wave) == 22_050


def test_a_changed_recording_is_read_again(cache, clips):
    before = len(cache.entry(clips[1]).wave)
    soundfile.write(clips[1].audio, np.sin(np.arange(3000) / 20), 22_050)
    assert len(Cache(cache.folder, CONFIG).entry(clips[1]).wave) == 3000 != before
    assert len(cache.entry(clips[1]).wave) == before


def test_definitions_do_not_mix(cache, clips):
    other = Cache(cache.folder, MelConfig(n_mels=40, hop_length=200))
    assert cache.entry(clips[0]).mel.shape[1] == 80
    assert other.entry(clips[0]).mel.shape[1] == 40
    assert cache.entry(clips[0]).mel.shape[1] == 80


@pytest.mark.parametrize("kind", ["wave", "mel"])
@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"garbage" * 100, None, "shape", "pickle"])
def test_damaged_entries_are_made_again(cache, clips, kind, damage):
    good = np.array(getattr(cache.entry(clips[0]), kind))
    (path,) = [p for p in cache.folder.iterdir() if p.name.endswith(f"{kind}.npy")]
    if damage is None:
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "shape":
        np.save(path, good[:-400])
    elif damage == "pickle":
        np.save(path, np.array([object()]), allow_pickle=True)
    else:
        path.write_bytes(damage)
    assert np.array_equal(getattr(cache.entry(clips[0]), kind), good)


def test_bad_clips_are_named_and_leave_nothing(cache, clips):
    clips[3].audio.write_bytes(b"junk")
    clips[4].audio.write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 8 clips.*tiny-3.*tiny-4"):
        cache.fill(clips)
    assert len(list(cache.folder.iterdir())) == 12
    with pytest.raises(InputError, match="gone"):
        cache.entry(clips[0]._replace(audio=clips[0].audio.with_name("gone.wav")))


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX paths")
def test_a_place_that_cannot_be_written_is_named(tmp_path, clips):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written"):
        Cache(tmp_path / "file" / "cache", CONFIG).entry(clips[0])
    with pytest.raises(InputError, match=r"file.*cannot be written") as error:
        Cache(tmp_path / "file", CONFIG).fill(clips)
    assert "tiny-0" not in str(error.value)


def test_progress_is_told(cache, clips):
    done = []
    cache.fill(clips, done.append)
    assert done == list(range(1, 9))
