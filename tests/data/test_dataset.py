"""What the models train on."""

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from glowtron.config import MelConfig
from glowtron.data.cache import Cache, as_float
from glowtron.data.dataset import AcousticDataset, VocoderDataset, collate_acoustic, collate_vocoder
from glowtron.data.durations import Alignment
from glowtron.data.manifest import read_manifest
from glowtron.data.sampler import BatchOrder, Key
from glowtron.errors import InputError
from glowtron.mel import log_mel

CONFIG = MelConfig()
HOP = CONFIG.hop_length


@pytest.fixture
def clips(tiny_corpus):
    return read_manifest(tiny_corpus, "ada")


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", CONFIG)


def encode(text: str) -> list[int]:
    return [ord(letter) % 148 for letter in text]


def segments(clips, cache, length=4096, seed=5, dither=0.0) -> VocoderDataset:
    return VocoderDataset(clips, cache, segment_length=length, seed=seed, dither=dither)


@pytest.mark.parametrize("length", [4096, 4000, 256, 100])
def test_a_segment_and_its_mel_are_cut_at_one_place(clips, cache, length):
    dataset = segments(clips, cache, length)
    for epoch in range(5):
        wave, mel, _ = dataset[Key(epoch, 7)]
        assert wave.shape == (1, length)
        assert mel.shape == (1, 80, length // HOP + 1)
        whole = as_float(cache.entry(clips[7]).wave)
        places = [f for f in range(len(whole) // HOP + 1) if np.array_equal(whole[f * HOP : f * HOP + length], wave[0])]
        assert len(places) == 1
        frames = cache.entry(clips[7]).mel[places[0] : places[0] + mel.shape[2]]
        assert np.array_equal(frames.T, mel[0])


def test_the_mel_of_a_segment_is_of_its_sound(clips, cache):
    wave, mel, _ = segments(clips, cache, 8192)[Key(0, 7)]
    alone = log_mel(wave, CONFIG)
    assert torch.allclose(alone[:, :, 2:-2], mel[:, :, 2:-2], atol=1e-3)
    # The ends differ, since nothing is reflected there.
    assert (alone - mel)[:, :, 0].abs().max() > 1e-2


def test_every_place_of_a_clip_is_reached_to_its_end(clips, cache):
    length = len(cache.entry(clips[0]).wave)
    dataset = segments(clips, cache, length - 3 * HOP)
    whole = as_float(cache.entry(clips[0]).wave)
    starts = {int(np.argmax(np.correlate(whole, dataset[Key(epoch, 0)].wave[0].numpy()))) for epoch in range(60)}
    assert starts == {0, HOP, 2 * HOP, 3 * HOP}


def test_segments_say_whose_they_are(clips, cache):
    clips = [clip._replace(speaker="ann" if i % 2 else "bob") for i, clip in enumerate(clips)]
    dataset = VocoderDataset(clips, cache, segment_length=256, seed=5, speakers=("carl", "ann", "bob"))
    batch = collate_vocoder([dataset[Key(0, i)] for i in (3, 0, 2)])
    assert batch.speaker.tolist() == [1, 2, 2] and batch.wave.shape == (3, 256)
    with pytest.raises(InputError, match=r"its speaker 'bob' is not among the model's \(ann\)"):
        VocoderDataset(clips, cache, segment_length=256, seed=5, speakers=("ann",))


def test_short_clips_go_on_in_silence(clips, cache):
    wave, mel, _ = segments(clips, cache, 8192)[Key(0, 0)]
    n = len(cache.entry(clips[0]).wave)
    assert n < 8192
    assert wave[0, :n].any()
    assert not wave[0, n:].any()
    assert torch.equal(mel, log_mel(wave, CONFIG))


def test_an_item_depends_on_nothing_but_seed_and_key(clips, cache, tmp_path):
    keys = [Key(epoch, item) for epoch in range(3) for item in (7, 0, 4)]
    first = [segments(clips, cache, dither=1e-3)[key] for key in keys]
    one, other = segments(clips, cache, dither=1e-3), segments(clips, Cache(tmp_path / "b", CONFIG), dither=1e-3)
    torch.manual_seed(99)
    np.random.seed(99)
    for key, item in reversed(list(zip(keys, first, strict=True))):
        assert all(map(torch.equal, one[key], item))
        assert all(map(torch.equal, other[key], item))
    assert not torch.equal(first[0].wave, first[3].wave)
    assert not torch.equal(segments(clips, cache, seed=6)[keys[0]].wave, segments(clips, cache)[keys[0]].wave)


def test_dither_is_noise_of_that_size_on_the_wave_alone(clips, cache):
    plain, dithered = segments(clips, cache)[Key(0, 7)], segments(clips, cache, dither=1e-3)[Key(0, 7)]
    added = dithered.wave - plain.wave
    assert added.std().item() == pytest.approx(1e-3, rel=0.05)
    assert abs(added.mean().item()) < 1e-4
    assert torch.equal(dithered.mel, plain.mel)


def test_workers_read_what_one_process_reads(clips, cache):
    order = BatchOrder(n_items=len(clips), batch_size=3, seed=0)
    dataset = segments(clips, cache, dither=1e-4)
    loaders = [DataLoader(dataset, batch_sampler=order, num_workers=n, collate_fn=collate_vocoder) for n in (0, 2)]
    for _, one, two in zip(range(6), *loaders, strict=False):
        assert one.wave.shape == (3, 4096)
        assert all(map(torch.equal, one, two))


def aligned(clips, cache) -> dict[str, Alignment]:
    made = {}
    for clip in clips:
        ids, seconds = encode(clip.text), len(cache.entry(clip).wave) / 22_050
        made[clip.id] = Alignment(tuple(ids), tuple(seconds * (i + 1) / len(ids) for i in range(len(ids))))
    return made


@pytest.mark.parametrize("reduction_factor", [1, 2, 3, 7])
def test_a_batch_holds_its_items_and_nothing_else(clips, cache, reduction_factor):
    dataset = AcousticDataset(
        [clips[0], clips[6]._replace(speaker="bea"), clips[3]],
        cache,
        encode=encode,
        speakers=("ada", "bea"),
        alignments=aligned(clips, cache),
    )
    items = [dataset[Key(0, i)] for i in range(3)]
    batch = collate_acoustic(items, reduction_factor)
    assert batch.speaker.tolist() == [0, 1, 0]
    assert batch.ids.dtype == batch.durations.dtype == torch.int64
    assert batch.mel.shape[2] % reduction_factor == 0
    assert 0 <= batch.mel.shape[2] - batch.mel_lengths.max() < reduction_factor
    for row, clip in enumerate(dataset.clips):
        n, t = int(batch.id_lengths[row]), int(batch.mel_lengths[row])
        assert batch.ids[row, :n].tolist() == encode(clip.text)
        assert np.array_equal(batch.mel[row, :, :t].T, cache.entry(clip).mel)
        assert batch.durations[row].sum() == t
        assert not batch.ids[row, n:].any()
        assert not batch.durations[row, n:].any()
        assert not batch.mel[row, :, t:].any()


def test_durations_are_none_without_alignments(clips, cache):
    dataset = AcousticDataset(clips, cache, encode=encode, speakers=("ada",))
    assert len(dataset) == 8
    assert collate_acoustic([dataset[Key(3, 1)], dataset[Key(0, 2)]]).durations is None


def test_faults_name_the_clip(clips, cache):
    good = aligned(clips, cache)

    def fails(said: str, clips=clips, encode=encode, speakers=("ada",), alignments=good) -> None:
        def read_all() -> None:
            dataset = AcousticDataset(
                clips, Cache(cache.folder, CONFIG), encode=encode, speakers=speakers, alignments=alignments
            )
            for item in range(len(dataset)):
                dataset[Key(0, item)]

        with pytest.raises(InputError, match=said):
            read_all()

    fails("'tiny-0'.*'ada'.*bea", speakers=("bea",))
    fails("'tiny-2'.*spoken", encode=lambda text: [] if "three" in text else encode(text))
    fails("'tiny-5'.*no alignment", alignments={name: a for name, a in good.items() if name != "tiny-5"})
    fails("'tiny-3'.*other symbols", alignments=good | {"tiny-3": good["tiny-4"]})
    late = Alignment(good["tiny-1"].symbols, tuple(end + 1 for end in good["tiny-1"].ends))
    fails("'tiny-1'.*align the corpus again", alignments=good | {"tiny-1": late})
    soundfile.write(clips[2].audio, np.zeros(4000), 22_050)
    fails("tiny-2.*silent", alignments=None)
