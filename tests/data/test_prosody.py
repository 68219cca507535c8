"""Measured prosody of clips."""

import numpy as np
import pytest
import torch

from glowtron.audio import Audio
from glowtron.config import MelConfig, TextConfig
from glowtron.data.cache import Cache
from glowtron.data.durations import read_alignments
from glowtron.data.manifest import read_manifest
from glowtron.data.pitch import pitch_contour
from glowtron.data.prosody import ProsodyDataset, ProsodyStatistics, collate_prosody, symbol_energy
from glowtron.data.sampler import Key
from glowtron.text.frontend import make_frontend

MEL = MelConfig()
ENCODE = make_frontend(TextConfig(frontend="nvidia")).ids


def tone(hertz: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * MEL.sample_rate)) / MEL.sample_rate
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def test_a_contour_is_the_pitch_of_each_frame_and_goes_on_through_silence() -> None:
    silence = np.zeros(MEL.sample_rate // 4, np.float32)
    audio = Audio(np.concatenate([silence, tone(200, 0.5), silence, tone(100, 0.5)]), MEL.sample_rate)
    n_frames = len(audio.samples) // MEL.hop_length + 1
    log_f0, voiced = pitch_contour(audio, n_frames, MEL)
    time = np.arange(n_frames) * MEL.hop_length / MEL.sample_rate
    assert log_f0.shape == voiced.shape == (n_frames,)
    for start, end, hertz in ((0.3, 0.7, 200), (1.05, 1.45, 100)):
        inside = (time > start) & (time < end)
        assert voiced[inside].all()
        assert np.exp(log_f0[inside]) == pytest.approx(hertz, rel=0.01)
    assert not voiced[time < 0.2].any()
    assert np.exp(log_f0[0]) == pytest.approx(200, rel=0.02)
    between = log_f0[(time > 0.8) & (time < 0.95)]
    assert (np.diff(between) < 0).all() and (between < np.log(200)).all() and (between > np.log(100)).all()


def test_silence_has_no_pitch() -> None:
    contour = pitch_contour(Audio(np.zeros(22050, np.float32), 22050), 87, MEL)
    assert (contour == 0).all()


def test_energy_is_the_mean_over_a_symbols_frames() -> None:
    mel = np.arange(10, dtype=np.float32).repeat(2).reshape(10, 2)
    energy = symbol_energy(mel, np.array([3, 0, 6, 1, 0]))
    assert energy == pytest.approx([1, 3, 5.5, 9, 9])


@pytest.fixture
def dataset(tiny_corpus, tmp_path, alignments):
    return ProsodyDataset(
        read_manifest(tiny_corpus),
        Cache(tmp_path / "cache", MEL),
        encode=ENCODE,
        speakers=("speaker",),
        alignments=read_alignments(alignments),
        segment_frames=8,
        seed=1,
    )


def test_segments_are_cut_from_the_whole_and_drawn_anew_each_epoch(dataset: ProsodyDataset) -> None:
    index = len(dataset) - 1
    whole = ProsodyDataset.__getitem__(_whole(dataset), Key(0, index))
    firsts = set()
    for epoch in range(20):
        item = dataset[Key(epoch, index)]
        part = slice(item.first, item.first + 8)
        firsts.add(item.first)
        assert torch.equal(item.mel, whole.mel[:, part])
        assert torch.equal(item.pitch, whole.pitch[part])
        assert torch.equal(item.voiced, whole.voiced[part])
        assert item.durations.sum() == whole.mel.shape[1]
    assert len(firsts) > 1
    assert dataset[Key(3, index)].first == dataset[Key(3, index)].first


def _whole(dataset: ProsodyDataset) -> ProsodyDataset:
    whole = object.__new__(ProsodyDataset)
    whole.__dict__.update(dataset.__dict__, _segment_frames=None)
    return whole


def test_energy_is_normalised_over_the_corpus(dataset: ProsodyDataset) -> None:
    energy = torch.cat([dataset[Key(0, i)].energy for i in range(len(dataset))])
    assert float(energy.mean()) == pytest.approx(0, abs=1e-3)
    assert float(energy.std(unbiased=False)) == pytest.approx(1, abs=1e-3)


def test_given_statistics_are_used(dataset: ProsodyDataset, tiny_corpus, tmp_path, alignments) -> None:
    other = ProsodyDataset(
        read_manifest(tiny_corpus),
        Cache(tmp_path / "cache", MEL),
        encode=ENCODE,
        speakers=("speaker",),
        alignments=read_alignments(alignments),
        segment_frames=None,
        seed=1,
        statistics=ProsodyStatistics((0.0,), (1.0,), 2.0, 4.0),
    )
    plain, item = dataset[Key(0, 0)], other[Key(0, 0)]
    statistics = dataset.statistics
    torch.testing.assert_close(
        item.energy * 4 + 2, plain.energy * statistics.energy_std + statistics.energy_mean, atol=1e-4, rtol=1e-4
    )


def test_a_batch_is_padded_and_masked(dataset: ProsodyDataset) -> None:
    items = [_whole(dataset)[Key(0, i)] for i in range(len(dataset))]
    batch = collate_prosody(items)
    for row, item in enumerate(items):
        n_frames, n_ids = item.mel.shape[1], len(item.ids)
        assert batch.frame_mask[row].sum() == n_frames
        assert torch.equal(batch.mel[row, :, :n_frames], item.mel)
        assert batch.durations[row, n_ids:].sum() == 0
        assert batch.id_lengths[row] == n_ids
    assert collate_prosody(items[:1], 500).mel.shape[2] == 500
